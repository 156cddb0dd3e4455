/** Draws one view, whatever it shows, into a square of a canvas. The page and the stage use the same strokes. */

import { inkOn, MAP_OPACITY, overPicture } from "./colours.js";
import { cellAt, enlarged } from "./maps.js";
import { clamp, digitsFor, percent, points } from "./numbers.js";
import { raster } from "./pictures.js";
import { frame } from "./place.js";

const SMOOTH = 256; // pixels along a side of a smooth drawing before it is stretched
const PIXELATED = 2; // from so many device pixels a source pixel is a square
const GRID = ["rgb(255 255 255 / 0.4)", "rgb(0 0 0 / 0.3)"]; // side by side, so that one of them shows on any ground
const OVERLAY_OPACITY = 0.5;
const [WIDTH, LEAST] = [2.8, 11]; // of a number in a cell: heights that fit into its width, and CSS pixels

/**
 * What `row` shows of `arm`, in the square `box` of `context` (device pixels).
 *
 * `scene` has: pictures, map, limit, palette, options, place, cursor (or null), ratio (device pixels per CSS pixel), if
 * cells have numbers their height at most (device pixels) and font, and cut (of a divider: at, and upright if that counts
 * from the top).
 */
export function paint(context, box, row, arm, scene) {
  const whole = frame(box, scene.place);
  context.save();
  context.beginPath();
  context.rect(box.left, box.top, box.side, box.side);
  context.clip();
  if (row === "given") paintGiven(context, whole, arm, scene);
  else paintMap(context, whole, arm, scene);
  if (scene.cursor) paintCursor(context, whole, row === "given" ? scene.pictures.blocks : scene.map, scene);
  context.restore();
}

function stretch(context, picture, { left, top, side }) {
  context.imageSmoothingEnabled = side / picture.width < PIXELATED;
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, left, top, side, side);
}

/** The canvas of the first row: a picture, or the difference that the options name. */
function pictureOf(arm, { pictures, options }) {
  return arm === "difference" ? pictures[options.difference].canvas : pictures[arm];
}

function paintGiven(context, whole, arm, scene) {
  stretch(context, pictureOf(arm, scene), whole);
  if (scene.options.grid) paintGrid(context, whole, scene);
}

function paintGrid(context, { left, top, side }, { pictures, ratio }) {
  const width = Math.max(1, Math.round(ratio));
  GRID.forEach((colour, shift) => {
    context.fillStyle = colour;
    for (let line = 1; line < pictures.blocks.rows; line++) {
      const at = Math.round((line / pictures.blocks.rows) * side) + shift * width;
      context.fillRect(left + at, top, width, side);
      context.fillRect(left, top + at, side, width);
    }
  });
}

function paintMap(context, whole, arm, scene) {
  const { pictures, options } = scene;
  const overlay = options.drawing === "overlay" && arm !== "difference";
  context.globalAlpha = 1;
  if (options.picture || overlay) stretch(context, overlay ? pictures.baseline : pictures.ground, whole);
  context.globalAlpha = overlay ? OVERLAY_OPACITY : options.picture ? MAP_OPACITY : 1;
  if (options.drawing === "cells") paintCells(context, whole, arm, scene);
  else {
    context.imageSmoothingEnabled = true;
    context.drawImage(smooth(arm, scene), whole.left, whole.top, whole.side, whole.side);
  }
  context.globalAlpha = 1;
  if (scene.numbers && !overlay) paintNumbers(context, whole, arm, scene);
}

/** The colour of a share, or of a difference of shares, on the one ruler. */
const colourOf = (value, arm, { limit, palette }) =>
  arm === "difference" ? palette.difference.signed(value / limit) : palette.heat.at(value / limit);

/** Left, top, width and height of each cell in whole device pixels, without gaps. */
function* cells({ left, top, side }, { rows, columns }) {
  const edge = (start, part, count) => Math.round(start + (part / count) * side);
  for (let row = 0; row < rows; row++) {
    const [y, below] = [edge(top, row, rows), edge(top, row + 1, rows)];
    for (let column = 0; column < columns; column++) {
      const [x, after] = [edge(left, column, columns), edge(left, column + 1, columns)];
      yield { x, y, width: after - x, height: below - y, position: row * columns + column };
    }
  }
}

function paintCells(context, whole, arm, scene) {
  for (const { x, y, width, height, position } of cells(whole, scene.map)) {
    context.fillStyle = `rgb(${colourOf(scene.map[arm][position], arm, scene).join(" ")})`;
    context.fillRect(x, y, width, height);
  }
}

function paintNumbers(context, whole, arm, scene) {
  const { map, options, ratio, limit } = scene;
  const tall = Math.min(scene.numbers, whole.side / map.columns / WIDTH);
  if (tall < LEAST * ratio) return; // nobody could read them
  context.font = `700 ${tall}px ${scene.font}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (const { x, y, width, height, position } of cells(whole, map)) {
    const centre = { x: x + width / 2, y: y + height / 2 };
    if (isCut(centre, tall, scene.cut)) continue;
    const value = map[arm][position];
    const colour = colourOf(value, arm, scene);
    const text = arm === "difference" ? points(value, digitsFor(limit)) : (100 * value).toFixed(digitsFor(limit));
    context.fillStyle = inkOn(options.picture ? overPicture(colour) : colour);
    context.fillText(text, centre.x, centre.y);
  }
}

/** Whether the divider goes through a number: halves of two networks' numbers would read as one. */
const isCut = ({ x, y }, height, cut) =>
  cut && Math.abs(cut.at - (cut.upright ? y : x)) < (cut.upright ? 0.7 : 1.3) * height;

const drawn = new WeakMap(); // smooth drawings of a map, by what else they depend on

/** The map enlarged by interpolation, then coloured: on the ruler, or in jet from its own minimum to its own maximum. */
function smooth(arm, scene) {
  const { map, limit, options } = scene;
  if (!drawn.has(map)) drawn.set(map, new Map());
  const overlay = options.drawing === "overlay" && arm !== "difference";
  const key = overlay ? `${arm} jet` : `${arm} ${limit}`;
  if (!drawn.get(map).has(key)) {
    const values = enlarged(map[arm], map.rows, map.columns, SMOOTH);
    const [least, most] = [Math.min(...map[arm]), Math.max(...map[arm])];
    const jet = (value) => scene.palette.jet.at(most > least ? clamp((value - least) / (most - least), 0, 1) : 0);
    const colour = overlay ? jet : (value) => colourOf(value, arm, scene);
    drawn.get(map).set(
      key,
      raster(SMOOTH, SMOOTH, (i) => colour(values[i])),
    );
  }
  return drawn.get(map).get(key);
}

/** The outline of the cell or block that holds the cursor, white inside black: seen on any ground. */
function paintCursor(context, { left, top, side }, grid, { cursor, ratio }) {
  const { row, column } = cellAt(grid, cursor);
  const at = [
    left + (column / grid.columns) * side,
    top + (row / grid.rows) * side,
    side / grid.columns,
    side / grid.rows,
  ];
  for (const [width, colour] of [
    [4, "#000"],
    [2, "#fff"],
  ]) {
    context.lineWidth = width * ratio;
    context.strokeStyle = colour;
    context.strokeRect(...at);
  }
}

/** The number under the cursor: mean brightness of a block, or share of a cell; null without a cursor. */
export function reading(row, arm, { pictures, map, limit, cursor }) {
  if (!cursor) return null;
  if (row === "given") {
    const { position } = cellAt(pictures.blocks, cursor);
    const { baseline, jpegdl } = pictures.means;
    return arm === "difference" ? jpegdl[position] - baseline[position] : pictures.means[arm][position];
  }
  return map[arm][cellAt(map, cursor).position];
}

/** The same as text, with its unit. */
export function readingText(row, arm, scene, texts) {
  const value = reading(row, arm, scene);
  if (value === null) return "";
  if (row === "given") return texts.level(value, arm === "difference");
  const digits = digitsFor(scene.limit);
  return arm === "difference" ? texts.points(points(value, digits)) : percent(value, digits);
}
