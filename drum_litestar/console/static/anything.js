// Any body for an unstructured model.

import { el, size } from "./dom.js";
import { plain, times } from "./results.js";
import { post } from "./send.js";
import { Sender } from "./sender.js";
import { snippets } from "./snippets.js";

export class AnythingForm {
  constructor() {
    this.sender = new Sender("Send", (signal, progress) => this.ask(signal, progress));
    this.type = el("input", { type: "text", id: "any-type", value: "text/plain; charset=utf-8", list: "any-types", spellcheck: "false" });
    this.text = el("textarea", { id: "any-text", rows: 8, spellcheck: "false" });
    this.file = el("input", { type: "file", id: "any-file", onchange: () => this.chosen() });
    this.picked = el("p", { class: "hint" });
    this.form = el(
      "form",
      {
        onsubmit: (event) => {
          event.preventDefault();
          this.sender.run();
        },
      },
      el("label", { for: "any-type" }, "Content type"),
      this.type,
      el("datalist", { id: "any-types" }, ["text/plain; charset=utf-8", "application/json", "application/octet-stream"].map((value) => el("option", { value }))),
      el("label", { for: "any-text" }, "Body"),
      this.text,
      el("label", { for: "any-file" }, "Or a file"),
      this.file,
      this.picked,
      this.sender.buttons,
      this.sender.error,
    );
    this.node = el("div", {}, this.form, this.sender.outcome);
  }

  update() {}

  chosen() {
    const file = this.file.files[0];
    this.picked.textContent = file ? `${file.name}, ${size(file.size)}, is sent in place of the text` : "";
    if (file) this.type.value = file.type || "application/octet-stream";
  }

  async ask(signal, progress) {
    const file = this.file.files[0];
    const sent = { path: "predictUnstructured/", type: this.type.value, ...(file ? { file: file.name } : { body: this.text.value }) };
    const answer = await post(sent.path, { body: file ?? sent.body, type: sent.type, signal, progress });
    return [el("h3", {}, "Answer"), await plain(answer, "answer"), times(answer), snippets(sent)];
  }
}
