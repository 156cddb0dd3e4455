/** Line drawings, 16 x 16, in the colour of the text around them; screen readers skip them. */

const PATHS = {
  upload: "M8 10.500V2.500M4.500 6L8 2.500L11.500 6M2.500 10.500v3h11v-3",
  camera: "M1.500 4.500h3l1.500-2h4l1.500 2h3v9h-13zM8 11.300a2.600 2.600 0 1 0 0-5.200a2.600 2.600 0 0 0 0 5.200z",
  link: "M6.500 9.500L9.500 6.500M7.500 4.500L9.200 2.800a2.800 2.800 0 0 1 4 4L11.500 8.500M8.500 11.500L6.800 13.200a2.800 2.800 0 0 1-4-4L4.500 7.500",
  close: "M3 3l10 10M13 3L3 13",
  dice: "M2.500 2.500h11v11h-11zM5.500 5.500h.01M10.500 10.500h.01M8 8h.01M10.500 5.500h.01M5.500 10.500h.01",
};

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "jx-icon");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}
