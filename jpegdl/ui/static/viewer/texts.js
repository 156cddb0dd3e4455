/** Every English word of the viewer. `mountTable` takes an object of the same form that replaces parts of it. */

import { percent, points, signed } from "./numbers.js";

export const TEXTS = {
  arms: { baseline: "Baseline", jpegdl: "JPEG-DL", difference: "Difference" },
  rows: { given: "What it is given", looks: "Where it looks", says: "What it says" },
  waiting: "The first result is being computed.",
  old: "old: ",
  columns: "Which column",
  level: (value, difference) => (difference ? `${signed(Math.round(value))} levels` : `${Math.round(value)} of 255`),
  points: (value) => `${value} points`,
  hold: (arm) => `hold: ${arm}`,
  zoom: (factor) => `×${factor.toFixed(1)}`,
  captions: {
    picture: (size) => `the picture, ${size} × ${size}`,
    reconstruction: (quantizer) => (quantizer === "hard" ? "hard reconstruction" : "soft reconstruction"),
    brightness: (gain) => `brightness ×${gain}, to ±${128 / gain}`,
    colour: (gain) => `colour ×${gain}, grey is equal`,
    map: (rows, columns, name) => `${rows} × ${columns} cells, ${name}`,
    overlay: (name) => `own scale, ${name}`,
    doubtful: (name, share) => `${name} (given ${share < 0.0005 ? "under 0.1\u00a0%" : percent(share)})`,
    noMap: (name) => `no evidence for ${name} at this stage`,
    overlayDifference: "JPEG-DL − baseline, in shares",
    mapDifference: "JPEG-DL − baseline, same ruler",
  },
  // One view for a screen reader: what it shows and which keys work in it.
  view: (arm, row, caption) =>
    `${arm}, ${row}: ${caption}. Arrow keys read values, plus and minus zoom, 0 shows the whole, G the 8 by 8 grid, Enter enlarges.`,
  viewRole: "picture",
  block: (row, column, values) => `block row ${row}, column ${column}: ${values}`,
  cell: (row, column, values) => `cell row ${row}, column ${column}: ${values}`,
  ruler: {
    even: (share, digits) => `${percent(share, digits)} spread evenly`,
    cell: (limit) => `${limit}\u00a0% a cell`,
    points: (limit) => `+${limit} points`,
    darker: (limit) => `\u2212${limit} levels, darker`,
    brighter: (limit) => `brighter, +${limit} levels`,
    own: "each map on its own scale: where, not how much",
    ends: ["lowest", "highest"],
  },
  bars: {
    column: (arm) => `${arm}: class to explain`,
    share: (name, share, isTrue) => `${name}, ${percent(share)}${isTrue ? ", true label" : ""}`,
    change: (name, change, isTrue) => `${name}, ${points(change)} points${isTrue ? ", true label" : ""}`,
    true: "true",
    explained: "explained",
  },
  tools: {
    enlarge: "Enlarge",
    enlargeRow: (row) => `Enlarge: ${row}`,
    grid: "8 × 8 grid",
    picture: "Picture",
    numbers: "Numbers",
    difference: { label: "Difference as", brightness: "Brightness difference", colour: "Colour difference" },
    drawing: { label: "Maps drawn as", cells: "Cells as they are", smooth: "Smooth", overlay: "Papers’ overlay" },
    ruler: { label: "Ruler", class: "Ruler for this class", all: "Ruler for all classes" },
  },
  stage: {
    modes: { label: "How to compare", side: "Side by side", slide: "Slide", blink: "Blink", difference: "Difference" },
    fronts: "Which network is in front",
    close: "Close",
    refused: "The page around this one does not allow full screen.",
    screen: "Full screen",
    zoom: "Zoom",
    zoomIn: "Zoom in",
    zoomOut: "Zoom out",
    whole: "whole picture",
    fit: "fit",
    divider: "Divider: how much of the baseline is seen",
    hint: "Point at the picture, or tap it, to read both values.",
    right: "right",
    wrong: "wrong",
    trueLabel: (name) => `true label ${name}`,
    noLabel: "true label not known",
    test: (count) => `Test set, ${count.toLocaleString("en")} pictures`,
    accuracy: (share) => `${percent(share)} right`,
    change: (change) => `difference ${points(change)} points`,
    keys: [
      [["1"], "baseline"],
      [["2"], "JPEG-DL"],
      [["3"], "difference"],
      [["A"], "side by side"],
      [["S"], "slide"],
      [["B"], "blink"],
      [["←", "→"], "divider"],
      [["PgUp", "PgDn"], "other row"],
      [["+", "−", "0"], "zoom"],
      [["G"], "8 × 8 grid"],
      [["N"], "numbers"],
      [["P"], "picture"],
      [["Esc"], "close"],
    ],
  },
  judged: {
    both: "Both are right.",
    baseline: "Only the baseline is right.",
    jpegdl: "Only JPEG-DL is right.",
    none: (name) => `Both are wrong; the true label is ${name}.`,
    unknown: (count) =>
      `The picture shows none of the ${count} classes, or its class is not known, so neither counts as right.`,
  },
  // Words of the sentences that explain themselves on tap.
  terms: {
    "soft reconstruction":
      "The picture as JPEG-DL’s first layer leaves it: cut into blocks of 8 × 8 pixels, each frequency rounded in learned " +
      "steps, but softly, so that training can follow. It is what the network gets, shown pixel by pixel.",
    maps:
      "How much each cell of the network’s own grid argues for the class (GradCAM++). Every map is divided by its sum, so " +
      "its cells add up to 100 %, and both networks are drawn on one ruler.",
    points: "The difference of two percentages: from 40 % to 43 % is +3 points.",
  },
};

/** The texts with some of them replaced. */
export function withTexts(changes = {}, base = TEXTS) {
  const merged = { ...base };
  for (const [name, value] of Object.entries(changes)) {
    const inner = typeof value === "object" && !Array.isArray(value) && typeof base[name] === "object";
    merged[name] = inner ? withTexts(value, base[name]) : value;
  }
  return merged;
}
