//! The engine on its own: what images do to an answer, and what they must not do.

use futures::StreamExt;
use kith_engine::{
    Constraint, Engine, EngineError, GenerateRequest, Generated, Image, InSitu, Input, Loaded, ModelFormat, ModelSpec, Sampling,
    Step, Token,
};
use kith_engine_mistral::MistralEngine;
use kith_tests::pictures::{grown, plain};
use std::{path::Path, sync::Arc};

const FAMILIES: [(&str, &str); 2] = [("idefics3", "<image>"), ("gemma3", "<start_of_image>")];

fn spec(path: &Path, family: &str) -> ModelSpec {
    ModelSpec {
        name: family.into(),
        path: path.into(),
        format: ModelFormat::Safetensors,
        architecture: family.into(),
        size_bytes: 1 << 20,
        context: None,
        parallel: 2,
        in_situ: InSitu::Auto,
        draft: None,
    }
}

fn ask(text: &str, images: &[Vec<u8>]) -> GenerateRequest {
    let images = Image::all(images.iter().cloned()).unwrap();
    GenerateRequest {
        input: Input::Text { text: text.into(), add_special: false, images },
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        max_tokens: Some(8),
        logprobs: Some(3),
        constraint: Constraint::None,
        ignore_eos: true,
        adapter: None,
    }
}

async fn answer(model: &Arc<dyn Loaded>, request: GenerateRequest) -> Result<(Vec<Token>, Generated), EngineError> {
    let mut stream = model.generate(request).await?;
    let mut tokens = Vec::new();
    while let Some(step) = stream.next().await {
        match step? {
            Step::Token(token) => tokens.push(token),
            Step::Done(done) => return Ok((tokens, done)),
        }
    }
    panic!("the stream ended without an end");
}

fn chances(tokens: &[Token]) -> Vec<(u32, f32)> {
    tokens.iter().flat_map(|token| &token.top).map(|top| (top.id, top.logprob)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_family_sees_and_tells_images_apart() {
    let (red, blue) = (plain(60, 40, [200, 10, 10]), plain(40, 60, [10, 10, 200]));
    for (family, mark) in FAMILIES {
        let folder = tempfile::tempdir().unwrap();
        kith_models::testing::sight::write(folder.path(), family, 7).unwrap();
        let engine = MistralEngine::new();
        let spec = spec(folder.path(), family);
        assert!(engine.supports(&spec) && engine.sees(&spec) && engine.generates(&spec), "{family}");
        let estimate = engine.estimate(&spec);
        assert!(estimate.weights > 100_000 && estimate.cache > 0, "{family}: {estimate:?}");
        let model = engine.load(spec).await.unwrap();
        assert_eq!(model.info().image_mark.as_ref().unwrap().text, mark);
        let text = format!("<|im_start|>user\nLook: {mark} What is it?<end_of_utterance>\n<|im_start|>assistant\n");
        let (first, done) = answer(&model, ask(&text, std::slice::from_ref(&red))).await.unwrap();
        let (again, _) = answer(&model, ask(&text, std::slice::from_ref(&red))).await.unwrap();
        let (other, _) = answer(&model, ask(&text, std::slice::from_ref(&blue))).await.unwrap();
        assert_eq!(chances(&first), chances(&again), "{family}: the same image, the same answer");
        assert_ne!(chances(&first), chances(&other), "{family}: another image, another answer");
        // What the engine counts before is what mistral.rs reads.
        let counted = model.count(&ask(&text, std::slice::from_ref(&red)).input).await.unwrap();
        assert_eq!(counted, done.usage.prompt, "{family}");
        assert!(done.usage.prompt > u32::try_from(text.len() - mark.len()).unwrap() / 2 && done.usage.cached == 0);
        // Two in one prompt: their order matters.
        let two = format!("{mark}{mark} Which is red?");
        let (ahead, _) = answer(&model, ask(&two, &[red.clone(), blue.clone()])).await.unwrap();
        let (behind, _) = answer(&model, ask(&two, &[blue.clone(), red.clone()])).await.unwrap();
        assert_ne!(chances(&ahead), chances(&behind), "{family}: the order of images matters");
        // Text alone, between the images.
        let (words, done) = answer(&model, ask("Hello there", &[])).await.unwrap();
        assert_eq!((words.len(), done.usage.prompt), (8, 11), "{family}");
        let (later, _) = answer(&model, ask(&text, std::slice::from_ref(&red))).await.unwrap();
        assert_eq!(chances(&first), chances(&later), "{family}: nothing is left of what was seen in between");
        model.unload().await;
        assert_eq!(model.memory(), kith_engine::Memory::default());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_images_and_wrong_places_are_refused_and_the_model_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    kith_models::testing::sight::write(folder.path(), "idefics3", 3).unwrap();
    let model = MistralEngine::new().load(spec(folder.path(), "idefics3")).await.unwrap();
    let good = plain(32, 32, [9, 9, 9]);
    let cut = good[..good.len() / 2].to_vec();
    let huge = grown(good.clone(), 20_000, 20_000);
    for (text, images, said) in [
        ("<image>", vec![cut], "image 1 cannot be decoded"),
        ("<image>", vec![huge], "20000 x 20000 pixels"),
        ("<image>", vec![], "places for 1 images, and there are 0"),
        ("none", vec![good.clone()], "places for 0 images, and there are 1"),
        ("<image><image>", vec![good.clone()], "places for 2 images, and there are 1"),
        ("<image><fake_token_around_image>", vec![good.clone()], "`<fake_token_around_image>` may stand"),
    ] {
        match answer(&model, ask(text, &images)).await {
            Err(EngineError::Invalid { field: "images", message }) => assert!(message.contains(said), "{message}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    let tokens = GenerateRequest { input: Input::Tokens(vec![65, 259]), ..ask("", &[]) };
    assert!(matches!(answer(&model, tokens).await, Err(EngineError::Invalid { field: "input", .. })));
    // Sixteen images go, if the window holds them; a window that does not is told with the true number.
    let many = vec![good.clone(); 16];
    assert_eq!(answer(&model, ask(&"<image>".repeat(16), &many)).await.unwrap().1.usage.prompt, 16 * 7);
    let long = format!("{}{}", "a".repeat(450), "<image>".repeat(16));
    assert_eq!(
        answer(&model, ask(&long, &many)).await.err(),
        Some(EngineError::ContextExceeded { prompt: 450 + 16 * 7, window: 512 })
    );
    assert!(model.is_alive());
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_with_images_wait_for_each_other_and_unloading_ends_them() {
    let folder = tempfile::tempdir().unwrap();
    kith_models::testing::sight::write(folder.path(), "idefics3", 3).unwrap();
    let model = MistralEngine::new().load(spec(folder.path(), "idefics3")).await.unwrap();
    let (red, blue) = (plain(32, 32, [200, 0, 0]), plain(32, 32, [0, 0, 200]));
    let alone = answer(&model, ask("<image>?", std::slice::from_ref(&red))).await.unwrap().0;
    let (first, second, third) = tokio::join!(
        answer(&model, ask("<image>?", std::slice::from_ref(&red))),
        answer(&model, ask("words only", &[])),
        answer(&model, ask("<image>?", std::slice::from_ref(&blue))),
    );
    assert_eq!(chances(&alone), chances(&first.unwrap().0));
    assert!(second.is_ok());
    assert_ne!(chances(&alone), chances(&third.unwrap().0));
    let endless = GenerateRequest { max_tokens: None, ..ask("<image>", std::slice::from_ref(&red)) };
    let mut stream = model.generate(endless).await.unwrap();
    assert!(matches!(stream.next().await, Some(Ok(Step::Token(_)))));
    model.unload().await;
    let mut last = None;
    while let Some(step) = stream.next().await {
        last = Some(step);
    }
    assert_eq!(last, Some(Err(EngineError::Unloaded)));
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_may_be_held_with_fewer_bits() {
    let folder = tempfile::tempdir().unwrap();
    kith_models::testing::sight::write(folder.path(), "idefics3", 3).unwrap();
    let engine = MistralEngine::new();
    let red = plain(32, 32, [200, 0, 0]);
    let whole = engine.load(spec(folder.path(), "idefics3")).await.unwrap();
    let (whole, _) = answer(&whole, ask("<image>?", std::slice::from_ref(&red))).await.unwrap();
    let small = ModelSpec { in_situ: InSitu::Q8, ..spec(folder.path(), "idefics3") };
    assert!(engine.estimate(&small).weights < engine.estimate(&spec(folder.path(), "idefics3")).weights);
    let model = engine.load(small).await.unwrap();
    let (eight, _) = answer(&model, ask("<image>?", std::slice::from_ref(&red))).await.unwrap();
    let (a, b) = (chances(&whole)[0].1, chances(&eight)[0].1);
    assert!(a != b && (a - b).abs() < 0.5, "near, and not the same: {a} {b}");
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_that_are_no_such_model_are_refused_with_the_reason() {
    for (spoil, said) in [
        ("config.json", "no config.json"),
        ("tokenizer.json", "no tokenizer.json"),
        ("model.safetensors", "no model.safetensors"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        kith_models::testing::sight::write(folder.path(), "idefics3", 3).unwrap();
        std::fs::remove_file(folder.path().join(spoil)).unwrap();
        match MistralEngine::new().load(spec(folder.path(), "idefics3")).await.err() {
            Some(EngineError::UnsupportedModel(reason)) => assert!(reason.contains(said), "{reason}"),
            other => panic!("{spoil}: {other:?}"),
        }
    }
}
