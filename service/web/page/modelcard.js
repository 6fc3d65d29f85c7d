/** A model's card for people: what it is for, how good it was found to be, and where it must not be believed. */

import { by, element, fill } from "./dom.js";
import { className, estimate, methodName, modelName } from "./words.js";

/** @param {import("./models.js").Models} models */
export function showCards(models) {
  const chooser = by("card-model");
  const show = async () => {
    by("card").replaceChildren(element("p", {}, "Asking for the card …"));
    const wanted = chooser.value;
    const content = await models.detail(wanted).then(cardOf, (problem) => [element("p", {}, problem.words)]);
    if (chooser.value === wanted) by("card").replaceChildren(...content);
  };
  chooser.addEventListener("change", show);
  by("show-card").addEventListener("click", () => {
    fill(
      chooser,
      models.options.map((option) => ({ ...option, disabled: false })),
    );
    chooser.value = by("model").value || chooser.value;
    by("card-dialog").showModal();
    show();
  });
}

/** @returns {Node[]} */
function cardOf(detail) {
  const { card } = detail;
  const state = detail.state === "ready" ? `Serves on ${detail.provider}.` : `Does not serve: ${detail.reason}`;
  if (!card) return [element("p", {}, state)];
  return [
    element("p", {}, `${modelName(card)}, ${card.architecture}. ${state} ${card.change}`),
    section("Intended use", element("p", {}, card.intended_use)),
    section("Limits", element("ul", {}, ...card.limitations.map((each) => element("li", {}, each)))),
    section("Figures, with 95 % intervals", ...figures(card.metrics)),
    section("Data", ...dataOf(card.data)),
    section("Explanations", element("p", {}, explanations(card.explain))),
    section("Identity", identity(detail, card)),
  ];
}

function section(title, ...content) {
  return element("section", {}, element("h3", {}, title), ...content);
}

function explanations(explain) {
  if (!explain) return "None: this version predicts, but cannot show where its evidence lies.";
  return `${explain.methods.map(methodName).join(", ")}; layers ${Object.keys(explain.layers).join(", ")}.`;
}

function figures({ protocol, per_class: classes, ...all }) {
  const names = { accuracy: "Accuracy", macro_f1: "Macro F1", auroc: "AUROC", ece: "Calibration error (ECE)" };
  const rows = Object.entries(names).map(([key, name]) => [name, estimate(all[key])]);
  const each = Object.entries(classes).map(([name, { precision, recall, f1, support }]) => [
    className(name),
    ...[precision, recall, f1].map(estimate),
    String(support),
  ]);
  return [
    table("Figures of all classes", ["Figure", "Value"], rows),
    table("Figures of each class", ["Class", "Precision", "Recall", "F1", "Slices"], each),
    element("p", { class: "small" }, protocol),
  ];
}

function dataOf({ name, licence, split_by: splitBy, counts }) {
  const classes = [...new Set(Object.values(counts).flatMap(Object.keys))];
  const rows = Object.entries(counts).map(([part, of]) => [part, ...classes.map((each) => String(of[each] ?? 0))]);
  const words = element("p", {}, `${name}. Licence: ${licence}. Split: ${splitBy}.`);
  return rows.length ? [words, table("Slices in each part", ["Part", ...classes.map(className)], rows)] : [words];
}

function identity(detail, card) {
  const facts = {
    "SHA-256": detail.sha256,
    Input: `${card.input.width} × ${card.input.height}, ${card.input.color}`,
    Precision: card.precision,
    Temperature: card.temperature.toFixed(3),
    Batches: detail.plan ? `${detail.plan.lanes} lanes, at most ${detail.plan.max_batch_size} slices each` : "none",
  };
  const parts = Object.entries(facts).flatMap(([name, value]) => [
    element("dt", {}, name),
    element("dd", {}, String(value)),
  ]);
  return element("dl", {}, ...parts);
}

function table(caption, heads, rows) {
  const head = element("tr", {}, ...heads.map((each) => element("th", { scope: "col" }, each)));
  const body = rows.map(([first, ...others]) =>
    element("tr", {}, element("th", { scope: "row" }, first), ...others.map((each) => element("td", {}, each))),
  );
  const made = element(
    "table",
    {},
    element("caption", {}, caption),
    element("thead", {}, head),
    element("tbody", {}, ...body),
  );
  return element("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption }, made);
}
