/** How it is compared: folded away on a phone. */

import { element } from "../viewer/dom.js";
import { menu } from "./menus.js";
import { TEXTS } from "./texts.js";

export function createSettings({ choose }) {
  const truth = menu({ label: TEXTS.true, onChoose: (value) => choose({ true: value === "" ? null : Number(value) }) });
  const stage = menu({ label: TEXTS.stage, onChoose: (value) => choose({ stage: value }) });
  const quantizer = menu({ label: TEXTS.quantizer, onChoose: (value) => choose({ quantizer: value }) });
  quantizer.fill(Object.entries(TEXTS.quantizers));
  const summary = element("summary", {}, TEXTS.settings);
  const node = element("details", { class: "jx-settings" }, summary, truth.node, stage.node, quantizer.node);
  node.open = matchMedia("(min-width: 1080px)").matches;

  function render(state, pair) {
    truth.fill([["", TEXTS.unknown], ...pair.classes.map((name, index) => [String(index), name])]);
    truth.choose(state.true === null ? "" : String(state.true));
    stage.fill(pair.stages.map((name) => [name, name]));
    stage.choose(state.stage);
    quantizer.choose(state.quantizer);
  }
  return { node, render };
}
