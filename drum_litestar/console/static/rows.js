// Rows for the model: typed or pasted into a table, as CSV text, or a file.

import { format, parse } from "./csv.js";
import { el, size } from "./dom.js";
import { pages, plain, tableOf, times } from "./results.js";
import { post } from "./send.js";
import { Sender } from "./sender.js";
import { snippets } from "./snippets.js";

const MOST_ROWS = 50; // in the table; more rows are edited as text

export class RowsForm {
  constructor() {
    this.columns = [];
    this.labels = [];
    this.path = "predict/";
    this.file = null;
    this.sender = new Sender("Send", (signal, progress) => this.ask(signal, progress));
    this.modes = ["Table", "CSV text", "File"].map((name, index) => {
      const id = `rows-mode-${index}`;
      return { name, input: el("input", { type: "radio", name: "rows-mode", id, onchange: () => this.setMode(name) }), label: el("label", { for: id }, name) };
    });
    this.grid = el("div", { onpaste: (event) => this.pasted(event) });
    this.text = el("textarea", { id: "rows-text", rows: 10, spellcheck: "false", wrap: "off" });
    this.picked = el("p", { id: "rows-picked" }, "No file is chosen.");
    this.input = el("input", { type: "file", id: "rows-file", onchange: () => this.choose(this.input.files[0]) });
    this.parts = {
      "Table": el("div", {}, this.grid, el("p", { class: "buttons" },
        el("button", { type: "button", onclick: () => this.addRow() }, "Add a row"),
        el("button", { type: "button", onclick: () => this.example() }, "Example row"),
        el("button", { type: "button", onclick: () => this.setRows([[]]) }, "Clear"))),
      "CSV text": el("div", {}, el("label", { for: "rows-text" }, "CSV, with a header line"), this.text),
      "File": el("div", {
        class: "drop",
        ondragover: (event) => event.preventDefault(),
        ondrop: (event) => {
          event.preventDefault();
          this.choose(event.dataTransfer.files[0]);
        },
      }, el("label", { for: "rows-file" }, "Drop a file here, or choose one"), this.input, this.picked),
    };
    this.form = el(
      "form",
      {
        onsubmit: (event) => {
          event.preventDefault();
          this.sender.run();
        },
        onkeydown: (event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.sender.run();
        },
      },
      el("fieldset", { class: "modes" }, el("legend", {}, "Rows from"), this.modes.map(({ input, label }) => el("span", {}, input, " ", label))),
      Object.values(this.parts),
      this.sender.buttons,
      this.sender.error,
    );
    this.node = el("div", {}, this.form, this.sender.outcome);
    this.setMode("Table");
  }

  update(model, path) {
    const columns = model.columns.map((each) => each.name);
    const examples = model.columns.map((each) => each.example);
    this.labels = model.labels;
    this.path = path;
    const changed = JSON.stringify(columns) !== JSON.stringify(this.columns);
    this.columns = columns;
    this.examples = examples;
    this.modes[0].input.disabled = !columns.length;
    if (changed && columns.length) this.setRows([examples]);
    if (!columns.length && this.mode === "Table") this.setMode("CSV text");
  }

  setMode(name) {
    if (name === "CSV text" && this.mode === "Table" && this.columns.length) this.text.value = this.csv();
    this.mode = name;
    for (const each of this.modes) each.input.checked = each.name === name;
    for (const [each, part] of Object.entries(this.parts)) part.hidden = each !== name;
  }

  /** The table's rows become `rows`, in the order of the columns. */
  setRows(rows) {
    const cell = (row, place) =>
      el("td", {}, el("input", { type: "text", value: rows[row][place] ?? "", "aria-label": `${this.columns[place]}, row ${row + 1}`, spellcheck: "false" }));
    this.grid.replaceChildren(
      el(
        "div",
        { class: "scroll" },
        el(
          "table",
          { class: "entry", id: "rows" },
          el("caption", { class: "hidden" }, "Rows to send"),
          el("thead", {}, el("tr", {}, this.columns.map((name) => el("th", { scope: "col" }, name)), el("th", { scope: "col" }, el("span", { class: "hidden" }, "Remove")))),
          el("tbody", {}, rows.map((_, row) =>
            el("tr", {}, this.columns.map((_name, place) => cell(row, place)),
              el("td", {}, el("button", { type: "button", "aria-label": `Remove row ${row + 1}`, onclick: () => this.removeRow(row) }, "×"))))),
        ),
      ),
    );
  }

  rows() {
    return [...this.grid.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll("input")].map((input) => input.value));
  }

  addRow() {
    const rows = [...this.rows(), []];
    if (rows.length > MOST_ROWS) return this.asText(rows);
    this.setRows(rows);
    return this.grid.querySelector("tbody tr:last-child input")?.focus();
  }

  removeRow(row) {
    const rows = this.rows();
    rows.splice(row, 1);
    this.setRows(rows.length ? rows : [[]]);
  }

  example() {
    const rows = this.rows().filter((row) => row.some((cell) => cell !== ""));
    this.setRows([...rows, this.examples]);
  }

  /** Cells from a spreadsheet, or CSV: from the focused cell on, or by the names of a header line. */
  pasted(event) {
    const text = event.clipboardData.getData("text/plain");
    if (!/[\t\n]/.test(text.trimEnd()) && !(text.includes(",") && this.columns.length > 1)) return;
    event.preventDefault();
    let pasted = parse(text.replace(/\s+$/, ""));
    let rows = this.rows();
    const cell = event.target.closest("td");
    let first = cell ? [...cell.parentNode.parentNode.children].indexOf(cell.parentNode) : 0;
    let places = null;
    if (pasted[0].every((name) => this.columns.includes(name))) {
      places = pasted[0].map((name) => this.columns.indexOf(name));
      pasted = pasted.slice(1);
      first = 0;
      rows = [];
    }
    const left = cell && !places ? cell.cellIndex : 0;
    pasted.forEach((values, index) => {
      const row = (rows[first + index] ??= []);
      values.forEach((value, place) => {
        row[places ? places[place] : left + place] = value;
      });
    });
    if (rows.length > MOST_ROWS) this.asText(rows);
    else this.setRows(rows);
  }

  /** More rows than the table has room for are edited as text. */
  asText(rows) {
    this.setMode("CSV text");
    this.text.value = format([this.columns, ...rows.map((row) => this.columns.map((_, place) => row[place] ?? ""))]);
  }

  csv() {
    return format([this.columns, ...this.rows()]);
  }

  choose(file) {
    this.file = file ?? null;
    this.picked.textContent = file ? `${file.name}, ${size(file.size)}` : "No file is chosen.";
  }

  async ask(signal, progress) {
    const sent = { path: this.path };
    let answer;
    if (this.mode === "File") {
      if (!this.file) throw new Error("choose a file first");
      const form = new FormData();
      form.append("X", this.file, this.file.name);
      Object.assign(sent, { form: true, file: this.file.name });
      answer = await post(this.path, { body: form, signal, progress });
    } else {
      Object.assign(sent, { type: "text/csv", body: this.mode === "Table" ? this.csv() : this.text.value });
      answer = await post(this.path, { body: sent.body, type: "text/csv; charset=utf-8", signal, progress });
    }
    return [el("h3", {}, "Answer"), await this.shown(answer), times(answer), snippets(sent)];
  }

  async shown(answer) {
    if (answer.type.startsWith("multipart/")) {
      const form = await new Response(answer.blob, { headers: { "Content-Type": answer.type } }).formData();
      const data = form.get("X.transformed");
      const kind = form.get("X.format");
      const text = typeof data === "string" ? data : await data.text();
      if ((typeof kind === "string" ? kind : await kind.text()) === "csv") return pages(tableOf(text, "text/csv", []), "transformed");
      return plain({ ...answer, type: "text/plain", blob: new Blob([text]) }, "transformed.mtx");
    }
    const found = tableOf(await answer.blob.text(), answer.type, this.labels);
    return found ? pages(found, "predictions") : plain(answer, "answer.json");
  }
}
