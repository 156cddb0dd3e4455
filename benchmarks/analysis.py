"""What one comparison costs beside predicting: python -m benchmarks.analysis [--rounds N] [--threads N].

Process CPU time of all that the server does for one result once the upload is decoded: scaling and cropping, both arms
with the maps of all shown classes, the payload for the browser. Beside it both plain forward passes, as torch lays
networks out in memory and as the app does; grad-cam on whole networks; and the parts. The contestants take turns in one
process; each figure is the median of the turns, each ratio the median of the ratios within a turn. The pairs are the
shipped ones; the picture is an ordinary photograph among the examples, and the one whose files are the largest.
"""

import argparse
import copy
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image
from pytorch_grad_cam import GradCAMPlusPlus
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor

from jpegdl.analysis.compression import compress
from jpegdl.analysis.request import Answer, answer, make_request
from jpegdl.pairs.architectures import architecture
from jpegdl.pairs.checkpoints import ModelPair, load_pairs
from jpegdl.pairs.classifier import ARMS, Arm, Classifier
from jpegdl.pairs.prepare import prepare, to_unit
from jpegdl.ui.payload import encode_pictures, result_payload

ROOT = Path(__file__).parents[1]
PICTURE, LARGEST = (ROOT / "assets" / "examples" / name for name in ("cat.jpg", "dahlia.jpg"))
FLOOR = "both plain forward passes"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    picture, largest = (Image.open(path).convert("RGB") for path in (PICTURE, LARGEST))
    pairs, _ = load_pairs(ROOT / "checkpoints")
    for pair in pairs.values():
        measure(pair, picture, largest, arguments.rounds)


def measure(pair: ModelPair, picture: Image.Image, largest: Image.Image, rounds: int) -> None:
    """Print one pair's table."""
    card = pair.card
    square = prepare(picture, card.input_size, card.short_side)
    image, found = to_unit(square)[None], compare(pair, picture)
    stages = architecture(card.architecture).stages
    first, *_, last = stages
    plain = {arm: copy.deepcopy(pair.arm(arm)) for arm in ARMS}
    for network in plain.values():
        network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # missing in torch's stubs
    contestants: dict[str, Callable[[], object]] = {
        FLOOR: lambda: forward(plain, image),
        "  the same with channels last in memory": lambda: forward({arm: pair.arm(arm) for arm in ARMS}, image),
        "one comparison, whole": lambda: payload(pair, compare(pair, picture), picture),
        "  scaling and cropping": lambda: prepare(picture, card.input_size, card.short_side),
        "  the layer and what it did": lambda: compress(pair.codec, image, "five levels"),
        "  two lossless pictures": lambda: encode_pictures(found),
        "  payload with these": lambda: payload(pair, found, picture),
        "one comparison, whole, largest files": lambda: payload(pair, compare(pair, largest), largest),
        f"one comparison, whole, at {first}": lambda: payload(pair, compare(pair, picture, first), picture),
        "grad-cam on both whole networks, predicting first": lambda: library(plain, image, stages[last]),
    }
    times = take_turns(contestants, rounds)
    sizes = [len(payload(pair, compare(pair, shown), shown)) / 1000 for shown in (picture, largest)]
    print(
        f"\n{card.title}: {card.input_size} px, {torch.get_num_threads()} threads, median of {rounds} turns; "
        f"{len(found.classes)} classes with maps; one result has {sizes[0]:.0f} kB, the largest {sizes[1]:.0f}"
    )
    for name, figures in times.items():
        ratio = median(figure / least for figure, least in zip(figures, times[FLOOR], strict=True))
        print(f"{name:52} {1000 * median(figures):7.1f} ms CPU   x {ratio:.2f}")


def compare(pair: ModelPair, picture: Image.Image, stage: str | None = None) -> Answer:
    return answer({pair.card.name: pair}, make_request(pair.card, picture, stage=stage))


def payload(pair: ModelPair, found: Answer, picture: Image.Image) -> bytes:
    """What travels to the browser."""
    pictures = encode_pictures(found)
    result = result_payload(pair, found, pictures, number=1, picture="upload", upright=picture.size)
    return json.dumps(result, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


@torch.inference_mode()
def forward(networks: dict[Arm, Classifier], image: Tensor) -> list[Tensor]:
    return [network(image) for network in networks.values()]


def library(networks: dict[Arm, Classifier], image: Tensor, path: str) -> None:
    """What a page without this package would do: predict, then grad-cam with the gradient of every weight."""
    target = int(np.argmax(forward(networks, image)[0].numpy()))
    for classifier in networks.values():
        classifier.requires_grad_(True)
        with GradCAMPlusPlus(classifier, [classifier.backbone.get_submodule(path)]) as cam:
            cam(image, [ClassifierOutputTarget(target)])
        classifier.zero_grad()
        classifier.requires_grad_(False)


def take_turns(contestants: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Process CPU seconds of each contestant in each round, after one round that does not count."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for counted in [False] + [True] * rounds:
        for name, run in contestants.items():
            started = time.process_time()
            run()
            if counted:
                times[name].append(time.process_time() - started)
    return times


if __name__ == "__main__":
    main()
