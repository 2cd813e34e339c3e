//! Documents that people attach to prompts.

use serde::{Deserialize, Serialize};

/// What a document says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DocumentText {
    /// Its text; pages stand apart by an empty line. At most 1 MiB.
    pub text: String,
    /// Its pages; null where it has none.
    pub pages: Option<u64>,
    /// Whether it says more than was read.
    pub cut: bool,
}
