/** One row of the table: heading, sentence, controls, and a picture or bars in each of the three columns. */

import { createBars, emptyBars } from "./bars.js";
import { drawingControls } from "./controls.js";
import { element, icon, mark } from "./dom.js";
import { COLUMNS } from "./maps.js";
import { readingText } from "./paint.js";
import { createRulers } from "./ruler.js";
import { armShown, peeked, sceneOf } from "./state.js";
import { createCanvas } from "./view.js";
import { caption, doubtful, writeSentence } from "./words.js";

const ON_PAGE = { given: 1, looks: 1, says: 0 }; // controls beside a row; all of them are in the stage

/** {node, render(), draw(), clear(), release()}: `render` when words may have changed, `draw` when only the pictures have. */
export function createRow(row, state, act) {
  const { texts } = state;
  const id = `jxv-${row}-${Math.random().toString(36).slice(2, 8)}`;
  const controls = drawingControls(row, state, act.choose).slice(0, ON_PAGE[row]);
  const name = texts.tools.enlargeRow(texts.rows[row]);
  const enlarge = element(
    "button",
    { class: "jxv-button jxv-enlarge", type: "button", "aria-label": name, title: name },
    icon("enlarge"),
    element("span", {}, texts.tools.enlarge),
  );
  enlarge.addEventListener("click", () => act.enlarge(row));
  const words = element("div", { class: "jxv-words" }, texts.waiting);
  const content = row === "says" ? createAnswers(state, act) : createViews(row, state, act);
  const node = element(
    "section",
    { class: `jxv-row jxv-row-${row}`, "aria-labelledby": id },
    element("h2", { class: "jxv-heading", id }, texts.rows[row]),
    element("div", { class: "jxv-tools" }, enlarge, ...controls.map((control) => control.node)),
    words,
    ...content.nodes,
  );
  function render() {
    controls.forEach((control) => control.render());
    writeSentence(words, state, row);
    content.render();
  }
  function clear(text = texts.waiting) {
    words.replaceChildren(text);
    delete words.dataset.sentence;
  }
  return { node, render, clear, draw: content.draw, release: content.release };
}

function createViews(row, state, act) {
  const views = COLUMNS.map((column) => createView(row, column, state, act));
  const rulers = row === "looks" ? createRulers(state) : null;
  const parts = rulers ? [...views, rulers] : views;
  return {
    nodes: parts.map((part) => part.node),
    render: () => parts.forEach((part) => part.render()),
    draw: () => parts.forEach((part) => part.draw()),
    release: () => views.forEach((view) => view.release()),
  };
}

/** A picture with a line above it: what it is, and the value under the cursor. */
function createView(row, column, state, act) {
  const { texts } = state;
  const what = element("span", { class: "jxv-what" });
  const value = element("span", { class: "jxv-reading" });
  const shown = () => armShown(state, column);
  const {
    canvas,
    draw: drawCanvas,
    release,
  } = createCanvas({
    state,
    act,
    row: () => row,
    column: () => ({ arm: shown() }),
    wheels: (event, canvas) => event.ctrlKey || document.activeElement === canvas,
    onHold: (held) => act.isCard() && act.look({ peek: held ? peeked(column) : null }),
  });
  const node = element(
    "figure",
    { class: "jxv-view", "data-column": column, "data-row": row },
    element("figcaption", { class: "jxv-caption" }, what, value),
    canvas,
  );

  function render() {
    const text = caption(state, row, shown());
    const prefix = (state.old === null ? "" : texts.old) + (state.peek ? `${texts.arms[shown()]}: ` : "");
    what.replaceChildren(mark(shown()), prefix + text);
    what.title = text;
    node.classList.toggle("jxv-doubtful", row === "looks" && doubtful(state, shown()) !== null);
    canvas.setAttribute("aria-label", texts.view(texts.arms[column], texts.rows[row], text));
    draw();
  }

  function draw() {
    if (!state.result) return;
    drawCanvas();
    const hint =
      state.place.zoom > 1 ? texts.zoom(state.place.zoom) : act.isCard() ? texts.hold(texts.arms[peeked(column)]) : "";
    value.textContent = readingText(row, shown(), sceneOf(state), texts) || hint;
    value.classList.toggle("jxv-hint", !state.cursor);
    canvas.classList.toggle("jxv-zoomed", state.place.zoom > 1);
  }

  return { node, render, draw, release };
}

function createAnswers(state, act) {
  const node = element("div", { class: "jxv-answers" }, ...COLUMNS.map((column) => emptyBars(column)));
  let result = null;
  let bars = [];
  function render() {
    let focused = null;
    if (result !== state.result) {
      result = state.result;
      focused = document.activeElement?.closest(".jxv-answers > .jxv-bars")?.dataset.column;
      bars = COLUMNS.map((column) => createBars(column, state, act.choose));
      node.replaceChildren(...bars.map((column) => column.node));
    }
    bars.forEach((column) => column.render());
    if (focused) node.querySelector(`:scope > [data-column="${focused}"] [tabindex="0"]`)?.focus(); // not lost with the old bars
  }
  return { nodes: [node], render, draw() {}, release() {} };
}
