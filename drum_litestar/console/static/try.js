// The ways of asking this model.

import { AnythingForm } from "./anything.js";
import { ChatForm } from "./chat.js";
import { el } from "./dom.js";
import { RowsForm } from "./rows.js";

export class TryView {
  constructor(section) {
    this.forms = { Rows: new RowsForm(), Chat: new ChatForm(), Anything: new AnythingForm() };
    this.choice = el("fieldset", { class: "modes", hidden: true }, el("legend", {}, "Ask with"));
    this.loading = el("p", {}, "The model is still loading.");
    this.inputs = new Map();
    for (const [name, form] of Object.entries(this.forms)) {
      const id = `ask-${name}`;
      const input = el("input", { type: "radio", name: "ask", id, onchange: () => this.choose(name) });
      const option = el("span", {}, input, " ", el("label", { for: id }, name));
      this.inputs.set(name, { input, option });
      this.choice.append(option);
      form.node.hidden = true;
    }
    section.append(this.loading, this.choice, ...Object.values(this.forms).map((form) => form.node));
  }

  update(overview) {
    const model = overview.model;
    this.loading.hidden = model !== null;
    if (overview.failure) this.loading.textContent = `The model cannot be loaded: ${overview.failure}`;
    if (!model) return;
    const { offers } = model;
    const possible = [];
    if (offers.rows || offers.transform) possible.push("Rows");
    if (offers.chat) possible.push("Chat");
    if (offers.unstructured) possible.push("Anything");
    for (const [name, { option }] of this.inputs) option.hidden = !possible.includes(name);
    this.choice.hidden = possible.length < 2;
    for (const form of Object.values(this.forms)) form.update(model, offers.transform ? "transform/" : "predict/", overview.name);
    if (!possible.includes(this.chosen)) this.choose(offers.chat ? "Chat" : possible[0]);
  }

  choose(name) {
    this.chosen = name;
    for (const [each, { input }] of this.inputs) input.checked = each === name;
    for (const [each, form] of Object.entries(this.forms)) form.node.hidden = each !== name;
  }
}
