// The last errors.

import { el, moment } from "./dom.js";
import { problem, read } from "./server.js";

export class FaultsView {
  constructor(section) {
    this.hint = el("p", { class: "hint" });
    this.list = el("ol", { class: "faults" });
    section.append(this.hint, this.list);
    this.known = -1;
    this.total = 0;
    this.visible = false;
  }

  /** There are `total` faults now. */
  counted(total) {
    this.total = total;
    if (this.visible && total !== this.known) this.update();
  }

  show() {
    this.visible = true;
    this.update();
  }

  hide() {
    this.visible = false;
  }

  async update() {
    if (this.asking) return;
    this.asking = true;
    const total = this.total;
    try {
      const { faults, show_stacktrace: shown } = await read("faults");
      this.hint.textContent = shown
        ? "The newest first. The log has them all."
        : "The newest first. Texts and tracebacks of requests are in the log; --show-stacktrace shows them here, too.";
      this.list.replaceChildren(...(faults.length ? faults.map((fault) => item(fault)) : [el("li", {}, "No errors so far.")]));
      this.known = total;
    } catch {
      // the stream says that the server is away
    }
    this.asking = false;
  }
}

function item(fault) {
  const what = fault.status ? `${fault.status} ${fault.route}` : fault.kind;
  return el(
    "li",
    {},
    el("p", { class: "fault" }, el("strong", {}, what), ` ${moment(fault.at)}`, fault.status ? ` (${fault.kind})` : ""),
    fault.request_id ? el("p", { class: "hint" }, `Request ${fault.request_id}`) : null,
    el("p", { class: "text" }, message(fault.text)),
    fault.traceback ? el("details", {}, el("summary", {}, "Traceback"), el("pre", { tabindex: "0" }, fault.traceback)) : null,
  );
}

function message(text) {
  return text.startsWith("{") ? problem("", text, "").slice(2) : text;
}
