/** Everything from the keyboard. Letters and signs count only in the list and on the stage (WCAG 2.1.4). */

import { by } from "./dom.js";
import { close } from "./opened.js";

const STEPS = {
  ArrowDown: 1,
  ArrowRight: 1,
  ArrowUp: -1,
  ArrowLeft: -1,
  PageDown: 10,
  PageUp: -10,
  Home: -Infinity,
  End: Infinity,
};
const PANS = { ArrowDown: [0, -40], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowLeft: [40, 0] };

/**
 * @param {import("./worklist.js").Worklist} worklist @param {import("./viewer.js").Viewer} viewer
 * @param {import("./stage.js").Stage} stage
 */
export function takeKeys(worklist, viewer, stage) {
  const signs = {
    "+": () => stage.zoom(1.25),
    "=": () => stage.zoom(1.25),
    "-": () => stage.zoom(0.8),
    0: () => stage.reset(),
    "[": () => turn("opacity", -10),
    "]": () => turn("opacity", 10),
    s: () => otherLayout(),
    m: () => by("marks").click(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !worklist.slices.size || belongsElsewhere(event)) return;
    const run =
      event.shiftKey && PANS[event.key] ? () => stage.pan(...PANS[event.key]) : action(event, worklist, viewer, signs);
    if (!run) return;
    event.preventDefault();
    run();
  });
}

function action({ key, target }, worklist, viewer, signs) {
  if (key in STEPS) return () => step(worklist, STEPS[key]);
  if (key === " " && worklist.opened) return () => viewer.toggleOverlay();
  if (key === "Enter" && by("list").contains(target)) return () => look(worklist);
  if (key === "Escape" && worklist.opened) return () => close(worklist);
  const near = by("list").contains(target) || by("stage").contains(target);
  return near && worklist.opened ? signs[key.toLowerCase()] : undefined;
}

/** Whether the key means something to what has the focus, or a dialog is open. */
function belongsElsewhere({ key, target }) {
  if (document.querySelector("dialog[open]")) return true;
  if (target.closest("input, select, textarea")) return key !== "Escape";
  return Boolean(target.closest("button, a, summary")) && (key === " " || key === "Enter");
}

function step(worklist, steps) {
  worklist.step(steps);
  if (document.activeElement === document.body && worklist.opened) by(`slice-${worklist.opened.id}`)?.focus();
}

/** From the list to the picture. */
function look(worklist) {
  if (!worklist.opened) worklist.step(0);
  requestAnimationFrame(() => (by("stage").checkVisibility() ? by("stage") : by("back")).focus());
}

function turn(id, change) {
  const input = by(id);
  input.value = String(Number(input.value) + change);
  input.dispatchEvent(new Event("input"));
}

function otherLayout() {
  document.querySelector('input[name="layout"]:not(:checked)').click();
}
