/** One model's answer about one slice: label, a bar a class with its number, how long it took, who said it. */

import { element } from "./dom.js";
import { className, milliseconds, percent, shortName } from "./words.js";

/** @param {any} answer a prediction as `/predict` gives it */
export function answerView(answer) {
  return element(
    "div",
    { class: "answer" },
    barTable(answer),
    element("p", { class: "small" }, `${shortName(answer.model)} · ${milliseconds(answer.timing_ms.total)}`),
  );
}

function barTable({ label, probabilities }) {
  const rows = Object.entries(probabilities).map(([name, share]) => {
    const bar = element("span", { class: "bar" });
    bar.style.setProperty("--share", String(share));
    return element(
      "tr",
      { class: name === label && "likeliest" },
      element("th", { scope: "row" }, className(name)),
      element("td", { class: "track", "aria-hidden": "true" }, bar),
      element("td", { class: "number" }, percent(share)),
    );
  });
  const caption = element("caption", { class: "unseen" }, "Calibrated probability of each class");
  return element("table", { class: "bars" }, caption, element("tbody", {}, ...rows));
}

/** What there is to say of a slice that has no answer. @param {import("./worklist.js").Outcome} [outcome] */
export function stateWords(outcome) {
  if (!outcome || outcome.state === "waiting") return "Waiting";
  if (outcome.state === "asking") return outcome.note ?? "Asking …";
  if (outcome.state === "failed") return `Failed. ${outcome.problem.words}`;
  return "";
}
