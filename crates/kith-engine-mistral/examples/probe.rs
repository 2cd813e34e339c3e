//! probe
#![allow(clippy::unwrap_used, clippy::print_stdout, unsafe_code)]
use futures::StreamExt;
use kith_engine::*;
use kith_engine_mistral::MistralEngine;
fn rss() -> u64 { let s=std::fs::read_to_string("/proc/self/status").unwrap(); s.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap().trim().trim_end_matches("kB").trim().parse::<u64>().unwrap()/1024 }
fn used() -> String { let m = unsafe { libc::mallinfo2() }; format!("inuse {} MB mmapped {} MB arena {} MB", m.uordblks>>20, m.hblkhd>>20, m.arena>>20) }
#[tokio::main(worker_threads=2)]
async fn main() {
    let e = MistralEngine::new();
    let gen_on = std::env::args().nth(2).is_none();
    for r in 0..12 {
        let m = e.load(ModelSpec{name:"x".into(), size_bytes:1, path: std::env::args().nth(1).unwrap().into(), format: ModelFormat::Gguf, architecture:"llama".into(), context: Some(1024), parallel: 4}).await.unwrap();
        let l = rss();
        if gen_on {
        let mut s = m.generate(GenerateRequest{input: Input::Tokens((5..60).collect()), sampling: Sampling{temperature:0.0,..Sampling::default()}, max_tokens: Some(5), logprobs: Some(2), constraint: Constraint::None, ignore_eos: true}).await.unwrap();
        while s.next().await.is_some() {} }
        m.unload().await; drop(m);
        let n = std::fs::read_dir("/proc/self/task").unwrap().count();
        println!("{r} loaded {l} after {} threads {n} {}", rss(), used());
    }
}
