// Everything the official OpenAI client shares with Kith. Arguments: the node's URL, the folder of the clients.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";

const [, , url, folder] = process.argv;
const OpenAI = createRequire(join(folder, "package.json"))("openai").default;
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "any-word", maxRetries: 0 });
const model = "smollm2:135m";
const messages = [{ role: "user", content: "Name the planets of the solar system." }];
const greedy = { temperature: 0, seed: 1, max_tokens: 32 };

const listed = [];
for await (const entry of client.models.list()) listed.push(entry.id);
assert.ok(listed.includes(model));
assert.equal((await client.models.retrieve(model)).id, model);

const answer = await client.chat.completions.create({ model, messages, ...greedy });
assert.match(answer.choices[0].message.content, /Mercury|Venus|Mars/);
assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);

let streamed = "";
let usage;
const stream = await client.chat.completions.create({ model, messages, ...greedy, stream: true, stream_options: { include_usage: true } });
for await (const chunk of stream) {
  streamed += chunk.choices[0]?.delta?.content ?? "";
  usage = chunk.usage ?? usage;
}
assert.equal(streamed, answer.choices[0].message.content);
assert.deepEqual([usage.prompt_tokens, usage.completion_tokens], [answer.usage.prompt_tokens, answer.usage.completion_tokens]);

const parameters = { type: "object", properties: { city: { type: "string", maxLength: 20 } }, required: ["city"], additionalProperties: false };
const tools = [{ type: "function", function: { name: "get_weather", description: "The weather in a city.", parameters } }];
const called = await client.chat.completions.create({
  model, tools, tool_choice: "required", parallel_tool_calls: false, temperature: 0, max_tokens: 200,
  messages: [{ role: "user", content: "What is the weather in Oslo?" }],
});
assert.equal(called.choices[0].finish_reason, "tool_calls");
const [call] = called.choices[0].message.tool_calls;
assert.deepEqual(Object.keys(JSON.parse(call.function.arguments)), ["city"]);

const schema = { type: "object", properties: { ok: { type: "boolean" } }, required: ["ok"], additionalProperties: false };
const shaped = await client.chat.completions.create({
  model, messages, max_tokens: 60,
  response_format: { type: "json_schema", json_schema: { name: "answer", schema, strict: true } },
});
assert.equal(typeof JSON.parse(shaped.choices[0].message.content).ok, "boolean");

const plain = await client.completions.create({ model, prompt: "The capital of France is", temperature: 0, max_tokens: 8 });
assert.match(plain.choices[0].text, /Paris/);

const long = await client.chat.completions.create({ model, messages, max_tokens: 4000, stream: true });
for await (const chunk of long) {
  assert.ok(chunk.id);
  long.controller.abort();
}

for (const [kind, ask] of [
  [OpenAI.NotFoundError, () => client.chat.completions.create({ model: "nosuch", messages })],
  [OpenAI.BadRequestError, () => client.chat.completions.create({ model, messages, temperature: 9 })],
  [OpenAI.BadRequestError, () => client.chat.completions.create({ model, messages: [] })],
  [OpenAI.AuthenticationError, () => new OpenAI({ baseURL: `${url}/v1`, apiKey: "kith_wrong", maxRetries: 0 }).models.list()],
]) {
  const error = await ask().then(() => undefined, (error) => error);
  assert.ok(error instanceof kind, `${kind.name}: ${error}`);
}
console.log("ok");
