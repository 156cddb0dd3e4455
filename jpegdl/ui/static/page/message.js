/** A sentence for the visitor, with a button that does something about it; nothing takes it away but the next one. */

import { element } from "../viewer/dom.js";

export function createMessage() {
  const node = element("div", { class: "jx-message", role: "status", hidden: true });

  /** {title, text, here, button, act, isWrong}, or null; `here` is true where the picture is in sight. */
  function say(said) {
    node.hidden = !said;
    node.classList.toggle("jx-is-wrong", Boolean(said?.isWrong));
    if (!said) return node.replaceChildren();
    node.replaceChildren(
      ...(said.title ? [element("b", {}, said.title), " "] : []),
      element("span", {}, [said.text, said.here].filter(Boolean).join(" ")),
      ...(said.button ? [element("button", { type: "button", class: "jx-button", onclick: said.act }, said.button)] : []),
    );
  }
  return { node, say };
}
