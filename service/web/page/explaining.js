/** Asking where a model's evidence lies; the last few maps are kept. */

import { read } from "./answering.js";
import { ask, query } from "./api.js";
import { heatCanvas } from "./heat.js";
import { patiently } from "./patience.js";

/** Maps kept: each holds some four bytes a pixel. */
const KEPT = 24;

/** @typedef {{target: string, method: string, layer: string}} Wish empty fields mean the card's default */

/** @param {import("./models.js").Models} models */
export function explainer(models) {
  /** @type {Map<string, any>} */
  const kept = new Map();

  /**
   * The map of one slice by one model. `alpha` 0 makes the service's overlay the plain grey picture as the network saw
   * it, which is the only one there is of a TIFF; the colours are laid over it here.
   * @param {import("./worklist.js").Slice} slice @param {string} key @param {Wish} wish
   * @param {{signal: AbortSignal, waiting: (error: any, seconds: number) => void}} options
   */
  return async (slice, key, wish, options) => {
    const name = JSON.stringify([slice.id, key, models.sha256(key), wish]);
    const found = kept.get(name) ?? (await askFor(slice, { ...models.named(key), ...wish, alpha: 0 }, options));
    kept.delete(name);
    kept.set(name, found);
    if (kept.size > KEPT) kept.delete(kept.keys().next().value);
    return found;
  };
}

async function askFor(slice, fields, { signal, waiting }) {
  const body = await read(slice.file);
  const path = `/explain?${query(fields)}`;
  const { explanation } = await patiently(() => ask(path, { method: "POST", body, signal }), { signal, waiting });
  const { heatmap, overlay_png: grey, ...rest } = explanation;
  return { ...rest, grey, heat: rest.evidence ? heatCanvas(heatmap) : null };
}
