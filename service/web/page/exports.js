/** The worklist as a file: CSV for a table, JSON with every answer as the service gave it. */

export const NOTE = "Research and triage support, not a diagnosis.";

/**
 * One entry a slice and model, in the order shown.
 * @param {import("./worklist.js").Worklist} worklist
 */
export function entriesOf(worklist) {
  return worklist.shown().flatMap((slice) =>
    worklist.models.map((key) => {
      const { state = "waiting", answer, problem } = slice.outcomes.get(key) ?? {};
      return {
        file: slice.name,
        asked: key,
        state,
        ...(answer && { answer }),
        ...(problem && { problem: told(problem) }),
      };
    }),
  );
}

function told(problem) {
  const { type = "", title = "", status = 0, message, words, requestId = "" } = problem;
  return { type, title, status, detail: message || words, request_id: requestId };
}

export function toJson(entries) {
  return JSON.stringify({ note: NOTE, exported: new Date().toISOString(), entries }, null, 2);
}

/** RFC 4180: CRLF, quotes doubled; probabilities in full. */
export function toCsv(entries) {
  const classes = [...new Set(entries.flatMap(({ answer }) => Object.keys(answer?.probabilities ?? {})))];
  const heads = [
    "file",
    "state",
    "label",
    "tumor_probability",
    ...classes.map((name) => `p_${name}`),
    "model",
    "version",
    "sha256",
    "total_ms",
    "request_id",
    "problem",
    "detail",
  ];
  const rows = entries.map(({ file, asked, state, answer, problem }) => [
    inert(file),
    state,
    answer?.label,
    answer?.tumor_probability,
    ...classes.map((name) => answer?.probabilities[name]),
    ...(answer ? [answer.model.name, answer.model.version, answer.model.sha256] : [...split(asked), ""]),
    answer?.timing_ms.total,
    answer?.request_id ?? problem?.request_id,
    problem?.type || problem?.title,
    problem?.detail,
  ]);
  return [heads, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

function split(key) {
  const at = key.lastIndexOf("/");
  return [key.slice(0, at), key.slice(at + 1)];
}

/** A file name that a spreadsheet cannot take for a formula. */
function inert(name) {
  return /^[=+\-@\t\r]/.test(name) ? `'${name}` : name;
}

function cell(value) {
  const text = String(value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
