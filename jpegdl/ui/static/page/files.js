/** Pictures of a visitor's own: from the file dialog, the camera, dropped or pasted anywhere on the page. */

import { element } from "../viewer/dom.js";
import { TEXTS } from "./texts.js";

const TYPES = ["image/jpeg", "image/png", "image/webp"];
const ACCEPTED = [...TYPES, ".jpg", ".jpeg", ".png", ".webp"].join(",");
const MOST = 10 * 2 ** 20; // bytes; the server's own limit

/** Why the server would not take a file, if that can be told from here. */
export function whyNot(file) {
  if (file.size > MOST) return TEXTS.tooLarge;
  if (file.type && !TYPES.includes(file.type)) return TEXTS.notAPicture;
  return null;
}

export function acceptFiles(onFile) {
  const overlay = element("div", { class: "jx-drop", hidden: true }, TEXTS.picture.drop);
  const isFile = (event) => event.dataTransfer?.types.includes("Files");
  const cover = (on) => (event) => {
    if (!isFile(event)) return;
    event.preventDefault();
    overlay.hidden = !on;
  };
  document.addEventListener("dragover", cover(true));
  document.addEventListener("dragleave", (event) => event.relatedTarget === null && cover(false)(event));
  document.addEventListener("drop", (event) => {
    cover(false)(event);
    take(event.dataTransfer?.files);
  });
  document.addEventListener("paste", (event) => take(event.clipboardData?.files) && event.preventDefault());

  function take(files) {
    if (files?.length) onFile(files[0]);
    return Boolean(files?.length);
  }

  /** A button that opens the file dialog, or with `capture` the camera. */
  function button(label, icon, { capture } = {}) {
    const input = element("input", {
      type: "file",
      class: "jx-hidden",
      accept: capture ? "image/jpeg" : ACCEPTED,
      capture: capture ? "environment" : null,
      onchange: () => {
        take(input.files);
        input.value = ""; // the same file again is a choice, too
      },
    });
    return element("label", { class: `jx-button${capture ? " jx-camera" : ""}` }, icon, element("span", {}, label), input);
  }
  return { overlay, button };
}
