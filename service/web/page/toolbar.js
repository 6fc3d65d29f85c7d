/** What is done with the whole worklist: filter, order, export, ask again, clear; and how far it has come. */

import { by, element, oncePerGlance, save } from "./dom.js";
import { entriesOf, toCsv, toJson } from "./exports.js";
import { className } from "./words.js";
import { ALL, DIFFERENT, FAILED, OF_CLASS, UNANSWERED } from "./worklist.js";

/** @param {import("./worklist.js").Worklist} worklist @param {() => void} askForMissing */
export function showToolbar(worklist, askForMissing) {
  const refresh = oncePerGlance(() => {
    by("toolbar").hidden = !worklist.slices.size;
    document.body.toggleAttribute("data-empty", !worklist.slices.size);
    showProgress(worklist);
    showFilters(worklist);
  });
  worklist.addEventListener("slices", refresh);
  by("order").addEventListener("change", ({ target }) => worklist.arrange({ order: target.value }));
  by("clear").addEventListener("click", () => worklist.remove([...worklist.slices.values()]));
  by("again").addEventListener("click", () => askAgain(worklist, askForMissing));
  by("csv").addEventListener("click", () => save("worklist.csv", "text/csv", toCsv(entriesOf(worklist))));
  by("json").addEventListener("click", () => save("worklist.json", "application/json", toJson(entriesOf(worklist))));
}

/** Ask again for everything that failed. */
export function askAgain(worklist, askForMissing) {
  for (const slice of worklist.slices.values()) {
    for (const [key, { state }] of slice.outcomes) if (state === "failed") worklist.note(slice, key, null);
  }
  askForMissing();
}

function showProgress(worklist) {
  const all = [...worklist.slices.values()].flatMap((slice) =>
    worklist.models.map((key) => slice.outcomes.get(key)?.state),
  );
  const answered = all.filter((state) => state === "answered").length;
  const failed = all.filter((state) => state === "failed").length;
  const done = answered + failed === all.length;
  by("progress").max = all.length || 1;
  by("progress").value = answered + failed;
  by("progress").toggleAttribute("data-done", done);
  by("counts").textContent = `${answered} of ${all.length} answered${failed ? `, ${failed} failed` : ""}`;
  by("again").hidden = !failed;
  // Spoken at the end alone: two hundred announcements would drown everything else.
  by("spoken").textContent = done && all.length ? by("counts").textContent : "";
}

function showFilters(worklist) {
  const answers = [...worklist.slices.values()].map((slice) => worklist.outcome(slice)?.answer).filter(Boolean);
  // The one that is chosen stays to be seen, also where the model that answers now knows no such class.
  const chosen = worklist.filter.startsWith(OF_CLASS) ? [worklist.filter.slice(OF_CLASS.length)] : [];
  const classes = [...new Set([...answers.flatMap(({ probabilities }) => Object.keys(probabilities)), ...chosen])];
  const words = new Map([
    [ALL, "all"],
    ...classes.map((name) => [OF_CLASS + name, className(name)]),
    [UNANSWERED, "unanswered"],
    [FAILED, "failed"],
    ...(worklist.models.length > 1 ? [[DIFFERENT, "models differ"]] : []),
  ]);
  const counts = worklist.counts([...words.keys()]);
  const shown = [...words].filter(
    ([name]) => counts.get(name) || name === ALL || name === worklist.filter || name.startsWith(OF_CLASS),
  );
  const group = by("filters");
  const buttons = new Map([...group.children].map((button) => [button.dataset.filter, button]));
  group.replaceChildren(
    ...shown.map(([name, text]) => {
      const button = buttons.get(name) ?? filterButton(name, worklist);
      button.textContent = `${text} ${counts.get(name)}`;
      button.setAttribute("aria-pressed", String(name === worklist.filter));
      return button;
    }),
  );
}

function filterButton(name, worklist) {
  const button = element("button", { type: "button", "data-filter": name });
  button.addEventListener("click", () => worklist.arrange({ filter: name }));
  return button;
}
