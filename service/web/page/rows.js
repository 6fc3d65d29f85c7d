/** The worklist as a list to read, with one row a slice. */

import { answerView, stateWords } from "./bars.js";
import { by, element, oncePerFrame, oncePerGlance } from "./dom.js";
import { drawThumbnail, paint } from "./thumbnails.js";
import { className, percent } from "./words.js";

/** Milliseconds of a frame that rows may take; what is left over is done in the next one. */
const BUDGET = 25;

/** @param {import("./worklist.js").Worklist} worklist */
export function showList(worklist) {
  const list = by("list");
  /** @type {Map<number, HTMLElement>} */
  const rows = new Map();

  const refresh = oncePerGlance(work);
  const goOn = oncePerFrame(work);

  function work() {
    const end = performance.now() + BUDGET;
    for (const slice of worklist.changed) {
      worklist.changed.delete(slice);
      if (!worklist.slices.has(slice.id)) continue;
      if (!rows.has(slice.id)) rows.set(slice.id, newRow(slice, worklist));
      update(rows.get(slice.id), slice, worklist);
      if (performance.now() > end) break;
    }
    for (const id of rows.keys()) if (!worklist.slices.has(id)) rows.delete(id);
    arrange(
      list,
      worklist.shown().flatMap(({ id }) => rows.get(id) ?? []),
    );
    list.hidden = !list.childElementCount;
    by("nothing").hidden = !worklist.slices.size || !list.hidden || worklist.changed.size > 0;
    mark(list, rows, worklist.opened);
    list.setAttribute("aria-busy", String(worklist.changed.size > 0));
    if (worklist.changed.size) goOn();
  }

  worklist.addEventListener("slices", () => {
    list.setAttribute("aria-busy", "true");
    refresh();
  });
  worklist.addEventListener("opened", () => {
    const row = mark(list, rows, worklist.opened);
    row?.scrollIntoView({ block: "nearest" });
    if (list.contains(document.activeElement)) row?.focus({ preventScroll: true });
  });
  /** Show a picture that the browser could not draw by itself. */
  return (slice, picture) => {
    const row = rows.get(slice.id);
    if (!row?.hasAttribute("data-no-picture")) return;
    row.removeAttribute("data-no-picture");
    paint(row.querySelector("canvas"), picture);
  };
}

function newRow(slice, worklist) {
  const canvas = element("canvas", { class: "thumbnail", width: "1", height: "1" });
  const instead = element("span", { class: "instead" });
  const picture = element("div", { class: "picture", "aria-hidden": "true" }, canvas, instead);
  const words = element("div", { class: "words" });
  const row = element("li", { role: "option", id: `slice-${slice.id}`, tabindex: "-1" }, picture, words);
  row.addEventListener("click", () => {
    row.focus({ preventScroll: true });
    worklist.open(slice);
  });
  drawThumbnail(slice.file, canvas, (reason) => {
    row.setAttribute("data-no-picture", "");
    instead.textContent = reason;
  });
  return row;
}

function update(row, slice, worklist) {
  const outcomes = worklist.models.map((key) => slice.outcomes.get(key));
  const different = worklist.differ(slice);
  row.dataset.state = outcomes[0]?.state ?? "waiting";
  row.setAttribute(
    "aria-label",
    [slice.name, ...outcomes.map(spoken), different ? "the models differ" : ""].filter(Boolean).join(": "),
  );
  row.lastElementChild.replaceChildren(
    element("p", { class: "name", title: slice.name }, slice.name),
    ...(different ? [element("p", { class: "flag" }, "≠ The models differ")] : []),
    element("div", { class: "outcomes" }, ...outcomes.map(outcomeView)),
  );
}

function outcomeView(outcome) {
  if (outcome?.state !== "answered") return element("p", { class: "state" }, stateWords(outcome));
  const { label, tumor_probability: tumor } = outcome.answer;
  const head = element("p", { class: "label" }, className(label), element("span", {}, `tumour ${percent(tumor)}`));
  return element("div", {}, head, answerView(outcome.answer));
}

/** A row's outcome in one breath. */
export function spoken(outcome) {
  if (outcome?.state !== "answered") return stateWords(outcome);
  const { label, probabilities, tumor_probability: tumor } = outcome.answer;
  return `${className(label)} ${percent(probabilities[label])}, tumour ${percent(tumor)}`;
}

/** Bring the rows into this order, moving only those that stand elsewhere; the focus stays. */
function arrange(list, wanted) {
  const focused = document.activeElement;
  let at = list.firstElementChild;
  for (const row of wanted) {
    if (row === at) at = at.nextElementSibling;
    else if (row.isConnected && list.moveBefore) list.moveBefore(row, at);
    else list.insertBefore(row, at);
  }
  while (at) {
    const next = at.nextElementSibling;
    at.remove();
    at = next;
  }
  if (wanted.includes(focused) && document.activeElement !== focused) focused.focus({ preventScroll: true });
}

/** Show which slice is open; the tab key finds it, or else the first. */
function mark(list, rows, opened) {
  const row = opened && rows.get(opened.id);
  for (const each of list.querySelectorAll('[aria-selected="true"], [tabindex="0"]')) {
    each.setAttribute("aria-selected", "false");
    each.tabIndex = -1;
  }
  row?.setAttribute("aria-selected", "true");
  const reached = row?.isConnected ? row : list.firstElementChild;
  if (reached) reached.tabIndex = 0;
  return row;
}
