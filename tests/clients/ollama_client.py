"""Everything the official Ollama client shares with Kith so far. Argument: the node's URL."""

import json
import sys

import ollama

client = ollama.Client(host=sys.argv[1])
MODEL = "smollm2:135m"
GREEDY = {"temperature": 0, "seed": 1, "num_predict": 48}

names = [m.model for m in client.list().models]
assert set(names) == {MODEL, "spare:1", "all-minilm:latest"}, names

shown = client.show(MODEL)
assert shown.details.format == "gguf" and shown.details.family == "llama", shown.details
assert shown.modelinfo["general.architecture"] == "llama"
assert "completion" in shown.capabilities, shown.capabilities

question = [{"role": "user", "content": "Name the planets of the solar system."}]
answer = client.chat(MODEL, question, options=GREEDY)
assert "Jupiter" in answer.message.content, answer
assert answer.done and answer.eval_count > 0 and answer.prompt_eval_count > 0 and answer.total_duration > 0

pieces = list(client.chat(MODEL, question, stream=True, options=GREEDY))
assert len(pieces) > 3
assert "".join(p.message.content for p in pieces) == answer.message.content
assert pieces[-1].done and pieces[-1].done_reason in ("stop", "length")

first = client.generate(MODEL, "My name is Ada. Say hello to me.", options=GREEDY)
assert first.response and first.context
second = client.generate(MODEL, "What is my name?", context=first.context, options=GREEDY)
assert second.response and len(second.context) > len(first.context)
streamed = "".join(p.response for p in client.generate(MODEL, "Count to three.", stream=True, options=GREEDY))
assert streamed

same = [client.generate(MODEL, "Tell a story.", options={"seed": 7, "temperature": 1.0, "num_predict": 16}).response for _ in range(2)]
assert same[0] == same[1], same
other = client.generate(MODEL, "Tell a story.", options={"seed": 8, "temperature": 1.0, "num_predict": 16}).response
assert other != same[0]

schema = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "people": {"type": "integer", "minimum": 0, "maximum": 99999999}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
for seed in range(3):
    said = client.chat(MODEL, [{"role": "user", "content": "Describe Paris as JSON."}], format=schema, options={"seed": seed, "num_predict": 120})
    value = json.loads(said.message.content)
    assert set(value) == {"city", "people"} and isinstance(value["people"], int), value


def weather(city: str) -> str:
    """The weather in a city.

    Args:
      city: The city's name.
    """
    return "sunny"


asked = client.chat(MODEL, [{"role": "user", "content": "What is the weather in Oslo?"}], tools=[weather], options=GREEDY)
assert asked.message.content or asked.message.tool_calls

running = client.ps().models
assert [m.model for m in running] == [MODEL], running
assert running[0].size > 0 and running[0].context_length > 0

client.generate(MODEL, "", keep_alive=0)
assert client.ps().models == []

texts = ["A man is eating food.", "A man is eating a piece of bread.", "The girl is carrying a baby."]
embedded = client.embed("all-minilm", texts)
assert len(embedded.embeddings) == 3 and all(len(vector) == 384 for vector in embedded.embeddings)
assert embedded.prompt_eval_count > 0 and embedded.total_duration > 0
near, far = (sum(a * b for a, b in zip(embedded.embeddings[0], other)) for other in embedded.embeddings[1:])
assert near > 0.7 > 0.3 > far, (near, far)
older = client.embeddings("all-minilm", texts[0]).embedding
assert all(abs(a - b) < 1e-5 for a, b in zip(older, embedded.embeddings[0]))
assert len(client.embed("all-minilm", texts[0], dimensions=64).embeddings[0]) == 64
assert client.embed("all-minilm", "word " * 1000, truncate=True).prompt_eval_count == 256
assert client.show("all-minilm").capabilities == ["embedding"]
client.embed("all-minilm", "", keep_alive=0)
assert client.ps().models == []
# A chat model embeds too, as the layer engine runs it.
assert len(client.embed(MODEL, ["x", "y"]).embeddings) == 2
for call in (
    lambda: client.generate("all-minilm", "x"),
    lambda: client.embed("all-minilm", "word " * 1000, truncate=False),
):
    try:
        call()
    except ollama.ResponseError as error:
        assert error.status_code == 400, (error.status_code, error.error)
    else:
        raise AssertionError("a model did what it cannot")

client.delete("spare:1")
assert set(m.model for m in client.list().models) == {MODEL, "all-minilm:latest"}

for call in (
    lambda: client.chat("nosuch:1b", question),
    lambda: client.generate("nosuch:1b", "x"),
    lambda: client.show("nosuch:1b"),
    lambda: client.delete("nosuch:1b"),
):
    try:
        call()
    except ollama.ResponseError as error:
        assert error.status_code == 404, error.status_code
        assert "nosuch:1b" in error.error, error.error
    else:
        raise AssertionError("an unknown model was answered")

try:
    client.chat(MODEL, question, options={"temperature": -1})
except ollama.ResponseError as error:
    assert error.status_code == 400 and "temperature" in error.error, (error.status_code, error.error)
else:
    raise AssertionError("a negative temperature was taken")

try:
    client.generate(MODEL, "word " * 20000, raw=True)
except ollama.ResponseError as error:
    assert error.status_code == 400 and "20" in error.error and "8192" in error.error, error.error
else:
    raise AssertionError("a prompt that is too long was taken")
print("ok")
