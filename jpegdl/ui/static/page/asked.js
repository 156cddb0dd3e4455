/** What can be asked: states {pair, picture, file, true, stage, quantizer}, and what of them a pair has. No DOM. */

import { TEXTS } from "./texts.js";

export const exampleOf = (pair, key) => [...pair.picked, ...pair.examples].find((example) => example.key === key);

export const isDraw = (picture) => picture?.startsWith("draw:") ?? false;

/** What the networks are asked; the true class asks nobody. */
export const question = ({ pair, picture, file, stage, quantizer }) => JSON.stringify([pair, picture, file, stage, quantizer]);

/** A state as the server takes it. */
export const wire = ({ number, pair, picture, true: truth, stage, quantizer, file }) => ({
  number,
  pair,
  picture,
  true: truth,
  stage,
  quantizer,
  file,
});

/** A result under the true class and the file of the state that asks for it. */
export const labelled = (result, asked) => ({ ...result, state: { ...result.state, true: asked.true, file: asked.file } });

/** The state that a pair begins with. */
export function startOf(pair) {
  const { key, true: truth } = pair.picked[0] ?? pair.examples[0];
  return { pair: pair.name, picture: key, true: truth, file: null, stage: pair.default_stage, quantizer: "five levels" };
}

/** A picture that goes with a pair stays; a class or stage that another pair has does not. */
export function fitted(wanted, pair) {
  const begin = startOf(pair);
  const example = exampleOf(pair, wanted.picture);
  const isThere = example || (wanted.picture === "upload" && wanted.file) || (isDraw(wanted.picture) && pair.draws);
  const picture = isThere ? wanted : begin;
  const truth = picture.true === undefined ? (exampleOf(pair, picture.picture)?.true ?? null) : picture.true;
  return {
    ...wanted,
    picture: picture.picture,
    file: picture.file ?? null,
    true: truth !== null && truth < pair.classes.length ? truth : null,
    stage: pair.stages.includes(wanted.stage) ? wanted.stage : begin.stage,
    quantizer: wanted.quantizer ?? begin.quantizer,
  };
}

/** The state after a choice: another pair or picture has another true class, and a drawn picture is its pair's. */
export function changed(state, changes) {
  const other = changes.pair && changes.pair !== state.pair;
  const again = other || changes.picture ? { true: changes.true } : {};
  const picture = other && isDraw(state.picture) ? { picture: null } : {};
  return { ...state, ...picture, ...again, ...changes };
}

/** What a picture is called; `own` is the name of a visitor's own file, if this tab has it. */
export function captionOf({ picture }, pair, own) {
  if (picture === "upload") return own ?? TEXTS.picture.yours;
  if (isDraw(picture)) return TEXTS.drawn(picture.slice(5));
  return exampleOf(pair, picture)?.caption ?? TEXTS.picture.yours;
}
