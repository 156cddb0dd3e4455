/** What the networks say: the same classes, order and 0 to 100 % in all columns. A bar explains its class. */

import { radioGroup } from "./choices.js";
import { element, icon, mark } from "./dom.js";
import { ARMS } from "./maps.js";
import { percent, points } from "./numbers.js";
import { className } from "./words.js";

/** The bars of one column, for the classes of the result in the state; `render()` marks the explained one. */
export function createBars(column, state, choose) {
  const { texts, result, shown } = state;
  const items = shown.map((index) => item(column, index, state));
  const onChoose = (index) => choose({ class: index });
  const label = texts.bars.column(texts.arms[column]);
  const group = radioGroup({ label, items, onChoose, className: `jxv-bars jxv-${column}`, itemClass: "jxv-bar" });
  group.node.dataset.column = column;
  shown.forEach((index, i) => group.buttons[i].classList.toggle("jxv-is-true", index === result.state.true));
  return { node: group.node, render: () => group.render(state.options.class) };
}

function item(column, index, state) {
  const { texts, result } = state;
  const [baseline, jpegdl] = ARMS.map((arm) => result.probabilities[arm][index]);
  const name = className(state, index);
  const isTrue = index === result.state.true;
  const label = element("span", { class: "jxv-name", title: name }, name);
  const tags = element(
    "span",
    { class: "jxv-tags" },
    ...(isTrue ? [tag("true", "flag", texts)] : []),
    tag("explained", "eye", texts),
  );
  if (column === "difference") {
    const value = element("span", { class: "jxv-value" }, points(jpegdl - baseline));
    return [index, [label, tags, value, line(baseline, jpegdl)], texts.bars.change(name, jpegdl - baseline, isTrue)];
  }
  const share = { baseline, jpegdl }[column];
  const value = element("span", { class: "jxv-value" }, percent(share));
  const length = element("i", { style: `width: ${100 * share}%` });
  const track = element("span", { class: "jxv-track" }, length);
  return [index, [label, tags, value, track], texts.bars.share(name, share, isTrue)];
}

/** The word where there is room, else a small picture of it; the name of the bar says it to screen readers. */
const tag = (name, picture, texts) =>
  element(
    "span",
    { class: `jxv-tag jxv-tag-${name}`, title: texts.bars[name] },
    icon(picture),
    element("span", {}, texts.bars[name]),
  );

/** From the disc to the diamond on 0 to 100 %. */
function line(baseline, jpegdl) {
  const [from, to] = [Math.min(baseline, jpegdl), Math.max(baseline, jpegdl)];
  const at = (arm, share) => {
    const sign = mark(arm);
    sign.style.left = `${100 * share}%`;
    return sign;
  };
  const way = element("i", { style: `left: ${100 * from}%; width: ${100 * (to - from)}%` });
  return element("span", { class: "jxv-line" }, way, at("baseline", baseline), at("jpegdl", jpegdl));
}

/** Grey lines of the same height, before the first result. */
export function emptyBars(column, count = 5) {
  const lines = Array.from({ length: count }, () =>
    element(
      "div",
      { class: "jxv-bar" },
      element("span", { class: "jxv-name" }, "–"),
      element("span", { class: "jxv-track" }),
    ),
  );
  return element("div", { class: `jxv-bars jxv-${column}`, "aria-hidden": "true", "data-column": column }, ...lines);
}
