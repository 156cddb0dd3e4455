/**
 * The table of a result: Baseline, JPEG-DL and their difference, by what they are given, where they look and what they
 * say. Drawn here from what the server sends once; it asks for nothing and knows nothing of what is around it.
 *
 *   const table = mountTable(root, { colours, texts });
 *   await table.show(result, facts);
 *
 * It dispatches `jx-option` on root, with all options as detail, whenever a visitor changes one. Its columns stand in
 * `.jxv-columns`, a grid that the head of a page can share.
 */

import { radioGroup } from "./choices.js";
import { palette } from "./colours.js";
import { createRow } from "./columns.js";
import { element, mark } from "./dom.js";
import { COLUMNS } from "./maps.js";
import { createStage } from "./stage.js";
import { checkedOptions, firstClass, loaded, lookAway, newState } from "./state.js";
import { TEXTS, withTexts } from "./texts.js";
import { sentence } from "./words.js";

const [WIDE, COLUMNS_FROM] = [54, 35]; // rem: words beside the pictures, three columns; below, one card with a switch
const ROWS = ["given", "looks", "says"];

export function mountTable(root, { colours, texts = {} }) {
  const state = newState(palette(colours), withTexts(texts, TEXTS));
  const live = element("div", { class: "jxv-live", "aria-live": "polite", "aria-atomic": "true" });
  const act = {
    look,
    choose,
    enlarge,
    say: (text) => (live.textContent = text),
    isCard: () => table.dataset.layout === "card",
  };
  const rows = ROWS.map((row) => createRow(row, state, act));
  const column = columnSwitch(state, choose);
  const table = element("div", { class: "jxv-table" }, columnHeads(state), ...rows.map((row) => row.node), column.node);
  const stage = createStage(state, act);
  let newest = 0; // number of the last call of show or clear
  let frame = 0;

  root.classList.add("jxv", "jxv-empty");
  root.replaceChildren(table, stage.node, live);
  const sizes = new ResizeObserver(() => {
    const width = table.clientWidth / parseFloat(getComputedStyle(document.documentElement).fontSize);
    table.dataset.layout = width >= WIDE ? "wide" : width >= COLUMNS_FROM ? "columns" : "card";
    if (!act.isCard()) state.peek = null;
    drawSoon();
  });
  sizes.observe(table);

  function render() {
    table.dataset.column = state.options.column;
    column.render();
    if (!state.result) return;
    rows.forEach((row) => row.render());
    stage.render();
  }

  function draw() {
    if (!state.result) return;
    rows.forEach((row) => row.draw());
    stage.draw();
  }

  function drawSoon() {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(draw);
  }

  /** Somebody looks elsewhere: cursor, zoom, or the other network under a finger. Addresses do not hold this. */
  function look(changes) {
    const peeking = "peek" in changes && changes.peek !== state.peek;
    Object.assign(state, changes);
    if (peeking && state.result) rows.forEach((row) => row.render());
    drawSoon();
  }

  /** A visitor changes options. */
  function choose(changes) {
    set(changes);
    if ("class" in changes) act.say(sentence(state, "looks"));
    root.dispatchEvent(new CustomEvent("jx-option", { detail: options(), bubbles: true }));
  }

  function enlarge(row, mode = state.options.mode) {
    choose({ row, mode });
  }

  /** Shows a result; false if a later one was asked for before this one was decoded. */
  async function show(result, facts) {
    const number = (newest += 1);
    const parts = await loaded(result, facts, state);
    if (number !== newest) return false;
    const index = firstClass(result, state);
    Object.assign(lookAway(state), parts, { old: null });
    state.options.class = index;
    root.classList.remove("jxv-empty", "jxv-old");
    table.setAttribute("aria-busy", "false");
    render();
    return true;
  }

  /** Grey squares in place. */
  function clear() {
    newest += 1;
    stage.close();
    Object.assign(lookAway(state), { result: null, old: null });
    state.options.class = state.options.row = null;
    table.setAttribute("aria-busy", "false");
    rows.forEach((row) => row.clear());
    root.classList.remove("jxv-old");
    root.classList.add("jxv-empty");
  }

  /** What is shown belongs to an earlier question; `text` says what is being computed, or that nothing is. */
  function old(text, { isBusy = true } = {}) {
    table.setAttribute("aria-busy", String(isBusy));
    if (!state.result) return rows.forEach((row) => row.clear(text));
    state.old = text;
    root.classList.add("jxv-old");
    render();
  }

  /** Options from an address; what is not named stays. Dispatches nothing. */
  function set(changes) {
    Object.assign(state.options, checkedOptions(changes, state));
    render();
  }

  const options = () => ({ ...state.options });

  function destroy() {
    newest += 1;
    cancelAnimationFrame(frame);
    sizes.disconnect();
    rows.forEach((row) => row.release());
    stage.destroy();
    root.classList.remove("jxv", "jxv-empty", "jxv-old");
    root.replaceChildren();
  }

  render();
  return { show, clear, old, set, options, destroy };
}

/** Names above the columns, for the eye: every view says its own. A page that has them in its head hides these. */
function columnHeads({ texts }) {
  const head = (column) => element("span", { "data-column": column }, mark(column), texts.arms[column]);
  return element("div", { class: "jxv-heads", "aria-hidden": "true" }, ...COLUMNS.map(head));
}

/** On a phone: which column the card shows. */
function columnSwitch(state, choose) {
  const items = COLUMNS.map((column) => [column, [mark(column), state.texts.arms[column]]]);
  const { node, render } = radioGroup({ label: state.texts.columns, items, onChoose: (column) => choose({ column }) });
  return { node: element("div", { class: "jxv-switch" }, node), render: () => render(state.options.column) };
}
