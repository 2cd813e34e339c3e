//! How to point an existing client at this node.

use crate::{
    dom,
    icons::Icon,
    live::live,
    parts::{Code, CopyButton},
};
use leptos::prelude::*;

/// A dialect with an example.
struct Example {
    name: &'static str,
    language: &'static str,
    code: fn(&str, &str) -> String,
}

const EXAMPLES: &[Example] = &[
    Example {
        name: "curl",
        language: "bash",
        code: |url, model| {
            format!(
                "curl {url}/v1/chat/completions \\\n  -H 'Content-Type: application/json' \\\n  -d '{{\n    \"model\": \"{model}\",\n    \"messages\": [{{\"role\": \"user\", \"content\": \"Name three planets.\"}}]\n  }}'\n"
            )
        },
    },
    Example {
        name: "OpenAI, Python",
        language: "python",
        code: |url, model| {
            format!(
                "from openai import OpenAI\n\nclient = OpenAI(base_url=\"{url}/v1\", api_key=\"kith\")\nanswer = client.chat.completions.create(\n    model=\"{model}\",\n    messages=[{{\"role\": \"user\", \"content\": \"Name three planets.\"}}],\n)\nprint(answer.choices[0].message.content)\n"
            )
        },
    },
    Example {
        name: "OpenAI, JavaScript",
        language: "javascript",
        code: |url, model| {
            format!(
                "import OpenAI from \"openai\";\n\nconst client = new OpenAI({{ baseURL: \"{url}/v1\", apiKey: \"kith\" }});\nconst answer = await client.chat.completions.create({{\n  model: \"{model}\",\n  messages: [{{ role: \"user\", content: \"Name three planets.\" }}],\n}});\nconsole.log(answer.choices[0].message.content);\n"
            )
        },
    },
    Example {
        name: "Ollama, Python",
        language: "python",
        code: |url, model| {
            format!(
                "from ollama import Client\n\nclient = Client(host=\"{url}\")\nanswer = client.chat(\n    model=\"{model}\",\n    messages=[{{\"role\": \"user\", \"content\": \"Name three planets.\"}}],\n)\nprint(answer.message.content)\n"
            )
        },
    },
    Example {
        name: "Anthropic, Python",
        language: "python",
        code: |url, model| {
            format!(
                "from anthropic import Anthropic\n\nclient = Anthropic(base_url=\"{url}\", api_key=\"kith\")\nanswer = client.messages.create(\n    model=\"{model}\",\n    max_tokens=256,\n    messages=[{{\"role\": \"user\", \"content\": \"Name three planets.\"}}],\n)\nprint(answer.content[0].text)\n"
            )
        },
    },
];

/// Where each dialect lives.
const BASES: [(&str, &str, &str); 3] =
    [("OpenAI", "/v1", "OPENAI_BASE_URL"), ("Ollama", "", "OLLAMA_HOST"), ("Anthropic", "", "ANTHROPIC_BASE_URL")];

/// The page.
#[component]
pub fn Api() -> impl IntoView {
    let live = live();
    let url = dom::origin();
    let chosen = RwSignal::new(0usize);
    let model = Memo::new(move |_| {
        let first = live.models.with(|models| models.as_ref().and_then(|models| models.first()).map(|model| model.name.clone()));
        first.unwrap_or_else(|| "smollm2:135m".to_owned())
    });
    let rows = BASES.map(|(name, below, variable)| {
        let address = format!("{url}{below}");
        view! {
            <li>
                <span class="ic">{Icon::Api.view()}</span>
                <div><b>{name}</b><small>{variable}</small></div>
                <code class="address">{address.clone()}</code>
                <CopyButton text=Signal::stored(address) name="Copy"/>
            </li>
        }
    });
    let code = {
        let url = url.clone();
        move || {
            EXAMPLES.get(chosen.get()).map(|example| {
                view! { <Code language=example.language code=(example.code)(&url, &model.get())/> }
            })
        }
    };
    view! {
        <div class="page narrow">
            <header>
                <div>
                    <h1>"API"</h1>
                    <p>"Tools made for OpenAI, Ollama or Anthropic work with this node as they are. On this machine no key is needed."</p>
                </div>
                <a class="btn" href="/api/docs" target="_blank" rel="noopener">{Icon::External.view()}"All routes"</a>
            </header>
            <h2>"Where to point them"</h2>
            <ul class="rows addresses">{rows}</ul>
            <h2 id="examples">"Try it"</h2>
            <div class="tabs" role="tablist" aria-labelledby="examples">
                {EXAMPLES.iter().enumerate().map(|(at, example)| view! {
                    <button role="tab" aria-selected=move || (chosen.get() == at).to_string() on:click=move |_| chosen.set(at)>{example.name}</button>
                }).collect_view()}
            </div>
            <div role="tabpanel">{code}</div>
            <p class="note">{Icon::Key.view()}"From other machines a key is needed. Keys are made under Settings, Access."</p>
        </div>
    }
}
