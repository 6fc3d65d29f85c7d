/** A slice's picture with its grey levels, and what a window and a level make of them. */

import { whyNotShown } from "./thumbnails.js";

/** Longest side kept in pixels: twice a usual slice; a larger one is shown smaller, and answered as it is. */
const LONGEST = 2048;

export class Picture {
  /** @param {ImageBitmap} bitmap */
  constructor(bitmap) {
    const scale = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
    /** Size of the upright picture, in whose pixels peak and box are told. */
    [this.width, this.height] = [bitmap.width, bitmap.height];
    this.canvas = document.createElement("canvas");
    this.canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    this.canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this.context.drawImage(bitmap, 0, 0, this.canvas.width, this.canvas.height);
    this.original = this.context.getImageData(0, 0, this.canvas.width, this.canvas.height);
    bitmap.close();
    this.window("");
  }

  /** Show grey levels from `level - width / 2` as black to `level + width / 2` as white. */
  window(wish) {
    const { level, width } = wish || { level: 127.5, width: 255 };
    if (this.windowed === `${level} ${width}`) return;
    this.windowed = `${level} ${width}`;
    const table = new Uint8ClampedArray(256).map((_, grey) => ((grey - level) / width + 0.5) * 255);
    const shown = new ImageData(this.canvas.width, this.canvas.height);
    const [from, to] = [this.original.data, shown.data];
    for (let at = 0; at < from.length; at += 4) {
      to[at] = table[from[at]];
      to[at + 1] = table[from[at + 1]];
      to[at + 2] = table[from[at + 2]];
      to[at + 3] = from[at + 3];
    }
    this.context.putImageData(shown, 0, 0);
  }
}

/** The file's picture, or null where the browser cannot show it as it is. @param {File} file */
export async function readPicture(file) {
  if (await whyNotShown(file)) return null;
  const bitmap = await createImageBitmap(file).catch(() => null);
  return bitmap && new Picture(bitmap);
}

/** A picture sent as base64. @param {string} text */
export async function decodePicture(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Picture(await createImageBitmap(new Blob([bytes])));
}
