/** Mouse, pen and fingers on the stage: drag to move or to window, wheel or pinch to zoom, double-click to reset. */

const WHEEL = 0.0015;
/** Grey levels a pixel of dragging. */
const GREY = 0.75;

/** @param {import("./stage.js").Stage} stage */
export function takeGestures(stage) {
  /** @type {Map<number, {x: number, y: number}>} */
  const fingers = new Map();
  const area = stage.element;

  area.addEventListener("pointerdown", (event) => {
    if (!(event.target instanceof HTMLCanvasElement)) return;
    event.target.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });

  area.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    if (fingers.size === 2) pinch(stage, event.target, fingers, event.pointerId, now);
    else drag(stage, event, now.x - before.x, now.y - before.y);
    fingers.set(event.pointerId, now);
  });

  for (const end of ["pointerup", "pointercancel"]) {
    area.addEventListener(end, (event) => fingers.delete(/** @type {PointerEvent} */ (event).pointerId));
  }
  area.addEventListener("dblclick", () => stage.reset());
  area.addEventListener("contextmenu", (event) => event.preventDefault());
  area.addEventListener("wheel", (event) => zoomByWheel(stage, event), { passive: false });
}

/** The tool that is chosen; with the right button or Shift the other one. */
function drag(stage, event, dx, dy) {
  const chosen = document.querySelector('input[name="drag"]:checked').value;
  const other = event.shiftKey || Boolean(event.buttons & 2);
  if ((chosen === "window") !== other) stage.shiftWindow(dy * GREY, dx * GREY);
  else stage.pan(dx, dy, event.target);
}

function pinch(stage, canvas, fingers, moved, now) {
  const before = fingers.get(moved);
  const still = [...fingers].find(([id]) => id !== moved)[1];
  const apart = (point) => Math.hypot(point.x - still.x, point.y - still.y) || 1;
  const middle = fromMiddle(canvas, (now.x + still.x) / 2, (now.y + still.y) / 2);
  stage.zoom(apart(now) / apart(before), canvas, middle.x, middle.y);
  stage.pan((now.x - before.x) / 2, (now.y - before.y) / 2, canvas);
}

function zoomByWheel(stage, event) {
  if (!(event.target instanceof HTMLCanvasElement)) return;
  event.preventDefault();
  const at = fromMiddle(event.target, event.clientX, event.clientY);
  stage.zoom(Math.exp(-event.deltaY * WHEEL), event.target, at.x, at.y);
}

function fromMiddle(canvas, x, y) {
  const box = canvas.getBoundingClientRect();
  return { x: x - box.left - box.width / 2, y: y - box.top - box.height / 2 };
}
