// What is served: the model, its workers, what happened to them, and the settings.

import { Table, el, facts, moment, table } from "./dom.js";

const DATATYPES = new Map([["FP64", "number"], ["FP32", "number"], ["INT64", "whole number"], ["BOOL", "true or false"], ["BYTES", "text"]]);

export class ModelView {
  constructor(section) {
    this.content = el("div");
    this.workers = new Table("Workers", ["Worker", "Process", "State", "Running calls", "Calls so far"], { id: "workers" });
    this.history = new Table("History", ["Time", "Level", "What"], { id: "history" });
    this.settings = el("tbody");
    this.onlySet = el("input", { type: "checkbox", id: "only-set", checked: true, onchange: () => this.listSettings() });
    section.append(
      this.content,
      el("h3", {}, "Workers"),
      this.workers.node,
      el("h3", {}, "History"),
      this.history.node,
      el("h3", {}, "Settings"),
      el("p", {}, this.onlySet, " ", el("label", { for: "only-set" }, "Only those that are set")),
      el(
        "div",
        { class: "scroll", tabindex: "0", role: "region", "aria-label": "Settings" },
        el(
          "table",
          { id: "settings" },
          el("caption", { class: "hidden" }, "Settings"),
          el("thead", {}, el("tr", {}, ["Name", "Value", "Source", "Meaning"].map((head) => el("th", { scope: "col" }, head)))),
          this.settings,
        ),
      ),
    );
    this.all = [];
  }

  update(overview) {
    const model = overview.model;
    const versions = Object.entries(overview.versions);
    const parts = [];
    if (overview.failure) parts.push(el("p", { class: "alert" }, `The model cannot be loaded: ${overview.failure}`));
    if (overview.folder_error) {
      const said = `The model folder could not be loaded again, and what was loaded before is served: ${overview.folder_error}`;
      parts.push(el("p", { class: "alert" }, said));
    }
    if (model) {
      parts.push(
        facts([
          ["Name", overview.name],
          ["Target type", model.target_type],
          ["Labels", model.labels.join(", ")],
          ["Predictor", model.predictor],
          ["Hooks", model.hooks.join(", ")],
          ["Calls at once in a worker", String(model.concurrency)],
          ["Batches", model.batching.replaceAll("_", " ")],
          ...versions,
        ]),
        ...model.warnings.map((text) => el("p", { class: "alert" }, text)),
        el("h3", {}, "Columns"),
        model.columns.length
          ? table("Columns", ["Name", "Type", "Example"], model.columns.map((each) => [each.name, DATATYPES.get(each.type) ?? each.type, each.example]), { id: "columns" })
          : el("p", { class: "hint" }, "The model does not tell its columns."),
      );
    } else if (!overview.failure) {
      parts.push(el("p", {}, "The model is still loading."), facts([["Name", overview.name], ...versions]));
    }
    this.content.replaceChildren(...parts);
    this.showWorkers(overview.workers);
    this.history.set(overview.history.map((each) => [moment(each.at), each.level, each.text]));
    this.all = overview.settings;
    this.listSettings();
  }

  showWorkers(workers) {
    const rows = workers.map((each) => [
      each.number ? String(each.number) : "in the server",
      String(each.pid),
      each.state,
      String(each.running),
      String(each.completed),
    ]);
    this.workers.set(rows);
  }

  listSettings() {
    const shown = this.all.filter((each) => !this.onlySet.checked || each.source !== "default");
    this.settings.replaceChildren(
      ...shown.map((each) =>
        el(
          "tr",
          {},
          el("th", { scope: "row" }, each.name),
          el("td", {}, each.value === null ? each.default : Array.isArray(each.value) ? each.value.join(",") : String(each.value)),
          el("td", {}, each.source),
          el("td", {}, each.meaning),
        ),
      ),
    );
  }
}
