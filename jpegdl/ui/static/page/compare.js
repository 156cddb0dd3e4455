/**
 * The Compare screen: one state {pair, picture, true, stage, quantizer}, with a number that grows with every change. A
 * result is shown only if its number is the state's; what comes later than the next choice belongs to nothing.
 */

import { element } from "../viewer/dom.js";
import { mountTable } from "../viewer/table.js";
import { addressOf } from "./address.js";
import { acceptFiles, whyNot } from "./files.js";
import { Busy, Lost, Refusal } from "./gradio.js";
import { createLayer } from "./layer.js";
import { createRail } from "./rail.js";
import { createSettings } from "./settings.js";
import { createStrip } from "./strip.js";
import { TEXTS } from "./texts.js";

const KEPT = 24; // results of this tab
const LONG = 700; // ms; a shorter wait needs no words

export function createCompare({ facts, first, server, onState, onOptions }) {
  const pairs = new Map(facts.pairs.map((pair) => [pair.name, pair]));
  const results = new Map(); // question -> result
  const uploads = new Map(); // path on the server -> {name, preview}: this tab's own pictures
  let state = { ...startOf(facts.pairs[0]), number: 0 };
  let shown = null; // {state, result}
  let waitsFor = null; // what is being computed, in words
  let asking = new AbortController();

  const files = acceptFiles(upload);
  const strip = createStrip();
  const rail = createRail({ facts, files, choose: change, draw });
  const settings = createSettings({ choose: change });
  const layer = createLayer();
  const root = element("div", { class: "jx-table" });
  const table = mountTable(root, { colours: facts.colours });
  const defaults = table.options();
  root.addEventListener("jx-option", () => onOptions());
  if (first) keep(first, { ...state, ...first.state });
  render();

  const node = element(
    "div",
    { class: "jx-compare" },
    strip.node,
    element("div", { class: "jx-body" }, rail.node, root, element("div", { class: "jx-more" }, settings.node, layer.node)),
  );

  /** The state that a pair begins with. */
  function startOf(pair) {
    const { key, true: truth } = pair.picked[0] ?? pair.examples[0];
    return { pair: pair.name, picture: key, true: truth, file: null, stage: pair.default_stage, quantizer: "five levels" };
  }

  /** A picture that goes with a pair stays; a class or stage that another pair has does not. */
  function fitted(wanted) {
    const pair = pairs.get(wanted.pair);
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

  /** A visitor chooses something. */
  function change(changes) {
    const other = changes.pair && changes.pair !== state.pair;
    const again = other || changes.picture ? { true: changes.true } : {};
    const picture = other && isDraw(state.picture) ? { picture: null } : {};
    set({ ...state, ...picture, ...again, ...changes });
    onState();
    return answer();
  }

  function set(wanted) {
    state = { ...fitted(wanted), number: state.number + 1 };
    rail.say(null);
    render();
  }

  async function answer() {
    asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    const asked = state;
    const known = results.get(question(asked));
    if (known) return present(relabelled(known, asked), asked);
    wait(TEXTS.computing(captionOf(asked)));
    try {
      const quick = await server.call("glance", wire(asked));
      if (asked !== state) return;
      const result = quick ?? (await queued(asked, signal));
      if (asked !== state) return;
      if (result.refused) return refuse(result.refused);
      keep(result, asked);
      await present(result, asked);
    } catch (error) {
      if (asked === state && !signal.aborted) fail(error);
    }
  }

  /** A run of the networks; a wait that lasts is told, with the place in it. */
  async function queued(asked, signal) {
    let latest = null;
    let isLong = false;
    const tell = () => {
      if (asked !== state || signal.aborted || !latest) return;
      rail.say({ text: latest.place < 0 ? TEXTS.running : TEXTS.place(latest), button: TEXTS.stop, act: stop });
    };
    const timer = setTimeout(() => {
      isLong = true;
      tell();
    }, LONG);
    try {
      return await server.ask("ask", [wire(asked)], {
        signal,
        onPlace: (place) => {
          latest = place;
          if (isLong) tell();
        },
      });
    } finally {
      clearTimeout(timer);
    }
  }

  async function present(result, asked) {
    rail.say(null);
    const before = shown;
    shown = { state: asked, result };
    const isNewest = await table.show({ ...result, number: asked.number }, pairs.get(asked.pair));
    if (!isNewest && shown.result === result) shown = before;
    if (asked !== state) {
      if (waitsFor) table.old(waitsFor); // it was chosen away while its pictures were decoded
      return;
    }
    waitsFor = null;
    render();
    strip.announce(asked, pairs.get(asked.pair), result);
    document.body.dataset.number = asked.number; // for those who wait for it
  }

  /** What is shown is of an earlier question. */
  function wait(text) {
    waitsFor = text;
    table.old(text);
    strip.wait(text, shown !== null);
  }

  function stop() {
    asking.abort();
    strip.wait(TEXTS.old, true);
    rail.say({ text: TEXTS.stopped, button: TEXTS.again, act: answer });
  }

  function fail(error, { name, again = answer } = {}) {
    if (error instanceof Refusal && !(error instanceof Busy)) return refuse(error.message, name);
    if (!(error instanceof Busy || error instanceof Lost)) throw error;
    strip.wait(shown ? TEXTS.old : TEXTS.nothing, true);
    rail.say({ text: error instanceof Busy ? error.message : TEXTS.lost, button: TEXTS.again, act: again });
  }

  /** The picture cannot be shown: everything goes back to what is shown, and the reason stands under the field. */
  function refuse(sentence, name = uploads.get(state.file)?.name ?? captionOf(state)) {
    const back = shown?.state ?? startOf(pairs.get(state.pair));
    if (shown || question(back) !== question(state)) {
      set(back);
      onState({ replace: true });
      answer();
    }
    rail.say({ title: TEXTS.refused(name), text: `${sentence} ${shown ? TEXTS.kept : ""}`, isWrong: true });
  }

  async function upload(file) {
    const reason = whyNot(file);
    const name = file.name || TEXTS.picture.yours;
    if (reason) return refuse(reason, name);
    asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    state = { ...state, number: state.number + 1 };
    const mine = state;
    wait(TEXTS.uploading(name));
    rail.say({ text: TEXTS.uploading(name), button: TEXTS.stop, act: answer });
    try {
      const path = await server.upload(file, { signal });
      if (mine !== state) return;
      uploads.set(path, { name, preview: URL.createObjectURL(file) });
      await change({ picture: "upload", file: path, true: null });
    } catch (error) {
      if (mine !== state || signal.aborted) return;
      fail(error, { name, again: () => upload(file) });
    }
  }

  async function draw(seed = null) {
    const asked = state;
    const drawn = await server.call("drawn", state.pair, seed).catch((error) => fail(error, { again: () => draw(seed) }));
    if (!drawn || asked !== state) return;
    if (drawn.refused) return rail.say({ text: drawn.refused, isWrong: true });
    await change({ picture: `draw:${drawn.seed}`, file: null, true: drawn.true });
  }

  /** The state of an address. */
  async function restore(said, options) {
    const own = said.picture === "upload" ? uploads.has(said.file) : true;
    set({ ...startOf(pairs.get(said.pair)), true: undefined, ...said, ...(own ? {} : { picture: null, file: null, true: undefined }) });
    await answer();
    for (const [name, value] of Object.entries({ ...defaults, ...options })) setOption(name, value);
    if (!own) rail.say({ text: TEXTS.gone });
  }

  function setOption(name, value) {
    try {
      table.set({ [name]: value });
    } catch {
      // an older address, or a class without a map in this result: the default stays
    }
  }

  function keep(result, asked) {
    results.set(question(asked), result);
    if (results.size > KEPT) results.delete(results.keys().next().value);
  }

  function captionOf({ pair, picture, file }) {
    if (picture === "upload") return uploads.get(file)?.name ?? TEXTS.picture.yours;
    if (isDraw(picture)) return TEXTS.drawn(picture.slice(5));
    return exampleOf(pairs.get(pair), picture)?.caption ?? TEXTS.picture.yours;
  }

  function render() {
    const pair = pairs.get(state.pair);
    const result = results.get(question(state)) ?? null;
    rail.render({ state, pair, result, caption: captionOf(state), preview: previewOf(pair, result) });
    settings.render(state, pair);
    strip.render(state, pair, result);
    layer.render(result);
  }

  function previewOf(pair, result) {
    const { large } = exampleOf(pair, state.picture) ?? {};
    return large ? facts.at(large) : (uploads.get(state.file)?.preview ?? result?.pictures.given ?? null);
  }

  return {
    node,
    overlay: files.overlay,
    restore,
    defaults,
    get state() {
      return state;
    },
    /** Of the viewer, as an address holds them. */
    get options() {
      const options = table.options();
      return options.class === shown?.result.target ? { ...options, class: null } : options;
    },
    pairs: facts.pairs.map(({ name, short }) => [name, short]),
    get pair() {
      return pairs.get(state.pair);
    },
    /** A tile that shows an example of the pair on this screen. */
    linkTo: ({ key, thumb, caption }) =>
      element(
        "a",
        { class: "jx-tile", href: addressOf({ state: { pair: state.pair, picture: key } }), title: caption },
        element("img", { src: facts.at(thumb), alt: caption, width: 128, height: 128 }),
      ),
    wire: () => wire(state),
  };
}

const exampleOf = (pair, key) => [...pair.picked, ...pair.examples].find((example) => example.key === key);
const isDraw = (picture) => picture?.startsWith("draw:") ?? false;
const question = ({ pair, picture, file, stage, quantizer }) => JSON.stringify([pair, picture, file, stage, quantizer]);
const wire = ({ number, pair, picture, true: truth, stage, quantizer, file }) => ({
  number,
  pair,
  picture,
  true: truth,
  stage,
  quantizer,
  file,
});

/** The same result with another true class: that asks nobody. */
const relabelled = (result, asked) => ({ ...result, state: { ...result.state, true: asked.true } });
