// What every form of the view Try has: send, cancel, progress, and where the answer appears.

import { el } from "./dom.js";
import { AnswerError } from "./send.js";

export class Sender {
  /** `work(signal, progress)` sends and gives the nodes to show. It is called once at a time. */
  constructor(label, work) {
    this.work = work;
    this.send = el("button", { type: "submit", class: "main" }, label);
    this.cancel = el("button", { type: "button", hidden: true, onclick: () => this.controller?.abort() }, "Cancel");
    this.progress = el("progress", { max: 1, hidden: true, "aria-label": "Upload" });
    this.error = el("p", { role: "alert", class: "error" });
    this.outcome = el("div", { class: "outcome" });
    this.buttons = el("p", { class: "buttons" }, this.send, this.cancel, this.progress);
  }

  async run() {
    if (this.controller) return;
    this.controller = new AbortController();
    this.error.textContent = "";
    this.send.disabled = true;
    this.cancel.hidden = false;
    try {
      const nodes = await this.work(this.controller.signal, (share) => {
        this.progress.hidden = false;
        this.progress.value = share;
      });
      this.outcome.replaceChildren(...nodes.filter(Boolean));
    } catch (error) {
      this.outcome.replaceChildren();
      this.error.textContent = error instanceof AnswerError ? error.message : `The answer cannot be shown: ${error.message}`;
    }
    this.controller = undefined;
    this.send.disabled = false;
    this.cancel.hidden = true;
    this.progress.hidden = true;
  }
}
