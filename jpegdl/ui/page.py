"""The page: one component that holds its state in the browser, the questions it asks, and the files it is made of."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, wraps
from pathlib import Path
from typing import Any

import gradio as gr
from anyio import to_thread
from gradio.events import api

from jpegdl.analysis.answers import Answers
from jpegdl.analysis.request import Answer, Request
from jpegdl.analysis.results.evidence import Evidence
from jpegdl.pairs.checkpoints import CheckpointError, ModelPair
from jpegdl.server.decoding import Decoders
from jpegdl.server.environment import results_folder
from jpegdl.server.files import PageFiles, page_files
from jpegdl.server.uploads import read_upload
from jpegdl.server.waiting import uploads_in
from jpegdl.ui.about import about
from jpegdl.ui.api import Draw, Endpoints, offer_api
from jpegdl.ui.compare import Compare
from jpegdl.ui.evidence import gather_evidence, test_facts, unread_records
from jpegdl.ui.payload import menu_names, page_facts, pair_facts
from jpegdl.ui.screens import Screens
from jpegdl.ui.tables import tables
from jpegdl.ui.trays import best_shown_first, offered, tray_facts, tray_files

STATIC = Path(__file__).parent / "static"
TITLE = "JPEG-DL Explorer"

_log = logging.getLogger(__name__)

# One analysis at a time: everything that runs a network, here and in the API, waits in this one queue.
NETWORKS: dict[str, Any] = {"concurrency_id": "networks", "concurrency_limit": 1}

_TEMPLATE = (STATIC / "page" / "page.html").read_text(encoding="utf-8")
_ON_LOAD = """
const root = new URL(new URL(window.gradio_config.root + "/", location.href).pathname, location.origin);
for (const name of props.files) {
  const link = document.createElement("link");
  link.rel = name.endsWith(".css") ? "stylesheet" : "modulepreload";
  link.href = new URL(name, root).href;
  document.head.append(link);
}
import(new URL(props.main, root).href).then((page) => page.start(element, props, root));
"""


@dataclass(frozen=True)
class Page:
    demo: gr.Blocks
    files: PageFiles  # to be served beside it
    is_remembered: Callable[[str, list[Any]], bool]  # whether a call, by name and values, runs no network


def build_page(
    pairs: Mapping[str, ModelPair],
    refused: Mapping[str, CheckpointError],
    run: Callable[[Request], Answer],
    *,
    draws: Mapping[str, Draw] | None = None,
    first: bool = True,
    decoders: Decoders | None = None,
) -> Page:
    """The page for these pairs.

    `run` answers a request with the networks. The pairs in `refused` are named on the page with their reason; a pair
    that cannot be shown joins them, and without any pair the page still opens. `draws`: pair name -> how to draw one
    of its test pictures, for pairs whose data set is here. `first`: whether the networks may run without a visitor, so
    that the page opens with a computed result. `decoders` decode uploads; without them this process does.
    """
    shown, left_out = showable(pairs)
    cards = {name: pair.card for name, pair in shown.items()}
    shown = {name: shown[name] for name in best_shown_first(cards)}
    files = page_files(STATIC, tray_files(cards))
    answers = Answers(run)
    read = decoders.read if decoders else read_upload
    compare = Compare(shown, answers, draws or {}, read, is_lent=not first)
    known = cache(lambda: gather_evidence(cards.values()))
    screens = Screens(compare, known)
    endpoints = Endpoints(shown, answers, results_folder(), draws or {}, read)
    with gr.Blocks(title=TITLE, analytics_enabled=False) as demo:
        gr.HTML(
            html_template=_TEMPLATE,
            js_on_load=_ON_LOAD,
            apply_default_css=False,
            elem_id="page",
            main=files.address("page/main.js"),
            files=[files.address(name) for name in files.content if name.endswith((".js", ".css"))],
            facts=facts(shown, [*map(str, refused.values()), *left_out, *unread_records()], files, draws or {}, known),
            first=first_result(compare) if first and shown else None,
        )
        if shown:
            api(compare.ask, api_name="ask", api_visibility="private", **NETWORKS)
            api(after_decoding(compare.glance, decoders), api_name="glance", api_visibility="private", queue=False)
            api(compare.draw, api_name="drawn", api_visibility="private", queue=False)
            api(compare.outcomes, api_name="outcomes", api_visibility="private", **NETWORKS)
            api(after_decoding(screens.screen, decoders), api_name="screen", api_visibility="private", queue=False)
            offer_api(demo, endpoints, **NETWORKS)
    return Page(demo, files, endpoints.is_remembered)


def after_decoding(function: Callable[..., Any], decoders: Decoders | None) -> Callable[..., Any]:
    """`function`, outside the queue, which begins when the upload that its values name is decoded: whoever waits for
    that holds no thread, of which there are few for all visitors."""
    if decoders is None:
        return function
    expect = decoders.expect

    @wraps(function)
    async def call(*values: Any) -> Any:
        for path in uploads_in(list(values))[:1]:
            await asyncio.wait([asyncio.wrap_future(await to_thread.run_sync(expect, path))])
        return await to_thread.run_sync(function, *values)

    return call


def showable(pairs: Mapping[str, ModelPair]) -> tuple[dict[str, ModelPair], list[str]]:
    """The pairs that this page can show, and a sentence for each that it cannot: one does not take it from the rest."""
    shown, left_out = {}, []
    for name, pair in pairs.items():
        try:
            if (pair.card.place, pair.card.quantizer) != ("input", "five levels"):
                raise ValueError("the page shows layers of five levels at the input, no others")
            json.dumps([pair_facts(pair), about(pair.card), tables(pair)], allow_nan=False)
            shown[name] = pair
        except Exception as error:
            _log.warning("the pair %r cannot be shown", name, exc_info=True)
            left_out.append(f"{name} cannot be shown ({type(error).__name__}: {error}).")
    return shown, left_out


def facts(
    pairs: Mapping[str, ModelPair],
    left_out: Sequence[str],
    files: PageFiles,
    draws: Mapping[str, Draw],
    known: Callable[[], Evidence],
) -> dict[str, Any]:
    """What the browser knows from the start."""
    try:
        runs = {run.name: run for run in known().runs if run.shipped} if pairs else {}
    except ValueError as error:  # cards that contradict each other
        runs, left_out = {}, [*left_out, f"What is known about all runs cannot be shown: {error}"]
    menu = menu_names(pair.card for pair in pairs.values())
    addresses = {name: files.address(name) for name in files.content}
    return {
        **page_facts(),
        "pairs": [
            {
                **pair_facts(pair),
                "short": menu[name],
                **tray_facts(pair.card, addresses),
                **(test_facts(runs[name]) if name in runs else {}),
                "draws": name in draws,
            }
            for name, pair in pairs.items()
        ],
        "refused": list(left_out),
    }


def first_result(compare: Compare) -> dict[str, Any] | None:
    """What the page opens with: the first picture of the first pair."""
    name, pair = next(iter(compare.pairs.items()))
    key, example = next(iter(offered(pair.card).items()))
    true = example.true(pair.card.class_names)
    state = {"number": 0, "pair": name, "picture": key, "true": true, "stage": None, "quantizer": pair.card.quantizer}
    result = compare.ask(state)
    return None if "refused" in result else result


__all__ = ["NETWORKS", "Page", "build_page", "facts"]
