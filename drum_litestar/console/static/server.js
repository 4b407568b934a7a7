// Requests to this server, with the token, if one was given. Nothing is ever asked of another host.

const KEY = "drum-litestar-token";
const HERE = new URL(".", location.href);
/** Where the server's routes begin, with URL_PREFIX. */
export const ROOT = new URL("..", HERE);

export class TokenError extends Error {}

export function token() {
  return sessionStorage.getItem(KEY) ?? "";
}

export function keepToken(value) {
  sessionStorage.setItem(KEY, value);
}

export function forgetToken() {
  sessionStorage.removeItem(KEY);
}

/** The headers of a request, with the token in UTF-8, as the server compares it: a header takes bytes alone. */
export function withToken(headers = {}) {
  const own = String.fromCharCode(...new TextEncoder().encode(token()));
  return own ? { ...headers, Authorization: `Bearer ${own}` } : headers;
}

/** The response of one of the console's own routes. Throws TokenError for a token that is missing or wrong. */
export async function open(name, signal) {
  const response = await fetch(new URL(`api/${name}`, HERE), { headers: withToken(), cache: "no-store", signal });
  if (response.status === 401) throw new TokenError();
  if (!response.ok) throw new Error(`${response.status}`);
  return response;
}

export async function read(name) {
  return (await open(name)).json();
}

/** The data of each server-sent event of a response. */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let data = [];
  for (;;) {
    const { value, done } = await reader.read();
    const lines = (rest + (value ?? "")).split(/\r\n|\n|\r/);
    rest = done ? "" : lines.pop();
    for (const line of lines) {
      if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
      else if (line === "" && data.length) {
        yield data.join("\n");
        data = [];
      }
    }
    if (done) {
      if (data.length) yield data.join("\n");
      return;
    }
  }
}

/** What an answer that is no success says: the server's own message where it has one. */
export function problem(status, text, requestId) {
  let said = text.slice(0, 2000);
  try {
    const body = JSON.parse(text);
    const found = body.message ?? body.error ?? body.detail;
    if (found !== undefined) said = typeof found === "string" ? found : found.message ?? JSON.stringify(found);
  } catch {
    // not JSON: the text itself
  }
  const id = requestId ? ` (request ${requestId})` : "";
  return `${status}: ${said || "no text"}${id}`;
}

/** The milliseconds of each step in `Server-Timing`, in its order. */
export function steps(header) {
  const found = new Map();
  for (const part of (header ?? "").split(",")) {
    const [name, ...rest] = part.trim().split(";");
    const duration = rest.map((each) => each.trim()).find((each) => each.startsWith("dur="));
    if (name && duration) found.set(name, Number(duration.slice(4)));
  }
  return found;
}
