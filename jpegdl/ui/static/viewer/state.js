/** What the viewer knows at one moment: one result, the options that an address may hold, and where somebody looks. */

import { allMaps, limitOf } from "./maps.js";
import { decodePictures } from "./pictures.js";
import { WHOLE } from "./place.js";

/** Every option, with the values it can have; `class` and `row` depend on the result. The first one is the default. */
export const CHOICES = {
  row: [null, "given", "looks", "says"], // the row that is open large
  mode: ["slide", "side", "blink", "difference"], // how it is compared there
  front: ["baseline", "jpegdl"], // which network a blink shows
  column: ["jpegdl", "baseline", "difference"], // what the card of a phone shows
  drawing: ["cells", "smooth", "overlay"],
  ruler: ["class", "all"],
  difference: ["brightness", "colour"],
  grid: [false, true],
  picture: [true, false], // below the maps
  numbers: [true, false], // in the cells of a map that is open large
};

export function newState(palette, texts) {
  const options = Object.fromEntries(Object.entries(CHOICES).map(([name, [first]]) => [name, first]));
  return { palette, texts, result: null, old: null, options: { class: null, ...options }, ...nowhere() };
}

/** Nobody looks at anything: the whole picture, no cursor, nothing held. */
const nowhere = () => ({ place: WHOLE, cursor: null, pinned: false, peek: null });

/** Refuses what no option can be, so that an address with a typing error says so instead of drawing nothing. */
export function checkedOptions(changes, { result }) {
  const choices = { class: result ? result.maps.classes : [null], ...CHOICES };
  for (const [name, value] of Object.entries(changes)) {
    if (!(name in choices)) throw new Error(`there is no option ${name}; there are ${Object.keys(choices).join(", ")}`);
    if (!choices[name].includes(value))
      throw new Error(`the option ${name} is one of ${choices[name].join(", ")}, not ${value}`);
  }
  return changes;
}

/** The parts of the state that come with a result: everything is decoded and divided here, once. */
export async function loaded(result, facts, state) {
  const pictures = await decodePictures(result, state.palette);
  return { result, facts, pictures, maps: allMaps(result.maps), shown: shownClasses(result) };
}

/** The class to explain first: the one that was chosen, if the picture and the asked one are still the same. */
export function firstClass(result, { result: before, options }) {
  const same = before && ["pair", "picture", "file"].every((name) => before.state[name] === result.state[name]);
  const kept = same && before.target === result.target && result.maps.classes.includes(options.class);
  return kept ? options.class : result.target;
}

/** The classes of the third row, the surest first: those that have maps. */
function shownClasses({ maps, probabilities }) {
  const surest = (index) => Math.max(probabilities.baseline[index], probabilities.jpegdl[index]);
  return [...maps.classes].sort((one, other) => surest(other) - surest(one) || one - other);
}

/** Forget where somebody looked. */
export const lookAway = (state) => Object.assign(state, nowhere());

/** What `paint` needs to know; `canvas` adds what depends on where it paints (see paint.js). */
export function sceneOf(state, canvas = {}) {
  const { pictures, maps, palette, options, place, cursor } = state;
  const limit = limitOf(maps, options.class, options.ruler);
  return { pictures, map: maps.get(options.class), limit, palette, options, place, cursor, ratio: 1, ...canvas };
}

/** The arm in the column `column`: what a finger holds up, else its own. */
export const armShown = (state, column) => state.peek ?? column;

/** The arm that a held finger shows instead. */
export const peeked = (column) => (column === "baseline" ? "jpegdl" : "baseline");
