// What the server does now: charts of the last 15 minutes, and the last requests.

import { Chart } from "./chart.js";
import { Table, el, milliseconds, moment, size } from "./dom.js";
import { read } from "./server.js";

const SPAN = 15 * 60; // seconds that are kept

const count = (value) => (Number.isInteger(value) ? String(value) : value.toFixed(value < 10 ? 1 : 0));

function pairs(object, change = (value) => value) {
  return Object.entries(object).map(([name, value]) => [name, change(value)]);
}

export class LiveView {
  constructor(section) {
    this.samples = [];
    this.charts = [
      new Chart("Requests a second", { show: count, lines: (each) => [["requests", each.rate]] }),
      new Chart("Latency", {
        show: milliseconds,
        lines: (each) => ["p50", "p95", "p99"].map((name, place) => [name, each.latency.length ? each.latency[place] * 1000 : null]),
      }),
      new Chart("Queue and busy slots", {
        show: count,
        lines: (each) => [["waiting calls", each.queue], ["busy slots", each.busy]],
      }),
      new Chart("Errors a second, by status", { show: count, lines: (each) => each.errorRates }),
      new Chart("Memory by process", { show: size, lines: (each) => pairs(each.memory) }),
      new Chart("Replaced workers, by cause", { show: count, lines: (each) => pairs(each.restarts) }),
    ];
    this.slots = el("p", {}, "No figures yet.");
    this.requests = new Table("Last requests", ["Time", "Request id", "Route", "Status", "Took"], { id: "requests" });
    section.append(
      this.slots,
      el("div", { class: "charts" }, this.charts.map((chart) => chart.figure)),
      el("h3", {}, "Last requests"),
      el("p", { class: "hint" }, "The newest first. Requests of this page, of probes and of monitoring are left out."),
      this.requests.node,
    );
    this.listed = -1;
    this.visible = false;
    this.showRequests([]);
  }

  /** Take one sample of the stream. What is counted from the server's start becomes rates here. */
  add(sample) {
    const before = this.samples.at(-1);
    const fresh = before === undefined || sample.requests < before.requests || sample.seconds === 0;
    const seconds = sample.seconds || 1;
    sample.rate = fresh ? null : (sample.requests - before.requests) / seconds;
    sample.errorRates = fresh
      ? []
      : pairs(sample.errors).map(([status, total]) => [status, (total - (before.errors[status] ?? 0)) / seconds]);
    this.samples.push(sample);
    while (this.samples.length && this.samples[0].at < sample.at - SPAN) this.samples.shift();
    if (this.visible) this.draw();
  }

  show() {
    this.visible = true;
    this.draw();
  }

  hide() {
    this.visible = false;
  }

  draw() {
    const last = this.samples.at(-1);
    if (!last) return;
    for (const chart of this.charts) chart.draw(this.samples, last.at);
    const refused = pairs(last.refused).map(([reason, total]) => `${reason.replaceAll("_", " ")} ${total}`);
    this.slots.textContent =
      `${last.busy} of ${last.slots} slots busy, ${last.queue} of ${last.queue_limit} places in the queue taken, ` +
      `${last.requests} requests since the start${refused.length ? `; refused: ${refused.join(", ")}` : ""}.`;
    if (last.requests !== this.listed && !this.asking) this.list(last.requests);
  }

  async list(total) {
    this.asking = true;
    try {
      this.showRequests((await read("requests")).requests);
      this.listed = total;
    } catch {
      // the stream says that the server is away
    }
    this.asking = false;
  }

  showRequests(requests) {
    const rows = requests.map(([, ended, id, method, route, status, seconds]) => [
      moment(ended),
      id,
      `${method} ${route || "(no such route)"}`,
      el("span", { class: status >= 500 ? "bad" : status >= 400 ? "poor" : "" }, String(status)),
      milliseconds(seconds * 1000),
    ]);
    this.requests.set(rows.length ? rows : [["none yet", "", "", "", ""]]);
  }
}
