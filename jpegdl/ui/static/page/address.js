/**
 * The state in the address, so that reload, back and a link in another browser bring it back. What is not said is the
 * default. A visitor's picture is never part of it.
 */

const STATE = ["pair", "picture", "stage", "quantizer"];

/** The address of a state, of the viewer's options that are not their defaults, and of the open screen. */
export function addressOf({ state, options, defaults, screen }) {
  const said = new URLSearchParams();
  if (screen && screen !== "compare") said.set("screen", screen);
  for (const name of STATE) if (state[name] !== null && state[name] !== undefined) said.set(name, state[name]);
  if (state.true !== undefined) said.set("true", state.true === null ? "none" : state.true);
  for (const [name, value] of Object.entries(options ?? {}))
    if (value !== null && value !== defaults?.[name]) said.set(`view.${name}`, value);
  return `#${said}`;
}

const OF_A_PAIR = ["true", "stage", "view.class"]; // numbers and names that mean something else for another pair

/**
 * {state, options, screen, isElsewhere}: what an address says, as far as this page has it; anything else is left out.
 * `isElsewhere`: it names a pair that is not here.
 */
export function readAddress(hash, facts) {
  const said = new URLSearchParams(hash.replace(/^#/, ""));
  const named = facts.pairs.find(({ name }) => name === said.get("pair"));
  const isElsewhere = said.has("pair") && !named;
  if (isElsewhere) OF_A_PAIR.forEach((name) => said.delete(name));
  const pair = named ?? facts.pairs[0];
  const state = { pair: pair.name };
  if (said.has("picture")) state.picture = said.get("picture");
  if (pair.stages.includes(said.get("stage"))) state.stage = said.get("stage");
  if (facts.quantizers.includes(said.get("quantizer"))) state.quantizer = said.get("quantizer");
  const truth = said.get("true");
  if (truth === "none") state.true = null;
  else if (/^\d+$/.test(truth) && Number(truth) < pair.classes.length) state.true = Number(truth);
  const options = {};
  for (const [name, text] of said) if (name.startsWith("view.")) options[name.slice(5)] = valueOf(text);
  return { state, options, screen: said.get("screen") ?? "compare", isElsewhere };
}

const valueOf = (text) => ({ true: true, false: false })[text] ?? (/^\d+$/.test(text) ? Number(text) : text);
