//! The words every other crate speaks: ids, names, digests, times, scopes, error codes. Compiles to wasm32 and knows no I/O.

mod clock;
mod code;
mod device_kind;
mod digest;
mod id;
mod model_name;
mod scope;
mod time;

pub use clock::Clock;
#[cfg(not(target_arch = "wasm32"))]
pub use clock::SystemClock;
pub use code::{Code, Family};
pub use device_kind::{DeviceKind, DeviceKindError};
pub use digest::{Blake3, DigestError, Sha256};
pub use id::{IdError, NodeId, RequestId};
pub use model_name::{ModelName, ModelNameError};
pub use scope::{Scope, ScopeError};
pub use time::Timestamp;
