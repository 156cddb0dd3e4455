/** The one ruler: same limits for both maps and for their difference, printed; the values under the cursor stand on it. */

import { gradient, overPicture } from "./colours.js";
import { element, mark } from "./dom.js";
import { ARMS, COLUMNS } from "./maps.js";
import { digitsFor, limitText, percent, points, signed } from "./numbers.js";
import { reading } from "./paint.js";
import { sceneOf } from "./state.js";

/** {node, render(), draw()}: `render` after a change of class or options, `draw` after the cursor moved. */
export function createRulers(state) {
  const heat = createRuler("heat", ARMS);
  const difference = createRuler("difference", ["difference"]);
  const node = element("div", { class: "jxv-rulers" }, heat.node, difference.node);

  function render() {
    const scene = sceneOf(state);
    const { texts, options, palette } = state;
    const overlay = options.drawing === "overlay";
    const mixed = options.picture ? overPicture : undefined;
    const limit = limitText(scene.limit);
    heat.node.classList.toggle("jxv-own", overlay);
    heat.paint(overlay ? gradient(palette.jet) : gradient(palette.heat, mixed));
    heat.label(...(overlay ? texts.ruler.ends : ["0", texts.ruler.cell(limit)]));
    heat.even(overlay ? null : scene.map.even / scene.limit);
    difference.paint(gradient(palette.difference, mixed));
    difference.even(null);
    difference.label(`\u2212${limit}`, texts.ruler.points(limit));
    draw();
  }

  function draw() {
    const scene = sceneOf(state);
    const { texts, options } = state;
    const digits = digitsFor(scene.limit);
    const overlay = options.drawing === "overlay";
    const value = Object.fromEntries(COLUMNS.map((arm) => [arm, reading("looks", arm, scene)]));
    for (const arm of ARMS) heat.stand(arm, value[arm] === null || overlay ? null : value[arm] / scene.limit);
    difference.stand("difference", value.difference === null ? null : (value.difference / scene.limit + 1) / 2);
    if (scene.cursor) {
      heat.middle(...ARMS.flatMap((arm) => [mark(arm), `${percent(value[arm], digits)} `]));
      difference.middle(points(value.difference, digits));
    } else {
      heat.middle(overlay ? texts.ruler.own : texts.ruler.even(scene.map.even, digits));
      difference.middle("0");
    }
    heat.centre(overlay || scene.cursor ? 0.5 : scene.map.even / scene.limit);
    difference.centre(0.5);
  }

  return { node, render, draw };
}

/** Below the difference of both pictures: what its colours mean in levels of brightness. */
export function createLevelRuler(state) {
  const ruler = createRuler("difference", ["difference"]);
  const node = element("div", { class: "jxv-rulers jxv-levels" }, ruler.node);

  function render() {
    const { texts, options, palette, pictures } = state;
    const limit = 128 / pictures.brightness.gain;
    node.hidden = options.difference !== "brightness";
    ruler.paint(gradient(palette.difference));
    ruler.even(null);
    ruler.label(texts.ruler.darker(limit), texts.ruler.brighter(limit));
    ruler.centre(0.5);
    draw();
  }

  function draw() {
    const scene = sceneOf(state);
    const value = reading("given", "difference", scene);
    ruler.stand("difference", value === null ? null : ((value * scene.pictures.brightness.gain) / 128 + 1) / 2);
    ruler.middle(value === null ? "0" : signed(Math.round(value)));
  }

  return { node, render, draw };
}

function createRuler(name, arms) {
  const stands = Object.fromEntries(arms.map((arm) => [arm, element("i", { class: `jxv-stand jxv-at-${arm}` })]));
  const dashes = element("i", { class: "jxv-even" });
  const bar = element("div", { class: "jxv-scale" }, dashes, ...Object.values(stands));
  const [least, middle, most] = ["jxv-least", "jxv-middle", "jxv-most"].map((part) => element("span", { class: part }));
  const node = element(
    "div",
    { class: `jxv-ruler jxv-ruler-${name}` },
    bar,
    element("div", { class: "jxv-ticks" }, least, middle, most),
  );
  const position = (line, share) => {
    line.hidden = share === null;
    if (share !== null) line.style.left = `${100 * Math.min(1, Math.max(0, share))}%`;
  };
  return {
    node,
    paint: (background) => (bar.style.background = background),
    label(first, last) {
      least.textContent = first;
      most.textContent = last;
    },
    even: (share) => position(dashes, share),
    stand: (arm, share) => position(stands[arm], share),
    middle: (...content) => middle.replaceChildren(...content),
    centre: (share) => middle.style.setProperty("--at", `${100 * share}%`), // as far as the labels at the ends leave room
  };
}
