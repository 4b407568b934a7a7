// Opens the OpenAPI document for a page that shows it. The pages hold nothing of the model, so they open without the
// API token; where the server wants one, the page asks for it here, and keeps it in its own memory only.

const form = document.getElementById("access");
const field = document.getElementById("token");
const problem = document.getElementById("problem");

// The server's root, as this browser reaches it: a proxy may have taken a prefix off, or added one.
function rootOf(address) {
  return new URL("..", address).href.replace(/\/$/, "");
}

// In UTF-8, as the server compares it: a header takes bytes alone.
function bytesOf(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

function tell(text) {
  problem.textContent = text;
  problem.hidden = !text;
}

// Calls show(document, token) once the document is there. token is empty if none was needed.
export function openDocument(path, show) {
  const address = new URL(path, location.href);

  async function attempt(token) {
    let answer;
    try {
      answer = await fetch(address, { headers: token ? { Authorization: `Bearer ${bytesOf(token)}` } : {} });
    } catch {
      tell("The server cannot be reached. Load the page again when it is up.");
      return;
    }
    if (answer.status === 401) {
      form.hidden = false;
      tell(token ? "The server does not know this token." : "");
      field.focus();
      return;
    }
    if (!answer.ok) {
      const body = await answer.json().catch(() => ({}));
      tell(`The server has no document now: ${body.message ?? answer.status}`);
      return;
    }
    form.hidden = true;
    tell("");
    const found = await answer.json();
    for (const item of Object.values(found.paths)) {
      delete item.head; // there is one for each GET
    }
    found.servers = [{ url: rootOf(address) }];
    show(found, token);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(field.value.trim());
  });
  return attempt("");
}
