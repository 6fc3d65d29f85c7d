/** A heatmap in colour: viridis, whose lightness rises evenly with the value, as opaque as the value is high. */

/** Every eighth colour of viridis (Smith and van der Walt, CC0), as in the service's own overlay. */
const ANCHORS = (
  "440154 470d60 48186a 482374 472d7b 453781 424086 3e4989 3b528b 375b8d 33638d " +
  "2f6b8e 2c728e 297a8e 26828e 23898e 21908c 1f978b 1f9f88 21a685 27ad81 31b57b " +
  "3ebc74 4dc26c 5cc863 6ece58 82d34d 95d840 aadc32 c0df25 d5e21a eae51a fde725"
)
  .split(" ")
  .map((hex) => [0, 2, 4].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)));

/** 256 colours with their opacity, as pixels are laid out in memory. */
const TABLE = new Uint8ClampedArray(
  Array.from({ length: 256 }, (_, level) => {
    const place = (level / 255) * (ANCHORS.length - 1);
    const [low, high] = [ANCHORS[Math.floor(place)], ANCHORS[Math.ceil(place)]];
    return [...low.map((from, channel) => from + (high[channel] - from) * (place % 1)), level];
  }).flat(),
);

/**
 * The map as a picture of its own size, transparent where nothing speaks for the class.
 * @param {number[][]} rows values in [0, 1]
 */
export function heatCanvas(rows) {
  const [width, height] = [rows[0].length, rows.length];
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const pixels = new ImageData(width, height);
  const colors = new Uint32Array(TABLE.buffer);
  const out = new Uint32Array(pixels.data.buffer);
  let at = 0;
  for (const row of rows) for (const value of row) out[at++] = colors[Math.round(value * 255)];
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}
