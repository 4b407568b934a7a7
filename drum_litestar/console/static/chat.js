// A chat with the model, word by word as it answers.

import { el } from "./dom.js";
import { times } from "./results.js";
import { split } from "./send.js";
import { ROOT, events, problem, withToken } from "./server.js";
import { snippets } from "./snippets.js";

export class ChatForm {
  constructor() {
    this.messages = [];
    this.model = "model";
    this.log = el("div", { role: "log", "aria-label": "Conversation", class: "chat", tabindex: "0" });
    this.text = el("textarea", { id: "chat-text", rows: 3, required: true, onkeydown: (event) => this.pressed(event) });
    this.stream = el("input", { type: "checkbox", id: "chat-stream", checked: true });
    this.send = el("button", { type: "submit", class: "main" }, "Send");
    this.stop = el("button", { type: "button", hidden: true, onclick: () => this.controller?.abort() }, "Stop");
    this.error = el("p", { role: "alert", class: "error" });
    this.outcome = el("div", { class: "outcome" });
    this.form = el(
      "form",
      {
        onsubmit: (event) => {
          event.preventDefault();
          this.say();
        },
      },
      el("label", { for: "chat-text" }, "Message"),
      this.text,
      el("p", {}, this.stream, " ", el("label", { for: "chat-stream" }, "Stream the answer")),
      el("p", { class: "buttons" }, this.send, this.stop, el("button", { type: "button", onclick: () => this.forget() }, "New chat")),
      this.error,
    );
    this.node = el("div", {}, this.log, this.form, this.outcome);
  }

  update(model, _path, name) {
    this.model = name;
  }

  pressed(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.form.requestSubmit();
    }
  }

  forget() {
    this.controller?.abort();
    this.messages = [];
    this.log.replaceChildren();
    this.outcome.replaceChildren();
    this.error.textContent = "";
  }

  line(role, text) {
    const content = el("p", { class: "said" }, text);
    this.log.append(el("div", { class: `message ${role}` }, el("strong", {}, role === "user" ? "You" : "Model"), content));
    this.log.scrollTop = this.log.scrollHeight;
    return content;
  }

  async say() {
    if (this.controller) return;
    const asked = { role: "user", content: this.text.value };
    const body = { model: this.model, messages: [...this.messages, asked], stream: this.stream.checked };
    const sent = { path: "v1/chat/completions", type: "application/json", body: JSON.stringify(body) };
    this.controller = new AbortController();
    this.error.textContent = "";
    this.send.disabled = true;
    this.stop.hidden = false;
    this.text.value = "";
    this.line("user", asked.content);
    const answer = this.line("assistant", "");
    const began = performance.now();
    try {
      const response = await fetch(new URL(sent.path, ROOT), {
        method: "POST",
        headers: withToken({ "Content-Type": "application/json", "X-Drum-Times": "1" }),
        body: sent.body,
        signal: this.controller.signal,
      });
      if (!response.ok) throw new Error(problem(response.status, await response.text(), response.headers.get("X-Request-ID")));
      const first = await this.receive(response, answer, began);
      const whole = performance.now() - began;
      const parts = body.stream ? new Map([["first word", first], ["rest of the stream", whole - first]]) : split(response.headers.get("Server-Timing"), whole);
      this.outcome.replaceChildren(times({ whole, parts }), snippets(sent, body));
      this.messages.push(asked, { role: "assistant", content: answer.textContent });
    } catch (error) {
      if (error.name === "AbortError") {
        answer.append(" [stopped]");
        this.messages.push(asked, { role: "assistant", content: answer.textContent });
      } else {
        this.error.textContent = error instanceof TypeError ? "The server did not answer: it is away, or it closed the connection." : error.message;
        if (!answer.textContent) answer.parentNode.remove();
      }
    }
    this.controller = undefined;
    this.send.disabled = false;
    this.stop.hidden = true;
    this.text.focus();
  }

  /** Show what comes. Gives the milliseconds to the first word. */
  async receive(response, answer, began) {
    let first = 0;
    const add = (text) => {
      if (!text) return;
      first ||= performance.now() - began;
      answer.append(text);
      this.log.scrollTop = this.log.scrollHeight;
    };
    if (!(response.headers.get("Content-Type") ?? "").startsWith("text/event-stream")) {
      add((await response.json()).choices?.[0]?.message?.content);
      return first;
    }
    for await (const data of events(response)) {
      if (data === "[DONE]") break;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new Error(typeof chunk.error === "string" ? chunk.error : chunk.error.message);
      add(chunk.choices?.[0]?.delta?.content);
    }
    return first;
  }
}
