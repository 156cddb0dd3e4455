/** Colours of numbers, from the tables that the server sends (made by jpegdl/analysis/figures.py). */

import { clamp, rint } from "./numbers.js";

const UNDER_MAP = 124; // the mean level of the dimmed picture below a map
export const MAP_OPACITY = 0.66;

const parse = (hex) => {
  const value = parseInt(hex.replace("#", ""), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
};

/** One table of colours: `at` takes a position 0..1 and cuts off beyond. */
function scale(hexes) {
  const colours = hexes.map(parse);
  const at = (position) => colours[rint(clamp(position, 0, 1) * (colours.length - 1))];
  return { at, signed: (position) => at((clamp(position, -1, 1) + 1) / 2) };
}

/** {"heat": [hex], "difference": [hex], "jet": [hex]} -> the same names, each with `at` and `signed`. */
export const palette = (tables) =>
  Object.fromEntries(Object.entries(tables).map(([name, hexes]) => [name, scale(hexes)]));

/** The colour as it looks over the dimmed picture, on average. */
export const overPicture = (colour) => colour.map((level) => level * MAP_OPACITY + UNDER_MAP * (1 - MAP_OPACITY));

/** A CSS gradient from left to right through the whole table; `change` is applied to each colour. */
export function gradient(colours, change = (colour) => colour, steps = 32) {
  const stops = Array.from({ length: steps + 1 }, (_, step) => `rgb(${change(colours.at(step / steps)).join(" ")})`);
  return `linear-gradient(to right, ${stops.join(", ")})`;
}

/** Black or white, whichever reads better on the colour (relative luminance of sRGB). */
export function inkOn(colour) {
  const [red, green, blue] = colour.map((level) => {
    const share = level / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff";
}
