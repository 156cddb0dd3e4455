/** The verdict, always in sight: what both networks say about this picture, and how often each is right. */

import { element, mark } from "../viewer/dom.js";
import { percent, points } from "../viewer/numbers.js";
import { TEXTS } from "./texts.js";

const ARMS = ["baseline", "jpegdl"];

export function createStrip() {
  const place = (name) => element("div", { class: `jx-v-${name}` });
  const names = ["title", "label", "count", ...ARMS.map((arm) => `head-${arm}`), "head-difference"];
  names.push(...ARMS, "agreement", ...ARMS.map((arm) => `test-${arm}`), "points");
  const cells = Object.fromEntries(names.map((name) => [name, place(name)]));
  ARMS.forEach((arm) => cells[`head-${arm}`].append(mark(arm), TEXTS.arms[arm]));
  cells["head-difference"].append(mark("difference"), TEXTS.difference);
  const id = "jx-test-set";
  const details = element("div", { class: "jx-popover", popover: "auto", id, role: "dialog", "aria-label": TEXTS.testLink });
  const spoken = element("p", { class: "jx-hidden", "aria-live": "polite", "aria-atomic": "true" });
  const node = element(
    "section",
    { class: "jx-strip", "aria-label": TEXTS.verdict },
    element("div", { class: "jx-verdict" }, ...Object.values(cells)),
    element("div", { class: "jx-progress" }, element("i", {})),
    spoken,
    details,
  );

  function render(state, pair, result) {
    if (result) node.classList.remove("jx-waits", "jx-busy", "jx-old");
    cells.title.replaceChildren(pair.title);
    cells.title.title = pair.title;
    const truth = state.true === null ? TEXTS.notKnown : pair.classes[state.true];
    cells.label.replaceChildren(`${TEXTS.trueLabel} `, element("b", { title: truth }, truth));
    renderTest(pair);
    if (result) renderAnswers(state, pair, result);
  }

  function renderAnswers(state, pair, result) {
    const tops = answersOf(result);
    for (const arm of ARMS) {
      const { index, share } = tops[arm];
      const name = pair.classes[index];
      cells[arm].replaceChildren(
        mark(arm),
        element("b", { class: "jx-name", title: name }, name),
        element("span", {}, percent(share)),
        ...(state.true === null ? [] : [judged(index === state.true)]),
      );
    }
    const truth = state.true === null ? [] : [element("span", { class: "jx-truth" }, `, ${TEXTS.trueLabel.toLowerCase()}\u00a0`, element("b", {}, pair.classes[state.true]))];
    cells.agreement.replaceChildren(element("span", {}, agreement(state, tops)), ...truth);
  }

  function renderTest(pair) {
    const { both, only_baseline: baseline, only_jpegdl: jpegdl, neither } = pair.test;
    const count = both + baseline + jpegdl + neither;
    const right = { baseline: both + baseline, jpegdl: both + jpegdl };
    cells.count.replaceChildren(TEXTS.testSet(count));
    for (const arm of ARMS)
      cells[`test-${arm}`].replaceChildren(mark(arm), element("b", {}, percent(right[arm] / count)), ` ${TEXTS.right}`);
    const button = element("button", { type: "button", class: "jx-link", popovertarget: id }, pair.beside ?? TEXTS.more);
    const phone = element("button", { type: "button", class: "jx-link jx-on-phone", popovertarget: id }, TEXTS.testLink);
    const change = element("span", {}, element("b", {}, points((jpegdl - baseline) / count)), ` ${TEXTS.points} `);
    cells.points.replaceChildren(change, button, phone);
    details.replaceChildren(...testDetails(pair, { both, baseline, jpegdl, neither, count }));
  }

  /** Something is being computed, or has stopped being: what is shown is old. */
  function wait(text, { isOld, isBusy = true }) {
    node.classList.add("jx-waits");
    node.classList.toggle("jx-busy", isBusy);
    node.classList.toggle("jx-old", isOld);
    cells.title.replaceChildren(text);
  }

  function announce(state, pair, result) {
    const tops = answersOf(result);
    const said = ARMS.map((arm) => `${TEXTS.arms[arm]}: ${pair.classes[tops[arm].index]}, ${percent(tops[arm].share)}`);
    spoken.textContent = `${said.join(". ")}. ${agreement(state, tops)}.`;
  }
  return { node, render, wait, announce };
}

const answersOf = ({ answers, probabilities }) =>
  Object.fromEntries(ARMS.map((arm) => [arm, { index: answers[arm], share: probabilities[arm][answers[arm]] }]));

function agreement({ true: truth }, { baseline, jpegdl }) {
  const right = ARMS.filter((arm) => ({ baseline, jpegdl })[arm].index === truth);
  if (baseline.index === jpegdl.index) return TEXTS.same[truth === null ? "unknown" : right.length ? "both" : "none"];
  return TEXTS.different[truth === null ? "unknown" : (right[0] ?? "none")];
}

const judged = (isRight) =>
  element(
    "span",
    { class: isRight ? "jx-right" : "jx-wrong", role: "img", "aria-label": isRight ? TEXTS.right : TEXTS.wrong },
    isRight ? "✓" : "✗",
  );

/** The four counts, chance in words, and what the controls explain. */
function testDetails(pair, { both, baseline, jpegdl, neither, count }) {
  const row = (name, number) => element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, number.toLocaleString("en")));
  const right = { baseline: both + baseline, jpegdl: both + jpegdl };
  const between = (arm) => (pair.intervals ? ` (${TEXTS.interval(pair.intervals[arm])})` : "");
  const accuracies = ARMS.map((arm) => `${TEXTS.arms[arm]}: ${percent(right[arm] / count)}${between(arm)}.`);
  const rows = [
    [TEXTS.counts.both, both],
    [TEXTS.counts.baseline, baseline],
    [TEXTS.counts.jpegdl, jpegdl],
    [TEXTS.counts.neither, neither],
  ].map(([name, number]) => row(name, number));
  return [
    element("h3", {}, TEXTS.testSet(count)),
    element("table", {}, element("tbody", {}, ...rows)),
    element("p", {}, accuracies.join(" ")),
    ...(pair.sentences ?? [TEXTS.noControl]).map((text) => element("p", {}, text)),
    element("p", {}, element("button", { type: "button", class: "jx-link", "data-screen": "evidence" }, TEXTS.evidence)),
  ];
}
