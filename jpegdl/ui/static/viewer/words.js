/** Captions, names for screen readers and sentences of the state. */

import { element } from "./dom.js";
import { ARMS, cellAt, COLUMNS } from "./maps.js";
import { readingText } from "./paint.js";
import { sceneOf } from "./state.js";

const UNSURE = 0.05; // below this share a network's map explains an answer that it hardly gives

export const className = ({ facts }, index) => facts.classes[index];

/** What a view shows, in a few words. */
export function caption(state, row, arm) {
  const { texts, options, pictures, maps, result } = state;
  const { captions } = texts;
  if (row === "given") {
    if (arm === "baseline") return captions.picture(pictures.size);
    if (arm === "jpegdl") return captions.reconstruction(result.state.quantizer);
    return captions[options.difference](pictures[options.difference].gain);
  }
  if (arm === "difference") return options.drawing === "overlay" ? captions.overlayDifference : captions.mapDifference;
  const map = maps.get(options.class);
  const name = className(state, options.class);
  if (map.empty[arm]) return captions.noMap(name);
  const given = doubtful(state, arm) === null ? name : captions.doubtful(name, doubtful(state, arm));
  return options.drawing === "overlay" ? captions.overlay(given) : captions.map(map.rows, map.columns, given);
}

/** What an arm gives the explained class if that is under 5 %, else null: its map then explains little. */
export function doubtful({ result, options }, arm) {
  const share = result.probabilities[arm]?.[options.class];
  return share < UNSURE ? share : null;
}

/** The sentence of a row; that of the maps belongs to the explained class, that of the answers to the true one. */
export function sentence(state, row) {
  const { sentences } = state.result;
  if (row === "looks") return sentences.looks[state.options.class] ?? "";
  return row === "says" ? `${sentences.says} ${judgement(state)}` : sentences[row];
}

/** Who is right. Said here, because a visitor may choose the true class when no server remembers the result. */
function judgement(state) {
  const { result, facts, texts } = state;
  const truth = result.state.true;
  if (truth === null) return texts.judged.unknown(facts.classes.length);
  const [right, other] = ARMS.filter((arm) => result.answers[arm] === truth);
  if (other) return texts.judged.both;
  return right ? texts.judged[right] : texts.judged.none(className(state, truth));
}

/** Writes the sentence of a row into a node; one that is there already keeps its focus and its open explanation. */
export function writeSentence(node, state, row) {
  const text = sentence(state, row);
  if (node.dataset.sentence === text) return;
  node.dataset.sentence = text;
  node.replaceChildren(element("p", { class: "jxv-sentence" }, ...withTerms(text, state.texts)));
}

/** All three values under the cursor, as one sentence. */
export function spokenReading(state, row) {
  const scene = sceneOf(state);
  const values = COLUMNS.map((arm) => `${state.texts.arms[arm]} ${readingText(row, arm, scene, state.texts)}`).join(
    ", ",
  );
  const place = cellAt(row === "given" ? state.pictures.blocks : scene.map, state.cursor);
  return state.texts[row === "given" ? "block" : "cell"](place.row + 1, place.column + 1, values);
}

/** A sentence with the first of each known term as a button that explains it; what follows a term stays at it. */
function withTerms(text, texts) {
  const found = Object.keys(texts.terms)
    .map((term) => ({ term, at: text.search(new RegExp(`\\b${term}\\b`)) }))
    .filter(({ at }) => at >= 0)
    .sort((one, other) => one.at - other.at);
  const parts = [];
  let end = 0;
  for (const { term, at } of found) {
    if (at < end) continue;
    const [mark] = text.slice(at + term.length).match(/^[.,;:)]*/);
    parts.push(...unbroken(text.slice(end, at)), termButton(term, texts.terms[term], mark));
    end = at + term.length + mark.length;
  }
  return [...parts, ...unbroken(text.slice(end))];
}

/** JPEG-DL is one word: no line ends at its hyphen. */
const unbroken = (text) =>
  text.split(/(JPEG-DL(?:’s)?)/).map((part, i) => (i % 2 ? element("span", { class: "jxv-word" }, part) : part));

let terms = 0;

function termButton(term, explanation, mark) {
  const id = `jxv-term-${(terms += 1)}`;
  const popover = element("span", { class: "jxv-popover", id, popover: "auto", role: "note" }, explanation);
  const button = element("button", { class: "jxv-term", type: "button", popovertarget: id }, term);
  popover.addEventListener("toggle", ({ newState }) => newState === "open" && placeBelow(popover, button));
  return element("span", { class: "jxv-word" }, button, popover, mark);
}

/** Below the button, or above it where there is no room, always inside the window. */
function placeBelow(popover, button) {
  const { left, top, bottom } = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = popover;
  popover.style.left = `${Math.max(8, Math.min(innerWidth - width - 8, left))}px`;
  popover.style.top = `${bottom + height + 12 < innerHeight ? bottom + 6 : Math.max(8, top - height - 6)}px`;
}
