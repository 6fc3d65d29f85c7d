/** One slice opened: its picture, the maps over it, and what each chosen model says. */

import { by, element } from "./dom.js";
import { evidenceWords, noExplanationWords, noPictureWords, offerWishes, wishFor } from "./evidence.js";
import { explainer } from "./explaining.js";
import { decodePicture, readPicture } from "./picture.js";
import { sleep } from "./patience.js";
import { whyNotShown } from "./thumbnails.js";
import { className } from "./words.js";

/** Seconds a slice stays open before its map is asked for, so that leafing through asks for none. */
const GLANCE = 0.15;

/** @typedef {{key: string, words: string, found?: any}} MapOf one model's map, or why there is none (yet) */

export class Viewer extends EventTarget {
  /** @type {MapOf[]} */
  maps = [];
  overlaid = true;
  /** @type {import("./picture.js").Picture | null} */
  #picture = null;
  /** What the browser cannot show of the opened file; undefined until that is known. @type {string | undefined} */
  #format;
  #leaving = new AbortController();
  #askForMap;

  /**
   * @param {import("./worklist.js").Worklist} worklist @param {import("./models.js").Models} models
   * @param {import("./stage.js").Stage} stage
   */
  constructor(worklist, models, stage) {
    super();
    this.worklist = worklist;
    this.models = models;
    this.stage = stage;
    this.#askForMap = explainer(models);
    worklist.addEventListener("opened", () => this.#open());
    worklist.addEventListener("chosen", () => this.#explain());
    for (const id of ["target", "method", "layer"]) by(id).addEventListener("change", () => this.#explain());
    for (const input of document.querySelectorAll('input[name="layout"]')) {
      input.addEventListener("change", () => this.draw());
    }
  }

  toggleOverlay(on = !this.overlaid) {
    this.overlaid = on;
    this.draw();
  }

  async #open() {
    const slice = this.worklist.opened;
    this.#picture = null;
    this.#format = undefined;
    this.maps = [];
    this.stage.reset();
    this.draw();
    if (!slice) return this.#leaving.abort();
    const picture = await readPicture(slice.file);
    if (slice !== this.worklist.opened) return;
    this.#picture = picture;
    this.#format = picture ? "" : await whyNotShown(slice.file);
    await this.#explain();
  }

  /** Ask each model for its map; what another slice or another wish asked for is dropped. */
  async #explain() {
    this.#leaving.abort();
    const { signal } = (this.#leaving = new AbortController());
    const slice = this.worklist.opened;
    if (!slice) return;
    this.maps = this.worklist.models.map((key) => ({ key, words: "" }));
    this.draw();
    try {
      const details = await Promise.all(this.maps.map(({ key }) => this.models.detail(key)));
      signal.throwIfAborted();
      offerWishes(details);
      await sleep(GLANCE, signal);
      await Promise.all(this.maps.map((map, index) => this.#explainBy(map, details[index], slice, signal)));
    } catch (error) {
      if (!signal.aborted) this.maps.forEach((map) => this.#tell(map, error.words ?? error.message));
    }
  }

  async #explainBy(map, detail, slice, signal) {
    if (!detail.card?.explain) return this.#tell(map, noExplanationWords(detail));
    this.#tell(map, "Asking where the evidence lies …");
    const waiting = (error, seconds) => this.#tell(map, `${error.words} Asking again in ${Math.ceil(seconds)} s.`);
    try {
      const found = await this.#askForMap(slice, map.key, wishFor(detail.card), { signal, waiting });
      await this.#takePicture(found);
      if (signal.aborted) return;
      map.found = found;
      this.#tell(map, evidenceWords(found));
    } catch (error) {
      if (!signal.aborted) this.#tell(map, `No map. ${error.words ?? error.message}`);
    }
  }

  /** The service's grey picture stands in where the browser has none, or one of another shape. */
  async #takePicture({ grey, heat }) {
    const fits =
      this.#picture && (!heat || (heat.width === this.#picture.width && heat.height === this.#picture.height));
    if (fits) return;
    const slice = this.worklist.opened;
    const picture = await decodePicture(grey);
    if (slice !== this.worklist.opened) return;
    this.#picture = picture;
    this.dispatchEvent(new CustomEvent("picture", { detail: { slice, picture } }));
  }

  #tell(map, words) {
    map.words = words;
    this.draw();
  }

  /** Show what there is. */
  draw() {
    const found = this.maps.filter((map) => map.found);
    this.stage.show(this.#picture, this.#panes(found));
    const missing = Boolean(this.worklist.opened && !this.#picture && this.#format !== undefined);
    by("no-picture").hidden = !missing;
    if (missing) by("no-picture").textContent = noPictureWords(this.#format, !by("wishes").hidden);
    by("overlay").setAttribute("aria-pressed", String(this.overlaid));
    by("map-tools").hidden = !found.length;
    const words = [...new Set(this.maps.map((map) => map.words))].filter(Boolean);
    by("evidence").replaceChildren(...words.map((each) => element("p", {}, each)));
  }

  #panes(found) {
    if (!this.#picture) return [];
    const plain = { caption: "Picture", heat: null };
    const beside = document.querySelector('input[name="layout"]:checked').value === "side";
    const several = this.worklist.models.length > 1;
    const panes = found.map(({ key, found: { target, heat, peak, box } }) => ({
      caption: [
        `${heat ? "Map" : "No evidence"} for ${className(target)}`,
        ...(several ? [`by ${key}`] : []),
        ...(this.overlaid ? [] : ["(hidden)"]),
      ].join(" "),
      heat: this.overlaid ? heat : null,
      peak,
      box,
    }));
    return beside || !panes.length ? [plain, ...panes] : panes;
  }
}
