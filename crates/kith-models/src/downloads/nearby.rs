//! Who of the neighbours has a model, asked before anything is fetched.

use super::Downloads;
use kith_types::ModelName;

impl Downloads {
    /// Those neighbours who have a model of exactly this name, by the names that their owners gave them, the first to answer first;
    /// none where nobody has it. It takes seconds at most.
    pub async fn nearby(&self, name: &ModelName) -> Vec<String> {
        self.inner.neighbours.find(name).await.map(|told| told.by).unwrap_or_default()
    }
}
