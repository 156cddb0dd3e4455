"""The facts of a pair's card as HTML. Every text is escaped; styles are in static/page.css."""

from dataclasses import asdict
from html import escape
from typing import Any

from jpegdl.analysis.results.paper import PAPER
from jpegdl.pairs.card import PairCard
from jpegdl.pairs.classifier import ARMS
from jpegdl.ui.fragments import ARM_NAMES, definitions

# Data sets of which ImageNet's training set holds pictures, some or all.
_SEEN_IN_IMAGENET = ("cub50", "cub200", "stanford_dogs", "imagenette", "imagenet")


def about_pair(card: PairCard) -> str:
    """The card's facts, and where its training departed from the recipe of its name."""
    data = card.dataset
    pictures = ", ".join(f"{count} {part}" for part, count in asdict(data.pictures).items())
    devices = " and ".join(dict.fromkeys(card.training[arm].device for arm in ARMS))
    minutes = ", ".join(f"{ARM_NAMES[arm]} {card.training[arm].seconds / 60:.0f} min" for arm in ARMS)
    facts = definitions(
        [
            ("Pair", card.title, ""),
            ("Data", data.title, f"{len(card.class_names)} classes; {data.source}"),
            ("Licence of the data", data.licence, ""),
            ("Split", data.split, f"pictures: {pictures}"),
            ("Network", card.architecture, f"input {card.input_size} × {card.input_size} pixels"),
            ("First weights", *_start(card)),
            ("JPEG layer", *_layer(card)),
            ("Recipe", *_recipe(card)),
            ("Training", f"{card.recipe.epochs} epochs", f"batches of {card.recipe.batch_size} pictures"),
            ("Seed", str(card.seed), _seeds(card)),
            ("Device", devices, minutes),
            *(("Known flaw", flaw, "until this pair is trained again") for flaw in card.flaws),
        ]
    )
    return f'<div class="jx jx-about">{facts}{_departures(card)}</div>'


def _start(card: PairCard) -> tuple[str, str]:
    """What both networks began with, and what that does to their accuracies."""
    if card.recipe.start == "scratch":
        return "random", "the same for both networks"
    overlap = "; ImageNet holds pictures of this data set too, so both accuracies are optimistic"
    return "ImageNet’s", "the same for both networks" + overlap * (card.dataset.name in _SEEN_IN_IMAGENET)


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


def _departures(card: PairCard) -> str:
    if not card.departures:
        return "<p>Trained by its recipe, without departures.</p>"
    rows = "".join(
        f'<tr><th scope="row">{escape(field.replace("_", " "))}</th><td>{_setting(paper)}</td>'
        f"<td>{_setting(getattr(card.recipe, field))}</td></tr>"
        for field, paper in card.departures.items()
    )
    return (
        '<table class="jx-departures"><caption>Departures from the recipe</caption><thead><tr>'
        '<th scope="col">Setting</th><th scope="col">Recipe</th><th scope="col">This pair</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _setting(value: Any) -> str:
    return escape(", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value))
