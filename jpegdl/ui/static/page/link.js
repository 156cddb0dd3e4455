/** The link to what is seen: copied, written out where the browser does not let a page copy, and as a QR code. */

import { element } from "../viewer/dom.js";
import { icon } from "./icons.js";
import { TEXTS } from "./texts.js";

export function createLink(look) {
  const id = "jx-link";
  const field = element("input", { type: "text", readonly: true, "aria-label": TEXTS.link.title });
  const said = element("p", { role: "status" });
  const code = element("div", { class: "jx-qr" });
  const close = element("button", { type: "button", class: "jx-button", popovertarget: id, popovertargetaction: "hide" }, TEXTS.link.close);
  const panel = element(
    "div",
    { class: "jx-popover jx-link-panel", popover: "auto", id, role: "dialog", "aria-label": TEXTS.link.title },
    said,
    field,
    code,
    close,
  );
  const button = element(
    "button",
    { type: "button", class: "jx-button jx-copy", "aria-label": TEXTS.link.copy, onclick: open },
    icon("link"),
    element("span", {}, TEXTS.link.copy),
  );
  field.addEventListener("focus", () => field.select());

  async function open() {
    const { address, isPrivate } = look();
    field.value = address;
    panel.showPopover();
    const copied = await copy(address);
    said.textContent = `${copied ? TEXTS.link.copied : TEXTS.link.copyYourself}${isPrivate ? ` ${TEXTS.link.private}` : ""}`;
    if (!copied) field.select();
    code.replaceChildren(await drawCode(address));
  }
  return { button, panel };
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // not https, or not allowed
  }
}

async function drawCode(text) {
  const { qrcode } = await import("./qr/qrcode.mjs");
  const code = qrcode(0, "L");
  code.addData(text);
  code.make();
  const count = code.getModuleCount();
  const parts = [];
  for (let y = 0; y < count; y += 1)
    for (let x = 0; x < count; x += 1) if (code.isDark(y, x)) parts.push(`M${x} ${y}h1v1h-1z`);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `-4 -4 ${count + 8} ${count + 8}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", TEXTS.link.qr);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", parts.join(""));
  svg.append(path);
  return svg;
}
