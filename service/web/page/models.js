/** What `/models` offers: every version, and which of them answers where nobody chooses. */

import { ask } from "./api.js";
import { patiently } from "./patience.js";
import { modelName } from "./words.js";

/**
 * @typedef {{key: string, name: string, version: number, chief: boolean, state: string, reason: string | null,
 *   sha256: string | null}} Version
 */

export class Models {
  /** @type {Version[]} */
  versions = [];
  /** @type {Map<string, Promise<any>>} */
  #details = new Map();

  /** Ask the service what there is now. */
  async load() {
    const { models } = await patiently(() => ask("/models"));
    this.#details.clear();
    this.versions = models.flatMap((model) => model.versions.map((version) => versionOf(model, version)));
  }

  /** The version that answers where none is named; null where none can. */
  get chief() {
    const serving = this.versions.filter(({ state }) => state === "ready");
    return serving.find(({ chief }) => chief) ?? serving[0] ?? null;
  }

  /** Options for a chooser; those that do not serve are named, with their reason on the card, but not offered. */
  get options() {
    return this.versions.map((version) => ({
      value: version.key,
      text: modelName(version) + (version.state === "ready" ? "" : " – does not serve"),
      disabled: version.state !== "ready",
    }));
  }

  /** Whether this version serves. */
  serves(key) {
    return this.versions.some((version) => version.key === key && version.state === "ready");
  }

  /** The sum by which a version's model file is known. */
  sha256(key) {
    return this.versions.find((version) => version.key === key)?.sha256;
  }

  /** Query fields that mean this version. */
  named(key) {
    const at = key.lastIndexOf("/");
    return { model: key.slice(0, at), version: key.slice(at + 1) };
  }

  /** The version with its card. */
  detail(key) {
    const { model, version } = this.named(key);
    const path = `/models/${encodeURIComponent(model)}/versions/${version}`;
    if (!this.#details.has(key)) {
      const asked = patiently(() => ask(path));
      asked.catch(() => this.#details.delete(key));
      this.#details.set(key, asked);
    }
    return /** @type {Promise<any>} */ (this.#details.get(key));
  }
}

/** @returns {Version} */
function versionOf(model, version) {
  const chief = model.default && model.serving_version === version.version;
  return { key: `${model.name}/${version.version}`, name: model.name, chief, ...version };
}
