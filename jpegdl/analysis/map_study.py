"""Do the maps of both networks lie on the object (paper figure 6)? Many pictures with boxes, beside blind maps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jpegdl.analysis.explain import ExplainedBatch
from jpegdl.analysis.perturbation import Question, curve_areas
from jpegdl.analysis.saliency import MEASURES, Array, Box, edge_map, gaussian_map
from jpegdl.pairs.architectures import architecture
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.pairs.classifier import ARMS, Arm
from jpegdl.pairs.prepare import Crop, to_unit

BLIND = ("random", "centre", "edges")  # maps that no network made


@dataclass(frozen=True, eq=False)
class Subject:
    """A prepared picture, uint8 (S, S, 3), what it shows and where, and its number in its set."""

    number: int
    square: NDArray[np.uint8]
    label: int
    box: Box


def box_in_square(left: float, top: float, width: float, height: float, kept: Crop) -> Box:
    """A rectangle in pixels of the whole picture, seen in the square that `prepare` keeps of it."""
    edges = (left - kept.left, top - kept.top, left + width - kept.left, top + height - kept.top)
    return Box(*(edge / kept.side for edge in edges))


def column(measure: str, stage: str, of: str) -> str:
    """Name of a measure of one map: `of` is 'ARM true', 'ARM own' or a blind one; in curves 'ARM random' and so on."""
    return f"{measure}/{stage}/{of}"


def study(
    pair: ModelPair, subjects: Sequence[Subject], *, stages: Sequence[str], seed: int = 0
) -> dict[str, list[float]]:
    """Where the maps lie: column -> a number a picture. Maps explain the true class and each network's own answer.

    `stages`: names of stages of the pair's architecture; blind maps have a stage's cells. What is drawn for a picture
    follows from its number and `seed`, so a set may be studied in pieces.
    """
    found: dict[str, list[float]] = {}
    for stage in stages:
        maps = _all_maps(pair, subjects, stage, seed)[0]
        for name, of_all in maps.items():
            for measure, measured in MEASURES.items():
                values = [measured(values, subject.box) for values, subject in zip(of_all, subjects, strict=True)]
                found[column(measure, stage, name)] = values
    return found


def study_curves(
    pair: ModelPair, subjects: Sequence[Subject], *, stage: str, steps: int, seed: int = 0
) -> dict[str, list[float]]:
    """Whether the networks need what the maps mark: areas of deletion and insertion, as `study`.

    Each network is asked for the class that the map explains, with blind maps for the true class.
    """
    maps, answers = _all_maps(pair, subjects, stage, seed)
    found: dict[str, list[float]] = {}
    for number, subject in enumerate(subjects):
        for arm in ARMS:
            own = int(answers[arm][number])
            questions = {name: Question(maps[name][number], subject.label) for name in BLIND}
            questions["true"] = Question(maps[f"{arm} true"][number], subject.label)
            if own != subject.label:
                questions["own"] = Question(maps[f"{arm} own"][number], own)
            draw = _draw(subject, seed)
            areas = curve_areas(pair.arm(arm), subject.square, questions, steps=steps, draw=draw)
            for curve in ("deletion", "insertion"):
                of = {name: areas[curve, name] for name in questions}
                for name, area in ({"own": of["true"]} | of).items():
                    found.setdefault(column(curve, stage, f"{arm} {name}"), []).append(area)
    return found


def _all_maps(
    pair: ModelPair, subjects: Sequence[Subject], stage: str, seed: int
) -> tuple[Mapping[str, Sequence[Array]], Mapping[Arm, Tensor]]:
    """Maps of both networks and blind ones, name -> (N, h, w), and each network's answers (N,)."""
    squares = torch.from_numpy(np.stack([subject.square for subject in subjects]))
    images = to_unit(squares.permute(0, 3, 1, 2).to(pair.device))
    labels = torch.tensor([subject.label for subject in subjects], device=pair.device)
    path = architecture(pair.card.architecture).stages[stage]
    maps: dict[str, Sequence[Array]] = {}
    answers: dict[Arm, Tensor] = {}
    for arm in ARMS:
        network = pair.arm(arm)
        with torch.no_grad():
            seen = network.normalize(network.codec(images))
        explained = ExplainedBatch(network.backbone, path, seen)
        answers[arm] = explained.logits.argmax(1)
        maps[f"{arm} true"], maps[f"{arm} own"] = list(explained.maps(labels)), list(explained.maps(answers[arm]))
    side = maps["baseline true"][0].shape[0]
    maps["random"] = [_draw(subject, seed).random((side, side)) for subject in subjects]
    maps["centre"] = [gaussian_map(side) for _ in subjects]
    maps["edges"] = [edge_map(subject.square, side) for subject in subjects]
    return maps, answers


def _draw(subject: Subject, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, subject.number])
