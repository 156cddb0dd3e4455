/** Controls that stand for one option: a radio group with arrows inside, a toggle, a menu. */

import { element } from "./dom.js";

const ARROWS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

/**
 * One Tab stop, arrows inside; `items` are [value, content nodes, name for screen readers or null].
 * `render(value)` marks the chosen one.
 */
export function radioGroup({ label, items, onChoose, className = "jxv-group", itemClass = "jxv-choice" }) {
  const buttons = items.map(([value, content, name]) =>
    element(
      "button",
      { type: "button", role: "radio", class: itemClass, "aria-label": name, onclick: () => onChoose(value) },
      ...content,
    ),
  );
  const node = element(
    "div",
    { class: className, role: "radiogroup", "aria-label": label, onkeydown: step },
    ...buttons,
  );
  function step(event) {
    const by = ARROWS[event.key];
    const at = buttons.indexOf(document.activeElement);
    if (!by || at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    const next = (at + by + buttons.length) % buttons.length;
    buttons[next].focus();
    onChoose(items[next][0]);
  }
  function render(chosen) {
    const any = items.some(([value]) => value === chosen);
    buttons.forEach((button, i) => {
      const checked = items[i][0] === chosen;
      button.setAttribute("aria-checked", checked);
      button.tabIndex = checked || (!any && i === 0) ? 0 : -1;
    });
  }
  return { node, render, buttons };
}

/** A button that is pressed or not. */
export function toggle({ label, onChoose, keys }) {
  const node = element("button", { type: "button", class: "jxv-button", "aria-keyshortcuts": keys }, label);
  node.addEventListener("click", () => onChoose(node.getAttribute("aria-pressed") !== "true"));
  return { node, render: (value) => node.setAttribute("aria-pressed", value) };
}

/** A menu of the values of one option; the chosen line says what is set. */
export function menu({ label, items, onChoose }) {
  const options = items.map(([value, text]) => element("option", { value }, text));
  const node = element("select", { class: "jxv-menu", "aria-label": label }, ...options);
  node.addEventListener("change", () => onChoose(node.value));
  return { node, render: (value) => (node.value = value) };
}
