/** The access key: asked for when the service wants one, held in memory, gone with the tab. */

import { useKey } from "./api.js";
import { by } from "./dom.js";

/** @type {Promise<void> | null} */
let asking = null;
let declined = false;
let given = false;

/**
 * Ask once, however many requests were refused together; settled when a key was given.
 * Rejects with the refusal where the person would rather not, and from then on until `enterKey`.
 * @param {import("./api.js").Problem} refusal
 */
export async function askForKey(refusal) {
  by("enter-key").hidden = false;
  if (declined) throw refusal;
  const words = given ? `The last key was refused. ${refusal.words}` : refusal.words;
  asking ??= keyFrom(words).finally(() => {
    asking = null;
  });
  await asking.catch(() => {
    throw refusal;
  });
}

/** Ask because the person wants to; then do `after`. */
export function enterKey(after) {
  keyFrom("The service asks for a key.").then(after, () => {});
}

function keyFrom(words) {
  const dialog = by("key-dialog");
  const input = by("key");
  by("key-problem").textContent = words;
  input.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve, reject) => {
    const closed = () => {
      const text = input.value.trim();
      input.value = "";
      declined = dialog.returnValue !== "use" || !text;
      if (declined) return reject(new Error("no key"));
      given = true;
      useKey(text);
      resolve();
    };
    dialog.addEventListener("close", closed, { once: true });
  });
}
