//! The figures of speed as the page shows them, beside what is wanted.

use super::{Case, REPETITIONS, Round, THREADS};
use crate::bench::inference::{Load, Speed};
use crate::bench::median::median;
use crate::bench::yardstick;

/// Of the machine's integer peak, in prefill.
const WANTED_OF_PEAK: f64 = 0.35;
/// Of the machine's bandwidth, in decode.
const WANTED_OF_BANDWIDTH: f64 = 0.60;

const NOTES: &str = "\
The models but the first and last are made by the bench: SmolLM2 from the shipped Q4_1, which is as fast as one made from the first weights; \
its rows of 576 are no whole number of blocks of 256, so in Q4_K_M all but the way down of each layer (1536) is Q5_0 or Q8_0, as llama.cpp \
itself would fall back. The other has the sizes of gemma3-270m and weights drawn from a seed, since speed does not depend on what they are. \
Ratios and fractions are medians over those within each repetition. Of the machine: prefill counts two operations for each weight of the \
layers' matrices and token, beside the integer peak; decode counts the bytes of weights that are read for a token, beside the bandwidth.
";

/// Times llama.cpp's prefill and decode, as far as something is wanted of these instructions.
fn wanted(set: &str, shipped: bool) -> Option<[f64; 2]> {
    match (set, shipped) {
        ("avx512-vnni", true) => Some([6.0, 4.0]),
        ("avx512-vnni", false) => Some([3.0, 2.0]),
        ("avx2" | "avx-vnni", _) => Some([2.0, 1.5]),
        _ => None,
    }
}

/// The table, with what it was measured with before and after it.
pub fn told(measured: &[(&Case, Vec<Round>)]) -> String {
    let all = || measured.iter().flat_map(|(_, rounds)| rounds);
    let set = all().next().map_or("", |round| round.machine.set.as_str());
    let middle = |of: fn(&Round) -> f64| median(&all().map(of).collect::<Vec<_>>());
    let mut text = format!(
        "{THREADS} threads, medians of {REPETITIONS} interleaved repetitions, instructions {set}, llama.cpp of node-llama-cpp {}. The machine in the \
         same run: integer peak {:.0} GOPS, streaming bandwidth {:.1} GB/s.\n\n",
        yardstick::VERSION,
        middle(|round| round.machine.peak) / 1e9,
        middle(|round| round.machine.bandwidth) / 1e9,
    );
    text += "| model | tokens | | Kith, tokens/s | llama.cpp, tokens/s | times | wanted | of the machine | wanted |\n";
    text += "|---|--:|---|--:|--:|--:|--:|--:|--:|\n";
    for (case, rounds) in measured {
        let wanted = wanted(set, case.shipped);
        let row = |what: &str, wanted: Option<f64>, speed: fn(&Speed) -> f64, part: fn(&Round) -> f64, wanted_part: f64| {
            let middle = |of: &dyn Fn(&Round) -> f64| median(&rounds.iter().map(of).collect::<Vec<_>>());
            let Load { prompt, answer, .. } = case.load;
            let wanted = wanted.map(|times| format!("at least {times}")).unwrap_or_default();
            format!(
                "| {} | {prompt} + {answer} | {what} | {:.1} | {:.1} | {:.2} | {wanted} | {:.0} % | at least {:.0} % |\n",
                case.name,
                middle(&|round| speed(&round.own.speed)),
                middle(&|round| speed(&round.llama)),
                middle(&|round| speed(&round.own.speed) / speed(&round.llama)),
                100.0 * middle(&part),
                100.0 * wanted_part,
            )
        };
        text += &row("prefill", wanted.map(|pair| pair[0]), |speed| speed.prefill, of_peak, WANTED_OF_PEAK);
        text += &row("decode", wanted.map(|pair| pair[1]), |speed| speed.decode, of_bandwidth, WANTED_OF_BANDWIDTH);
    }
    text + "\n" + NOTES
}

fn of_peak(round: &Round) -> f64 {
    2.0 * round.own.weights * round.own.speed.prefill / round.machine.peak
}

fn of_bandwidth(round: &Round) -> f64 {
    round.own.bytes * round.own.speed.decode / round.machine.bandwidth
}

#[cfg(test)]
mod tests {
    use super::super::{CASES, Machine, Own};
    use super::*;

    fn round(slower: f64) -> Round {
        let speed = |prefill: f64, decode: f64| Speed { prefill: prefill / slower, decode: decode / slower };
        Round {
            own: Own { speed: speed(1000.0, 100.0), weights: 1e8, bytes: 1e8 },
            llama: speed(400.0, 80.0),
            machine: Machine { set: "avx2".into(), bandwidth: 2e10 / slower, peak: 8e11 / slower },
        }
    }

    #[test]
    fn ratios_and_fractions_are_those_within_each_repetition() {
        let text = told(&[(&CASES[0], vec![round(1.0), round(3.0), round(5.0)])]);
        let rows: Vec<&str> = text.lines().filter(|line| line.contains("512 + 128")).collect();
        assert_eq!(
            rows,
            [
                "| SmolLM2 135M, Q4_1 | 512 + 128 | prefill | 333.3 | 133.3 | 2.50 | at least 2 | 25 % | at least 35 % |",
                "| SmolLM2 135M, Q4_1 | 512 + 128 | decode | 33.3 | 26.7 | 1.25 | at least 1.5 | 50 % | at least 60 % |",
            ]
        );
    }

    #[test]
    fn what_is_wanted_depends_on_the_instructions_and_on_the_model() {
        assert_eq!(wanted("avx512-vnni", true), Some([6.0, 4.0]));
        assert_eq!(wanted("avx512-vnni", false), Some([3.0, 2.0]));
        assert_eq!((wanted("avx2", true), wanted("avx2", false)), (Some([2.0, 1.5]), Some([2.0, 1.5])));
        assert_eq!(wanted("scalar", true), None);
    }
}
