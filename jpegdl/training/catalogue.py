"""Every recipe: a row for each cell of the paper's tables, the controls that the paper lacks, and our own pairs.

Base rows come first, the others say in what they differ. Names are `data-network` or `data-network-difference`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from jpegdl.pairs.recipe import Recipe

# CIFAR-100: the schedule of CRD (paper A.3); alpha 5, Adam 0.003.
_CIFAR = Recipe(
    name="",
    dataset="cifar100",
    architecture="resnet32",
    input_size=32,
    augmentation="shifted crop",
    epochs=240,
    batch_size=64,
    learning_rate=0.05,
    milestones=(150, 180, 210),
    weight_decay=5e-4,
    table_learning_rate=0.003,
)
# Fine-grained data, from scratch (paper section 4, A.3, A.4).
_FINE = Recipe(
    name="",
    dataset="cub200",
    architecture="resnet18",
    input_size=224,
    epochs=200,
    batch_size=32,
    learning_rate=0.1,
    milestones=(100, 150),
    weight_decay=1e-4,
    table_learning_rate=0.005,
)
# EfficientFormer-L1 (paper A.5): the recipe of Xu et al., "Initializing Models with Larger Ones"; tables of ones.
_TRANSFORMER = Recipe(
    name="",
    dataset="flowers102",
    architecture="efficientformer_l1",
    input_size=224,
    augmentation="strong",
    epochs=600,
    batch_size=512,
    optimizer="adamw",
    learning_rate=2e-3,
    cosine=True,
    warmup_epochs=100,
    weight_decay=0.05,
    label_smoothing=0.1,
    initial_tables="ones",
    table_learning_rate=0.005,
)
# ImageNet (paper section 4, A.2): constant hardness, SGD for the tables, steps from mean absolute coefficients.
_IMAGENET = Recipe(
    name="",
    dataset="imagenet",
    architecture="resnet18",
    input_size=224,
    epochs=90,
    batch_size=256,
    learning_rate=0.1,
    milestones=(30, 60),
    weight_decay=1e-4,
    bits=11,
    alpha=None,
    hardness=0.7,
    initial_tables="mean absolute",
    table_optimizer="sgd",
    table_learning_rate=0.5,
)
_SQUEEZENET: Mapping[str, Any] = {
    "architecture": "squeezenet1_1",
    "epochs": 100,
    "batch_size": 128,
    "learning_rate": 0.01,
    "milestones": (30, 60, 90),
    "weight_decay": 2e-4,
}
# From ImageNet weights, for data too small to learn from scratch: ours, not the paper's.
_FINE_TUNING: Mapping[str, Any] = {
    "start": "imagenet",
    "learning_rate": 0.01,
    "milestones": (),
    "cosine": True,
    "warmup_epochs": 1,
}
# A layer that cuts brightness off spoils a trained network, so others are tried beside the usual first tables.
_FIRST_TABLES: Mapping[str, Mapping[str, Any]] = {
    "": {},
    "ones": {"initial_tables": "ones"},
    "mean_absolute": {"initial_tables": "mean absolute", "bits": 11},
    "standard90": {"initial_tables": "standard at quality 90"},
}

# Other ways to make the layer trainable (table 6) and a ReLU's place (table 7).
_METHODS: Mapping[str, Mapping[str, Any]] = {
    "additive_noise": {"quantizer": "additive noise"},
    "cubic": {"quantizer": "cubic"},
    "straight_through": {"quantizer": "straight through"},
    "first_relu": {
        "place": "first relu",
        "bits": 6,
        "alpha": 2.0,
        "initial_tables": "ones",
        "table_learning_rate": 0.001,
    },
}
# Which part of the layer does it? The paper does not ask.
_CONTROLS: Mapping[str, Mapping[str, Any]] = {
    "clip_only": {"quantizer": "clip"},
    "quantize_only": {"bits": None},
    "frozen": {"table_optimizer": "none"},
    "standard_frozen": {"table_optimizer": "none", "initial_tables": "standard"},
    "zero_dc": {"zero_dc": True},
    "noop": {"quantizer": "identity", "table_optimizer": "none", "initial_tables": "ones"},
}

_CIFAR_NETWORKS: Mapping[str, float] = {  # with their learning rates
    "resnet32": 0.05,
    "resnet56": 0.05,
    "resnet110": 0.05,
    "vgg8": 0.05,
    "vgg13": 0.05,
    "mobilenetv2_half": 0.01,
    "shufflenetv2": 0.01,
}
_FINE_DATA = ("cub200", "stanford_dogs", "flowers102-authors", "pets")
_FINE_NETWORKS = ("resnet18", "densenet121")


def _row(base: Recipe, difference: str = "", **changes: Any) -> Recipe:
    """`base` with `changes`, under the name that data, network and difference give it."""
    row = replace(base, **changes)
    parts = (row.dataset, row.architecture.split(":")[-1].removeprefix("tf_"), difference)
    return replace(row, name="-".join(filter(None, parts)))


def _variations(bases: Iterable[Recipe], variations: Mapping[str, Mapping[str, Any]]) -> Iterator[Recipe]:
    for base in bases:
        for difference, changes in variations.items():
            yield _row(base, difference, **changes)


def _rows() -> Iterator[Recipe]:
    for architecture, rate in _CIFAR_NETWORKS.items():  # table 1
        yield _row(_CIFAR, architecture=architecture, learning_rate=rate)
    fine = {(d, n): _row(_FINE, dataset=d, architecture=n) for d in _FINE_DATA for n in _FINE_NETWORKS}
    yield from fine.values()  # table 2, as executed
    for dataset in _FINE_DATA:  # table 2, the network that its text names
        yield _row(_FINE, dataset=dataset, architecture="preact_resnet18")
    for architecture in ("resnet18", "resnet34"):  # table 3
        yield _row(_IMAGENET, architecture=architecture)
    yield _row(_IMAGENET, **_SQUEEZENET)
    yield _row(_IMAGENET, "rounds5", rounds=5, **_SQUEEZENET)
    yield _row(_TRANSFORMER, dataset="cifar100", epochs=300, warmup_epochs=50, table_learning_rate=0.003)  # table 5
    yield _row(_TRANSFORMER, dataset="flowers102-trainval")
    yield _row(_TRANSFORMER, dataset="pets")
    relu, rounding = _METHODS["first_relu"], {name: _METHODS[name] for name in _METHODS if name != "first_relu"}
    yield from _variations(fine.values(), rounding)  # table 6
    yield from _variations((row for (_, n), row in fine.items() if n == "resnet18"), {"first_relu": relu})  # table 7

    flowers17, cub50 = (_row(_FINE, dataset=dataset) for dataset in ("flowers17", "cub50"))
    yield from (flowers17, cub50)
    fine_tuned = (
        replace(_FINE, architecture="timm:tf_efficientnet_lite0", dataset=dataset, epochs=epochs, **_FINE_TUNING)
        for dataset, epochs in (("cub50", 30), ("pets", 10), ("flowers102-authors", 15))
    )
    yield from _variations(fine_tuned, _FIRST_TABLES)
    yield _row(_IMAGENET, dataset="imagenette")
    yield _row(_IMAGENET, dataset="imagenette", **_SQUEEZENET)
    yield from _variations((flowers17, cub50, *(fine[d, "resnet18"] for d in _FINE_DATA)), _CONTROLS)
    yield from _variations((flowers17,), _METHODS)
    yield from _variations((_row(_CIFAR),), _CONTROLS)


RECIPES: Mapping[str, Recipe] = {recipe.name: recipe for recipe in _rows()}
