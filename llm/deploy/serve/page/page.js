"use strict";
const at = (id) => document.getElementById(id);
const COLUMNS = ["left", "right"]; // each answers, and remembers, for itself
let models = {}, turns = [], running = [];

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function headers() {
  const found = { "Content-Type": "application/json" };
  if (at("key").value) found.Authorization = "Bearer " + at("key").value;
  return found;
}

async function post(path, body, signal) {
  const answer = await fetch(path, { method: "POST", headers: headers(), body: JSON.stringify(body), signal });
  if (!answer.ok) throw new Error((await answer.json()).error.message);
  return answer;
}

// What a column has been told so far: its own answers, or the first column's where it was not asked.
function conversation(column, earlier, question) {
  const messages = [];
  for (const turn of earlier) {
    const said = turn.said[column] || turn.said.left;
    if (said) messages.push({ role: "user", content: turn.question }, { role: "assistant", content: said });
  }
  return [...messages, { role: "user", content: question }];
}

function call(model, messages) {
  return { model, messages, max_tokens: Number(at("limit").value), temperature: Number(at("temperature").value),
    top_p: Number(at("top_p").value), seed: Number(at("seed").value), stream: true, logprobs: true, top_logprobs: 5,
    stream_options: { include_usage: true } };
}

// The conversation without its oldest turns, as many as leave no room for the answer in the model's context.
async function fitting(model, messages, signal) {
  for (;;) {
    const { count, max_model_len } = await (await post("tokenize", { model, messages }, signal)).json();
    if (messages.length === 1 || count + Number(at("limit").value) <= max_model_len) return messages;
    messages = messages.slice(2);
  }
}

const percent = (logprob) => (100 * Math.exp(logprob)).toFixed(1) + "%";
const quoted = (text) => JSON.stringify(text);
const doubt = (logprob) => [0.9, 0.5, 0.2].filter((bound) => Math.exp(logprob) < bound).length;

// A token of half a character shows nothing; the one that ends the character shows it.
function tokenSpan(entry, decoder) {
  const text = decoder.decode(new Uint8Array(entry.bytes), { stream: true });
  const span = element("span", { className: "token doubt" + doubt(entry.logprob), tabIndex: 0, textContent: text });
  const others = entry.top_logprobs.map((each) => quoted(each.token) + " " + percent(each.logprob)).join(", ");
  const tell = () => { at("told").textContent = quoted(entry.token) + " " + percent(entry.logprob) + "; likeliest: " + others; };
  span.addEventListener("mouseenter", tell);
  span.addEventListener("focus", tell);
  return span;
}

// Which model answered: its manifest's digest and, where the build has a report, its record and lineage there.
function origin(model) {
  const row = models[model] || {};
  const parts = row.sha256 ? [element("span", { textContent: "manifest sha256 " + row.sha256.slice(0, 16) + " " })] : [];
  if (row.record) parts.push(element("a", { href: row.record, textContent: "record and lineage", target: "_blank" }));
  return parts;
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
      const line = text.slice(0, end).replace(/^data: /, "");
      if (line !== "[DONE]") yield JSON.parse(line);
    }
  }
}

// Add to the page; who looks at its end goes on to do so.
function atEnd(add) {
  const page = document.documentElement, looking = innerHeight + scrollY > page.scrollHeight - 80;
  add();
  if (looking) scrollTo(0, page.scrollHeight);
}

async function ask(turn, column, earlier, place) {
  const model = at(column).value, { signal } = running[running.push(new AbortController()) - 1];
  const text = element("div", { className: "text" }), speed = element("div", { className: "facts" }), note = element("div", { className: "facts" });
  const box = element("article", { className: "answer" }, element("h2", { textContent: model }), text, speed, note);
  place.append(box);
  const decoder = new TextDecoder();
  let first = 0, count = 0, said = "", forgotten = "";
  try {
    const all = conversation(column, earlier, turn.question), messages = await fitting(model, all, signal);
    const left_out = (all.length - messages.length) / 2;
    if (left_out) forgotten = "; its context is full: told without the first " + (left_out > 1 ? left_out + " turns" : "turn");
    const begin = performance.now();
    for await (const event of events((await post("v1/chat/completions", call(model, messages), signal)).body)) {
      if (event.error) throw new Error(event.error.message);
      const choice = event.choices[0];
      if (!choice) continue;
      said += choice.delta.content || "";
      if (!choice.logprobs) continue;
      first = first || performance.now();
      count += choice.logprobs.content.length;
      atEnd(() => text.append(...choice.logprobs.content.map((entry) => tokenSpan(entry, decoder))));
      const rate = count > 1 ? ", " + (1000 * (count - 1) / (performance.now() - first)).toFixed(1) + " tokens/s" : "";
      speed.textContent = count + " tokens, first after " + Math.round(first - begin) + " ms" + rate + forgotten;
    }
  } catch (error) {
    box.append(element("div", { className: "error", role: "alert", textContent: error.name === "AbortError" ? "stopped" : error.message }));
  }
  const end = text.lastElementChild; // the token that ended the answer is no part of what was said
  if (end && !said.endsWith(end.textContent)) end.classList.add("end");
  turn.said[column] = said;
  await listed();
  atEnd(() => note.append(...origin(model)));
}

async function send(event) {
  event.preventDefault();
  if (running.length) return;
  const mine = turns, earlier = [...mine], turn = { question: at("prompt").value, said: {} };
  const place = element("div", { className: "answers" });
  at("empty").hidden = true;
  at("talk").append(element("p", { className: "asked", textContent: turn.question }), place);
  scrollTo(0, document.documentElement.scrollHeight);
  at("prompt").value = "";
  at("send").hidden = !(at("stop").hidden = false);
  await Promise.all(COLUMNS.filter((column) => at(column).value).map((column) => ask(turn, column, earlier, place)));
  mine.push(turn);
  running = [];
  at("send").hidden = !(at("stop").hidden = true);
  at("prompt").focus();
}

function anew() {
  running.forEach((each) => each.abort());
  turns = [];
  at("talk").replaceChildren(at("empty"));
  at("empty").hidden = false;
  at("prompt").focus();
}

async function listed() {
  const answer = await fetch("v1/models", { headers: headers() });
  if (answer.status === 401) at("locked").hidden = false;
  if (!answer.ok) return;
  const rows = (await answer.json()).data;
  models = Object.fromEntries(rows.map((row) => [row.id, row]));
  at("report").hidden = !rows.some((row) => row.record);
  for (const id of COLUMNS) {
    const known = new Set([...at(id).options].map((option) => option.value));
    rows.filter((row) => !known.has(row.id)).forEach((row) => at(id).append(element("option", { value: row.id, textContent: row.id })));
  }
}

async function live() {
  const answer = await fetch("stats", { headers: headers() }).catch(() => null);
  if (!answer || !answer.ok) return;
  const state = await answer.json();
  const names = ["model", "running", "waiting", "preempted", "KV in use", "prefix hits", "tokens"];
  const head = element("tr", {}, ...names.map((name) => element("th", { textContent: name, scope: "col" })));
  const rows = Object.entries(state).map(([name, s]) => element("tr", {}, ...[name, s.running, s.waiting, s.preemptions,
    Math.round(100 * s.kv_blocks_held / s.kv_blocks) + "%",
    Math.round(100 * s.prefix_hit_tokens / Math.max(1, s.prefix_tokens)) + "%", s.new_tokens].map((text) => element("td", { textContent: text }))));
  at("live").replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
}

async function copy() {
  const key = at("key").value ? " -H 'Authorization: Bearer '$STEMMA_API_KEY" : "";
  const last = turns.at(-1);
  const messages = at("prompt").value || !last ? conversation("left", turns, at("prompt").value) : conversation("left", turns.slice(0, -1), last.question);
  const body = JSON.stringify(call(at("left").value, messages)).replaceAll("'", "'\\''");
  const text = "curl -N " + new URL("v1/chat/completions", location.href) + " -H 'Content-Type: application/json'" + key + " -d '" + body + "'";
  await navigator.clipboard.writeText(text).then(() => { at("told").textContent = "copied: " + text; }, () => { at("told").textContent = text; });
}

at("form").addEventListener("submit", send);
at("stop").addEventListener("click", () => running.forEach((each) => each.abort()));
at("anew").addEventListener("click", anew);
at("curl").addEventListener("click", copy);
at("key").addEventListener("change", listed);
at("prompt").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  at("form").requestSubmit();
});
listed().then(live);
setInterval(live, 1000);
