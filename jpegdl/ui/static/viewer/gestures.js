/**
 * Pointer Events of one canvas, by hand: the libraries looked at (panzoom, pinch-zoom-element, @use-gesture) move one
 * element by CSS or bring a build of their own, and six canvases that are drawn anew, in step, need only these lines.
 */

import { clamp } from "./numbers.js";

const HOLD = 250; // ms
const SLIP = 8; // CSS pixels that a finger may move and still tap or hold
const [WHEEL, PINCH] = [0.0015, 0.01]; // zoom per pixel of a wheel, and of two fingers on a touchpad
const MOST = 1.25; // zoom of one event
const LINE = 16; // pixels, where the wheel counts lines

/**
 * `to` is told point(x, y), away(), tap(x, y), zoom(factor, x, y), pan(dx, dy) and, if it has it, hold(true | false); x
 * and y are client pixels.
 * `wheels(event)` says whether a turn of the wheel is meant for the picture. Returns a function that stops listening.
 */
export function listen(canvas, to, wheels) {
  const down = new Map();
  const stop = new AbortController();
  let timer = 0;
  let held = false;
  let slipped = false;

  const on = (type, handler, options = {}) =>
    canvas.addEventListener(type, handler, { signal: stop.signal, ...options });
  const spread = () => {
    const [one, other] = [...down.values()];
    return { size: Math.hypot(one.x - other.x, one.y - other.y), x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 };
  };
  const movesPicture = () => getComputedStyle(canvas).touchAction === "none";
  const release = () => {
    clearTimeout(timer);
    if (held) to.hold(false);
    held = false;
  };

  on("pointerdown", (event) => {
    if (event.button !== 0) return;
    down.set(event.pointerId, { x: event.clientX, y: event.clientY, startX: event.clientX, startY: event.clientY });
    canvas.setPointerCapture(event.pointerId);
    canvas.focus({ preventScroll: true });
    release();
    slipped = down.size > 1;
    if (to.hold && event.pointerType !== "mouse" && down.size === 1)
      timer = setTimeout(() => {
        held = true;
        to.hold(true);
      }, HOLD);
  });

  on("pointermove", (event) => {
    const finger = down.get(event.pointerId);
    if (!finger) {
      if (event.pointerType === "mouse") to.point(event.clientX, event.clientY);
      return;
    }
    const before = down.size > 1 ? spread() : { ...finger };
    Object.assign(finger, { x: event.clientX, y: event.clientY });
    if (down.size > 1) {
      const now = spread();
      to.pan(now.x - before.x, now.y - before.y);
      if (before.size > 0) to.zoom(now.size / before.size, now.x, now.y);
      return;
    }
    if (!slipped && Math.hypot(finger.x - finger.startX, finger.y - finger.startY) > SLIP) {
      slipped = true;
      if (!held) release();
    }
    if (slipped && !held) to.pan(finger.x - before.x, finger.y - before.y);
  });

  function up(event) {
    if (!down.delete(event.pointerId)) return;
    const tapped = event.type === "pointerup" && !held && !slipped && down.size === 0;
    release();
    if (tapped) to.tap(event.clientX, event.clientY);
  }
  on("pointerup", up);
  on("pointercancel", up);
  on("pointerleave", (event) => event.pointerType === "mouse" && down.size === 0 && to.away());
  on("contextmenu", (event) => down.size > 0 && event.preventDefault()); // a held finger peeks, it asks for no menu
  // Two fingers zoom the picture and not the page; where a finger moves it, a quick one is no fling, after which the
  // browser would swallow a tap.
  on("touchstart", (event) => (event.touches.length > 1 || movesPicture()) && event.preventDefault(), {
    passive: false,
  });
  on(
    "wheel",
    (event) => {
      if (!wheels(event)) return;
      event.preventDefault();
      const turn = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE : 1);
      const factor = Math.exp(-turn * (event.ctrlKey ? PINCH : WHEEL));
      to.zoom(clamp(factor, 1 / MOST, MOST), event.clientX, event.clientY);
    },
    { passive: false },
  );
  return () => {
    clearTimeout(timer);
    stop.abort();
  };
}
