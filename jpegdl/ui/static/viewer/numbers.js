/** How numbers are rounded and written. No DOM. */

const SPACE = "\u00a0"; // no-break
const MINUS = "\u2212";
const LIMITS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100];
const GAINS = [8, 4, 2, 1];

export const clamp = (value, least, most) => Math.min(most, Math.max(least, value));

/** To the nearest integer, halves to the even one, as NumPy's rint. */
export function rint(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

/** 0.0389 -> "3.9 %". */
export const percent = (share, digits = 1) => (100 * share).toFixed(digits) + SPACE + "%";

/** 0.09 -> "+9.0": a difference of two shares in points. */
export const points = (difference, digits = 1) => signed(100 * difference, digits);

export function signed(value, digits = 0) {
  const size = Math.abs(value).toFixed(digits);
  if (Number(size) === 0) return size;
  return (value > 0 ? "+" : MINUS) + size;
}

/** The first round share, in percent of one map, that `largest` does not exceed; as a share. */
export const roundLimit = (largest) => (LIMITS.find((limit) => limit >= 100 * largest - 1e-6) ?? 100) / 100;

/** A limit has no digits to lose: 0.15 -> "15", 0.004 -> "0.4". */
export const limitText = (limit) => String(Math.round(1000 * limit) / 10);

/** How many digits a share needs on a ruler that ends at `limit`. */
export const digitsFor = (limit) => (limit < 0.02 ? 2 : 1);

/** The largest factor by which levels up to `largest` can be multiplied without leaving +-128. */
export const gainFor = (largest) => GAINS.find((gain) => gain * largest <= 128) ?? 1;
