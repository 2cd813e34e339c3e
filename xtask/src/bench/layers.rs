//! `bench layers`: the engine of our own layers beside llama.cpp and beside what the machine can do. Each section is a module of its own.

mod models;
mod quality;
mod speed;
mod windows;

use anyhow::Result;

use super::machine;
use super::yardstick::Yardstick;
use crate::paths::Paths;
use crate::{check, process, setup};
use models::Models;

/// What sections measure with.
pub struct Ground<'a> {
    /// Where the programs lie that they start.
    pub paths: &'a Paths,
    /// The models they measure on.
    pub models: Models<'a>,
    /// llama.cpp.
    pub yardstick: Yardstick,
}

type Section = fn(&Ground<'_>) -> Result<String>;

/// In the order of the page.
const SECTIONS: &[Section] = &[speed::section, windows::section, quality::section];

/// Measures everything and gives the section of the page.
pub fn measure(paths: &Paths) -> Result<String> {
    let file = setup::for_running(paths)?;
    process::run(&mut check::build(paths))?;
    let ground = Ground { paths, models: Models::of(paths, file)?, yardstick: Yardstick::install(paths)? };
    let mut text = format!("On {}.\n", machine::described());
    for section in SECTIONS {
        let part = section(&ground)?;
        // The whole takes a while: what is known already can be read meanwhile.
        eprintln!("{part}");
        text += "\n";
        text += &part;
    }
    Ok(text)
}
