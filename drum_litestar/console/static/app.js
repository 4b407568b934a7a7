// The page: its views, the token, and the stream that says whether the server is there.

import { FaultsView } from "./faults.js";
import { LiveView } from "./live.js";
import { ModelView } from "./model.js";
import { TokenError, events, forgetToken, keepToken, open, read, token } from "./server.js";
import { TryView } from "./try.js";

const SILENCE = 8000; // milliseconds without a sample after which the server counts as gone
const NAMES = ["model", "try", "live", "faults"];

const find = (id) => document.getElementById(id);
const views = {
  model: new ModelView(find("view-model")),
  try: new TryView(find("view-try")),
  live: new LiveView(find("view-live")),
  faults: new FaultsView(find("view-faults")),
};

let known = ""; // what was last seen of the server's state and events: a change is a reason to ask again
let locked = false;

function current() {
  const name = location.hash.slice(1);
  return NAMES.includes(name) ? name : "model";
}

function showView() {
  const chosen = current();
  find("view-token").hidden = !locked;
  for (const name of NAMES) {
    const visible = name === chosen && !locked;
    find(`view-${name}`).hidden = !visible;
    views[name][visible ? "show" : "hide"]?.();
    const link = document.querySelector(`nav a[href="#${name}"]`);
    if (name === chosen) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function notice(text) {
  const shown = find("notice");
  if (shown.textContent !== text) shown.textContent = text;
  shown.hidden = !text;
}

function setState(state) {
  const badge = find("state");
  badge.textContent = state;
  badge.dataset.state = state;
}

async function refresh() {
  const overview = await read("overview");
  document.title = `${overview.name} – console`;
  find("name").textContent = overview.name;
  setState(overview.state);
  views.model.update(overview);
  views.try.update(overview);
}

async function sampled(sample) {
  setState(sample.state);
  views.live.add(sample);
  views.model.showWorkers(sample.workers);
  views.faults.counted(sample.faults);
  find("fault-count").textContent = sample.faults ? `(${sample.faults})` : "";
  const seen = JSON.stringify([sample.state, sample.events, sample.workers.map((each) => [each.pid, each.state])]);
  if (seen !== known) {
    known = seen;
    await refresh();
  }
}

/** Follow the stream until it ends. */
async function follow() {
  const controller = new AbortController();
  let timer = setTimeout(() => controller.abort(), SILENCE);
  try {
    const response = await open("live", controller.signal);
    known = "";
    for await (const data of events(response)) {
      clearTimeout(timer);
      timer = setTimeout(() => controller.abort(), SILENCE);
      await sampled(JSON.parse(data));
      notice("");
    }
  } finally {
    clearTimeout(timer);
    controller.abort();
  }
}

/** Wait for a token; ends when one is there that the server takes. */
function askForToken(wrong) {
  locked = true;
  notice("");
  setState("locked");
  find("token-error").textContent = wrong ? "The server does not accept this token." : "";
  showView();
  find("token").focus();
  return new Promise((resolve) => {
    find("token-form").addEventListener(
      "submit",
      (event) => {
        event.preventDefault();
        keepToken(find("token").value.trim());
        find("token").value = "";
        locked = false;
        resolve();
      },
      { once: true },
    );
  });
}

async function run() {
  let pause = 500;
  for (;;) {
    try {
      await follow();
      pause = 500;
    } catch (error) {
      if (error instanceof TokenError) {
        const wrong = token() !== "";
        forgetToken();
        await askForToken(wrong);
        showView();
        continue;
      }
    }
    setState("away");
    notice("The server does not answer. This page tries again until it does.");
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(pause * 2, 4000);
  }
}

find("token-form").addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", () => {
  showView();
  find("main").focus({ preventScroll: true });
  scrollTo(0, 0);
});
showView();
run();
