//! What is taken for Go, what is translated, and what is refused. That translations lay out what Go would is tested with the engine
//! of templates, where both are known.

use super::*;

fn refused(source: &str) -> String {
    translate(source).unwrap_err().0
}

#[test]
fn gos_templates_are_told_from_jinjas() {
    for go in [
        "{{ .Prompt }}",
        "{{- if .System }}x{{ end }}",
        "a {{range .Messages}}{{.Content}}{{end}}",
        "{{ $x := .System }}{{ $x }}",
        "{{/* note */}}",
    ] {
        assert!(is_go(go), "{go}");
    }
    for jinja in
        ["{{ messages }}", "{% for m in messages %}{{ m.content }}{% endfor %}", "plain", "{{ bos_token }}{{- ' x' }}", ""]
    {
        assert!(!is_go(jinja), "{jinja}");
        assert_eq!(to_jinja(jinja).unwrap(), jinja);
    }
}

#[test]
fn text_never_meets_jinjas_own_signs() {
    let body = translate("{{ .System }} 100% {x} #} \"q\" \\ {{ .Prompt }}").unwrap();
    assert!(body.contains(r#"{{ " 100\u0025 \u007bx\u007d \u0023\u007d \"q\" \\ " }}"#), "{body}");
}

#[test]
fn blanks_are_trimmed_as_go_trims_them() {
    let pieces = scan::scan("a \n{{- .System -}} \n b {{ .Prompt }}\n").unwrap();
    let texts: Vec<_> = pieces
        .iter()
        .filter_map(|piece| match piece {
            scan::Piece::Text(text) => Some(text.as_str()),
            scan::Piece::Action(_) => None,
        })
        .collect();
    assert_eq!(texts, ["a", "b ", "\n"]);
}

#[test]
fn what_has_no_counterpart_is_named() {
    for (source, wanted) in [
        ("{{ template \"x\" }}{{ .Prompt }}", "`template` has no counterpart"),
        ("{{ .Surprise }}", "the field `.Surprise` is not known there"),
        ("{{ range .Messages }}{{ .Images }}{{ end }}", "the field `.Images` is not known there"),
        ("{{ printf \"%s\" .Prompt }}", "`printf` with 2 arguments has no counterpart"),
        ("{{ if .Prompt }}x", "an `end` is missing"),
        ("{{ .Prompt }}{{ end }}", "there is an `end` too many"),
        ("{{ else }}{{ .Prompt }}", "there is an `else` without its `if`"),
        ("{{ if eq .Prompt \"a }}{{ end }}", "a text in quotes does not end"),
        ("{{ $x }}", "the variable `$x` is not declared"),
        ("{{ .Prompt", "an action does not end"),
        ("{{ range .System }}{{ end }}", "`range` over that has no counterpart"),
        ("{{ (.Prompt }}", "a bracket is not closed"),
        ("{{ break }}{{ .Prompt }}", "`break` and `continue` belong into a `range`"),
        ("{{ .Messages }}", "it prints a value that only Go can print"),
        ("{{ slice .Messages 1 }}{{ .Prompt }}", "`slice` with 2 arguments has no counterpart"),
    ] {
        assert_eq!(refused(source), wanted, "{source}");
    }
}

#[test]
fn depth_and_length_have_bounds() {
    let deep = format!("{}{}", "{{ if .System }}".repeat(60), "{{ end }}".repeat(60));
    assert_eq!(refused(&deep), "its blocks lie more than 48 deep in one another");
    let brackets = format!("{{{{ if {}.System{} }}}}{{{{ end }}}}", "(".repeat(60), ")".repeat(60));
    assert_eq!(refused(&brackets), "its brackets lie more than 48 deep in one another");
    let chain = format!("{{{{ if .System }}}}{}{{{{ end }}}}", "{{ else if .Prompt }}".repeat(60));
    assert_eq!(refused(&chain), "its blocks lie more than 48 deep in one another");
    assert!(refused(&"x".repeat(MAX_BYTES + 1)).starts_with("it has"));
}

#[test]
fn a_message_is_told_from_the_whole() {
    let body = translate("{{ range $i, $m := .Messages }}{{ $m.Role }}{{ .Content }}{{ $.System }}{{ $i }}{{ end }}").unwrap();
    assert!(
        body.ends_with(
            "{% set v = namespace() %}{% for m1 in Messages %}{% set v.i2 = loop.index0 %}\
         {{ m1[\"role\"] }}{{ m1[\"content\"] }}{{ System }}{{ v.i2 }}{% else %}{% endfor %}"
        ),
        "{body}"
    );
}

proptest::proptest! {
    #[test]
    fn whatever_the_text_translating_ends(source in "[{}. $()|a-zA-Z\"\n-]{0,80}") {
        let _ = translate(&source);
        let _ = translate(&format!("{{{{ if .System }}}}{source}{{{{ end }}}}"));
    }
}
