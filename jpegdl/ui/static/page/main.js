/** The page: screens around one state, which lives here and in the address, and nowhere on the server. */

import { element } from "../viewer/dom.js";
import { addressOf, readAddress } from "./address.js";
import { createCompare } from "./compare.js";
import { connect } from "./gradio.js";
import { createLink } from "./link.js";
import { createScreens } from "./screens.js";
import { TEXTS } from "./texts.js";

export function start(root, { facts: sent, first }, base) {
  const facts = { ...sent, quantizers: Object.keys(TEXTS.quantizers), at: (name) => new URL(name, base).href };
  const notices = facts.refused.map((text) => notice(TEXTS.leftOut(text)));
  const heading = element("h1", {}, TEXTS.title);
  if (!facts.pairs.length) {
    root.replaceChildren(element("div", { class: "jx" }, heading, ...notices, notice(TEXTS.noPair)));
    return;
  }

  const server = connect(base);
  const compare = createCompare({
    facts,
    first,
    server,
    onState(how) {
      write(how);
      screens.refresh();
    },
    onOptions: () => write({ replace: true }),
    onSay: (said) => screens.say(said),
  });
  const screens = createScreens({ server, compare, onOpen: write });
  const link = createLink(() => ({ address: shared(), isPrivate: compare.state.picture === "upload" }));
  const bar = element("header", { class: "jx-bar" }, heading, screens.nav, link.button);
  root.replaceChildren(element("div", { class: "jx" }, bar, ...notices, ...screens.nodes, link.panel, compare.overlay));

  function hash({ picture, file, number, ...state }) {
    const { options, defaults } = compare;
    return addressOf({ state: { ...state, picture }, options, defaults, screen: screens.open });
  }

  /** The address for somebody else: a visitor's own picture is not in it. */
  function shared() {
    const { state } = compare;
    const said = state.picture === "upload" ? { ...state, picture: undefined, true: undefined } : state;
    return location.href.replace(/#.*$/, "") + hash(said);
  }

  function write({ replace = false } = {}) {
    const address = hash(compare.state);
    if (address === location.hash) return;
    history[replace ? "replaceState" : "pushState"]({ file: compare.state.file }, "", address);
    // A Space is a frame; the address that a visitor sees and copies is the one around it.
    if (window.parent !== window && location.hostname.endsWith(".hf.space"))
      window.parent.postMessage({ queryString: location.search, hash: address }, "https://huggingface.co");
  }

  async function read() {
    const { state, options, screen, isElsewhere } = readAddress(location.hash, facts);
    const note = isElsewhere ? TEXTS.notHere : null;
    const restored = compare.restore({ ...state, file: history.state?.file ?? null }, options, note);
    screens.show(screen); // of the state that is restored from here on
    await restored;
  }

  addEventListener("popstate", read);
  read().then(() => write({ replace: true }));
}

const notice = (text) => element("p", { class: "jx-notice" }, text);
