/** Maps as numbers: shares, their difference, the common limit, the cell under a point. No DOM. */

import { clamp, roundLimit } from "./numbers.js";

export const ARMS = ["baseline", "jpegdl"];
export const COLUMNS = [...ARMS, "difference"];

/** Values >= 0 divided by their sum; a map of zeros stays zeros. */
export function shares(values) {
  const mass = values.reduce((sum, value) => sum + value, 0);
  return values.map((value) => (mass > 0 ? value / mass : 0));
}

/** The maps of one class: shares of each arm and their difference, JPEG-DL minus baseline, row by row. */
function mapsOf({ rows, columns, baseline, jpegdl }, position) {
  const own = { baseline: shares(baseline[position]), jpegdl: shares(jpegdl[position]) };
  const difference = own.jpegdl.map((share, cell) => share - own.baseline[cell]);
  const largest = Math.max(...own.baseline, ...own.jpegdl);
  const empty = Object.fromEntries(ARMS.map((arm) => [arm, own[arm].every((share) => share === 0)]));
  return { rows, columns, ...own, difference, largest, empty, even: 1 / (rows * columns) };
}

/** All maps of a result, by class index. */
export const allMaps = (maps) => new Map(maps.classes.map((index, position) => [index, mapsOf(maps, position)]));

/** Where the ruler ends: round, for the maps of one class, or for those of all classes ("all"). */
export function limitOf(maps, index, ruler) {
  const shown = ruler === "all" ? [...maps.values()] : [maps.get(index)];
  return roundLimit(Math.max(...shown.map((map) => map.largest)));
}

/** Row, column and position of the cell that holds a point of the picture; the last row and column may be cut off. */
export function cellAt({ rows, columns }, { x, y }) {
  const row = clamp(Math.floor(y * rows), 0, Math.ceil(rows) - 1);
  const column = clamp(Math.floor(x * columns), 0, Math.ceil(columns) - 1);
  return { row, column, position: row * Math.ceil(columns) + column };
}

/** The middle of a cell, in picture widths. */
export const middleOf = ({ rows, columns }, { row, column }) => ({
  x: (column + 0.5) / columns,
  y: (row + 0.5) / rows,
});

/** For each of `size` pixels along a line of `count` values: the left neighbour and the weight of the right one. */
function along(count, size) {
  return Array.from({ length: size }, (_, pixel) => {
    const place = clamp(((pixel + 0.5) * count) / size - 0.5, 0, count - 1);
    const left = Math.min(Math.floor(place), Math.max(0, count - 2));
    return [left, Math.min(left + 1, count - 1), place - left];
  });
}

/** Enlarged to size x size by linear interpolation, as Pillow's BILINEAR: the smooth drawing of a map. */
export function enlarged(values, rows, columns, size) {
  const across = along(columns, size);
  const result = new Float64Array(size * size);
  along(rows, size).forEach(([above, below, share], y) => {
    across.forEach(([left, right, part], x) => {
      const upper = values[above * columns + left] * (1 - part) + values[above * columns + right] * part;
      const lower = values[below * columns + left] * (1 - part) + values[below * columns + right] * part;
      result[y * size + x] = upper * (1 - share) + lower * share;
    });
  });
  return result;
}
