"""What happens on the page, and the named endpoints that scripts call."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from gradio.components import Component
from gradio.events import api
from PIL import Image

from jpegdl.pairs.architectures import architecture
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.server.picture import SafeImage, refusal
from jpegdl.server.results import save_png
from jpegdl.server.uploads import Refused, read_upload
from jpegdl.ui import fragments
from jpegdl.ui.about import about_pair
from jpegdl.ui.compare import Analyse, Shown, compare_upload
from jpegdl.ui.menus import ASSETS, EXAMPLES, UNKNOWN, stage_menu, target_menu, true_class_menu
from jpegdl.ui.tables import show_tables

Pairs = Mapping[str, ModelPair]
Draw = Callable[[int], tuple[Image.Image, str]]  # seed -> a test picture and its class
Compare = Callable[..., Shown]  # the controls' values -> the outputs' values

UPLOAD_LABEL = "Your picture: JPEG, PNG or WebP, up to 10 MB"
SEEDS = 1_000_000

# One analysis at a time: every event that runs a network is in this queue. Who chooses again meanwhile gets the last
# choice; Gradio's default drops it, and the page would show one picture and another one's result.
_NETWORKS: dict[str, Any] = {"concurrency_id": "networks", "concurrency_limit": 1, "trigger_mode": "always_last"}


@dataclass(frozen=True)
class Controls:
    picture: SafeImage
    run: gr.Button
    examples: gr.Gallery
    pair: gr.Dropdown
    true_class: gr.Dropdown
    target: gr.Dropdown
    stage: gr.Radio
    quantizer: gr.Radio
    draw: gr.Button
    seed: gr.Number

    @property
    def inputs(self) -> list[Component]:
        """Arguments of /compare, in order."""
        return [self.picture, self.pair, self.target, self.true_class, self.stage, self.quantizer]


class Tables(NamedTuple):
    """Outputs of the Tables screen, in the order of `ShownTables`."""

    html: gr.HTML
    text: gr.DownloadButton
    json: gr.DownloadButton
    csv: gr.DownloadButton


class PairFacts(NamedTuple):
    """What says something about the pair and nothing about a picture."""

    strip: gr.HTML
    sentence: gr.HTML
    about: gr.HTML
    tables: Tables


def compare(
    pairs: Pairs,
    analyse: Analyse,
    folder: Path,
    picture: str | None,
    pair: str,
    target: str,
    true_class: str,
    stage: str,
    quantizer: str,
) -> Shown:
    """One analysis. Raises gr.Error with one sentence for whatever is not accepted."""
    try:
        upload = read_upload(picture)
    except Refused as refused:
        raise refusal(str(refused)) from None
    try:
        chosen = (target, true_class, stage, quantizer)
        return compare_upload(find_pair(pairs, pair), upload, *chosen, analyse=analyse, folder=folder)
    except ValueError as error:
        raise _not_accepted(error) from None


def _not_accepted(error: ValueError) -> gr.Error:
    return gr.Error(escape(str(error)), title="Not accepted", print_exception=False)


def find_pair(pairs: Pairs, name: str) -> ModelPair:
    if name not in pairs:
        raise ValueError(f"unknown pair {name!r}; this page has {', '.join(pairs)}")
    return pairs[name]


def _again(compare: Compare, picture: str | None, *settings: str) -> Any:
    """The same picture with other settings, if there is one."""
    return compare(picture, *settings) if picture else gr.skip()


def _waiting(shown: list[Component]) -> dict[str, Any]:
    """Where the wait and a refusal are shown; on every output they would cover the result that stays."""
    return {"show_progress_on": shown[Shown._fields.index("strip")], **_NETWORKS}


def on_compare(controls: Controls, shown: list[Component], pairs: Pairs, compare: Compare) -> None:
    private: dict[str, Any] = {"outputs": shown, "api_visibility": "private", **_waiting(shown)}

    def uploaded(picture: str | None, pair: str, target: str, _: str, *rest: str) -> Any:
        return gr.update(label=UPLOAD_LABEL), UNKNOWN, *compare(picture, pair, target, UNKNOWN, *rest)

    def take_example(pair: str, event: gr.SelectData) -> tuple[Any, str]:
        entry = EXAMPLES[event.index]
        picture = gr.update(value=str(ASSETS / "examples" / entry["file"]), label=f"Example: {entry['caption']}")
        return picture, entry["class"] if entry["class"] in pairs[pair].card.class_names else UNKNOWN

    controls.run.click(compare, controls.inputs, shown, api_name="compare", **_waiting(shown))
    controls.picture.upload(
        uploaded,
        controls.inputs,
        [controls.picture, controls.true_class, *shown],
        api_visibility="private",
        **_waiting(shown),
    )
    controls.examples.select(
        take_example,
        controls.pair,
        [controls.picture, controls.true_class],
        api_visibility="private",
        trigger_mode="multiple",
    ).then(compare, controls.inputs, **private)
    gr.on(
        # A Dropdown's `input` comes whenever it loses the focus, its `change` also when an example sets the true class.
        [controls.target.change, controls.true_class.input, controls.stage.input, controls.quantizer.input],
        partial(_again, compare),
        controls.inputs,
        **private,
    )


def on_pair(
    controls: Controls,
    shown: list[Component],
    facts: PairFacts,
    pairs: Pairs,
    compare: Compare,
    folder: Path,
) -> None:
    """Another pair: its verdict, tables, facts and menus; then the picture again, if there is one."""

    def changed(name: str) -> tuple[Any, ...]:
        pair = pairs[name]
        menus = (
            gr.Dropdown(**target_menu(pair.card)),
            gr.Dropdown(**true_class_menu(pair.card)),
            gr.Radio(**stage_menu(pair.card)),
        )
        facts = (fragments.verdict_strip, fragments.verdict_sentence, about_pair)
        return *(fact(pair.card) for fact in facts), *show_tables(pair, folder)[:4], *menus

    outputs = [*facts[:3], *facts.tables, controls.target, controls.true_class, controls.stage]
    controls.pair.change(changed, controls.pair, outputs, api_visibility="private").then(
        partial(_again, compare), controls.inputs, shown, api_visibility="private", **_waiting(shown)
    )


def on_draw(
    controls: Controls, shown: list[Component], draws: Mapping[str, Draw], compare: Compare, folder: Path
) -> None:
    """A uniform draw from the test pictures of the pair's data set, by a seed that is shown and can be typed."""

    def draw(pair: str, seed: float | None) -> tuple[Any, str, int]:
        if pair not in draws:
            raise gr.Error("The test pictures of this pair are not on this machine; see --data.", print_exception=False)
        number = secrets.randbelow(SEEDS) if seed is None else int(seed)
        picture, true_class = draws[pair](number)
        return gr.update(value=save_png(picture, folder), label="Random test picture"), true_class, number

    outputs = [controls.picture, controls.true_class, controls.seed]
    for event in (
        controls.draw.click(lambda pair: draw(pair, None), controls.pair, outputs, api_visibility="private"),
        controls.seed.submit(draw, [controls.pair, controls.seed], outputs, api_name="draw"),
    ):
        event.then(compare, controls.inputs, shown, api_visibility="private", **_waiting(shown))


def offer_api(pairs: Pairs, folder: Path) -> None:
    def list_pairs() -> list[dict[str, Any]]:
        """Name, title, class names, stages and test-set counts of every pair."""
        return [
            {
                "name": name,
                "title": pair.card.title,
                "class_names": list(pair.card.class_names),
                "stages": list(architecture(pair.card.architecture).stages),
                "test_set": asdict(pair.card.results["test"]),
            }
            for name, pair in pairs.items()
        ]

    def get_tables(pair: str) -> dict[str, Any]:
        """Learned, initial and standard tables of a pair, each (2, 8, 8): luma, chroma; grey levels a step."""
        try:
            return show_tables(find_pair(pairs, pair), folder).numbers
        except ValueError as error:
            raise _not_accepted(error) from None

    api(list_pairs, api_name="pairs")
    api(get_tables, api_name="tables")
