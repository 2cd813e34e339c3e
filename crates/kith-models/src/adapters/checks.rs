//! Whether an adapter is what was said of it: the request's words by themselves, and against the file.

use super::{NewAdapter, wrong};
use crate::{
    ModelError,
    lora::{self, Lora, Plan, Scaling},
};
use std::path::Path;

/// The longest id, in bytes.
const MAX_ID: usize = 64;
/// The longest name, in bytes.
const MAX_NAME: usize = 256;

/// What the request says by itself.
pub fn words(new: &NewAdapter) -> Result<(), ModelError> {
    let id_ok = (1..=MAX_ID).contains(&new.id.len())
        && new.id.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && !new.id.contains("..")
        && new.id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if !id_ok {
        return wrong(
            "id",
            format!("`id` must have 1 to {MAX_ID} letters, digits, `.`, `_` or `-`, and begin with a letter or digit"),
        );
    }
    let name_ok = |name: &String| !name.is_empty() && name.len() <= MAX_NAME && !name.chars().any(char::is_control);
    if !new.name.as_ref().is_none_or(name_ok) {
        return wrong("name", format!("`name` must have 1 to {MAX_NAME} bytes of text"));
    }
    if new.alpha.is_some_and(|alpha| !alpha.is_finite() || alpha <= 0.0) {
        return wrong("alpha", "`alpha` must be above 0");
    }
    Ok(())
}

/// What the copied file says, against what was said of it and against its model.
pub fn file(copy: &Path, mut scaling: Scaling, base: &Path, told: &NewAdapter) -> Result<(Lora, Scaling), ModelError> {
    let mut lora = lora::read_with(copy, &scaling)?;
    if let Some(rank) = told.rank.filter(|rank| *rank != lora.rank) {
        return wrong("rank", format!("`rank` is {rank}, but the file's matrices have the rank {}", lora.rank));
    }
    match told.alpha {
        Some(alpha) if lora.alpha_told && alpha != lora.alpha => {
            return wrong("alpha", format!("`alpha` is {alpha}, but the adapter was trained with {}", lora.alpha));
        }
        Some(alpha) if !lora.alpha_told => {
            scaling.alpha = Some(alpha);
            lora = lora::read_with(copy, &scaling)?;
        }
        _ => {}
    }
    Plan::of(base, &lora)?;
    Ok((lora, scaling))
}
