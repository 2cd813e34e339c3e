// Everything the official Ollama client shares with Kith. Arguments: the node's URL, the folder of the clients.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";

const [, , url, folder] = process.argv;
const { Ollama } = createRequire(join(folder, "package.json"))("ollama");
const client = new Ollama({ host: url });
const model = "smollm2:135m";
const greedy = { temperature: 0, seed: 1, num_predict: 32 };
const messages = [{ role: "user", content: "Name the planets of the solar system." }];

assert.ok((await client.list()).models.some((listed) => listed.model === model));
const shown = await client.show({ model });
assert.equal(shown.details.family, "llama");
assert.ok(shown.capabilities.includes("completion"));

const answer = await client.chat({ model, messages, options: greedy });
assert.match(answer.message.content, /Mercury|Venus|Mars/);
assert.ok(answer.done && answer.eval_count > 0 && answer.prompt_eval_count > 0);

let streamed = "";
let last;
for await (const part of await client.chat({ model, messages, options: greedy, stream: true })) {
  streamed += part.message.content;
  last = part;
}
assert.equal(streamed, answer.message.content);
assert.ok(last.done);

const generated = await client.generate({ model, prompt: "Count to three.", options: greedy });
assert.ok(generated.response && generated.context.length > 0);

const format = { type: "object", properties: { ok: { type: "boolean" } }, required: ["ok"], additionalProperties: false };
const shaped = await client.chat({ model, messages, format, options: { seed: 3, num_predict: 60 } });
assert.equal(typeof JSON.parse(shaped.message.content).ok, "boolean");

const running = await client.ps();
assert.deepEqual(running.models.map((loaded) => loaded.model), [model]);

// Aborting a stream ends the work: the next answer does not wait for it.
const long = await client.chat({ model, messages, options: { num_predict: 4000, temperature: 1, seed: 1 }, stream: true });
for await (const part of long) {
  assert.ok(part);
  break;
}
client.abort();
await client.generate({ model, prompt: "Hi", options: { num_predict: 1 } });

const unknown = await client.chat({ model: "nosuch:1b", messages }).catch((error) => error);
assert.equal(unknown.status_code, 404);
assert.match(unknown.message, /nosuch:1b/);
const refused = await client.chat({ model, messages, options: { temperature: -1 } }).catch((error) => error);
assert.equal(refused.status_code, 400);
console.log("ok");
