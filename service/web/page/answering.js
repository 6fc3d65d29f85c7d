/** Asking the chosen models about every slice: one file a request, so that a broken one harms no other. */

import { ask, Problem, query } from "./api.js";
import { patiently } from "./patience.js";
import { Pool } from "./pool.js";

/** Requests at once: enough to fill the service's batches; a browser opens six connections, and two stay free. */
const AT_ONCE = 4;

/** @param {import("./worklist.js").Worklist} worklist @param {import("./models.js").Models} models */
export function answerEverything(worklist, models) {
  const pool = new Pool(AT_ONCE);

  function askForMissing() {
    for (const key of worklist.models) {
      for (const slice of worklist.slices.values()) {
        if (slice.outcomes.has(key)) continue;
        worklist.note(slice, key, { state: "waiting" });
        pool.add(() => answer(worklist, models, slice, key));
      }
    }
  }

  worklist.addEventListener("chosen", askForMissing);
  return askForMissing;
}

/** Forget what was said by models that have been replaced under the same name and version. */
export function forgetReplaced(worklist, models) {
  for (const slice of worklist.slices.values()) {
    for (const [key, { answer: given }] of slice.outcomes) {
      if (given && given.model.sha256 !== models.sha256(key)) worklist.note(slice, key, null);
    }
  }
}

async function answer(worklist, models, slice, key) {
  if (!worklist.slices.has(slice.id)) return;
  if (!worklist.models.includes(key)) return worklist.note(slice, key, null);
  worklist.note(slice, key, { state: "asking" });
  const { signal } = slice.leaving;
  try {
    const body = await read(slice.file);
    const path = `/predict?${query(models.named(key))}`;
    const waiting = (error, seconds) =>
      worklist.note(slice, key, { state: "asking", note: `${error.words} Asking again in ${Math.ceil(seconds)} s.` });
    const given = await patiently(() => ask(path, { method: "POST", body, signal }), { signal, waiting });
    worklist.note(slice, key, { state: "answered", answer: given });
  } catch (problem) {
    if (!signal.aborted) worklist.note(slice, key, { state: "failed", problem });
  }
}

/** The file's bytes, read first, so that a file gone from the disk is not taken for a service gone from the network. */
export async function read(file) {
  try {
    return await file.arrayBuffer();
  } catch {
    throw new Problem({ title: "The browser cannot read this file any more", detail: "Choose it again." });
  }
}
