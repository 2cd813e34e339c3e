//! The first run: whom it is for, and which better model to suggest for this machine.

use super::fit::{best, needs};
use kith_wire::system::{Hardware, HubRepository, HubVariant, ProfileBody};

/// Bytes of weights that a processor core works through at the pace of reading: about ten tokens a second at 6 GB/s a core.
const PER_CORE: u64 = 600_000_000;
/// Repositories of one family, with the size of the variant that is usually taken, the smallest first.
const LADDER: [(&str, u64); 6] = [
    ("Qwen/Qwen2.5-0.5B-Instruct-GGUF", 491_000_000),
    ("Qwen/Qwen2.5-1.5B-Instruct-GGUF", 1_120_000_000),
    ("Qwen/Qwen2.5-3B-Instruct-GGUF", 2_100_000_000),
    ("Qwen/Qwen2.5-7B-Instruct-GGUF", 4_680_000_000),
    ("Qwen/Qwen2.5-14B-Instruct-GGUF", 8_990_000_000),
    ("Qwen/Qwen2.5-32B-Instruct-GGUF", 19_900_000_000),
];

/// Whether the node has never been greeted: its profile was never written. Whoever was greeted has named it, or kept the name it had.
pub fn is_first(profile: &ProfileBody) -> bool {
    profile.updated_at_ms.ms() == 0
}

/// The repository to look for: the largest that this machine holds and still answers with at the pace of reading, the smallest if none
/// does; none where not even that fits.
pub fn wanted(hardware: &Hardware) -> Option<&'static str> {
    let budget = hardware.memory.model_budget;
    let cores = hardware.cpu.physical_cores.unwrap_or(hardware.cpu.logical_cores).max(1);
    let paced = cores.saturating_mul(PER_CORE);
    let fits = LADDER.iter().filter(|(_, size)| needs(*size) <= budget);
    let (first, rest) = {
        let mut fits = fits;
        (fits.next()?, fits)
    };
    Some(rest.take_while(|(_, size)| *size <= paced).last().unwrap_or(first).0)
}

/// What of the hub's answer is offered: the wanted repository, or the first that fits, with the variant to take.
pub fn offer(found: &[HubRepository], wanted: &str) -> Option<(String, HubVariant)> {
    let variant = |repository: &HubRepository| {
        let at = best(&repository.variants, repository.recommended_variant.as_deref())?;
        Some((repository.repo_id.clone(), repository.variants.get(at)?.clone()))
    };
    let exact = found.iter().find(|repository| repository.repo_id.eq_ignore_ascii_case(wanted));
    exact.and_then(variant).or_else(|| found.iter().find_map(variant))
}

/// A repository's name as people say it: `Qwen2.5 1.5B`.
pub fn spoken(repository: &str) -> String {
    let name = repository.rsplit('/').next().unwrap_or(repository);
    let words = name.split('-').filter(|word| !["gguf", "instruct"].contains(&word.to_lowercase().as_str()));
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_wire::system::{Cpu, MemoryStats};

    fn machine(cores: u64, budget: u64) -> Hardware {
        Hardware {
            cpu: Cpu { physical_cores: Some(cores), logical_cores: cores * 2, ..Cpu::default() },
            memory: MemoryStats { model_budget: budget, ..MemoryStats::default() },
            ..Hardware::default()
        }
    }

    #[test]
    fn the_suggestion_fits_the_memory_and_the_pace_of_reading() {
        assert_eq!(wanted(&machine(2, 18_000_000_000)), Some("Qwen/Qwen2.5-1.5B-Instruct-GGUF"));
        assert_eq!(wanted(&machine(8, 18_000_000_000)), Some("Qwen/Qwen2.5-7B-Instruct-GGUF"));
        assert_eq!(wanted(&machine(64, 3_000_000_000)), Some("Qwen/Qwen2.5-3B-Instruct-GGUF"));
        assert_eq!(wanted(&machine(0, 600_000_000)), Some("Qwen/Qwen2.5-0.5B-Instruct-GGUF"));
        assert_eq!(wanted(&machine(8, 100_000_000)), None);
    }

    #[test]
    fn the_hub_decides_which_variant_is_offered() {
        let variant = |quant: &str, fits| HubVariant {
            filename: format!("{quant}.gguf"),
            size_bytes: 1,
            quant: Some(quant.to_owned()),
            parts: 1,
            fits_vram: fits,
        };
        let repository = |id: &str, fits| HubRepository {
            repo_id: id.to_owned(),
            downloads: 0,
            likes: 0,
            variants: vec![variant("Q4_K_M", fits)],
            recommended_variant: Some("Q4_K_M".to_owned()),
            fits_vram: fits,
        };
        let found = [repository("a/other", true), repository("Qwen/X", true)];
        assert_eq!(offer(&found, "qwen/x").map(|(id, _)| id), Some("Qwen/X".to_owned()));
        assert_eq!(offer(&found, "qwen/none").map(|(id, _)| id), Some("a/other".to_owned()));
        assert_eq!(offer(&[repository("a/b", false)], "a/b"), None);
    }

    #[test]
    fn a_repository_is_said_without_its_technical_words() {
        assert_eq!(spoken("Qwen/Qwen2.5-1.5B-Instruct-GGUF"), "Qwen2.5 1.5B");
    }
}
