// A chat that the browser has with the data plane. The secret is read from its field and kept nowhere else.

const root = document.querySelector("[data-playground]");
const base = root.dataset.playground;
const part = (name) => root.querySelector(`[data-play-${name}]`);
const field = (name) => document.getElementById(`play-${name}`);
const messages = [];
let running = null;
let listed = "";

root.hidden = false;

function ask(path, options = {}) {
  const headers = { authorization: `Bearer ${field("secret").value.trim()}`, ...options.headers };
  return fetch(base + path, { ...options, headers, credentials: "omit", cache: "no-store" });
}

async function listModels() {
  const secret = field("secret").value.trim();
  if (!secret || secret === listed) return;
  listed = secret;
  const hint = part("models-hint");
  try {
    const answer = await ask("/models");
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.error?.message ?? `The gateway answered ${answer.status}.`);
    const names = body.data.map((model) => model.id);
    field("models").replaceChildren(...names.map((name) => Object.assign(document.createElement("option"), { value: name })));
    if (!field("model").value && names.length) field("model").value = names[0];
    hint.textContent = `This key may use ${names.length} ${names.length === 1 ? "model" : "models"}.`;
  } catch (error) {
    listed = "";
    hint.textContent = explain(error);
  }
}

function explain(error) {
  return error instanceof TypeError ? "The gateway could not be reached from this page." : error.message;
}

function add(role, text) {
  part("messages").querySelector(".play-empty")?.remove();
  const bubble = document.createElement("div");
  bubble.className = `play-message ${role}`;
  bubble.textContent = text;
  part("messages").append(bubble);
  bubble.scrollIntoView({ block: "end" });
  return bubble;
}

function fail(text) {
  part("error").textContent = text;
  part("error").hidden = !text;
}

async function* readEvents(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    held += value;
    const lines = held.split(/\r?\n/);
    held = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data:")) continue;
      const data = line.slice(5).trim();
      if (data === "[DONE]") return;
      yield JSON.parse(data);
    }
  }
}

function describe(answer, usage, began, firstAt) {
  const facts = [];
  if (usage) facts.push(`${usage.prompt_tokens} input and ${usage.completion_tokens} output tokens`);
  const cost = answer.headers.get("x-gateway-cost-usd");
  if (cost) facts.push(`$${cost}`);
  if (firstAt) facts.push(`first word after ${Math.round(firstAt - began)} ms`);
  facts.push(`${Math.round(performance.now() - began)} ms in all`);
  part("summary").textContent = facts.join(" · ");
  part("status").textContent = "The answer is complete.";
}

// A stream's cost is known after its head has left; the log has it a moment after the end, for whoever may see it.
async function addCost(answer) {
  const id = answer.headers.get("x-request-id");
  const summary = part("summary").textContent;
  if (!id || answer.headers.get("x-gateway-cost-usd")) return;
  for (let tries = 0; tries < 4; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 600));
    const row = await fetch(`${root.dataset.logs}${encodeURIComponent(id)}?format=json`).catch(() => null);
    if (!row?.ok) continue;
    const cost = (await row.json()).data[0].cost_usd;
    if (part("summary").textContent === summary) part("summary").textContent = `$${cost} · ${summary}`;
    return;
  }
}

function showHeaders(answer) {
  const rows = [];
  const put = (name, content) => {
    const term = document.createElement("dt");
    const value = document.createElement("dd");
    term.textContent = name;
    value.append(content);
    rows.push(term, value);
  };
  const id = answer.headers.get("x-request-id");
  if (id) {
    const link = Object.assign(document.createElement("a"), { href: root.dataset.logs + encodeURIComponent(id), textContent: "in the log, with its cost" });
    put("this request", link);
  }
  for (const [name, value] of answer.headers) if (/^(x-|retry)/.test(name)) put(name, value);
  part("headers").replaceChildren(...rows);
  part("facts").hidden = false;
}

async function say(text) {
  const body = { model: field("model").value.trim(), stream: true, stream_options: { include_usage: true } };
  const most = Number.parseInt(field("max").value, 10);
  if (most > 0) body.max_tokens = most;
  const system = field("system").value.trim();
  messages.push({ role: "user", content: text });
  body.messages = system ? [{ role: "system", content: system }, ...messages] : [...messages];
  add("user", text);
  const bubble = add("assistant writing", "");
  const began = performance.now();
  let firstAt = 0;
  let usage = null;
  let whole = "";
  running = new AbortController();
  part("stop").hidden = false;
  part("send").disabled = true;
  fail("");
  try {
    const options = { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } };
    const answer = await ask("/chat/completions", { ...options, signal: running.signal });
    showHeaders(answer);
    if (!answer.ok) {
      const problem = (await answer.json().catch(() => ({}))).error ?? {};
      throw new Error(`${answer.status}${problem.code ? ` ${problem.code}` : ""}: ${problem.message ?? "no reason was given"}`);
    }
    for await (const event of readEvents(answer.body)) {
      if (event.error) throw new Error(event.error.message);
      usage = event.usage ?? usage;
      const piece = event.choices?.[0]?.delta?.content;
      if (!piece) continue;
      firstAt ||= performance.now();
      whole += piece;
      bubble.textContent = whole;
      part("messages").scrollTop = part("messages").scrollHeight;
    }
    describe(answer, usage, began, firstAt);
    addCost(answer);
  } catch (error) {
    if (error.name !== "AbortError") fail(explain(error));
    part("summary").textContent = error.name === "AbortError" ? "Stopped." : "The request failed.";
  } finally {
    bubble.classList.remove("writing");
    if (whole) messages.push({ role: "assistant", content: whole });
    else {
      bubble.remove();
      messages.pop();
    }
    running = null;
    part("stop").hidden = true;
    part("send").disabled = false;
    field("text").focus();
  }
}

field("secret").addEventListener("change", listModels);
field("secret").addEventListener("paste", () => setTimeout(listModels));
part("settings").addEventListener("submit", (event) => event.preventDefault());
part("stop").addEventListener("click", () => running?.abort());
part("clear").addEventListener("click", () => {
  running?.abort();
  messages.length = 0;
  part("messages").replaceChildren();
  part("facts").hidden = true;
  fail("");
});
part("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = field("text").value.trim();
  if (!text || running) return;
  if (!field("secret").value.trim()) return fail("Enter a key first.");
  if (!field("model").value.trim()) return fail("Choose a model first.");
  field("text").value = "";
  say(text);
});
field("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  part("say").requestSubmit();
});
