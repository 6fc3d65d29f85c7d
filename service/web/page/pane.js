/** One pane's pixels: picture, map, box and peak. */

/** Zoom from which single pixels are shown as squares. */
const SQUARES = 6;

/**
 * Draw a pane of the stage.
 * @param {HTMLCanvasElement} canvas @param {import("./stage.js").Stage} stage @param {import("./stage.js").Pane} pane
 */
export function drawPane(canvas, stage, { heat, peak, box }) {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, width, height);
  const { picture, view } = stage;
  if (!picture) return;
  const scale = stage.scale(canvas) * ratio;
  const left = width / 2 + (view.x - picture.width / 2) * scale;
  const top = height / 2 + (view.y - picture.height / 2) * scale;
  context.imageSmoothingEnabled = scale < SQUARES;
  context.drawImage(picture.canvas, left, top, picture.width * scale, picture.height * scale);
  if (!heat) return;
  context.globalAlpha = stage.opacity;
  context.drawImage(heat, left, top, picture.width * scale, picture.height * scale);
  context.globalAlpha = 1;
  if (stage.marks) drawMarks(context, { left, top, scale, ratio }, peak, box);
}

/** Dashed box and ringed peak, light on dark, so that they show on any grey and any colour of the map. */
function drawMarks(context, { left, top, scale, ratio }, peak, box) {
  const outline = new Path2D();
  if (box) {
    outline.rect(
      left + box.left * scale,
      top + box.top * scale,
      (box.right - box.left) * scale,
      (box.bottom - box.top) * scale,
    );
  }
  const ring = new Path2D();
  if (peak) ring.arc(left + (peak.x + 0.5) * scale, top + (peak.y + 0.5) * scale, 7 * ratio, 0, 2 * Math.PI);
  for (const [color, thickness] of [
    ["#000", 4],
    ["#fff", 1.75],
  ]) {
    context.strokeStyle = color;
    context.lineWidth = thickness * ratio;
    context.setLineDash(color === "#fff" ? [6 * ratio, 4 * ratio] : []);
    context.stroke(outline);
    context.setLineDash([]);
    context.stroke(ring);
  }
}
