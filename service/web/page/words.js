/** How numbers and names are written for people. */

/** A probability in per cent; the ends are not rounded to a certainty that nobody claims. */
export function percent(share) {
  if (share > 0 && share < 0.001) return "<0.1 %";
  if (share < 1 && share > 0.999) return ">99.9 %";
  return `${(share * 100).toFixed(1)} %`;
}

/** A class as people read it: `no_tumor` → `no tumor`. */
export function className(name) {
  return name.replaceAll("_", " ");
}

/** A figure of the card with its interval. @param {{value: number, low: number, high: number}} estimate */
export function estimate({ value, low, high }) {
  return `${value.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`;
}

export function milliseconds(number) {
  return `${number < 10 ? number.toFixed(1) : Math.round(number)} ms`;
}

export function modelName({ name, version }) {
  return `${name} version ${version}`;
}

/** The same where there is little room. */
export function shortName({ name, version }) {
  return `${name} v${version}`;
}

/** How a way of drawing maps is written in the literature; one that is not listed here keeps its own name. */
export function methodName(method) {
  const names = {
    gradcam: "Grad-CAM",
    gradcampp: "Grad-CAM++",
    hirescam: "HiResCAM",
    layercam: "LayerCAM",
    eigencam: "EigenCAM",
  };
  return names[method] ?? method;
}
