//! Tells Tauri which commands the shell has and where their permissions lie.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let commands = tauri_build::AppManifest::new().commands(&["shell_state", "set_start_at_login", "choose_path", "enter_again"]);
    let attributes =
        tauri_build::Attributes::new().app_manifest(commands).capabilities_path_pattern("./src-tauri/capabilities/**/*");
    println!("cargo:rerun-if-changed=src-tauri/capabilities");
    tauri_build::try_build(attributes)?;
    Ok(())
}
