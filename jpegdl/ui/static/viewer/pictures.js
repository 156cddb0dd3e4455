/** The two pictures of a result, decoded once, and what is computed from their pixels. */

import { sheet } from "./dom.js";
import { gainFor } from "./numbers.js";

const BLOCK = 8;
const MID_GREY = 128;
const [DARKEST, CONTRAST] = [24, 0.76]; // of the dimmed picture below a map

/** A data URL -> its canvas and RGBA bytes. */
async function decode(url, size) {
  const image = new Image();
  image.src = url;
  await image.decode();
  if (image.naturalWidth !== size || image.naturalHeight !== size)
    throw new Error(`a picture of ${image.naturalWidth} x ${image.naturalHeight} came, expected ${size} x ${size}`);
  const { canvas, context } = sheet(size);
  context.drawImage(image, 0, 0);
  return { canvas, bytes: context.getImageData(0, 0, size, size).data };
}

/** The picture that differs from `base` by `change`, modulo 256, in every byte but alpha. */
function changed(base, { canvas, bytes: change }) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  for (let i = 0; i < change.length; i++) image.data[i] = i % 4 === 3 ? 255 : (base[i] + change[i]) & 255;
  context.putImageData(image, 0, 0);
  return { canvas, bytes: image.data };
}

/** Brightness 0..255 of each pixel of RGBA bytes (ITU-R BT.601, as JPEG counts it). */
function brightness(bytes) {
  const levels = new Float64Array(bytes.length / 4);
  for (let i = 0; i < levels.length; i++)
    levels[i] = 0.299 * bytes[4 * i] + 0.587 * bytes[4 * i + 1] + 0.114 * bytes[4 * i + 2];
  return levels;
}

/** A canvas of width x height whose pixel i has the colour `colourOf(i)`. */
export function raster(width, height, colourOf) {
  const { canvas, context } = sheet(width, height);
  const image = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    const colour = colourOf(i);
    for (let channel = 0; channel < 3; channel++) image.data[4 * i + channel] = colour[channel];
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

const grey = (level) => [level, level, level];

/** JPEG-DL minus baseline in brightness, in the colours of differences; full colour at +-128 / gain. */
function brightnessDifference(size, given, reconstruction, colours) {
  const difference = reconstruction.map((level, i) => level - given[i]);
  const gain = gainFor(difference.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
  const limit = MID_GREY / gain;
  return { gain, canvas: raster(size, size, (i) => colours.signed(Math.fround(difference[i]) / limit)) };
}

/** Mid-grey plus gain times the difference of each channel, as `residual_picture` draws it. */
function colourDifference(size, given, reconstruction) {
  let most = 0;
  for (let i = 0; i < given.length; i++) most = Math.max(most, Math.abs(reconstruction[i] - given[i]));
  const gain = gainFor(most);
  const channel = (i) => MID_GREY + gain * (reconstruction[i] - given[i]); // cut off by the canvas
  return { gain, canvas: raster(size, size, (i) => [channel(4 * i), channel(4 * i + 1), channel(4 * i + 2)]) };
}

/** Mean brightness of each block of 8 x 8 pixels, row by row; blocks at the edge may be smaller. */
function blockMeans(levels, size) {
  const count = Math.ceil(size / BLOCK);
  const sums = new Float64Array(count * count);
  const pixels = new Uint32Array(count * count);
  levels.forEach((level, i) => {
    const block = Math.floor(Math.floor(i / size) / BLOCK) * count + Math.floor((i % size) / BLOCK);
    sums[block] += level;
    pixels[block] += 1;
  });
  return sums.map((sum, block) => sum / pixels[block]);
}

/** Everything that the first row and the ground of the second are drawn from. */
export async function decodePictures({ size, pictures }, palette) {
  const [given, second] = await Promise.all([pictures.given, pictures.reconstruction].map((url) => decode(url, size)));
  const reconstruction = pictures.relative ? changed(given.bytes, second) : second;
  const levels = { baseline: brightness(given.bytes), jpegdl: brightness(reconstruction.bytes) };
  return {
    size,
    blocks: { rows: size / BLOCK, columns: size / BLOCK },
    baseline: given.canvas,
    jpegdl: reconstruction.canvas,
    brightness: brightnessDifference(size, levels.baseline, levels.jpegdl, palette.difference),
    colour: colourDifference(size, given.bytes, reconstruction.bytes),
    ground: raster(size, size, (i) => grey(DARKEST + CONTRAST * levels.baseline[i])),
    means: { baseline: blockMeans(levels.baseline, size), jpegdl: blockMeans(levels.jpegdl, size) },
  };
}
