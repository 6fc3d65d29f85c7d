/** The slices of this visit, what each model said of them, and which of them are shown in which order. */

/**
 * @typedef {{state: "waiting" | "asking" | "answered" | "failed", note?: string, answer?: any, problem?: any}} Outcome
 * @typedef {{id: number, file: File, name: string, outcomes: Map<string, Outcome>, leaving: AbortController}} Slice
 */

export const ALL = "all";
export const FAILED = "failed";
export const UNANSWERED = "unanswered";
export const DIFFERENT = "different";
/** A class's filter is its name behind this, so that a class may be called `failed`. */
export const OF_CLASS = "class:";

const names = new Intl.Collator(undefined, { numeric: true });

/** Sends `slices` when some came, went or changed, `chosen` when a model was chosen, `opened` when a slice was. */
export class Worklist extends EventTarget {
  /** @type {Map<number, Slice>} */
  slices = new Map();
  /** Keys, `name/version`, of the models that answer: one, or two to compare. @type {string[]} */
  models = [];
  /** @type {Slice | null} */
  opened = null;
  filter = ALL;
  order = "tumor";
  /** @type {Set<Slice>} */
  changed = new Set();
  #last = 0;

  /** @param {Iterable<File>} files */
  add(files) {
    for (const file of files) {
      this.#last += 1;
      const name = file.name || `pasted ${this.#last}`;
      const slice = { id: this.#last, file, name, outcomes: new Map(), leaving: new AbortController() };
      this.slices.set(slice.id, slice);
      this.changed.add(slice);
    }
    this.#send("slices");
  }

  /** Take slices out, and back what is being asked about them. @param {Slice[]} slices */
  remove(slices) {
    for (const slice of slices) {
      this.slices.delete(slice.id);
      slice.leaving.abort();
    }
    if (this.opened && !this.slices.has(this.opened.id)) this.open(null);
    this.#send("slices");
  }

  /** Note what a model says, or does not say; without an outcome it will be asked again. @param {Slice} slice */
  note(slice, key, outcome) {
    if (outcome) slice.outcomes.set(key, outcome);
    else slice.outcomes.delete(key);
    this.changed.add(slice);
    this.#send("slices");
  }

  /** @param {string[]} keys */
  choose(keys) {
    this.models = keys;
    if (this.filter === DIFFERENT && keys.length < 2) this.filter = ALL;
    for (const slice of this.slices.values()) this.changed.add(slice);
    this.#send("chosen");
    this.#send("slices");
  }

  /** @param {{filter?: string, order?: string}} wish */
  arrange(wish) {
    Object.assign(this, wish);
    this.#send("slices");
  }

  /** @param {Slice | null} slice */
  open(slice) {
    if (slice === this.opened) return;
    this.opened = slice;
    this.#send("opened");
  }

  /** Open the slice `steps` further in the list as shown. */
  step(steps) {
    const shown = this.shown();
    const at = this.opened ? shown.indexOf(this.opened) + steps : 0;
    const next = shown[Math.max(0, Math.min(shown.length - 1, at))];
    if (next) this.open(next);
  }

  /** The first model's outcome. @param {Slice} slice */
  outcome(slice) {
    return slice.outcomes.get(this.models[0]);
  }

  /** Slices that pass the filter, in order: most probable tumour first, then those without an answer as they came. */
  shown() {
    const slices = [...this.slices.values()].filter((slice) => this.passes(slice, this.filter));
    if (this.order === "name") return slices.sort((a, b) => names.compare(a.name, b.name) || a.id - b.id);
    if (this.order === "added") return slices;
    return slices.sort((a, b) => this.#rank(b) - this.#rank(a) || a.id - b.id);
  }

  /** @param {Slice} slice @param {string} filter */
  passes(slice, filter) {
    const outcome = this.outcome(slice);
    if (filter === ALL) return true;
    if (filter === DIFFERENT) return this.differ(slice);
    if (filter === FAILED) return outcome?.state === "failed";
    if (filter === UNANSWERED) return !outcome || outcome.state === "waiting" || outcome.state === "asking";
    return outcome?.state === "answered" && OF_CLASS + outcome.answer.label === filter;
  }

  /** Whether two models were asked and name different classes. @param {Slice} slice */
  differ(slice) {
    const labels = this.models.map((key) => slice.outcomes.get(key)?.answer?.label);
    return labels.length > 1 && labels.every(Boolean) && new Set(labels).size > 1;
  }

  /** How many slices pass each filter. @param {string[]} filters @returns {Map<string, number>} */
  counts(filters) {
    const slices = [...this.slices.values()];
    return new Map(filters.map((each) => [each, slices.filter((slice) => this.passes(slice, each)).length]));
  }

  #rank(slice) {
    return this.outcome(slice)?.answer?.tumor_probability ?? -1;
  }

  #send(event) {
    this.dispatchEvent(new Event(event));
  }
}
