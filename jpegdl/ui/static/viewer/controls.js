/** How the pictures of a row are drawn: the controls of the options, the same beside the row and in the stage. */

import { menu, toggle } from "./choices.js";

/** The controls of a row, as {node, render()}. */
export function drawingControls(row, state, choose) {
  const { tools } = state.texts;
  const pick = (option, values) => {
    const items = values.map((value) => [value, tools[option][value]]);
    return { option, ...menu({ label: tools[option].label, items, onChoose: (value) => choose({ [option]: value }) }) };
  };
  const press = (option, keys) => ({
    option,
    ...toggle({ label: tools[option], keys, onChoose: (value) => choose({ [option]: value }) }),
  });
  const controls = {
    given: () => [press("grid", "G"), pick("difference", ["brightness", "colour"])],
    looks: () => [
      pick("drawing", ["cells", "smooth", "overlay"]),
      press("picture", "P"),
      pick("ruler", ["class", "all"]),
    ],
    says: () => [],
  }[row]();
  return controls.map(({ option, node, render }) => ({ node, render: () => render(state.options[option]) }));
}

/** Numbers in cells are for the stage, where they fit. */
export function numbersControl(state, choose) {
  const { node, render } = toggle({
    label: state.texts.tools.numbers,
    keys: "N",
    onChoose: (numbers) => choose({ numbers }),
  });
  return { node, render: () => render(state.options.numbers) };
}
