/** Which part of the picture a view shows: zoom 1 is the whole, (x, y) its middle in picture widths. No DOM. */

import { clamp } from "./numbers.js";

export const WHOLE = Object.freeze({ zoom: 1, x: 0.5, y: 0.5 });
export const STEP = 1.5;
const MOST = 24;

function inside({ zoom, x, y }) {
  const half = 0.5 / zoom;
  return { zoom, x: clamp(x, half, 1 - half), y: clamp(y, half, 1 - half) };
}

/** Larger by `factor`; the point `at` stays where it is. */
export function zoomed(place, factor, at = place) {
  const zoom = clamp(place.zoom * factor, 1, MOST);
  const ratio = place.zoom / zoom;
  return inside({ zoom, x: at.x + (place.x - at.x) * ratio, y: at.y + (place.y - at.y) * ratio });
}

/** The picture moved by (dx, dy), in picture widths. */
export const moved = (place, dx, dy) => inside({ zoom: place.zoom, x: place.x - dx, y: place.y - dy });

/** Moved just as far as it takes to see the point. */
export function revealing(place, { x, y }, margin = 0.1) {
  const half = (0.5 - margin) / place.zoom;
  return inside({ zoom: place.zoom, x: clamp(place.x, x - half, x + half), y: clamp(place.y, y - half, y + half) });
}

/** Where the whole picture lies if a square of `side` at (left, top) shows this place. */
export function frame({ left, top, side }, place) {
  const whole = side * place.zoom;
  return { left: left + side / 2 - place.x * whole, top: top + side / 2 - place.y * whole, side: whole };
}

/** The point of the picture at (x, y) in the square, null outside the picture. */
export function pointAt(box, place, x, y) {
  const { left, top, side } = frame(box, place);
  const point = { x: (x - left) / side, y: (y - top) / side };
  return point.x >= 0 && point.x < 1 && point.y >= 0 && point.y < 1 ? point : null;
}
