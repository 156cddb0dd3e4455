/** What the layer did to the picture, in numbers that explain themselves; folded away. */

import { element } from "../viewer/dom.js";
import { percent } from "../viewer/numbers.js";
import { TEXTS } from "./texts.js";

export function createLayer() {
  const list = element("dl", {});
  const node = element("details", { class: "jx-layer" }, element("summary", {}, TEXTS.layer), list);

  function render(result) {
    node.hidden = !result;
    if (!result) return;
    const facts = Object.entries(TEXTS.layerFacts).map(([name, [title, meaning, said = percent]]) =>
      element(
        "div",
        {},
        element("dt", {}, title),
        element("dd", {}, element("b", {}, said(result.layer[name])), element("small", {}, meaning)),
      ),
    );
    list.replaceChildren(...facts);
  }
  return { node, render };
}
