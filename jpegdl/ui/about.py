"""The facts of a pair's card as HTML. Every text is escaped; styles are in static/page.css."""

from html import escape
from typing import Any

from jpegdl.pairs.card import PairCard
from jpegdl.pairs.classifier import ARMS
from jpegdl.ui.fragments import ARM_NAMES, definitions


def about_pair(card: PairCard) -> str:
    """The card's facts, and where its training departed from the paper's recipe."""
    data, training = card.dataset, card.training
    pictures = ", ".join(f"{count} {part}" for part, count in data["pictures"].items())
    minutes = ", ".join(f"{ARM_NAMES[arm]} {training['seconds'][arm] / 60:.0f} min" for arm in ARMS)
    facts = definitions(
        [
            ("Pair", card.title, ""),
            ("Data", data["title"], f"{len(card.class_names)} classes; {data['source']}"),
            ("Licence of the data", data["licence"], ""),
            ("Split", data["split"], f"pictures: {pictures}"),
            ("Network", card.architecture, f"input {card.input_size} × {card.input_size} pixels"),
            ("Training", f"{card.recipe['epochs']} epochs", f"batches of {card.recipe['batch_size']} pictures"),
            ("Seed", str(card.seed), "one run; another seed gives other numbers"),
            ("Device", training["device"], minutes),
        ]
    )
    return f'<div class="jx jx-about">{facts}{_departures(card)}</div>'


def _departures(card: PairCard) -> str:
    if not card.paper_recipe:
        return "<p>Trained by the paper’s recipe, without departures.</p>"
    rows = "".join(
        f'<tr><th scope="row">{escape(field.replace("_", " "))}</th><td>{_setting(paper)}</td>'
        f"<td>{_setting(card.recipe.get(field))}</td></tr>"
        for field, paper in card.paper_recipe.items()
    )
    return (
        '<table class="jx-departures"><caption>Departures from the paper’s recipe</caption><thead><tr>'
        '<th scope="col">Setting</th><th scope="col">Paper</th><th scope="col">This pair</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _setting(value: Any) -> str:
    return escape(", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value))
