//! How a template is told of images: as parts of a message's content, or by their marks in its text.

use super::{ChatTemplate, Layout, RenderInput, value::Dictionary};
use crate::{Message, Role};
use kith_engine::ImageMark;
use kith_types::Timestamp;
use minijinja::Value;

/// What a template takes as the content of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parts {
    /// Text: an image is its mark, before the text.
    Never,
    /// A list where there are images, text elsewhere.
    WithImages,
    /// A list always; text would not be shown.
    Always,
}

/// The images of a model that sees, as its template shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Images {
    pub(super) mark: String,
    pub(super) parts: Parts,
}

impl ChatTemplate {
    /// The same for a model that sees, in whose text `mark` stands for an image. Finds out how the template is told of one.
    pub(crate) fn seeing(self, mark: &ImageMark) -> Self {
        const WORDS: &str = "KithProbesWords";
        let with = |parts| Self { images: Some(Images { mark: mark.text.clone(), parts }), ..self.clone() };
        let shows = |template: &Self, images: usize| {
            let message = Message { images: vec![Vec::new(); images], ..Message::text(Role::User, WORDS) };
            let messages = std::slice::from_ref(&message);
            let input = RenderInput { messages, tools: &[], think: None, now: Timestamp::default() };
            let text =
                template.attempt(&Layout::new(messages, &[], template.habits, template.images.as_ref()), messages, true, &input);
            text.is_ok_and(|text| text.contains(WORDS) && text.matches(&mark.text).count() == images)
        };
        let (always, mixed) = (with(Parts::Always), with(Parts::WithImages));
        // Two of them: some templates show one and forget the others.
        if !shows(&always, 2) {
            return with(Parts::Never);
        }
        if shows(&mixed, 0) { mixed } else { always }
    }
}

impl Images {
    /// The content of a message.
    pub(super) fn content(&self, message: &Message) -> Value {
        let images = message.images.len();
        if self.parts == Parts::Never || (images == 0 && self.parts == Parts::WithImages) {
            return Value::from(format!("{}{}", self.mark.repeat(images), message.content));
        }
        let part = |kind: &str| Dictionary::value(vec![("type", Value::from(kind))]);
        let mut parts: Vec<Value> = (0..images).map(|_| part("image")).collect();
        if !message.content.is_empty() || parts.is_empty() {
            let text = Value::from(message.content.as_str());
            parts.push(Dictionary::value(vec![("type", Value::from("text")), ("text", text)]));
        }
        parts.into()
    }
}

/// Breaks what stands in a text for an image: nobody but the template puts images into it.
pub(crate) fn without_marks(text: &str, mark: &ImageMark) -> String {
    let mut text = text.to_owned();
    for token in &mark.reserved {
        let Some(first) = token.chars().next() else { continue };
        if text.contains(token.as_str()) {
            text = text.replace(token.as_str(), &format!("{first} {}", &token[first.len_utf8()..]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark() -> ImageMark {
        ImageMark { text: "<image>".into(), reserved: vec!["<image>".into(), "<global-img>".into()] }
    }

    fn rendered(source: &str, messages: &[Message]) -> String {
        let template = ChatTemplate::parse(Some(source), None, None).unwrap().seeing(&mark());
        template.render(&RenderInput { messages, tools: &[], think: None, now: Timestamp::default() }).unwrap().text
    }

    fn conversation() -> Vec<Message> {
        vec![
            Message { images: vec![vec![1], vec![2]], ..Message::text(Role::User, "Which is red?") },
            Message::text(Role::Assistant, "The first."),
            Message::text(Role::User, "Sure?"),
        ]
    }

    #[test]
    fn a_template_that_takes_lists_for_images_gets_them_and_text_elsewhere() {
        let source = "{% for m in messages %}{{ m.role }}:{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}\
                      {% if p.type == 'image' %}<image>{% else %}[{{ p.text }}]{% endif %}{% endfor %}{% endif %};{% endfor %}";
        assert_eq!(rendered(source, &conversation()), "user:<image><image>[Which is red?];assistant:The first.;user:Sure?;");
    }

    #[test]
    fn a_template_that_takes_nothing_but_lists_gets_nothing_else() {
        // As SmolVLM's.
        let source = "{% for message in messages %}{{ message['role'] | capitalize }}{% if message['content'][0]['type'] == 'image' %}\
                      {{ ':' }}{% else %}{{ ': ' }}{% endif %}{% for line in message['content'] %}{% if line['type'] == 'text' %}\
                      {{ line['text'] }}{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n\
                      {% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}";
        assert_eq!(
            rendered(source, &conversation()),
            "User:<image><image>Which is red?<end_of_utterance>\nAssistant: The first.<end_of_utterance>\nUser: \
             Sure?<end_of_utterance>\nAssistant:"
        );
        // A message that is continued stays open.
        let mut open = conversation();
        open.pop();
        assert!(rendered(source, &open).ends_with("Assistant: The first."));
    }

    #[test]
    fn a_template_of_text_alone_gets_marks_before_the_text() {
        let source = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}";
        assert_eq!(rendered(source, &conversation()), "user: <image><image>Which is red?\nassistant: The first.\nuser: Sure?\n");
    }

    #[test]
    fn marks_that_somebody_wrote_are_broken() {
        assert_eq!(without_marks("an <image> tag, <global-img>", &mark()), "an < image> tag, < global-img>");
        assert_eq!(without_marks("plain", &mark()), "plain");
    }
}
