"""Everything the official OpenAI client shares with Kith so far. Argument: the node's URL."""

import json
import sys
import time

import openai

client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="any-word", max_retries=0)
MODEL = "smollm2:135m"
QUESTION = [{"role": "user", "content": "Name the planets of the solar system."}]

assert MODEL in [m.id for m in client.models.list().data]
assert client.models.retrieve(MODEL).id == MODEL

answer = client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=0, seed=1, max_tokens=48)
text = answer.choices[0].message.content
assert "Jupiter" in text, text
assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
assert answer.choices[0].finish_reason in ("stop", "length")

stream = client.chat.completions.create(
    model=MODEL, messages=QUESTION, temperature=0, seed=1, max_tokens=48, stream=True, stream_options={"include_usage": True}
)
chunks = list(stream)
said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
assert said == text, (said, text)
assert chunks[-1].usage.completion_tokens == answer.usage.completion_tokens

tools = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather in a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "maxLength": 20}},
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }
]
for choice in ("required", {"type": "function", "function": {"name": "get_weather"}}):
    called = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "What is the weather in Oslo?"}],
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=False,
        temperature=0,
        max_tokens=200,
    )
    call = called.choices[0].message.tool_calls[0]
    assert called.choices[0].finish_reason == "tool_calls"
    assert call.function.name == "get_weather" and set(json.loads(call.function.arguments)) == {"city"}, call
followed = client.chat.completions.create(
    model=MODEL,
    messages=[
        {"role": "user", "content": "What is the weather in Oslo?"},
        {"role": "assistant", "tool_calls": [call.model_dump()]},
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ],
    tools=tools,
    max_tokens=32,
)
assert followed.choices[0].message is not None

schema = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "capital": {"type": "boolean"}},
    "required": ["city", "capital"],
    "additionalProperties": False,
}
for seed in range(3):
    shaped = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Describe Paris as JSON."}],
        response_format={"type": "json_schema", "json_schema": {"name": "city", "schema": schema, "strict": True}},
        seed=seed,
        max_tokens=120,
    )
    value = json.loads(shaped.choices[0].message.content)
    assert set(value) == {"city", "capital"} and isinstance(value["capital"], bool), value
loose = client.chat.completions.create(
    model=MODEL, messages=[{"role": "user", "content": "An empty JSON object, please."}], response_format={"type": "json_object"}, temperature=0, max_tokens=400
)
if loose.choices[0].finish_reason == "stop":
    assert isinstance(json.loads(loose.choices[0].message.content), dict)

scored = client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=0, max_tokens=4, logprobs=True, top_logprobs=3)
tokens = scored.choices[0].logprobs.content
assert len(tokens) == scored.usage.completion_tokens and all(len(t.top_logprobs) == 3 for t in tokens), tokens
assert all(t.logprob <= 0 and abs(t.top_logprobs[0].logprob - t.logprob) < 1e-4 for t in tokens), tokens

several = client.chat.completions.create(model=MODEL, messages=QUESTION, n=2, seed=3, max_tokens=8)
assert [c.index for c in several.choices] == [0, 1]

stopped = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Count: one, two, three"}], temperature=0, stop=["two"], max_tokens=40)
assert "two" not in stopped.choices[0].message.content

plain = client.completions.create(model=MODEL, prompt="The capital of France is", temperature=0, max_tokens=8)
assert "Paris" in plain.choices[0].text, plain.choices[0].text
assert "".join(c.choices[0].text for c in client.completions.create(model=MODEL, prompt="The capital of France is", temperature=0, max_tokens=8, stream=True)) == plain.choices[0].text

texts = ["A man is eating food.", "A man is eating a piece of bread.", "The girl is carrying a baby."]
# The client asks for Base64 by itself and unpacks it.
packed = client.embeddings.create(model="all-minilm", input=texts)
plain = client.embeddings.create(model="all-minilm", input=texts, encoding_format="float", user="me")
assert [e.index for e in packed.data] == [0, 1, 2] and packed.usage.total_tokens == packed.usage.prompt_tokens > 0
assert all(abs(a - b) < 1e-6 for e, f in zip(packed.data, plain.data) for a, b in zip(e.embedding, f.embedding))
near, far = (sum(a * b for a, b in zip(plain.data[0].embedding, e.embedding)) for e in plain.data[1:])
assert near > 0.7 > 0.3 > far, (near, far)
assert len(client.embeddings.create(model="all-minilm", input=texts[0], dimensions=128).data[0].embedding) == 128
assert len(client.embeddings.create(model="all-minilm", input=[[7592, 2088], [7592]]).data) == 2
# The Responses API.
reply = client.responses.create(model=MODEL, input="Name the planets of the solar system.", temperature=0, max_output_tokens=48, metadata={"of": "planets"}, extra_body={"seed": 1})
assert reply.status in ("completed", "incomplete") and "Jupiter" in reply.output_text, reply
assert reply.usage.total_tokens == reply.usage.input_tokens + reply.usage.output_tokens
assert reply.usage.output_tokens_details.reasoning_tokens == 0 and reply.usage.input_tokens_details.cached_tokens >= 0
again = client.responses.retrieve(reply.id)
assert again.output_text == reply.output_text and again.metadata == {"of": "planets"}
asked = client.responses.input_items.list(reply.id, order="asc", limit=1)
assert [item.content[0].text for item in asked] == ["Name the planets of the solar system."]

events = list(client.responses.create(model=MODEL, input="Name the planets of the solar system.", temperature=0, max_output_tokens=48, extra_body={"seed": 1}, stream=True))
assert [e.sequence_number for e in events] == list(range(len(events)))
assert events[0].type == "response.created" and events[-1].type in ("response.completed", "response.incomplete")
assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == reply.output_text
kept = events[-1].response.id
assert [e.sequence_number for e in client.responses.retrieve(kept, stream=True, starting_after=3)] == list(range(4, len(events)))
with client.responses.stream(model=MODEL, input="Say hello.", max_output_tokens=16, temperature=0) as helper:
    for event in helper:
        last = event
assert last.type in ("response.completed", "response.incomplete"), last

followed = client.responses.create(model=MODEL, input="Which of them is the largest?", previous_response_id=reply.id, max_output_tokens=32)
assert followed.previous_response_id == reply.id and followed.usage.input_tokens > reply.usage.total_tokens

background = client.responses.create(model=MODEL, input="Count to twenty.", background=True, max_output_tokens=64)
assert background.status in ("queued", "in_progress")
deadline = time.monotonic() + 120
while background.status in ("queued", "in_progress"):
    assert time.monotonic() < deadline
    time.sleep(0.05)
    background = client.responses.retrieve(background.id)
assert background.status in ("completed", "incomplete") and background.output_text, background
assert client.responses.cancel(background.id).status == background.status
stopped = client.responses.create(model=MODEL, input="Write a very long story.", background=True, max_output_tokens=1500, stream=True)
begun = next(iter(stopped))
assert client.responses.cancel(begun.response.id).status == "cancelled"

flat = [{"type": "function", "strict": True, **tools[0]["function"]}]
called = client.responses.create(model=MODEL, input="What is the weather in Oslo?", tools=flat, tool_choice="required", parallel_tool_calls=False, temperature=0, max_output_tokens=200)
call = next(item for item in called.output if item.type == "function_call")
assert call.name == "get_weather" and set(json.loads(call.arguments)) == {"city"}, call
told = client.responses.create(
    model=MODEL,
    input=[{"role": "user", "content": "What is the weather in Oslo?"}, call, {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}],
    tools=flat,
    max_output_tokens=32,
)
assert told.output is not None
shaped = client.responses.create(
    model=MODEL, input="Describe Paris as JSON.", text={"format": {"type": "json_schema", "name": "city", "schema": schema, "strict": True}}, max_output_tokens=120
)
assert set(json.loads(shaped.output_text)) == {"city", "capital"}, shaped.output_text
scored = client.responses.create(model=MODEL, input="Hi", temperature=0, max_output_tokens=4, include=["message.output_text.logprobs"], top_logprobs=2)
assert all(len(t.top_logprobs) == 2 for t in scored.output[0].content[0].logprobs), scored
unkept = client.responses.create(model=MODEL, input="Hi", store=False, max_output_tokens=4)
client.responses.delete(reply.id)

for error_type, call in (
    (openai.NotFoundError, lambda: client.chat.completions.create(model="nosuch", messages=QUESTION)),
    (openai.NotFoundError, lambda: client.models.retrieve("nosuch")),
    (openai.BadRequestError, lambda: client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=9)),
    (openai.BadRequestError, lambda: client.chat.completions.create(model=MODEL, messages=[])),
    (openai.BadRequestError, lambda: client.completions.create(model=MODEL, prompt="word " * 20000)),
    (openai.BadRequestError, lambda: client.embeddings.create(model="all-minilm", input="")),
    (openai.BadRequestError, lambda: client.embeddings.create(model="all-minilm", input="word " * 1000)),
    (openai.BadRequestError, lambda: client.chat.completions.create(model="all-minilm", messages=QUESTION)),
    (openai.NotFoundError, lambda: client.responses.retrieve(reply.id)),
    (openai.NotFoundError, lambda: client.responses.retrieve(unkept.id)),
    (openai.NotFoundError, lambda: client.responses.create(model="nosuch", input="Hi", background=True)),
    (openai.BadRequestError, lambda: client.responses.create(model=MODEL, input="Hi", previous_response_id=reply.id)),
    (openai.BadRequestError, lambda: client.responses.create(model=MODEL, input="Hi", tools=[{"type": "web_search"}])),
    (openai.AuthenticationError, lambda: openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="kith_wrong", max_retries=0).models.list()),
):
    try:
        call()
    except error_type as error:
        assert error.body["message"], error.body
    else:
        raise AssertionError(f"no {error_type.__name__}")
print("ok")
