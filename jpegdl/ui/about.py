"""The About screen: how to read the page, and the facts of a pair's card."""

import re
from dataclasses import asdict
from typing import Any, NamedTuple

from jpegdl.analysis.results.limits import code_text, precision_text
from jpegdl.analysis.results.paper import PAPER
from jpegdl.pairs.architectures import network_title
from jpegdl.pairs.card import PairCard
from jpegdl.pairs.classifier import ARMS
from jpegdl.pairs.imagenet import seen_before
from jpegdl.ui.rendering import render
from jpegdl.ui.trays import ASSETS

ARM_NAMES = {"baseline": "Baseline", "jpegdl": "JPEG-DL"}


class Licence(NamedTuple):
    """A row of assets/LICENSES.md."""

    file: str
    shows: str
    author: str
    licence: str
    address: str


def about(card: PairCard) -> str:
    """HTML: the card's facts, where its training departed from the recipe of its name, how to read the page."""
    data = card.dataset
    pictures = ", ".join(f"{count} {part}" for part, count in asdict(data.pictures).items())
    devices = " and ".join(dict.fromkeys(card.training[arm].device for arm in ARMS))
    minutes = ", ".join(f"{ARM_NAMES[arm]} {card.training[arm].seconds / 60:.0f} min" for arm in ARMS)
    precision = f"networks in {precision_text(card)}"
    facts = [
        ("Data", data.title, f"{len(card.class_names)} classes; {data.source}"),
        ("Licence of the data", data.licence, ""),
        ("Split", data.split, f"pictures: {pictures}"),
        (
            "Network",
            network_title(card.architecture),
            f"{card.architecture}; {card.input_size} × {card.input_size} pixels",
        ),
        ("First weights", *_start(card)),
        ("JPEG layer", *_layer(card)),
        ("Recipe", *_recipe(card)),
        ("Training", f"{card.recipe.epochs} epochs", f"batches of {card.recipe.batch_size} pictures; {precision}"),
        ("Seed", str(card.seed), _seeds(card)),
        ("Device", devices, minutes),
        *((("Code", code, "commit of this repository"),) if (code := code_text(card)) else ()),
        *(("Known flaw", flaw, "until this pair is trained again") for flaw in card.flaws),
    ]
    departures = [
        (field.replace("_", " "), _setting(paper), _setting(getattr(card.recipe, field)))
        for field, paper in card.departures.items()
    ]
    return render("about.html", title=card.title, facts=facts, departures=departures, licences=licences())


def licences() -> list[Licence]:
    """Authors and licences of the example pictures."""
    found = []
    for line in (ASSETS / "LICENSES.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if re.match(r"\| \S+\.(jpg|png) \|", line) and (link := re.fullmatch(r"\[(.+)\]\((\S+)\)", cells[3])):
            found.append(Licence(cells[0], cells[1], cells[2], link[1], link[2]))
    return found


def _start(card: PairCard) -> tuple[str, str]:
    """What both networks began with, and what that does to their accuracies."""
    if card.recipe.start == "scratch":
        return "random", "the same for both networks"
    return "ImageNet’s", "; ".join(filter(None, ("the same for both networks", seen_before(card))))


def _layer(card: PairCard) -> tuple[str, str]:
    place = {"input": "at the input", "first relu": "in place of the first ReLU"}[card.place]
    limit = "no index limit" if card.max_index is None else f"indices up to ±{card.max_index}"
    rounds = "one round" if card.rounds == 1 else f"{card.rounds} rounds"
    return place, f"quantizer: {card.quantizer}; {limit}; {rounds}"


def _recipe(card: PairCard) -> tuple[str, str]:
    name = card.recipe.name
    if name not in PAPER:
        return name, "ours; no cell of the paper’s tables"
    if card.departures:
        return name, f"a cell of the paper’s {PAPER[name].table}; with the departures below, no repetition of it"
    return name, f"a cell of the paper’s {PAPER[name].table}"


def _seeds(card: PairCard) -> str:
    if not card.other_seeds:
        return "one run; another seed gives other numbers"
    others = ", ".join(str(other.seed) for other in card.other_seeds)
    return f"of the networks shown; also trained: {others}"


def _setting(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


__all__ = ["about", "licences"]
