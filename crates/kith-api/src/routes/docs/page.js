// Shows the node's OpenAPI document as a list of routes to search, read and try. Text from the document is only ever set as text.

const METHODS = ["get", "head", "post", "put", "patch", "delete"];
const DEPTH = 6;
const byId = (id) => document.getElementById(id);

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

let api = { paths: {}, components: {} };

function resolve(schema) {
  const name = schema?.$ref?.startsWith("#/components/schemas/") ? schema.$ref.slice(21) : null;
  return name ? (api.components.schemas?.[name] ?? {}) : (schema ?? {});
}

function typeOf(schema) {
  if (schema?.$ref) return schema.$ref.split("/").pop();
  const choices = schema?.oneOf ?? schema?.anyOf;
  if (choices) return choices.map(typeOf).join(" | ");
  const types = [].concat(schema?.type ?? "any");
  const named = types.map((type) => (type === "array" ? `${typeOf(schema.items)}[]` : type));
  return named.join(" | ") + (schema?.enum ? ` (${schema.enum.join(", ")})` : "");
}

// An example of the shape: enough to begin with.
function example(schema, depth = 0) {
  const whole = resolve(schema);
  if (whole.example !== undefined) return whole.example;
  if (depth > DEPTH) return null;
  if (whole.enum) return whole.enum[0];
  if (whole.const !== undefined) return whole.const;
  if (whole.allOf) return Object.assign({}, ...whole.allOf.map((part) => example(part, depth + 1)));
  const choice = (whole.oneOf ?? whole.anyOf)?.find((one) => one.type !== "null");
  if (choice) return example(choice, depth + 1);
  switch ([].concat(whole.type ?? (whole.properties ? "object" : "any")).find((type) => type !== "null")) {
    case "object": {
      const required = new Set(whole.required ?? []);
      const entries = Object.entries(whole.properties ?? {}).filter(([key]) => required.size === 0 || required.has(key));
      return Object.fromEntries(entries.map(([key, value]) => [key, example(value, depth + 1)]));
    }
    case "array": return [example(whole.items, depth + 1)];
    case "integer": case "number": return 0;
    case "boolean": return false;
    case "string": return "";
    default: return null;
  }
}

function fields(schema) {
  const whole = resolve(schema);
  const all = whole.allOf ? Object.assign({}, ...whole.allOf.map((part) => resolve(part).properties ?? {})) : whole.properties;
  if (!all || Object.keys(all).length === 0) return element("p", {}, `${typeOf(schema)}. ${whole.description ?? ""}`);
  const required = new Set(whole.required ?? []);
  const rows = Object.entries(all).map(([key, value]) => element("tr", {},
    element("td", { class: "path" }, key + (required.has(key) ? " *" : "")),
    element("td", {}, typeOf(value)),
    element("td", {}, value.description ?? resolve(value).description ?? "")));
  const head = element("tr", {}, ...["field (* must be there)", "type", "meaning"].map((text) => element("th", { scope: "col" }, text)));
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
}

function jsonOf(content) {
  return Object.entries(content ?? {}).find(([type]) => type.includes("json"))?.[1]?.schema;
}

function parameters(operation) {
  const rows = (operation.parameters ?? []).map((one) => element("tr", {},
    element("td", { class: "path" }, one.name + (one.required ? " *" : "")),
    element("td", {}, `${one.in}, ${typeOf(one.schema)}`),
    element("td", {}, one.description ?? "")));
  return rows.length ? [element("h3", {}, "Parameters"), element("table", {}, element("tbody", {}, ...rows))] : [];
}

function answers(operation) {
  const parts = [element("h3", {}, "Answers")];
  for (const [status, answer] of Object.entries(operation.responses ?? {}).sort()) {
    const schema = Object.values(answer.content ?? {})[0]?.schema;
    const told = element("p", {}, element("strong", {}, status), ` ${answer.description ?? ""} ${schema ? typeOf(schema) : ""}`);
    parts.push(told);
    if (status.startsWith("2") && schema) parts.push(element("details", {}, element("summary", {}, "fields"), fields(schema)));
  }
  return parts;
}

// A try sends what is written, and nothing else; a stream is shown as it comes, up to a bound.
function trial(method, path, operation) {
  const inputs = (operation.parameters ?? []).filter((one) => one.in === "path" || one.in === "query").map((one) => {
    const input = element("input", { type: "text", autocomplete: "off" });
    return { one, input, label: element("label", {}, `${one.name} `, input) };
  });
  const schema = jsonOf(operation.requestBody?.content);
  const body = schema ? element("textarea", { "aria-label": "Body", spellcheck: "false" }) : null;
  if (body) body.value = JSON.stringify(example(schema), null, 2);
  const shown = element("pre", { "aria-live": "polite" });
  shown.hidden = true;
  let running = null;
  const send = async () => {
    running?.abort();
    running = new AbortController();
    let url = path;
    const query = new URLSearchParams();
    for (const { one, input } of inputs) {
      if (one.in === "path") url = url.replace(`{${one.name}}`, encodeURIComponent(input.value));
      else if (input.value) query.set(one.name, input.value);
    }
    const headers = {};
    if (byId("bearer").value) headers.authorization = `Bearer ${byId("bearer").value}`;
    if (body) headers["content-type"] = "application/json";
    shown.hidden = false;
    shown.textContent = "…";
    try {
      const answer = await fetch(url + (query.size ? `?${query}` : ""), { method, headers, body: body?.value, signal: running.signal });
      const head = `${answer.status} ${answer.statusText}\n${answer.headers.get("content-type") ?? ""}\n\n`;
      const decoder = new TextDecoder();
      let text = "";
      for (const reader = answer.body?.getReader(); reader; ) {
        const { done, value } = await reader.read();
        if (done) break;
        text += decoder.decode(value, { stream: true });
        shown.textContent = head + text;
        if (text.length > 200000) { running.abort(); break; }
      }
      try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* a stream, or no JSON: as it came */ }
      shown.textContent = head + text;
    } catch (error) {
      shown.textContent += `\n${error}`;
    }
  };
  const stop = () => running?.abort();
  return [element("h3", {}, "Try it"), ...inputs.map(({ label }) => label), body,
    element("p", {}, element("button", { type: "button", onclick: send }, "Send"), " ",
      element("button", { type: "button", onclick: stop }, "Stop")), shown];
}

function inside(method, path, operation) {
  const schema = jsonOf(operation.requestBody?.content);
  const parts = [];
  if (operation.description) parts.push(element("p", {}, operation.description));
  parts.push(...parameters(operation));
  if (schema) parts.push(element("h3", {}, `Body: ${typeOf(schema)}`), fields(schema));
  parts.push(...answers(operation), ...trial(method, path, operation));
  return element("div", { class: "inside" }, ...parts);
}

function routeOf(path, method, operation) {
  const upper = method.toUpperCase();
  const access = operation["x-kith-access"] ?? "";
  const area = operation.tags?.[0] ?? "";
  const about = operation.summary ?? operation.description?.split("\n")[0] ?? "";
  const details = element("details", { class: "route" },
    element("summary", {}, element("span", { class: `method ${upper}` }, upper), element("span", { class: "path" }, path),
      element("span", { class: "word" }, access), element("span", { class: "word" }, area), element("span", { class: "about" }, about)));
  // Built when it is opened: there are hundreds.
  details.addEventListener("toggle", () => details.append(inside(upper, path, operation)), { once: true });
  const text = `${upper} ${path} ${access} ${area} ${about} ${operation.description ?? ""} ${operation.operationId ?? ""}`.toLowerCase();
  return { details, text, access, area };
}

function filter(routes) {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const [area, access] = [byId("area").value, byId("access").value];
  let count = 0;
  for (const route of routes) {
    const fits = words.every((word) => route.text.includes(word)) && (!area || route.area === area) && (!access || route.access === access);
    route.details.hidden = !fits;
    count += fits ? 1 : 0;
  }
  byId("count").textContent = `${count} of ${routes.length} routes`;
}

async function start() {
  const answer = await fetch("/api/openapi.json");
  if (!answer.ok) throw new Error(`the document could not be had: ${answer.status}`);
  api = await answer.json();
  byId("version").textContent = api.info?.version ?? "";
  const routes = Object.entries(api.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => routeOf(path, method, item[method])));
  byId("routes").append(...routes.map((route) => route.details));
  for (const [id, key] of [["area", "area"], ["access", "access"]]) {
    const words = [...new Set(routes.map((route) => route[key]))].filter(Boolean).sort();
    byId(id).append(...words.map((word) => element("option", { value: word }, word)));
    byId(id).addEventListener("change", () => filter(routes));
  }
  byId("search").addEventListener("input", () => filter(routes));
  filter(routes);
}

start().catch((error) => { byId("count").textContent = String(error); });
