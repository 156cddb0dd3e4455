/** The pictures of the stage: one that slides, blinks or shows the difference, or all three side by side. */

import { element, mark } from "./dom.js";
import { COLUMNS } from "./maps.js";
import { createCanvas } from "./view.js";
import { caption } from "./words.js";

const TALL = "(max-width: 599px)"; // as in stage.css: a phone held upright, where the divider lies flat

export const isTall = () => matchMedia(TALL).matches;

/** What the first pane shows in each mode; the others only stand beside it. */
function shownIn({ options }, column, view) {
  if (options.mode === "slide") return { arm: "jpegdl", over: "baseline", split: view.split, upright: isTall() };
  if (options.mode === "blink") return { arm: options.front };
  return { arm: options.mode === "difference" ? "difference" : column };
}

/** `view.split` is the place of the divider, 0..1. */
export function createPanes(state, act, view) {
  const { texts } = state;
  const panes = COLUMNS.map((column) => createPane(column));
  const divider = createDivider(state, view, () => panes[0].draw());
  panes[0].square.append(divider.node);
  const node = element("div", { class: "jxv-panes" }, ...panes.map((pane) => pane.node));

  function swap() {
    if (state.options.mode !== "blink") return false;
    act.choose({ front: state.options.front === "baseline" ? "jpegdl" : "baseline" });
    return true;
  }

  function createPane(column) {
    const label = element("figcaption", { class: "jxv-label" });
    const row = () => state.options.row;
    const { canvas, draw, release } = createCanvas({
      state,
      act,
      row,
      column: () => shownIn(state, column, view),
      wheels: () => true,
      tapped: swap,
      large: true,
    });
    const square = element("div", { class: "jxv-square" }, canvas);
    const name = (arm) =>
      element(
        "span",
        {},
        mark(arm),
        `${texts.arms[arm]} `,
        element("small", {}, (state.old === null ? "" : texts.old) + caption(state, row(), arm)),
      );
    function render() {
      const { arm, over } = shownIn(state, column, view);
      label.replaceChildren(...(over ? [name(over), name(arm)] : [name(arm)]));
      const shown = over ? `${texts.arms[over]} | ${texts.arms[arm]}` : texts.arms[arm];
      canvas.setAttribute("aria-label", texts.view(shown, texts.rows[row()], caption(state, row(), arm)));
    }
    return {
      node: element("figure", { class: "jxv-pane", "data-column": column }, label, square),
      square,
      render,
      draw,
      release,
    };
  }

  return {
    node,
    divider: divider.node,
    render: () => panes.forEach((pane) => pane.render()),
    release: () => panes.forEach((pane) => pane.release()),
    draw() {
      panes.forEach((pane) => pane.draw());
      divider.render();
    },
  };
}

/** The line between both networks, with a handle of 44 px; arrows move it, too (see stagekeys.js). */
function createDivider(state, view, redraw) {
  const handle = element("span", { class: "jxv-handle" });
  const node = element(
    "div",
    {
      class: "jxv-divider",
      role: "slider",
      tabindex: "0",
      "aria-label": state.texts.stage.divider,
      "aria-valuemin": 0,
      "aria-valuemax": 100,
    },
    handle,
  );
  function render() {
    node.style.setProperty("--split", `${100 * view.split}%`);
    node.setAttribute("aria-valuenow", Math.round(100 * view.split));
    node.setAttribute("aria-orientation", isTall() ? "vertical" : "horizontal");
  }
  function move({ clientX, clientY }) {
    const { left, top, width, height } = node.parentNode.getBoundingClientRect();
    view.split = Math.min(1, Math.max(0, isTall() ? (clientY - top) / height : (clientX - left) / width));
    redraw();
    render();
  }
  node.addEventListener("pointerdown", (event) => {
    node.setPointerCapture(event.pointerId);
    node.focus();
    event.preventDefault();
  });
  // A quick drag is no fling: the browser would swallow the tap that follows.
  node.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
  node.addEventListener("pointermove", (event) => node.hasPointerCapture(event.pointerId) && move(event));
  return { node, render };
}
