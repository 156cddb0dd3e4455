/** A labelled native menu: works with touch, keyboard, hundreds of entries, and on a page that a machine translates. */

import { element } from "../viewer/dom.js";

export function menu({ label, onChoose }) {
  const select = element("select", {});
  select.addEventListener("change", () => onChoose(select.value));
  const node = element("label", { class: "jx-menu" }, element("span", {}, label), select);
  let filled = "";

  /** Entries are [value, text]; the value is what counts, whatever the text becomes. */
  function fill(entries) {
    const now = JSON.stringify(entries);
    if (now === filled) return;
    filled = now;
    select.replaceChildren(...entries.map(([value, text]) => element("option", { value }, text)));
  }
  return { node, fill, choose: (value) => (select.value = value) };
}
