// CSV as the server reads it (RFC 4180).

/** Rows of cells. `separator` is guessed from the first line unless given. */
export function parse(text, separator) {
  const mark = separator ?? (text.split(/\r?\n/, 1)[0].includes("\t") ? "\t" : ",");
  const rows = [];
  let row = [];
  let cell = "";
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const each = text[at];
    if (quoted) {
      if (each !== '"') cell += each;
      else if (text[at + 1] === '"') {
        cell += '"';
        at += 1;
      } else quoted = false;
    } else if (each === '"' && cell === "") quoted = true;
    else if (each === mark) {
      row.push(cell);
      cell = "";
    } else if (each === "\n" || each === "\r") {
      if (each === "\r" && text[at + 1] === "\n") at += 1;
      rows.push([...row, cell]);
      row = [];
      cell = "";
    } else cell += each;
  }
  if (cell !== "" || row.length) rows.push([...row, cell]);
  return rows;
}

function quote(value) {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
}

/** CSV text of rows of cells. */
export function format(rows) {
  return rows.map((row) => `${row.map(quote).join(",")}\n`).join("");
}
