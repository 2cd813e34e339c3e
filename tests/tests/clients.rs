//! The official Python clients of Ollama, OpenAI and Anthropic, unmodified, against the real program with the real model.

use kith_tests::{Served, kith_command, real_model};
use std::{path::PathBuf, process::Command};

/// The Python that has the clients; `cargo xtask setup` makes it.
fn python() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("KITH_TEST_PYTHON").map(PathBuf::from).filter(|path| path.exists()) {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "the Python clients are missing; cargo xtask test sets KITH_TEST_PYTHON");
    println!("skipped: the Python clients are not installed; cargo xtask test does it");
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_python_clients_work_unchanged() {
    let (Some(model), Some(python)) = (real_model(), python()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let node = Served::start(dir.path()).await;
    for name in ["smollm2:135m", "spare:1"] {
        let imported = kith_command(dir.path()).args(["import"]).arg(&model).args(["--name", name]).status().unwrap();
        assert!(imported.success());
    }
    for script in ["ollama_client.py", "openai_client.py", "anthropic_client.py"] {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("clients").join(script);
        let output = Command::new(&python).arg(&path).arg(&node.url).output().unwrap();
        assert!(
            output.status.success(),
            "{script}\n{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    assert_eq!(node.terminate(), Some(0));
}
