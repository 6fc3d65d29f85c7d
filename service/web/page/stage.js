/** One or more panes that show the same place of the same picture, with or without a map over it. */

import { by, element, oncePerFrame } from "./dom.js";
import { drawPane } from "./pane.js";

export const FULL_WINDOW = { level: 127.5, width: 255 };
const START = { zoom: 1, x: 0, y: 0 };
const [LEAST, MOST] = [0.5, 32];

/** @typedef {{caption: string, heat: HTMLCanvasElement | null, peak?: any, box?: any}} Pane */

export class Stage extends EventTarget {
  /** @type {import("./picture.js").Picture | null} */
  picture = null;
  /** @type {Pane[]} */
  panes = [];
  /** Zoom beyond fitting, and how far the picture's middle lies from the pane's, in the picture's pixels. */
  view = { ...START };
  window = { ...FULL_WINDOW };
  opacity = 0.6;
  marks = true;
  draw = oncePerFrame(() => this.#draw());

  constructor() {
    super();
    this.element = by("stage");
    new ResizeObserver(this.draw).observe(this.element);
  }

  /** @param {import("./picture.js").Picture | null} picture @param {Pane[]} panes */
  show(picture, panes) {
    this.picture = picture;
    this.panes = panes;
    while (this.element.children.length > panes.length) this.element.lastElementChild.remove();
    while (this.element.children.length < panes.length) this.element.append(newPane());
    panes.forEach(({ caption }, index) => {
      const figure = this.element.children[index];
      figure.lastElementChild.textContent = caption;
      figure.querySelector("canvas").setAttribute("aria-label", caption);
    });
    this.draw();
  }

  /** Screen pixels that one of the picture's pixels takes. @param {Element} canvas */
  scale(canvas) {
    if (!this.picture) return 1;
    const fit = Math.min(canvas.clientWidth / this.picture.width, canvas.clientHeight / this.picture.height);
    return fit * this.view.zoom;
  }

  /** Zoom by a factor; what lies `dx`, `dy` screen pixels from the pane's middle stays where it is. */
  zoom(factor, canvas = this.element.querySelector("canvas"), dx = 0, dy = 0) {
    const zoom = Math.max(LEAST, Math.min(MOST, this.view.zoom * factor));
    const before = this.scale(canvas);
    const after = (before * zoom) / this.view.zoom;
    this.view = { zoom, x: this.view.x + dx / after - dx / before, y: this.view.y + dy / after - dy / before };
    this.#moved();
  }

  /** Move the picture by screen pixels. */
  pan(dx, dy, canvas = this.element.querySelector("canvas")) {
    const scale = this.scale(canvas);
    this.view = { ...this.view, x: this.view.x + dx / scale, y: this.view.y + dy / scale };
    this.#moved();
  }

  /** Move level and width by grey levels. */
  shiftWindow(level, width) {
    const bound = (value, low, high) => Math.max(low, Math.min(high, value));
    this.window = {
      level: bound(this.window.level + level, 0, 255),
      width: bound(this.window.width + width, 1, 510),
    };
    this.#moved();
  }

  reset() {
    this.view = { ...START };
    this.window = { ...FULL_WINDOW };
    this.#moved();
  }

  #moved() {
    this.draw();
    this.dispatchEvent(new Event("moved"));
  }

  #draw() {
    this.picture?.window(this.window);
    this.panes.forEach((pane, index) => {
      const canvas = this.element.children[index]?.querySelector("canvas");
      if (canvas) drawPane(canvas, this, pane);
    });
  }
}

function newPane() {
  const glass = element("div", { class: "glass" }, element("canvas", { role: "img", width: "1", height: "1" }));
  return element("figure", {}, glass, element("figcaption"));
}
