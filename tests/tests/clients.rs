//! The official clients of Ollama, OpenAI and Anthropic, in Python and JavaScript, unmodified, against the real program with the real
//! model.

use kith_tests::{Served, kith_command, real_encoder, real_model};
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
    let (Some(model), Some(encoder), Some(python)) = (real_model(), real_encoder(), python()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let node = Served::start(dir.path()).await;
    for (file, name) in [(&model, "smollm2:135m"), (&model, "spare:1"), (&encoder, "all-minilm")] {
        let imported = kith_command(dir.path()).args(["import"]).arg(file).args(["--name", name]).status().unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn the_official_javascript_clients_work_unchanged() {
    let Some(model) = real_model() else { return };
    let Some(folder) = std::env::var_os("KITH_TEST_JAVASCRIPT") else {
        println!("skipped: Node.js is not installed, so the JavaScript clients are not");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let node = Served::start(dir.path()).await;
    let imported = kith_command(dir.path()).args(["import"]).arg(&model).args(["--name", "smollm2:135m"]).status().unwrap();
    assert!(imported.success());
    for script in ["ollama_client.mjs", "openai_client.mjs"] {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("clients").join(script);
        let output = Command::new("node").arg(&path).arg(&node.url).arg(&folder).output().unwrap();
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{script}\n{}\n{}", said(&output.stdout), said(&output.stderr));
    }
    assert_eq!(node.terminate(), Some(0));
}
