// One request to the model: progress of the upload, cancelling, and the answer with the times of its steps.

import { ROOT, problem, steps, withToken } from "./server.js";

export class AnswerError extends Error {}

/** Times of one request in milliseconds: the steps that the server tells, and what is left of the whole. */
export function split(header, whole) {
  const told = steps(header);
  const call = told.get("call") ?? 0;
  const parts = new Map();
  for (const name of ["queue", "parse", "model", "serialize"]) if (told.has(name)) parts.set(name, told.get(name));
  if (told.has("call")) {
    const known = ["parse", "model", "serialize"].reduce((sum, name) => sum + (told.get(name) ?? 0), 0);
    parts.set("rest of the call", Math.max(0, call - known));
    parts.set("server and network", Math.max(0, whole - call - (told.get("queue") ?? 0)));
  }
  return parts;
}

/**
 * Send `body` by POST. A body without a `type` is a form. `progress` gets the share of the upload.
 * Gives the blob, its type and the times; throws AnswerError with the server's words, and for a cancelled request.
 */
export function post(path, { body, type, signal, progress, accept }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", new URL(path, ROOT));
    request.responseType = "blob";
    const headers = withToken({ "X-Drum-Times": "1" });
    if (type) headers["Content-Type"] = type;
    if (accept) headers.Accept = accept;
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    const began = performance.now();
    request.upload.onprogress = (event) => event.lengthComputable && progress?.(event.loaded / event.total);
    request.onload = async () => {
      const whole = performance.now() - began;
      const answer = {
        status: request.status,
        type: request.getResponseHeader("Content-Type") ?? "",
        blob: request.response,
        whole,
        parts: split(request.getResponseHeader("Server-Timing"), whole),
      };
      if (request.status < 400) resolve(answer);
      else reject(new AnswerError(problem(request.status, await answer.blob.text(), request.getResponseHeader("X-Request-ID"))));
    };
    request.onerror = () => reject(new AnswerError("The server did not answer: it is away, or it closed the connection."));
    request.onabort = () => reject(new AnswerError("Cancelled."));
    signal?.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}
