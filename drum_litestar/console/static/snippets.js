// The same request for a shell, for Python's requests and for OpenAI's client.

import { el } from "./dom.js";
import { ROOT, token } from "./server.js";

const LONGEST = 4000;

const shell = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const python = (text) => JSON.stringify(text);

/** `sent`: path, type, and either body (text) or file (its name, sent as the part X of a form, or as it is). */
export function curl(sent) {
  const words = ["curl -sS"];
  if (token()) words.push('-H "Authorization: Bearer $DRUM_API_TOKEN"');
  if (sent.form) words.push(`-F ${shell(`X=@${sent.file}`)}`);
  else {
    words.push(`-H ${shell(`Content-Type: ${sent.type}`)}`);
    if (sent.body === undefined || sent.body.length > LONGEST) words.push(`--data-binary ${shell(`@${sent.file ?? "data.csv"}`)}`);
    else words.push(`--data-raw ${shell(sent.body)}`);
  }
  return [...words, shell(new URL(sent.path, ROOT).href)].join(" ");
}

/** Python's requests. */
export function requests(sent) {
  const headers = [];
  if (!sent.form) headers.push(`"Content-Type": ${python(sent.type)}`);
  if (token()) headers.push(`"Authorization": f"Bearer {os.environ['DRUM_API_TOKEN']}"`);
  const given = sent.form
    ? `files={"X": open(${python(sent.file)}, "rb")}`
    : sent.body === undefined || sent.body.length > LONGEST
      ? `data=open(${python(sent.file ?? "data.csv")}, "rb")`
      : `data=${python(sent.body)}.encode()`;
  const lines = [...(token() ? ["import os", ""] : []), "import requests", ""];
  lines.push("answer = requests.post(", `    ${python(new URL(sent.path, ROOT).href)},`, `    ${given},`);
  if (headers.length) lines.push(`    headers={${headers.join(", ")}},`);
  return [...lines, "    timeout=60,", ")", "print(answer.status_code, answer.text)"].join("\n");
}

/** OpenAI's client, for a chat. */
export function openai(chat) {
  const lines = [...(token() ? ["import os", ""] : []), "from openai import OpenAI", ""];
  const key = token() ? "os.environ['DRUM_API_TOKEN']" : '"none"';
  lines.push(`client = OpenAI(base_url=${python(new URL("v1", ROOT).href)}, api_key=${key})`);
  const call = `client.chat.completions.create(model=${python(chat.model)}, messages=${JSON.stringify(chat.messages)}`;
  if (chat.stream) {
    lines.push(`for chunk in ${call}, stream=True):`, "    if chunk.choices:", '        print(chunk.choices[0].delta.content or "", end="")');
  } else lines.push(`print(${call}).choices[0].message.content)`);
  return lines.join("\n");
}

function snippet(name, text) {
  const copy = navigator.clipboard
    ? el("button", { type: "button", onclick: () => navigator.clipboard.writeText(text) }, `Copy ${name}`)
    : null;
  return el("div", {}, el("h4", {}, name), el("pre", { tabindex: "0", "aria-label": name, role: "region" }, text), copy);
}

/** The block that shows them, closed at first. */
export function snippets(sent, chat) {
  return el(
    "details",
    { class: "snippets" },
    el("summary", {}, "As code"),
    snippet("curl", curl(sent)),
    snippet("requests", requests(sent)),
    chat ? snippet("openai", openai(chat)) : null,
    token() ? el("p", { class: "hint" }, "The token comes from the variable DRUM_API_TOKEN.") : null,
  );
}
