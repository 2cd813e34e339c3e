//! `bench conformance`: the OpenAPI document validated, and then requests made up from it, thousands of them, against a running
//! node: none may be answered with a server error or with anything the document does not announce.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::inference::{Scratch, start};
use crate::paths::Paths;
use crate::{check, http, process};

/// The tools, pinned. A change here installs them anew.
const TOOLS: [&str; 2] = ["schemathesis==4.32.5", "openapi-spec-validator==0.9.0"];

/// What must hold of every answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

/// Requests made up for each operation.
const EXAMPLES: &str = "40";

/// Routes that end the node, wait for ever by design or lock the tester out; and those that ask somebody in the internet, whose
/// silence is a server error by its nature.
const LEFT_OUT: [&str; 22] = [
    "/api/admin/shutdown",
    "/api/v1/events/stream",
    "/api/v1/auth/admin/set-password",
    "/api/admin/ws",
    "/ws",
    "/api/admin/config",
    "/api/pull",
    "/api/push",
    "/api/admin/hf/search",
    "/api/admin/hf/probe",
    "/api/admin/hf/source/{model_id}",
    "/api/admin/hf/download-shards",
    "/api/admin/models/{id}/add",
    "/api/admin/providers",
    "/api/admin/provider-models",
    "/api/admin/provider-health",
    "/api/admin/provider-model-status",
    "/api/admin/claude-subscription/status",
    "/api/admin/update/check",
    "/api/admin/update/apply",
    "/api/v1/profile/push-test",
    "/api/v1/config",
];

const SET_PASSWORD: &str = "
import sys, urllib.request
url, token = sys.argv[1:]
request = urllib.request.Request(url + '/api/v1/auth/admin/set-password', b'{\"password\": \"made up requests\"}',
                                 {'Content-Type': 'application/json', 'X-Kith-Admin-Token': token})
urllib.request.urlopen(request)";

/// Runs both; fails if one of them finds something.
pub fn measure(paths: &Paths) -> Result<String> {
    process::run(&mut check::build(paths))?;
    let tools = Tools::install(paths)?;
    let folder = Scratch::make(paths)?;
    let data = folder.0.join("node");
    let (_node, url) = start(paths, &data)?;
    let mut document = String::new();
    http::get(&url, "/api/openapi.json")?.body.read_to_string(&mut document)?;
    let file = folder.0.join("openapi.json");
    fs::write(&file, document)?;
    process::run(Command::new(tools.program("python")).args(["-m", "openapi_spec_validator"]).arg(&file))?;
    let token = fs::read_to_string(data.join("admin.token")).context("the node left no admin token")?;
    // Without one, logging in is answered by 503: nothing is set up.
    let password = Command::new(tools.program("python"))
        .args(["-c", SET_PASSWORD, &url, token.trim()])
        .status()
        .context("the password could not be set")?;
    if !password.success() {
        bail!("the password could not be set");
    }
    let mut requests = Command::new(tools.program("schemathesis"));
    requests.current_dir(&folder.0).args(["run"]).arg(&file).args(["--url", &url, "--checks", CHECKS]);
    requests.args(["--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES, "--workers", "2", "--seed", "1"]);
    requests.args(["--request-timeout", "60", "--suppress-health-check", "all", "--continue-on-failure"]);
    requests.arg("--header").arg(format!("X-Kith-Admin-Token: {}", token.trim()));
    for path in LEFT_OUT {
        requests.args(["--exclude-path", path]);
    }
    process::run(&mut requests)?;
    Ok(format!(
        "OpenAPI document valid; {EXAMPLES} made-up requests for each operation: no server error, no undocumented answer."
    ))
}

/// A Python environment of their own: they bring half a hundred packages.
struct Tools(PathBuf);

impl Tools {
    fn install(paths: &Paths) -> Result<Self> {
        let tools = Self(paths.cache.join("conformance"));
        let stamp = tools.0.join("tools.txt");
        let pinned = TOOLS.join("\n");
        if fs::read_to_string(&stamp).is_ok_and(|text| text == pinned) {
            return Ok(tools);
        }
        let Some(python) = ["python3", "python"].into_iter().find_map(process::on_path) else {
            bail!("Python 3 is not installed; it runs the tools that check the API");
        };
        process::run(Command::new(python).args(["-m", "venv", "--clear"]).arg(&tools.0))?;
        process::run(Command::new(tools.program("python")).args(["-m", "pip", "install", "--quiet"]).args(TOOLS))?;
        fs::write(stamp, pinned)?;
        Ok(tools)
    }

    fn program(&self, name: &str) -> PathBuf {
        self.0.join(if cfg!(windows) { "Scripts" } else { "bin" }).join(name)
    }
}
