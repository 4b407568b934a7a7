// Line charts as SVG, with a summary for screen readers and the values as a table.

import { el, svg } from "./dom.js";

const WIDTH = 600;
const HEIGHT = 140;
const LEFT = 58;
const BOTTOM = 18;
const TOP = 8;
const DASHES = ["", "6 3", "2 3", "9 3 2 3", "1 4", "12 4"];

/** The least of 1, 2, 5, 10, 20, ... that is not below `value`. */
function ceiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value * 0.9999);
}

/**
 * One chart. `lines(sample)` gives pairs of a name and a value (null for none); `show` writes a value for people.
 * Names may come and go.
 */
export class Chart {
  constructor(title, { lines, show }) {
    this.lines = lines;
    this.show = show;
    this.title = title;
    this.drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title });
    this.legend = el("ul", { class: "legend" });
    this.values = el("tbody");
    this.heads = el("tr");
    this.details = el(
      "details",
      { ontoggle: () => this.drawn && this.tabulate(...this.drawn) },
      el("summary", {}, "As a table"),
      el("table", {}, el("caption", { class: "hidden" }, title), el("thead", {}, this.heads), this.values),
    );
    this.figure = el("figure", {}, el("figcaption", {}, title), this.drawing, this.legend, this.details);
  }

  draw(samples, now) {
    const names = [];
    const points = samples.map((sample) => new Map(this.lines(sample)));
    for (const each of points) for (const name of each.keys()) if (!names.includes(name)) names.push(name);
    let most = 0;
    for (const each of points) for (const value of each.values()) if (value > most) most = value;
    const top = ceiling(most);
    const span = Math.max(60, now - (samples[0]?.at ?? now));
    const x = (at) => LEFT + (WIDTH - LEFT) * (1 - (now - at) / span);
    const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
    const shapes = [0, 0.5, 1].flatMap((share) => [
      svg("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(top * share), y2: y(top * share) }),
      svg("text", { class: "axis", x: LEFT - 5, y: y(top * share) + 4, "text-anchor": "end" }, this.show(top * share)),
    ]);
    for (const third of [3, 2, 1, 0]) {
      const ago = (span * third) / 3;
      const anchor = third === 3 ? "start" : third ? "middle" : "end";
      const label = !third ? "now" : ago < 120 ? `${Math.round(ago)} s ago` : `${(ago / 60).toFixed(ago % 60 > 1 ? 1 : 0)} min ago`;
      shapes.push(svg("text", { class: "axis", x: x(now - ago), y: HEIGHT - 4, "text-anchor": anchor }, label));
    }
    names.forEach((name, index) => {
      let path = "";
      let pen = "M";
      samples.forEach((sample, place) => {
        const value = points[place].get(name);
        if (value === undefined || value === null) {
          pen = "M";
          return;
        }
        path += `${pen}${x(sample.at).toFixed(1)} ${y(value).toFixed(1)}${pen === "M" ? "h.01" : ""}`;
        pen = "L";
      });
      const style = { class: `line c${index % 6}`, "stroke-dasharray": DASHES[index % 6] };
      if (path) shapes.push(svg("path", { ...style, d: path }));
    });
    this.drawing.replaceChildren(...shapes);
    const last = points.at(-1) ?? new Map();
    const latest = names.map((name) => [name, last.get(name)]);
    this.legend.replaceChildren(
      ...latest.map(([name, value], index) =>
        el(
          "li",
          {},
          svg("svg", { viewBox: "0 0 24 8", class: "key", "aria-hidden": "true" },
            svg("path", { class: `line c${index % 6}`, "stroke-dasharray": DASHES[index % 6], d: "M0 4H24" })),
          `${name}: ${value === undefined || value === null ? "none" : this.show(value)}`,
        ),
      ),
    );
    const said = latest.map(([name, value]) => `${name} ${value === undefined || value === null ? "none" : this.show(value)}`);
    this.drawing.setAttribute("aria-label", `${this.title}: now ${said.join(", ") || "nothing"}; most ${this.show(most)}`);
    this.drawn = [samples, points, names];
    if (this.details.open) this.tabulate(samples, points, names);
  }

  /** The last ten samples as text. */
  tabulate(samples, points, names) {
    this.heads.replaceChildren(el("th", { scope: "col" }, "Time"), ...names.map((name) => el("th", { scope: "col" }, name)));
    const rows = samples.map((sample, place) => [sample, points[place]]).slice(-10).reverse();
    this.values.replaceChildren(
      ...rows.map(([sample, values]) =>
        el("tr", {}, el("td", {}, new Date(sample.at * 1000).toLocaleTimeString()),
          names.map((name) => el("td", {}, values.get(name) === undefined || values.get(name) === null ? "–" : this.show(values.get(name)))))),
    );
  }
}
