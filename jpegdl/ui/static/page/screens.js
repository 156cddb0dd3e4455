/** Compare and the screens beside it; those come from the server as HTML, when they are opened. */

import { element } from "../viewer/dom.js";
import { menu } from "./menus.js";
import { createMessage } from "./message.js";
import { TEXTS } from "./texts.js";

export function createScreens({ server, compare, onOpen }) {
  const nodes = new Map([["compare", element("section", { id: "jx-compare", "aria-label": TEXTS.screens.compare }, compare.node)]]);
  const made = new Map(); // screen -> the question that it answers
  const asked = new Map(); // screen -> the question that is on its way
  let open = "compare";
  for (const name of Object.keys(TEXTS.screens))
    if (name !== "compare") nodes.set(name, element("section", { id: `jx-${name}`, class: "jx-screen", "aria-label": TEXTS.screens[name], hidden: true }));
  const buttons = [...nodes.keys()].map((name) =>
    element("button", { type: "button", onclick: () => choose(name) }, TEXTS.screens[name]),
  );
  const pairs = menu({ label: TEXTS.pair, onChoose: (pair) => compare.change({ pair }) });
  const message = createMessage(); // what Compare says under its picture, which is out of sight
  const of = element("div", { class: "jx-of", hidden: true }, pairs.node, message.node);
  const nav = element("nav", { "aria-label": TEXTS.screensLabel }, ...buttons);

  document.addEventListener("click", ({ target }) => {
    const link = target.closest?.("[data-screen]");
    if (!link) return;
    link.closest("[popover]")?.hidePopover();
    choose(link.dataset.screen);
  });

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
    refresh();
  }

  /** The state is another one. */
  function refresh() {
    pairs.choose(compare.pair.name);
    if (open !== "compare") load(open);
  }

  /** What is on the screen is dimmed until it is that of the state. */
  async function load(name) {
    const state = compare.wire();
    const question = questionOf(state);
    const node = nodes.get(name);
    node.setAttribute("aria-busy", String(made.get(name) !== question));
    if (made.get(name) === question || asked.get(name) === question) return;
    asked.set(name, question);
    if (!node.hasChildNodes()) node.replaceChildren(element("p", {}, TEXTS.loading));
    let answer;
    try {
      answer = await server.call("screen", name, state);
    } catch (error) {
      answer = { failed: `${TEXTS.failed} ${error.message}` };
    }
    if (asked.get(name) === question) asked.delete(name);
    if (question !== questionOf(compare.wire())) return;
    const { html, refused, failed } = answer;
    node.innerHTML = html ?? ""; // made by the server's templates, which escape every text
    if (refused || failed) node.replaceChildren(element("p", { class: "jx-notice" }, refused ?? failed));
    for (const button of node.querySelectorAll("[data-outcome]"))
      button.addEventListener("click", () => examplesOf(button.dataset.outcome, node.querySelector(".jx-outcome")));
    node.setAttribute("aria-busy", "false");
    if (failed) made.delete(name);
    else made.set(name, question);
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
    refresh,
    say: (said) => message.say(said && { ...said, here: null }),
    get open() {
      return open;
    },
  };
}

const questionOf = (state) => JSON.stringify({ ...state, number: 0 });
