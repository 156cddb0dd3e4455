"""What a network that starts from ImageNet's weights has seen of a data set before it is trained on it."""

from collections.abc import Mapping

from jpegdl.pairs.card import Card

_PICTURES = "ImageNet holds pictures of this data set too"
_SEEN: Mapping[str, str] = {
    **dict.fromkeys(("cub50", "cub200", "stanford_dogs", "imagenette", "imagenet"), _PICTURES),
    "pets": "ImageNet has classes for 21 of its 25 breeds of dogs and for 3 of its 12 breeds of cats",
}


def seen_before(card: Card) -> str | None:
    """A clause without a full stop, or None: random first weights, or a data set of which no overlap is known."""
    known = _SEEN.get(card.dataset.name) if card.recipe.start == "imagenet" else None
    return known and f"{known}, so the accuracies of both networks are optimistic"


__all__ = ["seen_before"]
