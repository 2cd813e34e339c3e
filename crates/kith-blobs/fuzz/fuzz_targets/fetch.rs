//! A whole fetch from holders that send anything, or the right thing with some bytes changed. What is stored is what was
//! asked for, and it comes if one of them is honest.
#![no_main]

use kith_blobs::{
    Blobs, Bounds, Policy, Server, Throttle,
    fetch::{Change, Holder, Terms, Wanted, Wire, fetch},
    wire::What,
};
use kith_blobs_fuzz::{BLOBS, Input, hurried, plant};
use kith_types::{Blake3, Sha256};
use libfuzzer_sys::fuzz_target;
use std::{
    io,
    sync::{Arc, LazyLock},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex, split},
    runtime::Runtime,
    sync::mpsc,
};

/// Everything is for everybody.
struct Open;
impl Policy for Open {
    fn shares(&self, _: &str, _: &Blake3) -> bool {
        true
    }
}

struct World {
    runtime: Runtime,
    theirs: Blobs,
    names: Vec<Sha256>,
    _folder: tempfile::TempDir,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let (runtime, folder) = (hurried(), tempfile::tempdir().expect("a folder"));
    let (theirs, names) = runtime.block_on(async {
        let (theirs, mut names) = (Blobs::open(folder.path()).await.expect("an empty folder"), Vec::new());
        for blob in BLOBS.iter() {
            names.push(theirs.put(blob.bytes.as_slice(), None, u64::MAX, |_| ()).await.expect("room").sha256);
        }
        (theirs, names)
    });
    World { runtime, theirs, names, _folder: folder }
});

/// Holders of one fetch.
const MOST: usize = 3;
/// How an input's holder begins that sends the right thing with changes; any other sends what follows, as it stands.
const CHANGES: u8 = 1;

/// A holder that lies.
struct Liar {
    name: String,
    changes: bool,
    says: Vec<u8>,
}

#[async_trait::async_trait]
impl Holder for Liar {
    fn id(&self) -> &str {
        &self.name
    }

    async fn open(&self) -> io::Result<Box<dyn Wire>> {
        let (near, far) = duplex(64 << 10);
        let (mut asked, mut answers) = split(far);
        let says = self.says.clone();
        if self.changes {
            let (mine, theirs) = duplex(64 << 10);
            let (mut honest, mut passed_on) = split(mine);
            let server = Server::new(WORLD.theirs.clone(), Open, Bounds::default(), Throttle::default(), Arc::new(|| true));
            tokio::spawn(async move { server.serve("asker", theirs).await });
            tokio::spawn(async move { tokio::io::copy(&mut asked, &mut passed_on).await });
            tokio::spawn(async move { changed(&mut honest, &mut answers, &says).await });
        } else {
            tokio::spawn(async move { tokio::io::copy(&mut asked, &mut tokio::io::sink()).await });
            tokio::spawn(async move {
                let _ = answers.write_all(&says).await;
                let _ = answers.shutdown().await;
            });
        }
        Ok(Box::new(near))
    }
}

/// Passes on what an honest holder sends. A change is the distance from the one before in three bytes, then what is mixed into the byte
/// there; with nothing the stream ends, or stands still at an odd place.
async fn changed(from: &mut (impl AsyncReadExt + Unpin), to: &mut (impl AsyncWriteExt + Unpin), changes: &[u8]) {
    let mut changes = Input(changes);
    let next = |changes: &mut Input<'_>| match changes.0.is_empty() {
        true => (usize::MAX, 0),
        false => (changes.number(3) as usize, changes.byte()),
    };
    let (mut left, mut by) = next(&mut changes);
    let mut block = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut block).await {
        let mut at = 0;
        while left < count - at {
            at += left;
            if by == 0 {
                let _ = to.write_all(&block[..at]).await;
                if left % 2 == 1 {
                    std::future::pending::<()>().await;
                }
                let _ = to.shutdown().await;
                return;
            }
            block[at] ^= by;
            (left, by) = next(&mut changes);
        }
        left = left.saturating_sub(count - at);
        if to.write_all(&block[..count]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

fn framed(text: &str) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes(), text.as_bytes()].concat()
}

fn holder(kind: u8, says: &[u8]) -> Vec<u8> {
    [&[kind], (says.len() as u16).to_be_bytes().as_slice(), says].concat()
}

fn seeds() -> Vec<Vec<u8>> {
    let small = &BLOBS[0];
    let offer = |sends: &str| framed(&format!(r#"{{"root":"{}","size":5,"have":[[0,1]]{sends}}}"#, small.root));
    let sends = offer(r#","sends":[[0,1]]"#);
    // Asked what it has, asked for the last group, asked for all.
    let whole = [&offer(""), sends.as_slice(), &small.bytes, &sends, &small.bytes].concat();
    let refusal = framed(r#"{"refusal":{"code":"preparing"}}"#);
    let mut seeds: Vec<_> = (0..7)
        .flat_map(|blob| [[vec![2 * blob], holder(CHANGES, &[])].concat(), [vec![2 * blob + 1], holder(CHANGES, &[])].concat()])
        .collect();
    seeds.extend([
        [vec![0], holder(0, &whole)].concat(),
        [vec![1], holder(0, &whole)].concat(),
        [vec![1], holder(0, &refusal), holder(0, &whole)].concat(),
        [vec![8], holder(CHANGES, &[0, 1, 0, 4]), holder(CHANGES, &[])].concat(),
        [vec![12], holder(CHANGES, &[1, 0, 1, 0]), holder(CHANGES, &[2, 0, 0, 0]), holder(CHANGES, &[0, 64, 0, 9, 0, 64, 0, 9])]
            .concat(),
    ]);
    seeds
}

fuzz_target!(init: plant(seeds()), |bytes: &[u8]| {
    let mut input = Input(bytes);
    let choice = usize::from(input.byte());
    let number = choice / 2 % BLOBS.len();
    let (blob, name) = (&BLOBS[number], WORLD.names[number]);
    let what = if choice % 2 == 0 { What::Blake3(blob.root) } else { What::Sha256(name) };
    let (joins, holders) = mpsc::channel(MOST);
    let mut honest = false;
    for number in 0..MOST {
        if input.0.is_empty() {
            break;
        }
        let liar = Liar { name: number.to_string(), changes: input.byte() == CHANGES, says: input.part().to_vec() };
        honest |= liar.changes && liar.says.is_empty();
        joins.try_send(Change::Joined(Arc::new(liar))).expect("there is room for all");
    }
    drop(joins);
    let folder = tempfile::tempdir().expect("a folder");
    WORLD.runtime.block_on(async {
        let ours = Blobs::open(folder.path()).await.expect("an empty folder");
        let wanted = Wanted { what, sha256: None, size: None, limit: 1 << 22, room: None, spare: 0 };
        let fetched = fetch(&ours, wanted, holders, Terms::default(), Arc::new(|_| ())).await;
        let there = ours.exists(&blob.root).await.expect("the folder can be read");
        match fetched {
            Ok(put) => assert!(put.hash == blob.root && put.sha256 == name && there, "something else was stored"),
            Err(error) => assert!(!there && !honest, "one was honest, and yet: {error}"),
        }
    });
});
