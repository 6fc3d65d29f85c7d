/** Asking the service: every refusal is a `Problem` in the service's own words, silence is `Unreachable`. */

let key = "";

/** Send this access key from now on. It lives in this variable and nowhere else. */
export function useKey(text) {
  key = text;
}

/** Whether a refusal was given to the key in use, and not to one from before. @param {Problem} refusal */
export function concernsKeyInUse(refusal) {
  return refusal.sentWith === key;
}

/** A refusal, as RFC 9457 tells it. */
export class Problem extends Error {
  /**
   * @param {{type?: string, title?: string, detail?: string, status?: number, request_id?: string}} fields
   * @param {number | null} retryAfter seconds after which the service wants to be asked again
   */
  constructor(fields, retryAfter = null) {
    super(fields.detail || fields.title || "The service refused without a word.");
    this.type = fields.type ?? "about:blank";
    this.title = fields.title ?? "";
    this.status = fields.status ?? 0;
    this.requestId = fields.request_id ?? "";
    this.retryAfter = retryAfter;
    this.sentWith = key;
  }

  /** Title and detail in one sentence, unless they say the same. */
  get words() {
    const { title, message } = this;
    return !title || title === message ? message : `${title}: ${message}`;
  }
}

/** Nobody answered: the service is stopped, starting again, or the network is down. */
export class Unreachable extends Error {
  words = "The service does not answer.";
}

/** `change` is sent, with the error or null as its detail, whenever the service falls silent or speaks again. */
export const connection = new EventTarget();
let silent = false;

function note(error) {
  if (silent === Boolean(error)) return;
  silent = Boolean(error);
  connection.dispatchEvent(new CustomEvent("change", { detail: error }));
}

/**
 * The JSON that the service answers with.
 * @param {string} path
 * @param {{method?: string, body?: BodyInit, signal?: AbortSignal}} [options]
 */
export async function ask(path, options = {}) {
  const sentWith = key;
  const response = await send(path, options);
  if (!response.ok) throw Object.assign(await problemOf(response), { sentWith });
  return response.json();
}

async function send(path, options) {
  const headers = { Accept: "application/json", ...(key && { "X-API-Key": key }) };
  try {
    const response = await fetch(path, { ...options, headers, cache: "no-store" });
    note(null);
    return response;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    const unreachable = new Unreachable();
    note(unreachable);
    throw unreachable;
  }
}

/** A proxy in between may refuse in HTML; then its status has to do. */
async function problemOf(response) {
  const fields = await response.json().catch(() => ({}));
  const title = `The service answered ${response.status} ${response.statusText}`.trim();
  const seconds = Number.parseFloat(response.headers.get("retry-after") ?? "");
  return new Problem({ title, status: response.status, ...fields }, Number.isFinite(seconds) ? seconds : null);
}

/** `?model=…&version=…` and whatever else is asked; fields without a value are left out. */
export function query(fields) {
  const given = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
}
