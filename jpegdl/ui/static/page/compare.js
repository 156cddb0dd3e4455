/**
 * The Compare screen: one state {pair, picture, true, stage, quantizer}, with a number that grows with every change. A
 * result is shown only if it answers the state's question; what comes later than the next choice belongs to nothing.
 */

import { element } from "../viewer/dom.js";
import { mountTable } from "../viewer/table.js";
import { addressOf } from "./address.js";
import { captionOf, changed, exampleOf, fitted, labelled, question, startOf, wire } from "./asked.js";
import { acceptFiles, whyNot } from "./files.js";
import { Busy, Lost, Refusal } from "./gradio.js";
import { createLayer } from "./layer.js";
import { createRail } from "./rail.js";
import { createSettings } from "./settings.js";
import { createStrip } from "./strip.js";
import { TEXTS } from "./texts.js";

const KEPT = 24; // results of this tab
const LONG = 700; // ms; a shorter wait needs no words

/** `onSay` hears what is said under the picture, for where that is out of sight. */
export function createCompare({ facts, first, server, onState, onOptions, onSay }) {
  const pairs = new Map(facts.pairs.map((pair) => [pair.name, pair]));
  const results = new Map(); // question -> result
  const uploads = new Map(); // path on the server -> {name, preview}: this tab's own pictures
  let state = { ...startOf(facts.pairs[0]), number: 0 };
  let shown = null; // {state, result}
  let waitsFor = null; // why what is shown is old, in words
  let running = null; // {question, giving, done}: the question that is on its way
  let sending = null; // {giving, wanted}: a visitor's picture that is on its way, and what was chosen for it meanwhile

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

  /** A visitor chooses something. What is chosen while his picture is on its way is for that picture. */
  async function change(changes) {
    if (sending && !changes.picture) {
      sending.wanted = { ...sending.wanted, ...(changes.pair ? { true: null } : {}), ...changes };
      render();
      return wait(waitsFor);
    }
    const wanted = { ...sending?.wanted, ...changes };
    keepHere();
    set(changed(state, wanted));
    onState();
    await answer();
    onOptions();
  }

  function set(wanted) {
    state = { ...fitted(wanted, pairs.get(wanted.pair)), number: state.number + 1 };
    if (running?.question !== question(state)) say(null);
    render();
  }

  function say(said) {
    rail.say(said);
    onSay(said);
  }

  /** No answer that is on its way is waited for any more. */
  function giveUp() {
    running?.giving.abort();
    running = null;
  }

  /** No picture that is on its way is waited for any more. */
  function keepHere() {
    sending?.giving.abort();
    sending = null;
  }

  function answer() {
    if (running?.question === question(state)) {
      wait(waitsFor); // only the true class is another, and that asks nobody
      return running.done;
    }
    giveUp();
    const known = results.get(question(state));
    if (known) return present(known);
    running = { question: question(state), giving: new AbortController() };
    running.done = run(running);
    return running.done;
  }

  async function run(mine) {
    const asked = wire(state);
    let result;
    wait(TEXTS.computing(caption()));
    try {
      result = (await server.call("glance", asked)) ?? (running === mine && (await queued(asked, mine)));
    } catch (error) {
      if (running !== mine) return;
      running = null;
      return fail(error);
    }
    if (running !== mine) return;
    running = null;
    if (result.refused) return refuse(result.refused);
    keep(result, state);
    await present(result);
  }

  /** A run of the networks; a wait that lasts is told, with the place in it. */
  async function queued(asked, mine) {
    let latest = null;
    let isLong = false;
    const tell = () => {
      if (running !== mine || !latest) return;
      const text = latest.place < 0 ? TEXTS.running : TEXTS.place(latest);
      say({ text, here: shown && TEXTS.seesOld, button: TEXTS.stop, act: stop });
    };
    const timer = setTimeout(() => {
      isLong = true;
      tell();
    }, LONG);
    try {
      return await server.ask("ask", [asked], {
        signal: mine.giving.signal,
        onPlace: (place) => {
          latest = place;
          if (isLong) tell();
        },
      });
    } finally {
      clearTimeout(timer);
    }
  }

  async function present(found) {
    const asked = state;
    const result = labelled(found, asked);
    const before = shown;
    say(null);
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
    strip.wait(text, { isOld: shown !== null });
  }

  /** Nothing is on its way any more: what is shown is that of the state, or of an earlier one, or nothing. */
  function rest() {
    if (running || sending) return;
    if (shown && question(shown.state) === question(state)) {
      if (waitsFor) present(shown.result);
      return;
    }
    waitsFor = shown ? TEXTS.old : TEXTS.nothing;
    table.old(waitsFor, { isBusy: false });
    strip.wait(waitsFor, { isOld: shown !== null, isBusy: false });
  }

  function stop() {
    giveUp();
    rest();
    say({ text: shown ? TEXTS.stopped : TEXTS.stoppedFirst, button: TEXTS.again, act: answer });
  }

  function fail(error, { name, again = answer } = {}) {
    if (error instanceof Refusal && !(error instanceof Busy)) return refuse(error.message, name);
    if (!(error instanceof Busy || error instanceof Lost)) throw error;
    rest();
    const lost = shown ? TEXTS.lost : TEXTS.lostFirst;
    say({ text: error instanceof Busy ? error.message : lost, button: TEXTS.again, act: again });
  }

  /** The picture cannot be shown: everything goes back to what is shown, and the reason stands under the field. */
  function refuse(sentence, name = caption()) {
    const back = shown?.state ?? startOf(pairs.get(state.pair));
    if (shown || question(back) !== question(state)) {
      set(back);
      onState({ replace: true });
      answer();
    } else rest();
    say({ title: TEXTS.refused(name), text: sentence, here: shown && TEXTS.kept, isWrong: true });
  }

  async function upload(file, wanted = {}) {
    const reason = whyNot(file);
    const name = file.name || TEXTS.picture.yours;
    if (reason && (running || sending)) return say({ title: TEXTS.refused(name), text: reason, isWrong: true });
    if (reason) return refuse(reason, name);
    giveUp();
    keepHere();
    const mine = { giving: new AbortController(), wanted };
    sending = mine;
    render();
    wait(TEXTS.uploading(name));
    say({ text: TEXTS.uploading(name), button: TEXTS.stop, act: () => unsend(mine.wanted) });
    try {
      const path = await server.upload(file, { signal: mine.giving.signal });
      if (mine !== sending) return;
      uploads.set(path, { name, preview: URL.createObjectURL(file) });
      await change({ picture: "upload", file: path, true: mine.wanted.true ?? null });
    } catch (error) {
      if (mine !== sending) return;
      keepHere();
      render();
      fail(error, { name, again: () => upload(file, mine.wanted) });
    }
  }

  /** The picture stays away; what was chosen beside its true class is for the one that is shown. */
  function unsend({ true: _, ...wanted }) {
    keepHere();
    return change(wanted);
  }

  async function draw(seed = null) {
    const asked = question(state);
    const again = () => draw(seed);
    const drawn = await server.call("drawn", state.pair, seed).catch((error) => fail(error, { again }));
    if (!drawn || asked !== question(state) || sending) return;
    if (drawn.refused) return say({ text: drawn.refused, isWrong: true });
    await change({ picture: `draw:${drawn.seed}`, file: null, true: drawn.true });
  }

  /** The state of an address, and the viewer's options; `note` is what it said in vain. */
  async function restore(said, options, note = null) {
    const own = said.picture === "upload" ? uploads.has(said.file) : true;
    const begin = { ...startOf(pairs.get(said.pair)), true: undefined };
    keepHere();
    set({ ...begin, ...said, ...(own ? {} : { picture: null, file: null, true: undefined }) });
    const restored = question(state);
    const { class: index, row, ...others } = { ...defaults, ...options };
    for (const [name, value] of Object.entries({ ...others, row: null })) setOption(name, value);
    await answer();
    if (restored !== question(state) || sending) return; // somebody has chosen something since
    setOption("class", index ?? shown?.result.target ?? null);
    if (table.options().row === null) setOption("row", row);
    onOptions();
    if (!own || note) say({ text: own ? note : TEXTS.gone });
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

  function caption() {
    return captionOf(state, pairs.get(state.pair), uploads.get(state.file)?.name);
  }

  function render() {
    const pair = pairs.get(state.pair);
    const result = results.get(question(state)) ?? null;
    const meant = sending ? { ...state, true: null, ...sending.wanted } : state; // what the menus say
    const of = pairs.get(meant.pair);
    rail.render({ state, pair, chosen: meant.pair, result, caption: caption(), preview: previewOf(pair, result) });
    settings.render(fitted(meant, of), of);
    strip.render(state, pair, sending ? null : result);
    layer.render(result);
  }

  function previewOf(pair, result) {
    const { large } = exampleOf(pair, state.picture) ?? {};
    return large ? facts.at(large) : (uploads.get(state.file)?.preview ?? result?.pictures.given ?? null);
  }

  return {
    node,
    overlay: files.overlay,
    change,
    restore,
    defaults,
    get state() {
      return state;
    },
    /** Of the viewer, as an address holds them: of a result that is still to come no class is known. */
    get options() {
      const options = table.options();
      const isShown = shown !== null && question(shown.state) === question(state);
      return isShown && options.class !== shown.result.target ? options : { ...options, class: null };
    },
    pairs: facts.pairs.map(({ name, short }) => [name, short]),
    get pair() {
      return pairs.get(state.pair);
    },
    /** A tile that shows an example of the pair on this screen. */
    linkTo: ({ key, thumb, caption: title }) =>
      element(
        "a",
        { class: "jx-tile", href: addressOf({ state: { pair: state.pair, picture: key } }), title },
        element("img", { src: facts.at(thumb), alt: title, width: 128, height: 128 }),
      ),
    wire: () => wire(state),
  };
}
