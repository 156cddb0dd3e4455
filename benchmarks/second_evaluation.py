"""A pair counted a second time by plain code: `python -m benchmarks.second_evaluation PAIR --data DIR`.

Of how the counts in the card came about nothing is used but the weight files, the network and the list of test
pictures: Pillow opens a picture, torchvision scales, crops and normalises it as a tensor, and the layer is the one of
benchmarks/reference.py. Another interpolation and other rounding may change the answer for a picture here and there;
the command fails if the right answers of a network change by more than two in a thousand.
"""

import argparse
import io
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.transforms import v2

from benchmarks.reference import PlainLayer
from jpegdl.pairs.architectures import architecture
from jpegdl.pairs.card import PairCard, card_from_json
from jpegdl.pairs.checkpoints import CARD
from jpegdl.pairs.pictures import Member, Picture
from jpegdl.training.settings import dataset_of

ARMS = ("baseline", "jpegdl")
ALLOWED = 2e-3  # share of the test pictures
BATCH = 50
NO_LIMIT = 2**20


@dataclass(frozen=True)
class Count:
    """Right answers of one network among n: the card's, and the second count."""

    arm: str
    card: int
    second: int
    n: int

    @property
    def agrees(self) -> bool:
        return abs(self.card - self.second) <= ALLOWED * self.n


def second_evaluation(folder: Path, data: Path) -> list[Count]:
    """Both networks of the pair in `folder`, counted anew on the test part of its data set in the folder `data`."""
    card = card_from_json((folder / CARD).read_text(encoding="utf-8"))
    if card.place != "input" or card.quantizer != "five levels" or card.rounds != 1:
        raise ValueError(
            f"{folder.name} has another layer than five levels at the input in one round; choose another pair"
        )
    networks = {arm: plain_network(card, load_file(folder / f"{arm}.safetensors")) for arm in ARMS}
    test = dataset_of(card, data).test
    right = dict.fromkeys(ARMS, 0)
    for start in range(0, len(test), BATCH):
        labels = torch.tensor(test.labels[start : start + BATCH])
        chosen = test.pictures[start : start + BATCH]
        images = torch.stack([prepared(opened(item), card.input_size, card.short_side) for item in chosen])
        with torch.inference_mode():
            for arm, network in networks.items():
                right[arm] += int((network(images).argmax(1) == labels).sum())
    counts = card.results["test"]
    known = {"baseline": counts.both + counts.only_baseline, "jpegdl": counts.both + counts.only_jpegdl}
    return [Count(arm, known[arm], right[arm], len(test)) for arm in ARMS]


def plain_network(card: PairCard, weights: Mapping[str, Tensor]) -> nn.Module:
    """Layer, normalisation and backbone in a row, with the weights of one arm's file, in float32."""
    facts = architecture(card.architecture)
    backbone = facts.build(len(card.class_names))
    held = {key: value.float() if value.is_floating_point() else value for key, value in weights.items()}
    backbone.load_state_dict({key.removeprefix("backbone."): held[key] for key in held if key.startswith("backbone.")})
    layers: list[nn.Module] = [v2.Normalize(facts.mean, facts.std), backbone]
    if "codec.steps" in held:
        steps, alpha = held["codec.steps"][0], held["codec.alpha"]
        alpha = alpha[0] if alpha.ndim == 4 else alpha
        layers.insert(0, PlainLayer(steps, alpha, max_index=card.max_index or NO_LIMIT))
    return nn.Sequential(*layers).eval()


def prepared(picture: Image.Image, size: int, short_side: int) -> Tensor:
    """Picture -> float32 (3, size, size) in [0, 1], by torchvision's transforms, given the sizes.

    torchvision's own choice of the long side and of the centre is up to a pixel off the one of docs/method.md, and a
    pixel changes what falls into a JPEG block.
    """
    scale = short_side / min(picture.size)
    width, height = (max(size, round(side * scale)) for side in picture.size)
    image = v2.functional.resize(v2.functional.pil_to_tensor(picture), [height, width], antialias=True)
    square = v2.functional.crop(image, (height - size) // 2, (width - size) // 2, size, size)
    return v2.functional.to_dtype(square, torch.float32, scale=True)


def opened(item: Picture) -> Image.Image:
    if isinstance(item, np.ndarray):
        return Image.fromarray(item)
    with Image.open(
        item if isinstance(item, Path) else io.BytesIO(item.data if isinstance(item, Member) else item)
    ) as picture:
        return picture.convert("RGB")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pair", type=Path, help="folder of the pair")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data set")
    arguments = parser.parse_args()
    counts = second_evaluation(arguments.pair, arguments.data)
    for count in counts:
        change = f"{(count.second - count.card) / count.n:+.2%}"
        print(f"{count.arm:8}  card {count.card} of {count.n}, second count {count.second} ({change})")
    agree = all(count.agrees for count in counts)
    print("The counts agree." if agree else f"The counts differ by more than {ALLOWED:.1%} of the pictures.")
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
