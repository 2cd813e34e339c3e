// Measures llama.cpp: a prompt, then an answer, each timed by the wall clock.
// node llama.mjs MODEL PROMPT_TOKENS ANSWER_TOKENS THREADS prints one line of JSON.
import {getLlama} from "node-llama-cpp";

const [modelPath, ...numbers] = process.argv.slice(2);
const [promptTokens, answerTokens, threads] = numbers.map(Number);

const llama = await getLlama({gpu: false, build: "never", maxThreads: threads, logLevel: "error"});
const model = await llama.loadModel({modelPath});
const context = await model.createContext({
  // Room for both, in whole KiB of tokens; a sequence that filled its context would be shifted.
  contextSize: 1024 * Math.ceil((promptTokens + answerTokens + 1) / 1024),
  batchSize: 512,
  threads: {ideal: threads, min: threads},
});
const sequence = context.getSequence();
// The same tokens as the bare engine's bench: what they say does not matter for speed.
const vocabulary = 49152;
const prompt = (seed) =>
  Array.from({length: promptTokens}, (_, place) => (seed * 7919 + place * 31 + 17) % vocabulary);

async function measure(seed, answer) {
  await sequence.clearHistory();
  const tokens = prompt(seed);
  const begun = performance.now();
  // The first token of the answer ends the prefill, as it does for the others.
  let first;
  let last;
  let count = 0;
  let next = tokens;
  while (count < answer) {
    for await (const token of sequence.evaluate(next, {temperature: 0, yieldEogToken: true})) {
      last = performance.now();
      first ??= last;
      count += 1;
      next = [token];
      if (count >= answer) break;
    }
  }
  return {
    prefill_tokens_per_second: promptTokens / ((first - begun) / 1000),
    decode_tokens_per_second: (count - 1) / ((last - first) / 1000),
  };
}

await measure(1, 16);
console.log(JSON.stringify(await measure(2, answerTokens)));
process.exit(0);
