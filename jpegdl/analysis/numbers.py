"""An answer, a pair and its tables as numbers for scripts and files: names instead of indices, all of it JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jpegdl.analysis.compression import QUANTIZERS
from jpegdl.analysis.figures import mass_normalised
from jpegdl.analysis.request import CHOICES, Answer
from jpegdl.codec.jpegfile import STANDARD_TABLES, JPEGFile, integer_tables
from jpegdl.pairs.architectures import architecture
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.pairs.classifier import ARMS, Arm

LIBRARIES = ("torch", "torchvision", "timm", "numpy", "pillow")


def answer_numbers(pair: ModelPair, answer: Answer, file: JPEGFile) -> dict[str, Any]:
    """What was asked, what both arms say and where they look, what the layer did; shares and probabilities 0..1.

    `file`: the real .jpg with the learned tables, see `panels.learned_file`.
    """
    names, request, target = pair.card.class_names, answer.request, answer.request.target
    return {
        "pair": request.pair,
        "settings": {
            "target": names[target] if isinstance(target, int) else target,
            "true_class": None if request.true is None else names[request.true],
            "stage": answer.stage,
            "quantizer": request.quantizer,
        },
        "arms": {arm: _arm(answer, arm, names) for arm in ARMS},
        "layer": _layer(answer, file),
        "test_set": _test_counts(pair),
        "versions": {name: version(name) for name in LIBRARIES},
    }


def _arm(answer: Answer, arm: Arm, names: Sequence[str]) -> dict[str, Any]:
    explained = answer.targets[arm]
    raw = answer.map(arm, explained)
    return {
        "answer": names[answer.firsts[arm]],
        "explained_class": names[explained],
        "probabilities": dict(zip(names, answer.probabilities[arm].tolist(), strict=True)),
        "map": mass_normalised(raw).tolist(),
        "map_sum_raw": float(raw.sum(dtype=np.float64)),
    }


def _layer(answer: Answer, file: JPEGFile) -> dict[str, Any]:
    work = answer.compression
    return {
        "psnr_db": work.psnr if np.isfinite(work.psnr) else None,
        "zeroed": work.zeroed,
        "limited": work.limited,
        "outside_black_white": work.outside,
        "five_or_all_levels_mean_difference": work.five_or_all,
        "jpeg_bits_per_pixel": file.bits_per_pixel,
        "steps_changed_by_rounding": len(file.changed),
    }


def _test_counts(pair: ModelPair) -> dict[str, Any]:
    counts = pair.card.results["test"]
    return {"n": counts.n, **asdict(counts), "p_mcnemar": counts.p_value}


def describe_pair(pair: ModelPair) -> dict[str, Any]:
    """What can be asked of a pair: each value of each setting, and its counts on the test set."""
    stages = list(architecture(pair.card.architecture).stages)
    return {
        "pair": pair.card.name,
        "title": pair.card.title,
        "classes": list(pair.card.class_names),
        "targets": list(CHOICES),
        "stages": stages,
        "default_stage": stages[-1],
        "quantizers": list(QUANTIZERS),
        "input_size": pair.card.input_size,
        "test_set": _test_counts(pair),
    }


def named_tables(pair: ModelPair) -> dict[str, NDArray[Any]]:
    """The first round's tables and what they are compared with, each (2, 8, 8): luma, chroma; grey levels."""
    return {
        "learned": pair.tables[0],
        "initial": np.asarray(pair.card.initial_tables[0], dtype=np.float32),
        "standard": STANDARD_TABLES,
        "learned as in a .jpg": integer_tables(pair.tables[0]),
    }
