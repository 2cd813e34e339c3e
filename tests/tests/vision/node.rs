//! The running node: a folder that sees is taken in, shown, asked in every dialect, copied, kept over a kill and removed.

use base64::Engine as _;
use kith_tests::{
    Served, admin_token, client,
    pictures::{grown, plain},
};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;

struct Eye {
    node: Served,
    dir: tempfile::TempDir,
    folder: tempfile::TempDir,
}

impl Eye {
    /// A node with the small model `eye:tiny`.
    async fn open() -> Self {
        let (dir, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        kith_models::testing::sight::write(folder.path(), "idefics3", 11).unwrap();
        let eye = Self { node: Served::start(dir.path()).await, dir, folder };
        let (status, said) = eye.import(eye.folder.path(), "eye:tiny").await;
        assert!(status == 200 && said["status"] == "success", "{said}");
        eye
    }

    async fn import(&self, path: &Path, name: &str) -> (u16, Value) {
        self.send(Method::POST, "/api/v1/models/import", json!({"path": path, "name": name})).await
    }

    /// The status, and the answer's last line.
    async fn send(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = client().request(method, format!("{}{path}", self.node.url));
        let answer = request.header("x-kith-admin-token", admin_token(self.dir.path())).json(&body).send().await.unwrap();
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        (status, serde_json::from_str(text.lines().last().unwrap_or("null")).unwrap_or(Value::String(text)))
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, said) = self.send(Method::POST, path, body).await;
        assert_eq!(status, 200, "{path}: {said}");
        said
    }

    /// What the model says to an image, in the words of Ollama.
    async fn says(&self, model: &str, images: &[&[u8]]) -> Value {
        let images: Vec<String> = images.iter().map(|image| base64(image)).collect();
        let ask = json!({"model": model, "stream": false, "options": {"temperature": 0, "num_predict": 6},
            "messages": [{"role": "user", "content": "What is it?", "images": images}]});
        self.post("/api/chat", ask).await
    }
}

fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn url(bytes: &[u8]) -> String {
    format!("data:image/png;base64,{}", base64(bytes))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_dialect_shows_the_model_the_same_images() {
    let eye = Eye::open().await;
    let (red, blue) = (plain(50, 30, [220, 20, 20]), plain(30, 50, [20, 20, 220]));
    let ollama = eye.says("eye:tiny", &[&red]).await;
    let text = ollama["message"]["content"].as_str().unwrap().to_owned();
    let tokens = ollama["prompt_eval_count"].as_u64().unwrap();

    let generate = eye
        .post(
            "/api/generate",
            json!({"model": "eye:tiny", "prompt": "What is it?", "images": [base64(&red)], "stream": false,
                "options": {"temperature": 0, "num_predict": 6}}),
        )
        .await;
    assert_eq!((generate["response"].as_str(), generate["prompt_eval_count"].as_u64()), (Some(text.as_str()), Some(tokens)));

    let chat = |images: Vec<String>| {
        let mut content: Vec<Value> =
            images.into_iter().map(|url| json!({"type": "image_url", "image_url": {"url": url}})).collect();
        content.push(json!({"type": "text", "text": "What is it?"}));
        json!({"model": "eye:tiny", "temperature": 0, "max_tokens": 6, "logprobs": true, "top_logprobs": 3,
            "messages": [{"role": "user", "content": content}]})
    };
    let openai = eye.post("/v1/chat/completions", chat(vec![url(&red)])).await;
    assert_eq!(openai["choices"][0]["message"]["content"].as_str(), Some(text.as_str()));
    assert_eq!(openai["usage"]["prompt_tokens"].as_u64(), Some(tokens));
    let again = eye.post("/v1/chat/completions", chat(vec![url(&red)])).await;
    let other = eye.post("/v1/chat/completions", chat(vec![url(&blue)])).await;
    let both = eye.post("/v1/chat/completions", chat(vec![url(&red), url(&blue)])).await;
    let turned = eye.post("/v1/chat/completions", chat(vec![url(&blue), url(&red)])).await;
    let chances = |answer: &Value| answer["choices"][0]["logprobs"].clone();
    assert_eq!(chances(&openai), chances(&again));
    assert_ne!(chances(&openai), chances(&other));
    assert_ne!(chances(&both), chances(&turned), "the order of images matters");

    let responses = eye
        .post(
            "/v1/responses",
            json!({"model": "eye:tiny", "temperature": 0, "max_output_tokens": 6, "input": [{"role": "user", "content": [
                {"type": "input_image", "image_url": url(&red)}, {"type": "input_text", "text": "What is it?"}]}]}),
        )
        .await;
    assert_eq!(responses["usage"]["input_tokens"].as_u64(), Some(tokens), "{responses}");
    let said = responses["output"][0]["content"][0]["text"].as_str();
    assert_eq!(said, Some(text.as_str()), "{responses}");

    let block = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": base64(&red)}});
    let message = json!({"model": "eye:tiny", "temperature": 0, "max_tokens": 6,
        "messages": [{"role": "user", "content": [block, {"type": "text", "text": "What is it?"}]}]});
    let anthropic = eye.post("/v1/messages", message.clone()).await;
    assert_eq!(anthropic["content"][0]["text"].as_str(), Some(text.as_str()), "{anthropic}");
    let counted = eye.post("/v1/messages/count_tokens", message).await;
    assert_eq!(counted["input_tokens"].as_u64(), Some(tokens));
    assert_eq!(anthropic["usage"]["input_tokens"].as_u64(), Some(tokens));

    // A conversation with images in several of its turns, and one that only writes of them.
    let turns = json!({"model": "eye:tiny", "stream": false, "options": {"temperature": 0, "num_predict": 4}, "messages": [
        {"role": "user", "content": "First", "images": [base64(&red)]}, {"role": "assistant", "content": "Red."},
        {"role": "user", "content": "Second", "images": [base64(&blue), base64(&red)]}]});
    let turns = eye.post("/api/chat", turns).await;
    assert!(turns["prompt_eval_count"].as_u64().unwrap() > tokens + 14, "{turns}");
    let words = json!({"model": "eye:tiny", "stream": false, "options": {"num_predict": 4},
        "messages": [{"role": "user", "content": "What does <image> mean in <fake_token_around_image>?"}]});
    eye.post("/api/chat", words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_seen_is_refused_and_the_node_goes_on() {
    let eye = Eye::open().await;
    let red = plain(32, 32, [220, 20, 20]);
    let before = eye.says("eye:tiny", &[&red]).await["message"]["content"].clone();
    let cut = red[..red.len() / 3].to_vec();
    let huge = grown(red.clone(), 30_000, 30_000);
    let many = vec![red.clone(); 17];
    for (images, said) in [
        (vec![cut], "image 1 cannot be decoded"),
        (vec![red.clone(), huge], "image 2 has 30000 x 30000 pixels"),
        (vec![b"not an image".to_vec()], "image 1 is no PNG"),
        (many, "more than 16 images"),
    ] {
        let images: Vec<String> = images.iter().map(|image| base64(image)).collect();
        let chat =
            json!({"model": "eye:tiny", "stream": false, "messages": [{"role": "user", "content": "?", "images": images}]});
        let (status, error) = eye.send(Method::POST, "/api/chat", chat).await;
        assert!(status == 400 && error["error"].as_str().is_some_and(|error| error.contains(said)), "{status} {error}");
        let content: Vec<Value> = images
            .iter()
            .map(|image| {
                let url = format!("data:image/png;base64,{image}");
                json!({"type": "image_url", "image_url": {"url": url}})
            })
            .collect();
        let chat = json!({"model": "eye:tiny", "messages": [{"role": "user", "content": content}]});
        let (status, error) = eye.send(Method::POST, "/v1/chat/completions", chat).await;
        let told = error["error"]["message"].as_str().is_some_and(|error| error.contains(said));
        assert!(status == 400 && told && error["error"]["param"] == "messages", "{status} {error}");
        let blocks: Vec<Value> = images
            .iter()
            .map(|image| json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": image}}))
            .collect();
        let message = json!({"model": "eye:tiny", "max_tokens": 4, "messages": [{"role": "user", "content": blocks}]});
        let (status, error) = eye.send(Method::POST, "/v1/messages", message).await;
        assert!(
            status == 400 && error["error"]["message"].as_str().is_some_and(|error| error.contains(said)),
            "{status} {error}"
        );
    }
    // Links are not followed.
    let link = json!({"model": "eye:tiny", "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}]}]});
    assert_eq!(eye.send(Method::POST, "/v1/chat/completions", link).await.0, 400);
    // More images than the window holds.
    let long = json!({"model": "eye:tiny", "stream": false, "messages": [
        {"role": "user", "content": "a".repeat(600), "images": [base64(&red)]}]});
    let (status, error) = eye.send(Method::POST, "/api/chat", long).await;
    assert!(status == 400 && error["error"].as_str().is_some_and(|error| error.contains("context window")), "{status} {error}");
    // A model of text alone.
    let file = eye.dir.path().join("text.gguf");
    std::fs::write(&file, kith_models::testing::tiny_gguf(1)).unwrap();
    assert_eq!(eye.import(&file, "text:tiny").await.0, 200);
    let chat =
        json!({"model": "text:tiny", "stream": false, "messages": [{"role": "user", "content": "?", "images": [base64(&red)]}]});
    let (status, error) = eye.send(Method::POST, "/api/chat", chat).await;
    let told = error["error"].as_str().is_some_and(|error| error.contains("does not see images"));
    assert!(status == 400 && told, "{status} {error}");
    assert_eq!(eye.says("eye:tiny", &[&red]).await["message"]["content"], before);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_shown_as_what_it_is_copied_kept_over_a_kill_and_removed() {
    let eye = Eye::open().await;
    let red = plain(32, 32, [220, 20, 20]);
    let said = eye.says("eye:tiny", &[&red]).await["message"]["content"].clone();
    let shown = eye.post("/api/show", json!({"model": "eye:tiny"})).await;
    assert_eq!(shown["capabilities"], json!(["completion", "vision"]), "{shown}");
    let details = &shown["details"];
    assert_eq!((&details["format"], &details["family"]), (&json!("safetensors"), &json!("idefics3")));
    assert_eq!(details["quantization_level"], "F32");
    assert_eq!(shown["model_info"]["idefics3.vision.image_size"], 32);
    assert!(shown["model_info"]["general.parameter_count"].as_u64().is_some_and(|count| count > 100_000));
    // The same bytes under other names, one with a system text of its own.
    eye.post("/api/copy", json!({"source": "eye:tiny", "destination": "eye:copy"})).await;
    let made = json!({"model": "eye:polite", "from": "eye:tiny", "system": "Be kind.", "stream": false});
    assert_eq!(eye.post("/api/create", made).await["status"], "success");
    let fewer = json!({"model": "eye:small", "from": "eye:tiny", "quantize": "q4_K_M", "stream": false});
    assert_eq!(eye.send(Method::POST, "/api/create", fewer).await.0, 400);
    assert_ne!(
        eye.says("eye:polite", &[&red]).await["prompt_eval_count"],
        eye.says("eye:copy", &[&red]).await["prompt_eval_count"]
    );
    // The folder may go, and the node may be killed.
    let Eye { node, dir, folder } = eye;
    drop(folder);
    node.kill();
    let eye = Eye { node: Served::start(dir.path()).await, dir, folder: tempfile::tempdir().unwrap() };
    assert_eq!(eye.says("eye:copy", &[&red]).await["message"]["content"], said);
    for (name, left) in [("eye:tiny", 2), ("eye:polite", 1), ("eye:copy", 0)] {
        let (status, _) = eye.send(Method::DELETE, "/api/delete", json!({"model": name})).await;
        assert_eq!(status, 200);
        let (_, tags) = eye.send(Method::GET, "/api/tags", json!({})).await;
        assert_eq!(tags["models"].as_array().map(Vec::len), Some(left));
        let bytes = blobs(eye.dir.path());
        assert_eq!(bytes > 100_000, left > 0, "{bytes} bytes are left for {left} models");
    }
}

/// Bytes in the store of blobs.
fn blobs(dir: &Path) -> u64 {
    fn under(dir: &Path) -> u64 {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries
            .map(|entry| if entry.path().is_dir() { under(&entry.path()) } else { entry.metadata().map_or(0, |m| m.len()) })
            .sum()
    }
    let store = dir.join("blobs");
    assert!(store.is_dir(), "{} is where bytes lie", store.display());
    under(&store)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_a_folder_is_taken_in_leaves_all_of_it_or_nothing() {
    let (dir, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    kith_models::testing::sight::write(folder.path(), "idefics3", 11).unwrap();
    let red = plain(32, 32, [220, 20, 20]);
    for pause in [0, 2, 5, 10, 20, 40] {
        let node = Served::start(dir.path()).await;
        let (url, token, path) = (node.url.clone(), admin_token(dir.path()), folder.path().to_owned());
        let import = tokio::spawn(async move {
            let body = json!({"path": path, "name": format!("eye:{pause}")});
            let sent =
                client().post(format!("{url}/api/v1/models/import")).header("x-kith-admin-token", token).json(&body).send();
            match sent.await {
                Ok(answer) => answer.text().await.is_ok_and(|text| text.contains("\"success\"")),
                Err(_) => false,
            }
        });
        tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        node.kill();
        let acknowledged = import.await.unwrap();
        let eye = Eye {
            node: Served::start(dir.path()).await,
            dir: tempfile::tempdir().unwrap(),
            folder: tempfile::tempdir().unwrap(),
        };
        std::fs::copy(dir.path().join("admin.token"), eye.dir.path().join("admin.token")).unwrap();
        let (_, tags) = eye.send(Method::GET, "/api/tags", json!({})).await;
        let there = tags["models"].as_array().unwrap().iter().any(|model| model["name"] == format!("eye:{pause}"));
        assert!(there || !acknowledged, "what was acknowledged is there");
        if there {
            eye.says(&format!("eye:{pause}"), &[&red]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_that_are_not_whole_are_refused_in_one_line() {
    let eye = Eye::open().await;
    for (name, content, said) in [
        ("preprocessor_config.json", None, "preprocessor_config.json is missing"),
        ("model.safetensors.index.json", Some(r#"{"weight_map": {"a": "../../etc/passwd"}}"#), "does not lie directly"),
        ("model.safetensors", Some("no weights at all"), "is no safetensors file"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        kith_models::testing::sight::write(folder.path(), "idefics3", 1).unwrap();
        match content {
            Some(content) => std::fs::write(folder.path().join(name), content).unwrap(),
            None => std::fs::remove_file(folder.path().join(name)).unwrap(),
        }
        let (_, told) = eye.import(folder.path(), "bad:one").await;
        assert!(told["error"].as_str().is_some_and(|error| error.contains(said)), "{told}");
    }
    let (_, tags) = eye.send(Method::GET, "/api/tags", json!({})).await;
    assert_eq!(tags["models"].as_array().map(Vec::len), Some(1));
}

#[test]
fn the_library_keeps_the_folders_that_the_engine_runs() {
    let mut run: Vec<&str> = kith_engine_mistral::supported_folders().collect();
    run.sort_unstable();
    assert_eq!(kith_models::folder_families(), run);
}
