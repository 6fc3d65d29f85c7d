/** Small pictures for the list, drawn a few at a time; what a browser cannot show gets its format's name instead. */

import { Pool } from "./pool.js";

const SIDE = 144;
const pool = new Pool(2);

/**
 * Draw the file's thumbnail; `without` is told why where there is none.
 * @param {File} file @param {HTMLCanvasElement} canvas @param {(words: string) => void} without
 */
export function drawThumbnail(file, canvas, without) {
  pool.add(async () => {
    const reason = await whyNotShown(file);
    if (reason) return without(reason);
    const bitmap = await createImageBitmap(file, { resizeHeight: SIDE, resizeQuality: "low" }).catch(() => null);
    if (!bitmap) return without("no picture");
    paint(canvas, bitmap);
  });
}

/** Fit `picture` into the canvas. @param {ImageBitmap | HTMLCanvasElement} picture */
export function paint(canvas, picture) {
  const scale = Math.min(SIDE / picture.width, SIDE / picture.height);
  const [width, height] = [picture.width * scale, picture.height * scale];
  Object.assign(canvas, { width: SIDE, height: SIDE });
  canvas.getContext("2d").drawImage(picture, (SIDE - width) / 2, (SIDE - height) / 2, width, height);
  if (picture instanceof ImageBitmap) picture.close();
}

/** Why a browser does not show this file as it is, or "": TIFF not at all, deep PNG with its grey levels cut off. */
export async function whyNotShown(file) {
  const head = new Uint8Array(
    await file
      .slice(0, 26)
      .arrayBuffer()
      .catch(() => new ArrayBuffer(0)),
  );
  const text = String.fromCharCode(...head);
  if (/^(II[*+]\0|MM\0[*+])/.test(text)) return "TIFF";
  if (text.startsWith("\x89PNG") && head[24] === 16) return "16-bit PNG";
  return "";
}
