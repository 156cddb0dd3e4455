/** Compare and the screens beside it; those come from the server as HTML, when they are opened. */

import { element } from "../viewer/dom.js";
import { menu } from "./menus.js";
import { TEXTS } from "./texts.js";

export function createScreens({ server, compare, onOpen }) {
  const nodes = new Map([["compare", element("section", { id: "jx-compare", "aria-label": TEXTS.screens.compare }, compare.node)]]);
  const made = new Map(); // screen -> for which question it was made
  let open = "compare";
  for (const name of Object.keys(TEXTS.screens))
    if (name !== "compare") nodes.set(name, element("section", { id: `jx-${name}`, class: "jx-screen", "aria-label": TEXTS.screens[name], hidden: true }));
  const buttons = [...nodes.keys()].map((name) =>
    element("button", { type: "button", onclick: () => choose(name) }, TEXTS.screens[name]),
  );
  const pairs = menu({ label: TEXTS.pair, onChoose: choosePair });
  const of = element("div", { class: "jx-of", hidden: true }, pairs.node);
  const nav = element("nav", { "aria-label": TEXTS.screensLabel }, ...buttons);

  document.addEventListener("click", ({ target }) => {
    const link = target.closest?.("[data-screen]");
    if (!link) return;
    link.closest("[popover]")?.hidePopover();
    choose(link.dataset.screen);
  });

  function choosePair(pair) {
    compare.change({ pair });
    show(open);
  }

  function choose(name) {
    show(name);
    onOpen();
    scrollTo(0, 0);
  }

  function show(name) {
    open = nodes.has(name) ? name : "compare";
    [...nodes].forEach(([other, node]) => (node.hidden = other !== open));
    [...nodes.keys()].forEach((other, i) => {
      if (other === open) buttons[i].setAttribute("aria-current", "page");
      else buttons[i].removeAttribute("aria-current");
    });
    of.hidden = open === "compare";
    pairs.fill(compare.pairs);
    pairs.choose(compare.pair.name);
    if (open !== "compare") load(open);
  }

  async function load(name) {
    const asked = compare.wire();
    const question = JSON.stringify({ ...asked, number: 0 });
    if (made.get(name) === question) return;
    const node = nodes.get(name);
    if (!node.hasChildNodes()) node.replaceChildren(element("p", {}, TEXTS.loading));
    try {
      const { html, refused } = await server.call("screen", name, asked);
      if (question !== JSON.stringify({ ...compare.wire(), number: 0 })) return;
      node.innerHTML = html ?? ""; // made by the server's templates, which escape every text
      if (refused) node.replaceChildren(element("p", { class: "jx-notice" }, refused));
      for (const button of node.querySelectorAll("[data-outcome]"))
        button.addEventListener("click", () => examplesOf(button.dataset.outcome, node.querySelector(".jx-outcome")));
      made.set(name, question);
    } catch (error) {
      node.replaceChildren(element("p", { class: "jx-notice" }, `${TEXTS.failed} ${error.message}`));
    }
  }
  /** Which examples belong to one of the four counts. */
  async function examplesOf(outcome, place) {
    place.textContent = TEXTS.loading;
    const pair = compare.pair;
    try {
      const signal = new AbortController().signal;
      const found = await server.ask("outcomes", [pair.name], { signal, onPlace: () => {} });
      if (found.refused) return void (place.textContent = found.refused);
      const tiles = [...pair.picked, ...pair.examples].filter(({ key }) => found[outcome].includes(key));
      place.replaceChildren(...(tiles.length ? tiles.map((tile) => compare.linkTo(tile)) : [TEXTS.noExample]));
    } catch (error) {
      place.textContent = `${TEXTS.failed} ${error.message}`;
    }
  }

  return {
    nav,
    nodes: [of, ...nodes.values()],
    show,
    get open() {
      return open;
    },
  };
}
