/** Elements without markup in strings: class names and sentences are text, never HTML. */

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes (`onclick` and the like are listeners, null and false are left out) and children. */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const ICONS = {
  enlarge: "M2.5 6V2.5H6M10 2.5h3.500V6M13.500 10v3.500H10M6 13.500H2.500V10",
  close: "M3 3l10 10M13 3L3 13",
  screen: "M1.500 3h13v8.500h-13zM5.500 14h5",
  eye: "M1.500 8C4 4 12 4 14.500 8C12 12 4 12 1.500 8zM8 6.200a1.800 1.800 0 1 0 .01 0z",
  flag: "M4 14.500V2h8.500l-2 3 2 3H4",
};

/** A line drawing, 16 x 16, in the colour of the text around it; screen readers skip it. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("jxv-icon");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** The sign of an arm or of the difference: a disc, a diamond, or both halves. */
export function mark(arm) {
  return element("span", { class: `jxv-mark jxv-${arm}`, "aria-hidden": "true" });
}

/** An off-screen canvas whose pixels are read back or drawn from. */
export function sheet(width, height = width) {
  const canvas = element("canvas", { width, height });
  return { canvas, context: canvas.getContext("2d", { willReadFrequently: true }) };
}
