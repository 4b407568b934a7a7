// Elements made from data. Text is always a text node, so nothing that a model or a client says becomes HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** An HTML element; attributes that begin with "on" are listeners. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** A table that scrolls sideways on narrow screens, by keyboard too. Only its rows change, so that focus stays. */
export class Table {
  constructor(caption, heads, attributes = {}) {
    this.body = el("tbody");
    this.node = el(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
      el(
        "table",
        attributes,
        el("caption", { class: "hidden" }, caption),
        el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))),
        this.body,
      ),
    );
  }

  /** Cells are texts or nodes. */
  set(rows) {
    this.body.replaceChildren(...rows.map((row) => el("tr", {}, row.map((value) => el("td", {}, value)))));
    return this;
  }
}

/** A table whose rows stay as they are. */
export function table(caption, heads, rows, attributes) {
  return new Table(caption, heads, attributes).set(rows).node;
}

/** A list of terms and what they are; rows whose value is empty are left out. */
export function facts(rows) {
  const shown = rows.filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return el("dl", {}, shown.map(([term, value]) => el("div", {}, el("dt", {}, term), el("dd", {}, value))));
}

/** Bytes for people. */
export function size(bytes) {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(2)} GB`;
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(bytes >= 1e7 ? 0 : 1)} MB`;
  return bytes >= 1e3 ? `${(bytes / 1e3).toFixed(1)} kB` : `${bytes} bytes`;
}

/** Milliseconds for people. */
export function milliseconds(value) {
  if (value >= 1000) return `${(value / 1000).toFixed(2)} s`;
  return `${value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2)} ms`;
}

/** A moment, given in seconds since 1970. */
export function moment(seconds) {
  return new Date(seconds * 1000).toLocaleString();
}

/** Offer `text` as a file. */
export function download(name, content, type) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = el("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
