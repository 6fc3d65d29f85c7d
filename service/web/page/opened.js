/** The opened slice's name, place and answers, and the tools around its picture. */

import { answerView, stateWords } from "./bars.js";
import { by, element, oncePerFrame } from "./dom.js";
import { className, percent } from "./words.js";

/**
 * @param {import("./worklist.js").Worklist} worklist @param {import("./viewer.js").Viewer} viewer
 * @param {import("./stage.js").Stage} stage
 */
export function showOpened(worklist, viewer, stage) {
  const refresh = oncePerFrame(() => showAnswers(worklist));
  for (const event of ["slices", "opened", "chosen"]) worklist.addEventListener(event, refresh);
  by("back").addEventListener("click", () => close(worklist));
  by("previous").addEventListener("click", () => worklist.step(-1));
  by("next").addEventListener("click", () => worklist.step(1));
  by("remove").addEventListener("click", () => worklist.opened && worklist.remove([worklist.opened]));
  wireTools(viewer, stage);
}

/** Back to the list, where the slice was. */
export function close(worklist) {
  const { opened } = worklist;
  worklist.open(null);
  requestAnimationFrame(() => (by(`slice-${opened?.id}`) ?? by("choose")).focus());
}

function showAnswers(worklist) {
  const slice = worklist.opened;
  document.body.toggleAttribute("data-open", Boolean(slice));
  by("viewer").hidden = !slice;
  by("hint").hidden = Boolean(slice);
  if (!slice) return;
  const shown = worklist.shown();
  by("opened-name").textContent = slice.name;
  by("place").textContent = shown.includes(slice)
    ? `${shown.indexOf(slice) + 1} of ${shown.length}`
    : "not in this filter";
  by("answers").replaceChildren(
    ...(worklist.differ(slice) ? [element("p", { class: "flag" }, "≠ The models differ")] : []),
    ...worklist.models.map((key) => answerOf(key, slice.outcomes.get(key))),
  );
  // The list is not there on a small screen, and what had the focus neither.
  if (!by("work").offsetParent && document.activeElement === document.body) by("back").focus();
}

function answerOf(key, outcome) {
  if (outcome?.state !== "answered")
    return element("section", {}, element("h3", {}, key), element("p", {}, stateWords(outcome)));
  const { label, tumor_probability: tumor } = outcome.answer;
  const head = element("h3", { class: "label" }, className(label), element("span", {}, `tumour ${percent(tumor)}`));
  return element("section", {}, head, answerView(outcome.answer));
}

function wireTools(viewer, stage) {
  const number = (id, set) => by(id).addEventListener("input", ({ target }) => set(Number(target.value)));
  by("overlay").addEventListener("click", () => viewer.toggleOverlay());
  number("opacity", (value) => {
    stage.opacity = value / 100;
    stage.draw();
  });
  number("level", (value) => stage.shiftWindow(value - stage.window.level, 0));
  number("width", (value) => stage.shiftWindow(0, value - stage.window.width));
  by("marks").addEventListener("change", ({ target }) => {
    stage.marks = target.checked;
    stage.draw();
  });
  by("zoom-in").addEventListener("click", () => stage.zoom(1.25));
  by("zoom-out").addEventListener("click", () => stage.zoom(0.8));
  by("reset").addEventListener("click", () => stage.reset());
  stage.addEventListener("moved", () => showTools(stage));
  showTools(stage);
}

function showTools({ view, window: { level, width } }) {
  for (const [id, value] of Object.entries({ level, width })) {
    by(id).value = by(`${id}-now`).value = String(Math.round(value));
  }
  by("zoom").textContent = `${Math.round(view.zoom * 100)} %`;
}
