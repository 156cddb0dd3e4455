"""What explaining costs beside predicting: python -m benchmarks.analysis [--rounds N] [--threads N].

Process CPU time of both arms of an untrained ResNet-18 pair at 224 px, one picture; the contestants take turns in one
process, and each figure is the median of the turns, each ratio the median of the ratios within a turn.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from pytorch_grad_cam import GradCAMPlusPlus
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor

from jpegdl.analysis.explain import explain_pair
from jpegdl.codec.layer import JPEGLayer
from jpegdl.pairs.architectures import ARCHITECTURES
from jpegdl.pairs.card import PairCard
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.pairs.classifier import ARMS, build_classifier

ARCHITECTURE, CLASSES, SIZE = "resnet18", 17, 224


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    pair, image = untrained_pair(), torch.rand(1, 3, SIZE, SIZE)
    stage = ARCHITECTURES[ARCHITECTURE].default_stage
    contestants: dict[str, Callable[[], object]] = {
        "both forward passes": lambda: forward(pair, image),
        "answers and maps of both (explain_pair)": lambda: explain_pair(pair, image, "shared", stage=stage),
        "grad-cam on both whole networks, predicting first": lambda: library(pair, image, stage),
    }
    times = take_turns(contestants, arguments.rounds)
    floor = times["both forward passes"]
    print(f"{ARCHITECTURE}, {SIZE} px, one picture, {arguments.threads} threads, median of {arguments.rounds} turns")
    for name, figures in times.items():
        ratio = median(figure / least for figure, least in zip(figures, floor, strict=True))
        print(f"{name:52} {1000 * median(figures):7.1f} ms CPU   x {ratio:.2f}")


def untrained_pair() -> ModelPair:
    codec = JPEGLayer(torch.ones(2, 8, 8), 5.0)
    arms = {
        "baseline": build_classifier(ARCHITECTURE, CLASSES),
        "jpegdl": build_classifier(ARCHITECTURE, CLASSES, codec=codec),
    }
    card = PairCard(
        name="untrained",
        title="untrained",
        architecture=ARCHITECTURE,
        class_names=tuple(map(str, range(CLASSES))),
        input_size=SIZE,
        short_side=SIZE,
        place="input",
        quantizer="five levels",
        max_index=codec.max_index,
        rounds=1,
        recipe={},
        paper_recipe={},
        seed=0,
        dataset={},
        initial_tables=[],
        history={},
        results={},
        other_seeds=[],
        grid={},
        robustness=[],
        weights={},
        training={},
    )
    return ModelPair.of(card, arms["baseline"], arms["jpegdl"])


@torch.inference_mode()
def forward(pair: ModelPair, image: Tensor) -> list[Tensor]:
    return [pair.arm(arm)(image) for arm in ARMS]


def library(pair: ModelPair, image: Tensor, stage: str) -> None:
    """What a page without this package would do: predict, then grad-cam with the gradient of every weight."""
    target = int(forward(pair, image)[0].argmax())
    for arm in ARMS:
        classifier = pair.arm(arm).requires_grad_(True)
        layer = classifier.backbone.get_submodule(ARCHITECTURES[ARCHITECTURE].stages[stage])
        with GradCAMPlusPlus(classifier, [layer]) as cam:
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
