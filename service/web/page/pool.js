/** A bounded number of things at once; the rest wait in the order in which they came. */

export class Pool {
  /** @type {(() => Promise<unknown>)[]} */
  #waiting = [];
  #running = 0;
  #places;

  /** @param {number} places */
  constructor(places) {
    this.#places = places;
  }

  /** `work` must not reject: nobody waits for it here. @param {() => Promise<unknown>} work */
  add(work) {
    this.#waiting.push(work);
    this.#next();
  }

  #next() {
    while (this.#running < this.#places && this.#waiting.length) {
      this.#running += 1;
      const work = /** @type {() => Promise<unknown>} */ (this.#waiting.shift());
      work().finally(() => {
        this.#running -= 1;
        this.#next();
      });
    }
  }
}
