//! What the format promises.

use super::*;
use crate::Speaker;
use proptest::prelude::*;
use serde_json::json;

fn read(text: &str) -> Modelfile {
    text.parse().unwrap()
}

fn fault(text: &str) -> String {
    text.parse::<Modelfile>().unwrap_err().to_string()
}

#[test]
fn every_instruction_is_read() {
    let file = read(
        "# a comment\n\nFROM llama3.2:1b\nfrom ./b.gguf\nADAPTER ./lora.gguf\nPARAMETER temperature 0.5\n\
         parameter num_ctx 4096\nPARAMETER stop \"<|im_end|>\"\nPARAMETER stop Human:\nPARAMETER penalize_newline true\n\
         SYSTEM You are brief.\nTEMPLATE \"\"\"{{ .System }}\n{{ .Prompt }}\"\"\"\nMESSAGE user Is it \"good\"?\n\
         MESSAGE assistant \"\"\"yes\nit is\"\"\"\nLICENSE MIT\nLICENSE \"\"\"\nmore\n\"\"\"\nREQUIRES 0.14.0\n",
    );
    assert_eq!(file.from, ["llama3.2:1b", "./b.gguf"]);
    assert_eq!(file.adapters, ["./lora.gguf"]);
    assert_eq!(
        serde_json::Value::Object(file.parameters),
        json!({"temperature": 0.5, "num_ctx": 4096, "stop": ["<|im_end|>", "Human:"], "penalize_newline": true})
    );
    assert_eq!(file.system.as_deref(), Some("You are brief."));
    assert_eq!(file.template.as_deref(), Some("{{ .System }}\n{{ .Prompt }}"));
    assert_eq!(
        file.messages,
        [
            Message { role: Speaker::User, content: "Is it \"good\"?".into() },
            Message { role: Speaker::Assistant, content: "yes\nit is".into() }
        ]
    );
    assert_eq!(file.license, ["MIT", "\nmore\n"]);
    assert_eq!(file.requires.as_deref(), Some("0.14.0"));
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_are_no_part_of_values() {
    let file = read("\u{feff}FROM a\r\nSYSTEM be brief\r\nMESSAGE user hi\r\n");
    assert_eq!((file.from[0].as_str(), file.system.as_deref()), ("a", Some("be brief")));
    assert_eq!(file.messages[0].content, "hi");
}

#[test]
fn quotes_within_a_fenced_text_do_not_end_it() {
    let file = read("FROM a\nSYSTEM \"\"\"say \"\"\"x\"\"\" and \"y\"\"\"\"\nLICENSE b\n");
    assert_eq!(file.system.as_deref(), Some("say \"\"\"x\"\"\" and \"y\""));
    assert_eq!(file.license, ["b"]);
}

#[test]
fn a_comment_sign_inside_a_value_belongs_to_it() {
    assert_eq!(read("FROM a\nSYSTEM use # signs\n").system.as_deref(), Some("use # signs"));
    assert_eq!(read("FROM a\nSYSTEM \"\"\"\n# title\n\"\"\"").system.as_deref(), Some("\n# title\n"));
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (text, wanted) in [
        ("SYSTEM x\n", "the Modelfile names no model: a line `FROM …` is needed"),
        ("FROM a\n\nBECOME b\n", "line 3 of the Modelfile: `BECOME` is no instruction"),
        ("FROM\nSYSTEM a", "line 1 of the Modelfile: nothing follows `FROM`"),
        ("FROM a\nPARAMETER speed 7", "line 2 of the Modelfile: there is no parameter `speed`"),
        ("FROM a\nPARAMETER top_k some", "line 2 of the Modelfile: the parameter `top_k` must be a whole number, not `some`"),
        ("FROM a\nPARAMETER top_k", "line 2 of the Modelfile: nothing follows `top_k`"),
        ("FROM a\nPARAMETER temperature NaN", "line 2 of the Modelfile: the parameter `temperature` must be a number"),
        ("FROM a\nMESSAGE robot hi", "line 2 of the Modelfile: a message's role must be"),
        ("FROM a\nSYSTEM \"\"\"one\ntwo\n", "line 2 of the Modelfile: the text between three quotes does not end"),
        ("FROM a\nSYSTEM one\nSYSTEM two\n", "line 3 of the Modelfile: `SYSTEM` stands there twice"),
    ] {
        assert!(fault(text).starts_with(wanted), "{text:?}: {}", fault(text));
    }
}

#[test]
fn a_file_beyond_the_bound_is_refused() {
    let long = format!("FROM a\nSYSTEM {}\n", "x".repeat(MAX_BYTES));
    assert_eq!(long.parse::<Modelfile>(), Err(ModelfileError::TooLong(long.len())));
    let many = "LICENSE x\n".repeat(10_001);
    assert!(fault(&many).contains("more than 10000 instructions"), "{}", fault(&many));
}

#[test]
fn a_text_that_no_modelfile_can_hold_is_told() {
    let file = Modelfile { from: vec!["a".into()], system: Some("x\"\"\"\ny".into()), ..Modelfile::default() };
    assert_eq!(file.to_text(), Err(Unwritable));
}

fn text() -> impl Strategy<Value = String> {
    // Quotes, blanks and line ends are where the format could break.
    prop::collection::vec(
        prop_oneof!["[a-zé{}.# ]{0,6}", Just("\"".to_owned()), Just("\n".to_owned()), Just("\r\n".to_owned())],
        0..12,
    )
    .prop_map(|parts| parts.concat())
}

fn word() -> impl Strategy<Value = String> {
    "[a-z./]{1,12}"
}

prop_compose! {
    fn modelfile()(
        from in prop::collection::vec(word(), 1..3), adapters in prop::collection::vec(word(), 0..2),
        template in prop::option::of(text()), system in prop::option::of(text()), license in prop::collection::vec(text(), 0..3),
        messages in prop::collection::vec((0usize..3, text()), 0..4), stops in prop::collection::vec("[a-z<>|\" ]{1,8}", 0..3),
        temperature in prop::option::of(-9.0f64..9.0), seed in prop::option::of(any::<i64>()), requires in prop::option::of(word()),
    ) -> Modelfile {
        let mut parameters = Map::new();
        if !stops.is_empty() { parameters.insert("stop".into(), json!(stops)); }
        if let Some(temperature) = temperature { parameters.insert("temperature".into(), json!(temperature)); }
        if let Some(seed) = seed { parameters.insert("seed".into(), json!(seed)); }
        let role = |n| [Speaker::System, Speaker::User, Speaker::Assistant][n];
        let messages = messages.into_iter().map(|(n, content)| Message { role: role(n), content }).collect();
        Modelfile { from, adapters, parameters, template, system, messages, license, requires }
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_as_the_same(file in modelfile()) {
        match file.to_text() {
            Ok(text) => prop_assert_eq!(text.parse::<Modelfile>(), Ok(file), "{}", text),
            Err(Unwritable) => {
                let texts = file.template.iter().chain(&file.system).chain(&file.license);
                let mut texts = texts.chain(file.messages.iter().map(|message| &message.content));
                prop_assert!(texts.any(|text| text.contains("\"\"\"")));
            }
        }
    }

    #[test]
    fn whatever_the_text_reading_ends(text in "(?s).{0,200}") {
        let _ = text.parse::<Modelfile>();
    }
}
