//! What networks and the mesh refused, as an answer; and ids of theirs as they stand in paths and bodies.

use crate::{error::ApiError, mesh::MeshError};
use kith_networks::{InviteFault, NetworkError, NetworkId};
use kith_store::StoreError;
use kith_types::{Code, NodeId};

impl From<InviteFault> for ApiError {
    fn from(fault: InviteFault) -> Self {
        let message = fault.to_string();
        match fault {
            InviteFault::Expired(_) => Self::new(Code::InviteOver, message),
            _ => Self::new(Code::InviteInvalid, message).with_field("url"),
        }
    }
}

impl From<NetworkError> for ApiError {
    fn from(error: NetworkError) -> Self {
        let message = error.to_string();
        match error {
            NetworkError::NotFound => Self::new(Code::NetworkNotFound, message),
            NetworkError::NoneActive => Self::new(Code::NetworkOffline, message),
            NetworkError::Invalid { field, reason } => {
                let field = wire_name(field);
                Self::new(Code::InvalidRequest, format!("`{field}` {reason}")).with_field(field)
            }
            NetworkError::Invite(fault) => Self::from(fault),
            NetworkError::AlreadyMember(_)
            | NetworkError::Connected
            | NetworkError::TooMany { .. }
            | NetworkError::Itself
            | NetworkError::Founder => Self::new(Code::Conflict, message),
            NetworkError::NotMember | NetworkError::NotAdmin => Self::new(Code::Forbidden, message),
            NetworkError::NoSuchInvite => Self::new(Code::InviteNotFound, message),
            NetworkError::InviteOver => Self::new(Code::InviteOver, message),
            NetworkError::NoSuchMember => Self::new(Code::NodeNotFound, message),
            NetworkError::Refused(_) | NetworkError::RemovedSigner => Self::new(Code::InvalidRequest, message),
            NetworkError::Store(StoreError::Full) => Self::new(Code::StorageFull, message),
            other => Self::internal(&other),
        }
    }
}

/// What the API calls a value that the networks call otherwise.
fn wire_name(field: &'static str) -> &'static str {
    match field {
        "lifetime" => "expires_in_s",
        "invite" => "url",
        field => field,
    }
}

impl From<MeshError> for ApiError {
    fn from(error: MeshError) -> Self {
        let message = error.to_string();
        match error {
            MeshError::Network(error) => Self::from(error),
            MeshError::Offline | MeshError::Start(_) => Self::new(Code::NetworkOffline, message),
            MeshError::Address(_) => Self::new(Code::InvalidRequest, message).with_field("address"),
            MeshError::Unreachable(_) => Self::new(Code::PeerUnreachable, message),
            MeshError::Declined(_) => Self::new(Code::Conflict, message),
            MeshError::Busy => Self { retry_after: Some(10), ..Self::new(Code::Conflict, message) },
        }
    }
}

/// The network of this id.
///
/// # Errors
/// What is no id is no network's either.
pub(crate) fn network_id(text: &str) -> Result<NetworkId, ApiError> {
    text.parse().map_err(|_| NetworkError::NotFound.into())
}

/// The node of this id.
///
/// # Errors
/// What is no id is no node's either.
pub(crate) fn node_id(text: &str) -> Result<NodeId, ApiError> {
    text.parse().map_err(|_| no_such_node())
}

/// There is no such node in the network.
pub(crate) fn no_such_node() -> ApiError {
    ApiError::new(Code::NodeNotFound, "there is no such node in the network")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_code_and_internal_ones_tell_nothing() {
        let code = |error: NetworkError| ApiError::from(error).code;
        for (error, expected) in [
            (NetworkError::NotFound, Code::NetworkNotFound),
            (NetworkError::NoneActive, Code::NetworkOffline),
            (NetworkError::AlreadyMember("home".into()), Code::Conflict),
            (NetworkError::Connected, Code::Conflict),
            (NetworkError::TooMany { what: "networks", most: 64 }, Code::Conflict),
            (NetworkError::Itself, Code::Conflict),
            (NetworkError::Founder, Code::Conflict),
            (NetworkError::NotMember, Code::Forbidden),
            (NetworkError::NotAdmin, Code::Forbidden),
            (NetworkError::NoSuchInvite, Code::InviteNotFound),
            (NetworkError::InviteOver, Code::InviteOver),
            (NetworkError::NoSuchMember, Code::NodeNotFound),
            (NetworkError::Refused("no".into()), Code::InvalidRequest),
            (NetworkError::RemovedSigner, Code::InvalidRequest),
            (NetworkError::Store(StoreError::Full), Code::StorageFull),
            (NetworkError::Damaged("its id".into()), Code::Internal),
            (InviteFault::Malformed.into(), Code::InviteInvalid),
            (InviteFault::Forged.into(), Code::InviteInvalid),
            (InviteFault::NotForThisNode.into(), Code::InviteInvalid),
            (InviteFault::Newer(9).into(), Code::InviteInvalid),
            (InviteFault::Expired("1970".into()).into(), Code::InviteOver),
        ] {
            assert_eq!(code(error), expected);
        }
        let hidden = ApiError::from(NetworkError::Damaged("its id".into()));
        assert!(!hidden.message.contains("its id"), "{}", hidden.message);
    }

    #[test]
    fn values_are_named_as_the_api_names_them() {
        let error = ApiError::from(NetworkError::Invalid { field: "lifetime", reason: "must be short".into() });
        assert_eq!((error.field.as_deref(), error.message.as_str()), (Some("expires_in_s"), "`expires_in_s` must be short"));
    }

    #[test]
    fn what_the_mesh_refuses_is_told_by_whose_fault_it_is() {
        for (error, expected) in [
            (MeshError::Network(NetworkError::NotFound), Code::NetworkNotFound),
            (MeshError::Offline, Code::NetworkOffline),
            (MeshError::Start("the port is taken".into()), Code::NetworkOffline),
            (MeshError::Address("`x` is no address".into()), Code::InvalidRequest),
            (MeshError::Unreachable("nobody answers".into()), Code::PeerUnreachable),
            (MeshError::Declined("not at this time".into()), Code::Conflict),
            (MeshError::Busy, Code::Conflict),
        ] {
            assert_eq!(ApiError::from(error).code, expected);
        }
        assert_eq!(ApiError::from(MeshError::Busy).retry_after, Some(10));
    }

    #[test]
    fn what_is_no_id_names_nothing() {
        assert_eq!(network_id("x").unwrap_err().code, Code::NetworkNotFound);
        assert_eq!(node_id("x").unwrap_err().code, Code::NodeNotFound);
    }
}
