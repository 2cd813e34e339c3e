//! What this machine can do at most, as a line of JSON: `peak [THREADS]` (2 if none are named).

#![allow(clippy::print_stdout, reason = "what an example is for")]

mod machine;

use kith_kernels::{Pool, Set};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads = std::env::args().nth(1).map_or(Ok(2), |word| word.parse())?;
    let (pool, set) = (Pool::new(threads), Set::best());
    let memory = machine::bandwidth(&pool);
    let peak = machine::integer_peak(&pool, set).map_or("null".to_owned(), |peak| format!("{peak:.0}"));
    println!(r#"{{"set":"{}","threads":{threads},"bytes_per_second":{memory:.0},"operations_per_second":{peak}}}"#, set.name());
    Ok(())
}
