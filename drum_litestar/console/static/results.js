// Answers of the model as tables: a page of rows at a time, so that long ones do not stop the browser.

import { format, parse } from "./csv.js";
import { download, el, milliseconds, table } from "./dom.js";

const PAGE = 100;
const MOST_BARS = 8;

/** The table of an answer in JSON or CSV: names of columns, rows of cells, and whether cells are probabilities. */
export function tableOf(text, type, labels) {
  if (type.startsWith("text/csv")) {
    const [heads = [], ...rows] = parse(text, ",");
    return { heads, rows, probabilities: false };
  }
  const predictions = JSON.parse(text).predictions;
  if (!Array.isArray(predictions)) return null;
  const heads = [];
  for (const each of predictions) {
    if (each !== null && typeof each === "object") for (const name of Object.keys(each)) if (!heads.includes(name)) heads.push(name);
  }
  if (!heads.length) return { heads: ["prediction"], rows: predictions.map((each) => [each]), probabilities: false };
  const rows = predictions.map((each) => {
    const cells = new Map(Object.entries(each ?? {}));
    return heads.map((name) => cells.get(name) ?? "");
  });
  const probabilities = labels.length > 0 && rows.every((row) => row.every((cell) => typeof cell === "number" && cell >= -1e-9 && cell <= 1 + 1e-9));
  return { heads, rows, probabilities };
}

const write = (value) => (value !== null && typeof value === "object" ? JSON.stringify(value) : String(value));
const shown = (value) => (typeof value === "number" && !Number.isInteger(value) ? value.toPrecision(6) : write(value));

function bar(label, value) {
  const share = Math.min(1, Math.max(0, value));
  return el("span", { class: "bar" },
    el("meter", { min: 0, max: 1, value: share, "aria-label": `probability of ${label}` }),
    el("span", { class: "number" }, value.toFixed(4)));
}

/** The cells of one row; of many classes only the most probable ones. */
function cells({ probabilities, heads }, row) {
  if (!probabilities) return row.map(shown);
  const best = row.indexOf(Math.max(...row));
  if (heads.length <= MOST_BARS) return [heads[best], ...row.map((value, place) => bar(heads[place], value))];
  const order = row.map((value, place) => [value, heads[place]]).sort((one, other) => other[0] - one[0]);
  return [heads[best], el("ul", { class: "classes" }, order.slice(0, 5).map(([value, label]) => el("li", {}, `${label} `, bar(label, value))))];
}

function headsOf({ probabilities, heads }) {
  if (!probabilities) return heads;
  return heads.length <= MOST_BARS ? ["Most probable", ...heads] : ["Most probable", "The five most probable"];
}

/** A table in pages, with a button that saves all of it. */
export function pages(found, name) {
  let page = 0;
  const last = Math.max(0, Math.ceil(found.rows.length / PAGE) - 1);
  const place = el("p", { class: "hint", role: "status" });
  const rows = el("div");
  const before = el("button", { type: "button", onclick: () => turn(-1) }, "Previous rows");
  const after = el("button", { type: "button", onclick: () => turn(1) }, "Next rows");
  function turn(by) {
    page = Math.min(last, Math.max(0, page + by));
    const first = page * PAGE;
    const chosen = found.rows.slice(first, first + PAGE);
    rows.replaceChildren(
      table("Result", ["Row", ...headsOf(found)], chosen.map((row, index) => [String(first + index + 1), ...cells(found, row)]), { id: "result" }),
    );
    place.textContent = `Rows ${Math.min(first + 1, found.rows.length)} to ${first + chosen.length} of ${found.rows.length}`;
    before.disabled = page === 0;
    after.disabled = page === last;
  }
  turn(0);
  const save = el(
    "button",
    { type: "button", onclick: () => download(`${name}.csv`, format([found.heads, ...found.rows.map((row) => row.map(write))]), "text/csv") },
    "Download as CSV",
  );
  return el("div", {}, place, el("p", { class: "buttons" }, save, last ? [before, after] : null), rows);
}

/** Where the time of a request went. */
export function times(answer) {
  const rows = [...answer.parts].map(([name, value]) => [
    name,
    el("span", { class: "bar" },
      el("meter", { min: 0, max: answer.whole, value, "aria-label": `share of ${name}` }),
      el("span", { class: "number" }, milliseconds(value))),
  ]);
  return el(
    "div",
    {},
    el("p", {}, `Answered in ${milliseconds(answer.whole)}.`),
    rows.length ? table("Where the time went", ["Step", "Time"], rows, { id: "times" }) : null,
  );
}

/** Text, or for anything else its size and a file to save. */
export async function plain(answer, name) {
  const isText = /^text\/|json|xml|^$/.test(answer.type);
  const save = el("button", { type: "button", onclick: () => download(name, answer.blob, answer.type) }, "Download");
  if (!isText) return el("div", {}, el("p", {}, `${answer.blob.size} bytes of ${answer.type}`), save);
  let text = await answer.blob.text();
  if (answer.type.includes("json")) {
    try {
      text = JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      // shown as it is
    }
  }
  const cut = text.length > 100_000;
  const block = el("pre", { tabindex: "0", role: "region", "aria-label": "Answer", id: "answer" }, cut ? text.slice(0, 100_000) : text);
  return el("div", {}, el("p", { class: "hint" }, answer.type, cut ? "; the beginning of a long answer" : ""), block, save);
}
