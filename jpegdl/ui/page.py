"""The page: the verdict on top, and the screens Compare, Tables and About."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import gradio as gr
from gradio.components import Component

from jpegdl.pairs.checkpoints import CheckpointError
from jpegdl.server.environment import results_folder
from jpegdl.server.files import page_files
from jpegdl.server.picture import SafeImage
from jpegdl.ui import fragments
from jpegdl.ui.about import about_pair
from jpegdl.ui.compare import Analyse, Shown
from jpegdl.ui.events import (
    SEEDS,
    UPLOAD_LABEL,
    Controls,
    Draw,
    PairFacts,
    Pairs,
    Tables,
    compare,
    offer_api,
    on_compare,
    on_draw,
    on_pair,
)
from jpegdl.ui.menus import AS_TRAINED, ASSETS, EXAMPLES, QUANTIZER_NAMES, stage_menu, target_menu, true_class_menu
from jpegdl.ui.tables import ShownTables, show_tables

STATIC = Path(__file__).parent / "static"
CSS = (STATIC / "page.css", STATIC / "layout.css")
FILES = page_files(STATIC)  # scripts load each other from FILES.address(...)


def build_demo(
    pairs: Pairs,
    refused: Mapping[str, CheckpointError],
    analyse: Analyse,
    *,
    draws: Mapping[str, Draw] | None = None,
) -> gr.Blocks:
    """The page for these pairs.

    `analyse` runs the networks. The pairs in `refused` are named on the page with their reason; without any pair the
    page still opens. `draws`: pair name -> how to draw one of its test pictures, for pairs whose data set is here.
    """
    with gr.Blocks(title="JPEG-DL Explorer", analytics_enabled=False) as demo:
        gr.HTML((STATIC / "header.html").read_text(), padding=False)
        for error in refused.values():
            gr.HTML(fragments.notice("warning", f"A pair was left out. {error}"), padding=False)
        if pairs:
            _screens(pairs, analyse, draws or {})
        else:
            gr.HTML(fragments.notice("warning", "There is no pair to show; README.md says how to train one."))
    return demo


def _screens(pairs: Pairs, analyse: Analyse, draws: Mapping[str, Draw]) -> None:
    folder = results_folder()
    first = next(iter(pairs.values()))
    strip = gr.HTML(fragments.verdict_strip(first.card), elem_id="strip", padding=False)
    sentence = gr.HTML(fragments.verdict_sentence(first.card), elem_id="sentence", padding=False)
    with gr.Tabs():
        with gr.Tab("Compare", id="compare"), gr.Row():
            with gr.Column(scale=1, min_width=280):
                controls = _controls(pairs, draws)
            with gr.Column(scale=3, min_width=320):
                outputs = _compare_outputs()
        with gr.Tab("Tables", id="tables"):
            tables = _table_outputs(show_tables(first, folder))
        with gr.Tab("About", id="about"):
            about = gr.HTML(about_pair(first.card), elem_id="about", padding=False)
            gr.Markdown((STATIC / "about.md").read_text(), elem_id="reading")
            with gr.Accordion("Authors and licences of the example pictures", open=False):
                gr.Markdown((ASSETS / "LICENSES.md").read_text(), elem_id="licences")

    outputs |= {"strip": strip, "tables": tables.html}
    shown = [outputs[field] for field in Shown._fields]
    run = partial(compare, pairs, analyse, folder)
    on_compare(controls, shown, pairs, run)
    on_pair(controls, shown, PairFacts(strip, sentence, about, tables), pairs, run, folder)
    if draws:
        on_draw(controls, shown, draws, run, folder)
    offer_api(pairs, folder)


def _controls(pairs: Pairs, draws: Mapping[str, Draw]) -> Controls:
    name, card = next((name, pair.card) for name, pair in pairs.items())
    titles = [(pair.card.title, key) for key, pair in pairs.items()]
    networks = gr.Dropdown(titles, value=name, label="Pair of networks", elem_id="pair")
    picture = SafeImage(label=UPLOAD_LABEL, elem_id="picture", elem_classes="jx-picture", height=260, buttons=[])
    run = gr.Button("Compare", variant="primary", elem_id="run")
    with gr.Row(visible=bool(draws), elem_id="draws"):
        draw = gr.Button("Random test picture", size="md", min_width=120, elem_id="draw")
        seed = gr.Number(label="Seed", precision=0, minimum=0, maximum=SEEDS - 1, min_width=90, elem_id="seed")
    examples = gr.Gallery(
        [(str(ASSETS / "examples" / entry["file"]), _short_name(entry["file"])) for entry in EXAMPLES],
        label="Examples",
        show_label=False,
        columns=3,
        height="auto",
        object_fit="cover",
        allow_preview=False,
        interactive=False,
        format="png",
        buttons=[],
        elem_id="examples",
    )
    true_class = gr.Dropdown(**true_class_menu(card), label="True class, if you know it", elem_id="true-class")
    return Controls(
        picture=picture,
        run=run,
        draw=draw,
        seed=seed,
        examples=examples,
        true_class=true_class,
        target=gr.Dropdown(**target_menu(card), label="Class to explain", elem_id="target"),
        stage=gr.Radio(**stage_menu(card), label="Stage to explain", elem_id="stage"),
        quantizer=gr.Radio(
            list(QUANTIZER_NAMES), value=AS_TRAINED, label="Quantizer of the JPEG layer", elem_id="quantizer"
        ),
        pair=networks,
    )


def _short_name(file: str) -> str:
    return Path(file).stem.replace("-", " ").capitalize()


def _compare_outputs() -> dict[str, Component]:
    """Components of the Compare screen by field of `Shown`; hidden by the style sheet until there is a result."""
    gr.HTML((STATIC / "begin.html").read_text(), elem_id="begin", padding=False)
    made: dict[str, Component] = {"notices": gr.HTML(elem_id="notices", padding=False)}
    with gr.Column(elem_id="results"):
        _heading("Looked at", "GradCAM++ of both networks on one ruler: each map is divided by its own sum.")
        made["explained"] = gr.HTML(elem_id="explained", padding=False)
        with gr.Row():
            made["map_baseline"] = _picture("Baseline")
            made["map_jpegdl"] = _picture("JPEG-DL")
            made["difference"] = _picture("Difference: JPEG-DL minus baseline")
        made["ruler"] = gr.HTML(elem_id="ruler", padding=False)
        usual = "The papers’ usual overlay (each map stretched to its own range: where, not how much)"
        with gr.Accordion(usual, elem_id="overlays"), gr.Row():
            made["overlay_baseline"] = _picture("Baseline, overlay")
            made["overlay_jpegdl"] = _picture("JPEG-DL, overlay")
        _heading("Seen", "What reaches each network, and what a real file with the learned tables would hold.")
        with gr.Row():
            made["picture"] = _picture("The picture: what the baseline sees")
            made["reconstruction"] = _picture("Soft reconstruction: what JPEG-DL sees")
            made["decoded"] = _picture("Real .jpg with the learned tables")
            made["residual"] = _picture("Reconstruction minus picture, on grey")
        made["facts"] = gr.HTML(elem_id="facts", padding=False)
        _heading("Decided", "Each network’s most probable classes.")
        made["bars"] = gr.HTML(elem_id="bars", padding=False)
        made["jpeg"] = gr.DownloadButton("Download the .jpg with the learned tables", size="sm", elem_id="jpeg")
        with gr.Accordion("All numbers (JSON)", open=False):
            made["numbers"] = gr.JSON(label="numbers", elem_id="numbers", show_label=False)
    return made


def _heading(title: str, text: str) -> None:
    gr.HTML(f'<div class="jx jx-heading"><h2>{title}</h2><p>{text}</p></div>', padding=False)


def _picture(label: str) -> gr.Image:
    return gr.Image(
        label=label,
        type="filepath",
        format="png",
        interactive=False,
        alt_text=label,
        buttons=["download", "fullscreen"],
        min_width=140,
        elem_classes="jx-picture",
    )


def _table_outputs(shown: ShownTables) -> Tables:
    html = gr.HTML(shown.html, elem_id="tables", padding=False)
    with gr.Row():
        text = gr.DownloadButton("Learned tables for cjpeg -qtables", shown.text, size="sm", elem_id="tables-text")
        full = gr.DownloadButton("All tables as JSON", shown.json, size="sm", elem_id="tables-json")
        sheet = gr.DownloadButton("Learned tables as CSV", shown.csv, size="sm", elem_id="tables-csv")
    return Tables(html, text, full, sheet)
