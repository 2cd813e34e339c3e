// What llama.cpp makes of a text and of some questions, for a comparison with others.
// node llama-quality.mjs MODEL TEXT QUESTIONS FOLDER THREADS TOKENS
// writes FOLDER/ids.u32 (the text's tokens), FOLDER/logits.f32 (after each of them, the whole vocabulary, little-endian) and
// FOLDER/answers.json (for each line of QUESTIONS, in the model's template, the tokens of the prompt and of the likeliest answer of at
// most TOKENS, and whether it ended by itself), and prints one line of JSON.
import fs from "node:fs";
import path from "node:path";
import {getLlama} from "node-llama-cpp";

const [modelPath, textPath, questionsPath, folder, ...numbers] = process.argv.slice(2);
const [threads, longest] = numbers.map(Number);

const llama = await getLlama({gpu: false, build: "never", maxThreads: threads, logLevel: "error"});
const model = await llama.loadModel({modelPath});
const context = await model.createContext({
  contextSize: 2048,
  batchSize: 512,
  threads: {ideal: threads, min: threads},
});
const sequence = context.getSequence();

// No token that opens a text: the model's file asks for none.
const ids = model.tokenize(fs.readFileSync(textPath, "utf8").trim());
const out = fs.openSync(path.join(folder, "logits.f32"), "w");
let row;
const write = (logits) => {
  row ??= new Float32Array(logits.size);
  row.fill(Number.NaN);
  for (const [token, logit] of logits) row[token] = logit;
  fs.writeSync(out, new Uint8Array(row.buffer));
};
// In parts, since every token's logits are a map of the whole vocabulary until they are written.
const part = 64;
let written = 0;
for (let from = 0; from < ids.length; from += part) {
  const asked = ids.slice(from, from + part).map((id) => [id, {generateNext: {logits: true, options: {temperature: 0}}}]);
  await sequence.controlledEvaluate(asked, {
    onTokenResult(at, result) {
      if (from + at !== written) throw new Error(`the logits of token ${from + at} came after ${written} others`);
      write(result.next.logits);
      written += 1;
      delete result.next.logits;
    },
  });
}
fs.closeSync(out);
if (written !== ids.length) throw new Error(`logits of ${written} of ${ids.length} tokens`);
fs.writeFileSync(path.join(folder, "ids.u32"), Uint32Array.from(ids));

const answers = [];
for (const question of fs.readFileSync(questionsPath, "utf8").trim().split("\n")) {
  const text = `<|im_start|>user\n${question}<|im_end|>\n<|im_start|>assistant\n`;
  const prompt = model.tokenize(text, true);
  const answer = [];
  let ended = false;
  await sequence.clearHistory();
  for await (const token of sequence.evaluate(prompt, {temperature: 0, yieldEogToken: true})) {
    ended = model.isEogToken(token);
    if (ended) break;
    answer.push(token);
    if (answer.length >= longest) break;
  }
  answers.push({text, prompt, answer, ended});
}
fs.writeFileSync(path.join(folder, "answers.json"), JSON.stringify(answers));
console.log(JSON.stringify({tokens: ids.length, vocabulary: row.length, answers: answers.length}));
process.exit(0);
