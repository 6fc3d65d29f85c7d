/** What is to be explained and how, and what there is to say of a map. */

import { by, fill } from "./dom.js";
import { className, methodName, modelName } from "./words.js";

const PREDICTED = { value: "", text: "predicted class" };

/** Offer what the first of these models that explains can draw. @param {any[]} details versions with their cards */
export function offerWishes(details) {
  const card = details.map((detail) => detail.card).find((each) => each?.explain);
  by("wishes").hidden = !card;
  if (!card) return;
  fill(by("target"), [PREDICTED, ...card.class_names.map((name) => ({ value: name, text: className(name) }))]);
  fill(
    by("method"),
    card.explain.methods.map((name) => ({ value: name, text: methodName(name) })),
  );
  const before = by("layer").value;
  fill(
    by("layer"),
    Object.keys(card.explain.layers).map((name) => ({ value: name, text: name })),
  );
  if (!(before in card.explain.layers)) by("layer").value = card.explain.default_layer;
}

/** What is wished, as far as this model offers it; the rest is left to its card's defaults. */
export function wishFor({ class_names: classes, explain }) {
  const given = (select, offered) => (offered.includes(select.value) ? select.value : "");
  return {
    target: given(by("target"), classes),
    method: given(by("method"), explain.methods),
    layer: given(by("layer"), Object.keys(explain.layers)),
  };
}

/** @param {any} found an explanation */
export function evidenceWords({ target, method, layer, evidence, peak, box }) {
  const how = `${methodName(method)} from ${layer}`;
  if (!evidence) return `No place in the picture speaks for ${className(target)} (${how}).`;
  return [
    `Evidence for ${className(target)}: ${how}.`,
    `Its peak lies at x ${peak.x}, y ${peak.y}; what is at least half as high lies within`,
    `x ${box.left}–${box.right}, y ${box.top}–${box.bottom}.`,
    "It shows where the network found evidence, not where a tumour ends.",
  ].join(" ");
}

export function noExplanationWords(detail) {
  return `${modelName(detail)} predicts but does not explain: it comes without maps, so none is shown.`;
}

/** Why there is nothing to look at. */
export function noPictureWords(format, explains) {
  const what = format ? `Browsers do not show ${format} as it is.` : "The browser cannot show this file.";
  return explains
    ? `${what} The service's own grey picture follows with the map.`
    : `${what} The answer does not depend on it.`;
}
