/** What the stage repeats of the page, which it covers: the verdict, and the values under the cursor. */

import { element, mark } from "./dom.js";
import { ARMS, COLUMNS } from "./maps.js";
import { percent } from "./numbers.js";
import { readingText } from "./paint.js";
import { sceneOf } from "./state.js";
import { className } from "./words.js";

/** Two lines: this picture, and the test set. */
export function verdictOf(state) {
  const { texts, result, facts } = state;
  const truth = result.state.true;
  const known = truth !== null && truth !== undefined;
  const answer = (arm) => {
    const first = result.answers[arm];
    return element(
      "span",
      {},
      mark(arm),
      `${texts.arms[arm]} `,
      element("b", {}, className(state, first)),
      ` ${percent(result.probabilities[arm][first])} `,
      known ? sign(first === truth, texts) : null,
    );
  };
  const label = known ? texts.stage.trueLabel(className(state, truth)) : texts.stage.noLabel;
  const lines = [element("div", {}, ...ARMS.map(answer), element("span", { class: "jxv-quiet" }, label))];
  if (facts.test) lines.push(element("div", { class: "jxv-quiet" }, ...testSet(facts.test, texts)));
  return lines;
}

const sign = (right, { stage }) =>
  element(
    "b",
    { class: right ? "jxv-right" : "jxv-wrong", role: "img", "aria-label": right ? stage.right : stage.wrong },
    right ? "✓" : "✗",
  );

function testSet({ both, only_baseline, only_jpegdl, neither }, texts) {
  const count = both + only_baseline + only_jpegdl + neither;
  const right = { baseline: (both + only_baseline) / count, jpegdl: (both + only_jpegdl) / count };
  return [
    element("span", {}, texts.stage.test(count)),
    ...ARMS.map((arm) => element("span", {}, mark(arm), `${texts.stage.accuracy(right[arm])}`)),
    element("span", {}, texts.stage.change(right.jpegdl - right.baseline)),
  ];
}

/** Both values and their difference, or how to get them. */
export function readingsOf(state, row) {
  const { texts } = state;
  if (!state.cursor) return [element("span", { class: "jxv-quiet" }, texts.stage.hint)];
  const scene = sceneOf(state);
  return COLUMNS.map((arm) =>
    element("span", {}, mark(arm), `${texts.arms[arm]} `, element("b", {}, readingText(row, arm, scene, texts))),
  );
}
