/** Which model answers, and which other one beside it. */

import { by, fill } from "./dom.js";

const NONE = { value: "", text: "none" };

/** @param {import("./models.js").Models} models @param {import("./worklist.js").Worklist} worklist */
export function chooseModels(models, worklist) {
  const [first, other] = [by("model"), by("other")];

  function choose() {
    if (other.value === first.value) other.value = "";
    fillOther();
    worklist.choose([first.value, other.value].filter(Boolean));
  }

  function fillOther() {
    fill(other, [NONE, ...models.options.filter(({ value }) => value !== first.value)]);
    other.disabled = other.options.length < 2;
  }

  first.addEventListener("change", choose);
  other.addEventListener("change", choose);

  /** Show what there is now; the choice is kept where it still serves. */
  return () => {
    const kept = models.serves(first.value);
    fill(first, models.options);
    if (!kept && models.chief) first.value = models.chief.key;
    by("show-card").disabled = !models.versions.length;
    const before = worklist.models.join(" ");
    fillOther();
    const now = models.serves(first.value) ? [first.value, other.value].filter(Boolean) : [];
    if (now.join(" ") !== before) worklist.choose(now);
  };
}
