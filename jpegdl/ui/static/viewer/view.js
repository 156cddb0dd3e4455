/** One canvas that shows the picture of a row and a column: drawing, pointer and keys. The page and the stage use it. */

import { element } from "./dom.js";
import { listen } from "./gestures.js";
import { cellAt, middleOf } from "./maps.js";
import { clamp } from "./numbers.js";
import { paint } from "./paint.js";
import { moved, pointAt, revealing, STEP, WHOLE, zoomed } from "./place.js";
import { sceneOf } from "./state.js";
import { spokenReading } from "./words.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const NUMBER = 0.055; // height of the numbers in cells, at most, in sides of the canvas

/**
 * `row()` and `column()` say what is shown now; `act` changes the state: look(changes), choose(options), enlarge(row),
 * say(text). `wheels(event, canvas)` says whether the wheel is for the picture, `tapped()` may take a tap for itself,
 * `onHold` hears of a held finger. In a `large` canvas cells have numbers.
 */
export function createCanvas({ state, act, row, column, wheels, tapped = () => false, large = false, onHold }) {
  const canvas = element("canvas", {
    class: "jxv-canvas",
    tabindex: "0",
    role: "application",
    "aria-roledescription": state.texts.viewRole,
  });

  const box = () => {
    const { left, top, width } = canvas.getBoundingClientRect();
    return { left, top, side: width };
  };
  const picturePoint = (x, y) => pointAt(box(), state.place, x, y);
  const zoomedSide = () => box().side * state.place.zoom;

  // The browser tells after each layout. To ask while drawing would make it lay out the page once for every canvas.
  let width = 0; // CSS pixels
  const sizes = new ResizeObserver(([{ contentRect }]) => {
    width = contentRect.width;
    draw();
  });
  sizes.observe(canvas);

  const deafen = listen(
    canvas,
    {
      point: (x, y) => !state.pinned && act.look({ cursor: picturePoint(x, y) }),
      away: () => !state.pinned && act.look({ cursor: null }),
      tap(x, y) {
        if (!state.result || tapped()) return;
        const point = picturePoint(x, y);
        const again = state.pinned && state.cursor && point && sameCell(state.cursor, point);
        act.look(again || !point ? { cursor: null, pinned: false } : { cursor: point, pinned: true });
        if (state.cursor) act.say(spokenReading(state, row()));
      },
      zoom: (factor, x, y) => act.look({ place: zoomed(state.place, factor, picturePoint(x, y) ?? undefined) }),
      pan: (dx, dy) => state.place.zoom > 1 && act.look({ place: moved(state.place, dx / zoomedSide(), dy / zoomedSide()) }),
      hold: onHold,
    },
    (event) => wheels(event, canvas),
  );

  const grid = () => (row() === "given" ? state.pictures.blocks : sceneOf(state).map);
  const sameCell = (one, other) => cellAt(grid(), one).position === cellAt(grid(), other).position;

  /** The next cell (or block) in a direction; the first arrow starts in the middle. */
  function step([right, down]) {
    const cells = grid();
    const last = (count) => Math.ceil(count) - 1;
    const from = cellAt(cells, state.cursor ?? { x: 0.5, y: 0.5 });
    const by = state.cursor ? 1 : 0;
    const column = clamp(from.column + by * right, 0, last(cells.columns));
    const cursor = middleOf(cells, { row: clamp(from.row + by * down, 0, last(cells.rows)), column });
    act.look({ cursor, pinned: true, place: revealing(state.place, cursor) });
    act.say(spokenReading(state, row()));
  }

  const KEYS = {
    "+": () => act.look({ place: zoomed(state.place, STEP, state.cursor ?? undefined) }),
    "-": () => act.look({ place: zoomed(state.place, 1 / STEP, state.cursor ?? undefined) }),
    0: () => act.look({ place: WHOLE }),
    g: () => act.choose({ grid: !state.options.grid }),
    p: () => act.choose({ picture: !state.options.picture }),
    ...(large ? {} : { Enter: () => act.enlarge(row()), Escape: () => act.look({ cursor: null, pinned: false }) }),
  };

  canvas.addEventListener("keydown", (event) => {
    if (!state.result || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key === "=" ? "+" : event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const action = ARROWS[key] ? () => step(ARROWS[key]) : KEYS[key];
    if (!action || (key === "Escape" && !state.cursor)) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  });
  // A kept cell stays while other classes are tried, and goes when the focus leaves the viewer.
  canvas.addEventListener("blur", ({ relatedTarget }) => {
    if (state.pinned && relatedTarget && !relatedTarget.closest(".jxv")) act.look({ cursor: null, pinned: false });
  });

  /** Paints what `column()` says: an arm or the difference, and `over` its left or upper part, up to `split`, another. */
  function draw() {
    const side = Math.round(width * devicePixelRatio);
    if (!side || !state.result) return;
    if (canvas.width !== side) canvas.width = canvas.height = side;
    const { arm, over, split, upright } = column();
    const cut = over && { at: split * side, upright };
    const scene = sceneOf(state, { ratio: devicePixelRatio, ...(large && state.options.numbers ? font(side) : {}), cut });
    const context = canvas.getContext("2d");
    const square = { left: 0, top: 0, side };
    paint(context, square, row(), arm, scene);
    if (!over) return;
    context.save();
    context.beginPath();
    context.rect(0, 0, upright ? side : side * split, upright ? side * split : side);
    context.clip();
    paint(context, square, row(), over, scene);
    context.restore();
  }

  /** Of the numbers in cells, in a picture of so many device pixels. */
  function font(side) {
    const { fontSize, fontFamily } = getComputedStyle(canvas);
    return { numbers: Math.min(parseFloat(fontSize) * devicePixelRatio, NUMBER * side), font: fontFamily };
  }

  function release() {
    sizes.disconnect();
    deafen();
  }

  return { canvas, draw, release };
}
