/** What is compared: the pair, the picture with the square that the networks see, and the trays to choose from. */

import { radioGroup } from "../viewer/choices.js";
import { element } from "../viewer/dom.js";
import { exampleOf } from "./asked.js";
import { icon } from "./icons.js";
import { menu } from "./menus.js";
import { createMessage } from "./message.js";
import { TEXTS } from "./texts.js";

export function createRail({ facts, files, choose, draw }) {
  const pairs = menu({ label: TEXTS.pair, onChoose: (pair) => choose({ pair }) });
  pairs.fill(facts.pairs.map(({ name, short }) => [name, short]));
  const picture = createPicture();
  const message = createMessage();
  const trays = element("div", { class: "jx-trays" });
  const caption = element("p", { class: "jx-caption" });
  const remarks = element("ul", { class: "jx-remarks", hidden: true });
  const another = element("button", { type: "button", class: "jx-button jx-draw" }, icon("dice"), TEXTS.draw);
  another.addEventListener("click", () => draw());
  let offered = null; // the pair whose trays are drawn
  let groups = [];

  const field = element(
    "section",
    { class: "jx-field", "aria-label": TEXTS.picture.label },
    picture.node,
    element(
      "div",
      { class: "jx-actions" },
      files.button(TEXTS.picture.choose, icon("upload")),
      files.button(TEXTS.picture.camera, icon("camera"), { capture: true }),
      another,
    ),
    message.node,
  );
  const node = element("div", { class: "jx-rail" }, pairs.node, field, element("div", { class: "jx-offers" }, trays, caption, remarks));

  function drawTrays(pair) {
    offered = pair;
    const tray = (entries, title, why) => {
      if (!entries.length) return [];
      const items = entries.map(({ key, caption, true: truth, thumb }) => {
        const name = truth === null ? TEXTS.outside(caption) : caption;
        return [key, [element("img", { src: facts.at(thumb), alt: "", width: 128, height: 128, loading: "lazy" })], name];
      });
      const byKey = new Map(entries.map((entry) => [entry.key, entry]));
      const group = radioGroup({
        label: title,
        items,
        onChoose: (key) => choose({ picture: key, file: null, true: byKey.get(key).true }),
        className: "jx-tray",
        itemClass: "jx-tile",
      });
      groups.push(group);
      group.buttons.forEach((button, i) => (button.title = items[i][2]));
      return [element("h2", {}, element("b", {}, title), why ? ` ${why}` : ""), group.node];
    };
    groups = [];
    trays.replaceChildren(
      ...tray(pair.picked, TEXTS.picked, TEXTS.pickedWhy),
      ...tray(pair.examples, TEXTS.examples),
    );
  }

  /** `chosen` is the pair that the menu names. */
  function render({ state, pair, chosen, result, caption: text, preview }) {
    pairs.choose(chosen);
    if (offered !== pair) drawTrays(pair);
    groups.forEach((group) => group.render(state.picture));
    another.hidden = !pair.draws;
    const isOutside = exampleOf(pair, state.picture)?.true === null;
    caption.textContent = isOutside ? TEXTS.outside(text) : text;
    picture.render(preview, text, result?.crop);
    remarks.replaceChildren(...(result?.warnings ?? []).map((said) => element("li", {}, said)));
    remarks.hidden = !result?.warnings.length;
  }

  function say(said) {
    message.say(said);
    field.classList.toggle("jx-refused", Boolean(said?.isWrong));
  }

  return { node, render, say };
}

/** The whole picture, with a frame around what the networks see of it. */
function createPicture() {
  const image = element("img", { class: "jx-whole", alt: "" });
  const frame = element("span", { class: "jx-frame", "aria-hidden": "true" });
  const node = element("div", { class: "jx-picture" }, element("span", { class: "jx-framed" }, image, frame));
  function render(address, caption, crop) {
    if (address && image.getAttribute("src") !== address) image.src = address;
    image.hidden = !address;
    image.alt = TEXTS.picture.alt(caption);
    const isPart = crop && (crop.side < crop.width - 0.5 || crop.side < crop.height - 0.5);
    frame.hidden = !isPart;
    if (!isPart) return;
    const share = (part, whole) => `${(100 * part) / whole}%`;
    Object.assign(frame.style, {
      left: share(crop.left, crop.width),
      top: share(crop.top, crop.height),
      width: share(crop.side, crop.width),
      height: share(crop.side, crop.height),
    });
  }
  return { node, render };
}
