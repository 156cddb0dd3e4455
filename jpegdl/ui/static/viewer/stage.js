/** A row, large: side by side, sliding, blinking, or as a difference; for a projector and for a phone. */

import { createBars } from "./bars.js";
import { radioGroup } from "./choices.js";
import { drawingControls, numbersControl } from "./controls.js";
import { element, icon, mark } from "./dom.js";
import { COLUMNS } from "./maps.js";
import { createPanes } from "./panes.js";
import { STEP, WHOLE, zoomed } from "./place.js";
import { createLevelRuler, createRulers } from "./ruler.js";
import { CHOICES } from "./state.js";
import { readingsOf, verdictOf } from "./summary.js";
import { stageKeys } from "./stagekeys.js";
import { writeSentence } from "./words.js";

const ROWS = ["given", "looks", "says"];

export function createStage(state, act) {
  const { texts } = state;
  const { stage } = texts;
  const view = { split: 0.5 }; // the divider, 0..1
  const id = `jxv-stage-${Math.random().toString(36).slice(2, 8)}`;
  const heading = element("h2", { class: "jxv-heading", id });
  const verdict = element("div", { class: "jxv-verdict" });
  const words = element("div", { class: "jxv-words" });
  const readings = element("div", { class: "jxv-readings" });
  const fit = element("button", { type: "button", onclick: () => act.look({ place: WHOLE }) });
  const live = element("div", { class: "jxv-live", "aria-live": "polite", "aria-atomic": "true" });
  const zoomBy = (factor) => act.look({ place: zoomed(state.place, factor, state.cursor ?? undefined) });
  const modes = radioGroup({
    label: stage.modes.label,
    items: ["side", "slide", "blink", "difference"].map((mode) => [mode, [stage.modes[mode]]]),
    onChoose: (mode) => act.choose({ mode }),
  });
  const fronts = radioGroup({
    label: stage.fronts,
    items: CHOICES.front.map((arm) => [arm, [mark(arm), texts.arms[arm]]]),
    onChoose: (front) => act.choose({ front }),
  });
  const zoom = element(
    "div",
    { class: "jxv-group jxv-zoom", role: "group", "aria-label": stage.zoom },
    element("button", { type: "button", "aria-label": stage.zoomOut, onclick: () => zoomBy(1 / STEP) }, "−"),
    fit,
    element("button", { type: "button", "aria-label": stage.zoomIn, onclick: () => zoomBy(STEP) }, "+"),
  );
  const numbers = numbersControl(state, act.choose);
  const drawing = Object.fromEntries(ROWS.map((row) => [row, drawingControls(row, state, act.choose)]));
  const tools = element("div", { class: "jxv-tools" });
  const panes = createPanes(state, { ...act, say }, view);
  const rulers = { given: createLevelRuler(state), looks: createRulers(state) };
  const answers = element("div", { class: "jxv-answers" });
  const keys = element(
    "p",
    { class: "jxv-keys" },
    ...stage.keys.flatMap(([names, what]) => [
      element("span", {}, ...names.map((name) => element("kbd", {}, name)), ` ${what}`),
      " ",
    ]),
  );
  const close = () => act.choose({ row: null });
  const button = (name, text, onclick) =>
    element(
      "button",
      { class: "jxv-button", type: "button", "aria-label": text, onclick },
      icon(name),
      element("span", {}, text),
    );
  const inner = element(
    "div",
    { class: "jxv-stage-inner" },
    element(
      "div",
      { class: "jxv-top" },
      verdict,
      document.fullscreenEnabled ? button("screen", stage.screen, fullScreen) : null,
      button("close", stage.close, close),
    ),
    element(
      "div",
      { class: "jxv-info" },
      heading,
      words,
      element("div", { class: "jxv-compare" }, modes.node, fronts.node),
      tools,
      readings,
      keys,
    ),
    element("div", { class: "jxv-large" }, panes.node, rulers.given.node, rulers.looks.node, answers),
    live,
  );
  const node = element("dialog", { class: "jxv-stage", "aria-labelledby": id }, inner);
  node.addEventListener("cancel", (event) => {
    event.preventDefault();
    close();
  });
  node.addEventListener("keydown", stageKeys({ state, act, node, view, rows: ROWS, zoomBy, redraw: draw }));
  const sizes = new ResizeObserver(draw);
  sizes.observe(panes.node);
  let result = null;
  let bars = [];

  function say(text) {
    live.textContent = text;
  }

  function fullScreen() {
    const change = document.fullscreenElement ? document.exitFullscreen() : inner.requestFullscreen();
    change.catch(() => say(stage.refused)); // an embedding page may forbid it
  }

  /** Follows the options: opens, changes or closes. */
  function render() {
    const { row, mode, front } = state.options;
    if (row === null || !state.result) return shut();
    node.dataset.row = row;
    node.dataset.mode = mode;
    heading.textContent = texts.rows[row];
    verdict.replaceChildren(
      ...(state.old === null ? verdictOf(state) : [element("b", { class: "jxv-busy" }, state.old)]),
    );
    writeSentence(words, state, row);
    modes.render(mode);
    fronts.render(front);
    renderTools(row);
    if (row === "says") renderBars();
    else panes.render();
    rulers[row]?.render();
    const opening = !node.open;
    if (opening) node.showModal();
    draw();
    return opening || focusIsLost() ? focus() : undefined;
  }

  function renderTools(row) {
    const [first, ...others] = drawing[row];
    const controls = row === "looks" ? [first, numbers, ...others] : drawing[row];
    if (tools.dataset.row !== row)
      tools.replaceChildren(...(row === "says" ? [] : [zoom]), ...controls.map((control) => control.node));
    tools.dataset.row = row;
    controls.forEach((control) => control.render());
  }

  function renderBars() {
    if (result !== state.result) {
      result = state.result;
      bars = COLUMNS.map((column) => createBars(column, state, act.choose));
      const column = (bar, i) =>
        element("div", {}, element("h3", { class: "jxv-column" }, mark(COLUMNS[i]), texts.arms[COLUMNS[i]]), bar.node);
      answers.replaceChildren(...bars.map(column));
    }
    bars.forEach((bar) => bar.render());
  }

  /** What had the focus may just have been hidden. */
  function focusIsLost() {
    const focused = document.activeElement;
    return !node.contains(focused) || focused === node || focused.offsetParent === null;
  }

  /** To the divider, a picture or a bar: where keys do most. */
  function focus() {
    const { row, mode } = state.options;
    if (row === "says") answers.querySelector('[tabindex="0"]').focus();
    else if (mode === "slide") panes.divider.focus();
    else panes.node.querySelector("canvas").focus();
  }

  function shut() {
    if (!node.open) return;
    if (document.fullscreenElement) document.exitFullscreen();
    node.close();
    act.look({ place: WHOLE, cursor: null, pinned: false });
  }

  function draw() {
    const { row } = state.options;
    if (!node.open || !state.result || row === null || row === "says") return;
    panes.draw();
    rulers[row].draw();
    fit.textContent = state.place.zoom > 1 ? texts.zoom(state.place.zoom) : stage.fit;
    fit.setAttribute("aria-label", `${fit.textContent}, ${stage.whole}`);
    readings.replaceChildren(...readingsOf(state, row));
  }

  function destroy() {
    sizes.disconnect();
    panes.release();
    if (node.open) node.close();
  }

  return {
    node,
    render,
    draw,
    close: shut,
    say,
    destroy,
  };
}
