//! Whose certificate holds, whoever was removed before or after it was signed.

use super::*;
use crate::NetworkId;
use kith_keys::{Identity, OsEntropy};
use kith_types::Timestamp;

struct Cast {
    genesis: Genesis,
    founder: Identity,
    standing: Standing,
}

fn somebody() -> Identity {
    Identity::ephemeral(&OsEntropy).unwrap()
}

fn certificate(network: NetworkId, by: &Identity, member: &NodeId, role: Role, epoch: u64) -> String {
    let certificate = Certificate {
        network,
        member: member.clone(),
        role,
        name: "device".into(),
        issued_ms: Timestamp::from_ms(1),
        serial: "0000000000000001".into(),
        epoch,
        by: by.node_id().clone(),
    };
    certificate.sign(by).unwrap()
}

impl Cast {
    fn new() -> Self {
        let founder = somebody();
        let genesis = Genesis { founder: founder.node_id().clone(), salt: [1; 16] };
        Self { genesis, founder, standing: Standing { present: 9, ..Standing::default() } }
    }

    fn by_founder(&self, member: &Identity, role: Role, epoch: u64) -> Chain {
        Chain(vec![certificate(self.genesis.id(), &self.founder, member.node_id(), role, epoch)])
    }

    fn by(&self, admin: &Identity, behind: &Chain, member: &Identity, role: Role, epoch: u64) -> Chain {
        let own = certificate(self.genesis.id(), admin, member.node_id(), role, epoch);
        Chain(std::iter::once(own).chain(behind.0.iter().cloned()).collect())
    }

    fn check(&self, holder: &Identity, chain: &Chain) -> Result<Role, Fault> {
        self.standing.verify(&self.genesis, holder.node_id(), chain).map(|verified| verified.role)
    }

    fn remove(&mut self, who: &Identity, epoch: u64) {
        self.standing.removed.insert(who.node_id().clone(), epoch);
    }

    fn list(&mut self, who: &Identity, epoch: u64, role: Role) {
        self.standing.vouched.insert(who.node_id().clone(), (epoch, role));
    }
}

#[test]
fn the_founder_is_an_admin_and_so_is_whom_an_admin_made_one() {
    let cast = Cast::new();
    let (ann, bob) = (somebody(), somebody());
    assert_eq!(cast.check(&cast.founder, &cast.by_founder(&cast.founder, Role::Admin, 0)), Ok(Role::Admin));
    let anns = cast.by_founder(&ann, Role::Admin, 0);
    assert_eq!(cast.check(&ann, &anns), Ok(Role::Admin));
    assert_eq!(cast.check(&bob, &cast.by(&ann, &anns, &bob, Role::Member, 0)), Ok(Role::Member));
}

#[test]
fn what_a_plain_member_signs_lets_nobody_in() {
    let cast = Cast::new();
    let (ann, bob) = (somebody(), somebody());
    let anns = cast.by_founder(&ann, Role::Member, 0);
    assert_eq!(cast.check(&bob, &cast.by(&ann, &anns, &bob, Role::Member, 0)), Err(Fault::Forged));
    assert_eq!(cast.check(&ann, &cast.by(&ann, &anns, &ann, Role::Admin, 0)), Err(Fault::Forged), "nor itself");
}

#[test]
fn a_stolen_foreign_forged_cut_or_endless_chain_does_not_hold() {
    let cast = Cast::new();
    let (ann, bob, eve) = (somebody(), somebody(), somebody());
    let anns = cast.by_founder(&ann, Role::Admin, 0);
    assert_eq!(cast.check(&eve, &anns), Err(Fault::NotTheirs), "somebody else's certificate");
    assert_eq!(cast.check(&eve, &Chain::default()), Err(Fault::Malformed));
    assert_eq!(cast.check(&eve, &Chain(vec!["nonsense".into()])), Err(Fault::Malformed));
    let own = Chain(vec![certificate(cast.genesis.id(), &eve, eve.node_id(), Role::Admin, 0)]);
    assert_eq!(cast.check(&eve, &own), Err(Fault::Forged), "a root of one's own");
    let other = Genesis { salt: [2; 16], ..cast.genesis.clone() };
    let foreign = Chain(vec![certificate(other.id(), &cast.founder, eve.node_id(), Role::Admin, 0)]);
    assert_eq!(cast.check(&eve, &foreign), Err(Fault::WrongNetwork));
    let bobs = cast.by(&ann, &anns, &bob, Role::Member, 0);
    assert_eq!(cast.check(&bob, &Chain(bobs.0[..1].to_vec())), Err(Fault::Forged), "the middle is missing");
    assert_eq!(cast.check(&bob, &Chain(vec![bobs.0[0].clone(); MAX_CHAIN + 1])), Err(Fault::Malformed));
    let (body, _) = bobs.0[0].split_once('.').unwrap();
    let (_, signature) = anns.0[0].split_once('.').unwrap();
    let mixed = Chain(vec![format!("{body}.{signature}"), anns.0[0].clone()]);
    assert_eq!(cast.check(&bob, &mixed), Err(Fault::Forged));
}

#[test]
fn a_chain_of_the_greatest_length_holds() {
    let cast = Cast::new();
    let mut last = somebody();
    let mut chain = cast.by_founder(&last, Role::Admin, 0);
    while chain.0.len() < MAX_CHAIN {
        let next = somebody();
        chain = cast.by(&last, &chain, &next, Role::Admin, 0);
        last = next;
    }
    assert_eq!(cast.check(&last, &chain), Ok(Role::Admin));
}

#[test]
fn a_removed_device_is_out_until_it_is_invited_again() {
    let mut cast = Cast::new();
    let ann = somebody();
    cast.remove(&ann, 3);
    assert_eq!(cast.check(&ann, &cast.by_founder(&ann, Role::Member, 2)), Err(Fault::Removed));
    assert_eq!(cast.check(&ann, &cast.by_founder(&ann, Role::Member, 3)), Ok(Role::Member));
}

#[test]
fn the_guests_of_a_removed_admin_stay_if_they_were_listed_and_later_ones_never_come_in() {
    let mut cast = Cast::new();
    let (ann, bob, eve) = (somebody(), somebody(), somebody());
    let anns = cast.by_founder(&ann, Role::Admin, 0);
    let bobs = cast.by(&ann, &anns, &bob, Role::Member, 0);
    cast.list(&bob, 1, Role::Member);
    cast.remove(&ann, 1);
    assert_eq!(cast.check(&ann, &anns), Err(Fault::Removed));
    assert_eq!(cast.check(&bob, &bobs), Ok(Role::Member));
    for epoch in [0, 1, 99] {
        let eves = cast.by(&ann, &anns, &eve, Role::Member, epoch);
        assert_eq!(cast.check(&eve, &eves), Err(Fault::Removed), "dated {epoch}");
    }
    let promoted = cast.by(&ann, &anns, &bob, Role::Admin, 0);
    assert_eq!(cast.check(&bob, &promoted), Ok(Role::Member), "what was listed holds, not what a removed admin signs now");
    cast.remove(&bob, 2);
    let forged = cast.by(&ann, &anns, &bob, Role::Member, 99);
    assert_eq!(cast.check(&bob, &forged), Err(Fault::Removed), "being listed before is of no use to who was removed after");
}

#[test]
fn the_guests_of_a_removed_admin_who_were_not_listed_are_out() {
    let mut cast = Cast::new();
    let (ann, bob) = (somebody(), somebody());
    let bobs = cast.by(&ann, &cast.by_founder(&ann, Role::Admin, 0), &bob, Role::Member, 0);
    cast.list(&bob, 1, Role::Member);
    cast.remove(&ann, 2);
    assert_eq!(cast.check(&bob, &bobs), Err(Fault::Removed), "listed before the removal, not by it");
}

#[test]
fn the_founder_is_never_out() {
    let mut cast = Cast::new();
    let ann = somebody();
    cast.standing.removed.insert(cast.genesis.founder.clone(), 5);
    assert_eq!(cast.check(&cast.founder, &cast.by_founder(&cast.founder, Role::Admin, 0)), Ok(Role::Admin));
    assert_eq!(cast.check(&ann, &cast.by_founder(&ann, Role::Member, 9)), Ok(Role::Member));
}

#[test]
fn a_certificate_dated_ahead_does_not_outlast_the_removal_of_its_member() {
    let mut cast = Cast::new();
    let ann = somebody();
    cast.remove(&ann, 9);
    for epoch in [10, 9 + MAX_STEP] {
        assert_eq!(cast.check(&ann, &cast.by_founder(&ann, Role::Member, epoch)), Err(Fault::Removed), "dated {epoch}");
    }
    let bob = somebody();
    let ahead = 9 + MAX_STEP;
    assert_eq!(cast.check(&bob, &cast.by_founder(&bob, Role::Member, ahead)), Ok(Role::Member), "this node may have been away");
    for epoch in [ahead + 1, u64::MAX] {
        assert_eq!(cast.check(&bob, &cast.by_founder(&bob, Role::Member, epoch)), Err(Fault::Malformed));
    }
}
