"""Everything the official Anthropic client shares with Kith so far. Argument: the node's URL."""

import sys

import anthropic

client = anthropic.Anthropic(base_url=sys.argv[1], api_key="any-word", max_retries=0)
MODEL = "smollm2:135m"
QUESTION = [{"role": "user", "content": "Name the planets of the solar system."}]
PLAIN = {"temperature": 0, "seed": 1}

answer = client.messages.create(model=MODEL, max_tokens=48, messages=QUESTION, extra_body=PLAIN)
text = answer.content[0].text
assert "Jupiter" in text, text
assert answer.role == "assistant" and answer.type == "message" and answer.id.startswith("msg_")
assert answer.stop_reason in ("end_turn", "max_tokens") and answer.stop_sequence is None
assert answer.usage.output_tokens > 0

with client.messages.stream(model=MODEL, max_tokens=48, messages=QUESTION, extra_body=PLAIN) as stream:
    assert "".join(stream.text_stream) == text
    final = stream.get_final_message()
assert final.content[0].text == text and final.stop_reason == answer.stop_reason
assert final.usage.output_tokens == answer.usage.output_tokens

kinds = [event.type for event in client.messages.create(model=MODEL, max_tokens=8, messages=QUESTION, stream=True)]
assert kinds[:2] == ["message_start", "content_block_start"] and kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"], kinds

count = client.messages.count_tokens(model=MODEL, messages=QUESTION)
assert count.input_tokens == answer.usage.input_tokens + (answer.usage.cache_read_input_tokens or 0), (count, answer.usage)
longer = client.messages.count_tokens(model=MODEL, messages=QUESTION, system="Answer in one short sentence and add nothing at all.")
assert longer.input_tokens > 0

tools = [
    {
        "name": "get_weather",
        "description": "The weather in a city.",
        "input_schema": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 20}},
            "required": ["city"],
            "additionalProperties": False,
        },
    }
]
asked = [{"role": "user", "content": "What is the weather in Oslo?"}]
for choice in ({"type": "any", "disable_parallel_tool_use": True}, {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True}):
    called = client.messages.create(model=MODEL, max_tokens=200, messages=asked, tools=tools, tool_choice=choice, extra_body=PLAIN)
    use = next(block for block in called.content if block.type == "tool_use")
    assert called.stop_reason == "tool_use" and use.name == "get_weather" and set(use.input) == {"city"}, called
with client.messages.stream(model=MODEL, max_tokens=200, messages=asked, tools=tools, tool_choice=choice, extra_body=PLAIN) as stream:
    streamed = stream.get_final_message()
assert [b.input for b in streamed.content if b.type == "tool_use"] == [use.input], streamed
followed = client.messages.create(
    model=MODEL,
    max_tokens=32,
    messages=asked
    + [
        {"role": "assistant", "content": called.content},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "sunny"}, {"type": "text", "text": "And now?"}]},
    ],
    tools=tools,
)
assert followed.type == "message"

stopped = client.messages.create(
    model=MODEL, max_tokens=40, messages=[{"role": "user", "content": "Count: one, two, three"}], stop_sequences=["two"], extra_body=PLAIN
)
assert all("two" not in block.text for block in stopped.content if block.type == "text"), stopped
assert stopped.stop_reason != "stop_sequence" or stopped.stop_sequence == "two", stopped

for error_type, kind, call in (
    (anthropic.NotFoundError, "not_found_error", lambda: client.messages.create(model="nosuch", max_tokens=8, messages=QUESTION)),
    (anthropic.BadRequestError, "invalid_request_error", lambda: client.messages.create(model=MODEL, max_tokens=0, messages=QUESTION)),
    (anthropic.BadRequestError, "invalid_request_error", lambda: client.messages.create(model=MODEL, max_tokens=8, messages=[])),
    (
        anthropic.BadRequestError,
        "invalid_request_error",
        lambda: client.messages.create(model=MODEL, max_tokens=8, messages=[{"role": "user", "content": "word " * 20000}]),
    ),
    (
        anthropic.AuthenticationError,
        "authentication_error",
        lambda: anthropic.Anthropic(base_url=sys.argv[1], api_key="kith_wrong", max_retries=0).messages.create(
            model=MODEL, max_tokens=8, messages=QUESTION
        ),
    ),
):
    try:
        call()
    except error_type as error:
        assert error.body["type"] == "error" and error.body["error"]["type"] == kind and error.body["error"]["message"], error.body
    else:
        raise AssertionError(f"no {error_type.__name__}")
print("ok")
