/** Keys of the stage. Those of a picture under the focus (arrows, zoom) are in view.js and come first. */

import { isTall } from "./panes.js";
import { clamp } from "./numbers.js";
import { STEP, WHOLE } from "./place.js";

const NUDGE = 0.02; // of the divider
const FOCUSABLE = 'button:not([tabindex="-1"]), select, [tabindex="0"]';

export function stageKeys({ state, act, node, view, rows, zoomBy, redraw }) {
  const other = (by) => act.choose({ row: rows[(rows.indexOf(state.options.row) + by + rows.length) % rows.length] });
  const nudge = (by) => {
    view.split = clamp(view.split + by * NUDGE, 0, 1);
    redraw();
  };
  const blink = () => {
    const { mode, front } = state.options;
    compare(mode === "blink" ? { front: front === "baseline" ? "jpegdl" : "baseline" } : { mode: "blink" });
  };
  const compare = (changes) => state.options.row !== "says" && act.choose(changes); // the answers stand side by side
  const keys = {
    1: () => compare({ mode: "blink", front: "baseline" }),
    2: () => compare({ mode: "blink", front: "jpegdl" }),
    3: () => compare({ mode: "difference" }),
    a: () => compare({ mode: "side" }),
    s: () => compare({ mode: "slide" }),
    b: blink,
    g: () => act.choose({ grid: !state.options.grid }),
    n: () => act.choose({ numbers: !state.options.numbers }),
    p: () => act.choose({ picture: !state.options.picture }),
    "+": () => zoomBy(STEP),
    "-": () => zoomBy(1 / STEP),
    0: () => act.look({ place: WHOLE }),
    PageUp: () => other(-1),
    PageDown: () => other(1),
  };
  const arrows = {
    ArrowLeft: () => nudge(-1),
    ArrowRight: () => nudge(1),
    ArrowUp: () => (onDivider() && isTall() ? nudge(-1) : other(-1)),
    ArrowDown: () => (onDivider() && isTall() ? nudge(1) : other(1)),
    Home: () => nudge(-Infinity),
    End: () => nudge(Infinity),
  };
  const onDivider = () => document.activeElement?.getAttribute("role") === "slider";

  /** Tab goes round inside the stage. */
  function turn(event) {
    const stops = [...node.querySelectorAll(FOCUSABLE)].filter((stop) => stop.offsetParent !== null);
    const at = stops.indexOf(document.activeElement);
    const end = event.shiftKey ? 0 : stops.length - 1;
    if (at !== end && at >= 0) return;
    event.preventDefault();
    stops[event.shiftKey ? stops.length - 1 : 0].focus();
  }

  return (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Tab") {
      turn(event);
      return;
    }
    if (document.activeElement?.tagName === "SELECT") return; // letters and arrows are its own
    const key = event.key === "=" ? "+" : event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const action = keys[key] ?? arrows[key];
    if (!action) return;
    event.preventDefault();
    action();
  };
}
