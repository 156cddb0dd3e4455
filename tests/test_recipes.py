"""Recipes as data, the catalogue of them, and one tiny epoch for each way through the code."""

import re
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from jpegdl.codec.featurelayer import FeatureJPEGLayer
from jpegdl.codec.jpegfile import STANDARD_TABLES
from jpegdl.codec.layer import MAX_STEP, MIN_STEP, JPEGLayer
from jpegdl.codec.variants import QUANTIZERS
from jpegdl.pairs.architectures import architecture
from jpegdl.pairs.checkpoints import ModelPair, load_pair
from jpegdl.pairs.classifier import ARMS, table_layer
from jpegdl.pairs.recipe import Recipe, shared_settings, with_epochs
from jpegdl.training.catalogue import RECIPES
from jpegdl.training.data import Dataset, Examples
from jpegdl.training.pair import Run, train_pair
from jpegdl.training.readers import READERS
from tests.tiny import colour_of, noise

CPU = torch.device("cpu")


def recipe(**changes: object) -> Recipe:
    facts: dict = {
        "name": "test", "dataset": "none", "architecture": "none", "input_size": 16, "epochs": 10, "batch_size": 8,
        "learning_rate": 0.1, "weight_decay": 1e-4, "table_learning_rate": 0.05,
    }  # fmt: skip
    return Recipe(**(facts | changes))


# The fields


def test_a_cosine_rises_linearly_from_zero_and_falls_along_half_a_cosine_to_zero():
    plan = recipe(epochs=30, cosine=True, warmup_epochs=10, learning_rate=2.0)
    rising, falling = np.linspace(0, 10, 41)[:-1], np.linspace(10, 30, 81)[:-1]
    assert [plan.learning_rate_at(time) for time in rising] == pytest.approx(rising / 5)
    # by the half-angle formula: cos^2 of a quarter turn at the end
    expected = 2 * np.cos(np.pi / 2 * (falling - 10) / 20) ** 2
    assert [plan.learning_rate_at(time) for time in falling] == pytest.approx(expected)
    assert plan.learning_rate_at(20) == pytest.approx(1)
    assert plan.learning_rate_at(29.999) < 1e-7


def test_milestones_divide_by_ten_at_the_end_of_their_epoch_also_after_a_warm_up():
    plan = recipe(milestones=(4, 8), warmup_epochs=2)
    times = (0, 0.5, 1, 2, 3.99, 4, 7.99, 8, 9.99)
    assert [plan.learning_rate_at(time) for time in times] == pytest.approx(
        [0, 0.025, 0.05, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    )


@pytest.mark.parametrize("schedule", [{"milestones": (4, 8)}, {"cosine": True, "warmup_epochs": 3}])
def test_the_tables_rate_is_constant_with_adam_and_in_step_with_the_networks_with_sgd(schedule):
    times = np.linspace(0, 10, 21)[:-1]
    adam = recipe(table_optimizer="adam", **schedule)
    assert [adam.table_learning_rate_at(time) for time in times] == pytest.approx([0.05] * 20)
    sgd = recipe(table_optimizer="sgd", **schedule)
    assert [sgd.table_learning_rate_at(time) for time in times] == pytest.approx(
        [sgd.learning_rate_at(time) / 2 for time in times]
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"alpha": 5.0, "hardness": 0.7}, "alpha or hardness must be given, and not both; got 5.0 and 0.7"),
        ({"alpha": None, "hardness": None}, "alpha or hardness must be given, and not both; got None and None"),
        ({"alpha": None, "hardness": 0.0}, "hardness must be positive, got 0.0"),
        ({"alpha": 0.0}, "alpha must be positive, got 0.0"),
        ({"cosine": True, "milestones": (5,)}, "milestones (5,) and a cosine exclude each other"),
        ({"milestones": (5, 10)}, "milestones (5, 10) must lie inside 1..9"),
        ({"milestones": (5, 5)}, "milestones (5, 5) must rise"),
        ({"milestones": (6, 5)}, "milestones (6, 5) must rise"),
        ({"warmup_epochs": 10}, "warmup_epochs 10 must lie inside 0..9"),
        ({"warmup_epochs": -1}, "warmup_epochs -1 must lie inside 0..9"),
        ({"bits": 2}, "bits must be at least 3 (five levels), got 2"),
        ({"epochs": 0}, "epochs must be positive, got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be positive, got 0.0"),
        ({"table_learning_rate": -1.0}, "table_learning_rate must be positive, got -1.0"),
        ({"rounds": 0}, "rounds must be positive, got 0"),
    ],
)
def test_settings_that_cannot_be_trained_are_refused_by_the_recipes_name(change, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(f"test: {sentence}")):
        recipe(**change)


@pytest.mark.parametrize(("bits", "limit"), [(3, 3), (6, 31), (8, 127), (11, 1023), (None, None)])
def test_b_bits_give_indices_up_to_2_to_the_b_less_1_less_1_and_none_no_limit(bits, limit):
    assert recipe(bits=bits).max_index == limit


def test_the_settings_that_both_arms_share_are_those_of_network_and_data_alone():
    assert list(shared_settings(recipe(dataset="d"))) == [
        "dataset", "architecture", "start", "input_size", "augmentation", "epochs", "batch_size", "optimizer",
        "learning_rate", "milestones", "cosine", "warmup_epochs", "momentum", "weight_decay", "label_smoothing",
    ]  # fmt: skip
    layer = {"place": "first relu", "quantizer": "clip", "rounds": 5, "bits": 6, "alpha": 2.0, "zero_dc": True}
    assert shared_settings(recipe(name="other", **layer)) == shared_settings(recipe())
    assert shared_settings(recipe(weight_decay=0.0)) != shared_settings(recipe())


# Shortened and lengthened schedules


@pytest.mark.parametrize("name", ["flowers17-resnet18", "cifar100-resnet32", "pets-efficientformer_l1"])
def test_the_same_number_of_epochs_gives_the_same_recipe(name):
    assert with_epochs(RECIPES[name], RECIPES[name].epochs) == RECIPES[name]


def test_every_recipe_can_be_trained_for_any_number_of_epochs_in_the_shape_of_its_own_schedule():
    schedules = {(plan.epochs, plan.milestones, plan.warmup_epochs): plan for plan in RECIPES.values()}
    for plan in schedules.values():
        for epochs in range(1, 301):
            short = with_epochs(plan, epochs)  # a Recipe refuses what cannot be trained
            assert (
                replace(short, epochs=plan.epochs, milestones=plan.milestones, warmup_epochs=plan.warmup_epochs) == plan
            )
            assert short.epochs == epochs
            assert len(short.milestones) == min(len(plan.milestones), epochs - 1)
            assert all(0 < milestone < epochs for milestone in short.milestones)
            assert len(set(short.milestones)) == len(short.milestones)
            wanted = [milestone * epochs / plan.epochs for milestone in plan.milestones]
            crowded = epochs < 2 * len(plan.milestones) + 4  # where they must make room for each other
            far = 2 if crowded else 0.5
            assert all(abs(a - b) <= far for a, b in zip(short.milestones, wanted, strict=False))
            share = plan.warmup_epochs * epochs / plan.epochs
            assert abs(short.warmup_epochs - share) <= (0.5 if share >= 0.5 and epochs > 1 else 1)
            assert (short.warmup_epochs > 0) == (plan.warmup_epochs > 0 and epochs > 1)


@pytest.mark.parametrize(
    ("name", "epochs", "milestones", "warmup"),
    [
        ("flowers17-resnet18", 1, (), 0),
        ("flowers17-resnet18", 2, (1,), 0),
        ("flowers17-resnet18", 3, (1, 2), 0),
        ("flowers17-resnet18", 4, (2, 3), 0),
        ("flowers17-resnet18", 400, (200, 300), 0),
        ("cifar100-resnet32", 3, (1, 2), 0),
        ("pets-efficientformer_l1", 40, (), 7),
        ("pets-efficientformer_l1", 60, (), 10),
        ("pets-efficientnet_lite0", 3, (), 1),
        ("pets-efficientnet_lite0", 1, (), 0),
    ],
)
def test_milestones_and_warm_up_keep_their_share(name, epochs, milestones, warmup):
    short = with_epochs(RECIPES[name], epochs)
    assert (short.milestones, short.warmup_epochs) == (milestones, warmup)


def test_early_milestones_that_would_fall_together_stay_apart_and_inside():
    for epochs in range(1, 201):
        short = with_epochs(recipe(epochs=200, milestones=(3, 5, 7)), epochs)  # refuses what does not rise inside
        assert len(short.milestones) == min(3, epochs - 1)


# The catalogue

FINE_DATA = ("cub200", "stanford_dogs", "flowers102-authors", "pets")
CIFAR_NETWORKS = ("resnet32", "resnet56", "resnet110", "vgg8", "vgg13", "mobilenetv2_half", "shufflenetv2")
DIFFERENCES: dict[str, dict] = {  # what defines a variation, beside its name
    "additive_noise": {"quantizer": "additive noise"},
    "cubic": {"quantizer": "cubic"},
    "straight_through": {"quantizer": "straight through"},
    "first_relu": {
        "place": "first relu", "bits": 6, "alpha": 2.0, "initial_tables": "ones", "table_learning_rate": 0.001,
    },
    "clip_only": {"quantizer": "clip"},
    "quantize_only": {"bits": None},
    "frozen": {"table_optimizer": "none"},
    "standard_frozen": {"table_optimizer": "none", "initial_tables": "standard"},
    "zero_dc": {"zero_dc": True},
    "noop": {"quantizer": "identity", "table_optimizer": "none", "initial_tables": "ones"},
    "rounds5": {"rounds": 5},
    "ones": {"initial_tables": "ones"},
    "mean_absolute": {"initial_tables": "mean absolute", "bits": 11},
    "standard90": {"initial_tables": "standard at quality 90"},
}  # fmt: skip
METHODS = ("additive_noise", "cubic", "straight_through")
CONTROLS = ("clip_only", "quantize_only", "frozen", "standard_frozen", "zero_dc", "noop")
TUNED = ("cub50", "pets", "flowers102-authors")
FIRST_TABLES = ("ones", "mean_absolute", "standard90")
VARIATIONS = [name for name in RECIPES if name.rpartition("-")[2] in DIFFERENCES]

LAYER = {  # of everything on small data: soft quantizer at the input, alpha 5, b = 8, Adam
    "place": "input", "quantizer": "five levels", "rounds": 1, "bits": 8, "alpha": 5.0, "hardness": None,
    "initial_tables": "inverse sensitivity", "max_initial_step": 10.0, "zero_dc": False, "table_optimizer": "adam",
}  # fmt: skip
PLAIN = {"start": "scratch", "optimizer": "sgd", "cosine": False, "warmup_epochs": 0, "label_smoothing": 0.0}
CIFAR = LAYER | PLAIN | {
    "dataset": "cifar100", "input_size": 32, "augmentation": "shifted crop", "epochs": 240, "batch_size": 64,
    "momentum": 0.9, "weight_decay": 5e-4, "milestones": (150, 180, 210), "table_learning_rate": 0.003,
}  # fmt: skip
FINE = LAYER | PLAIN | {
    "input_size": 224, "augmentation": "resized crop", "epochs": 200, "batch_size": 32, "learning_rate": 0.1,
    "momentum": 0.9, "weight_decay": 1e-4, "milestones": (100, 150), "table_learning_rate": 0.005,
}  # fmt: skip
TRANSFORMER = LAYER | {
    "architecture": "efficientformer_l1", "start": "scratch", "input_size": 224, "augmentation": "strong",
    "batch_size": 512, "optimizer": "adamw", "learning_rate": 2e-3, "weight_decay": 0.05, "cosine": True,
    "milestones": (), "label_smoothing": 0.1, "initial_tables": "ones",
}  # fmt: skip
IMAGENET = LAYER | PLAIN | {
    "input_size": 224, "augmentation": "resized crop", "momentum": 0.9, "bits": 11, "alpha": None, "hardness": 0.7,
    "initial_tables": "mean absolute", "table_optimizer": "sgd", "table_learning_rate": 0.5,
}  # fmt: skip
RESIDUAL = {"epochs": 90, "batch_size": 256, "learning_rate": 0.1, "weight_decay": 1e-4, "milestones": (30, 60)}
SQUEEZENET = {
    "architecture": "squeezenet1_1", "epochs": 100, "batch_size": 128, "learning_rate": 0.01, "weight_decay": 2e-4,
    "milestones": (30, 60, 90),
}  # fmt: skip
FINE_TUNED = {
    "architecture": "timm:tf_efficientnet_lite0", "start": "imagenet", "learning_rate": 0.01, "milestones": (),
    "cosine": True, "warmup_epochs": 1,
}  # fmt: skip
LONG = {"epochs": 600, "warmup_epochs": 100, "table_learning_rate": 0.005}
SETTINGS: dict[str, dict] = {
    **{f"cifar100-{name}": CIFAR | {"architecture": name, "learning_rate": 0.05} for name in CIFAR_NETWORKS[:5]},
    **{f"cifar100-{name}": CIFAR | {"architecture": name, "learning_rate": 0.01} for name in CIFAR_NETWORKS[5:]},
    **{
        f"{data}-{network}": FINE | {"dataset": data, "architecture": network}
        for data in FINE_DATA
        for network in ("resnet18", "densenet121", "preact_resnet18")
    },
    "imagenet-resnet18": IMAGENET | RESIDUAL | {"dataset": "imagenet", "architecture": "resnet18"},
    "imagenet-resnet34": IMAGENET | RESIDUAL | {"dataset": "imagenet", "architecture": "resnet34"},
    "imagenet-squeezenet1_1": IMAGENET | SQUEEZENET | {"dataset": "imagenet"},
    "imagenette-resnet18": IMAGENET | RESIDUAL | {"dataset": "imagenette", "architecture": "resnet18"},
    "imagenette-squeezenet1_1": IMAGENET | SQUEEZENET | {"dataset": "imagenette"},
    "cifar100-efficientformer_l1": TRANSFORMER
    | {"dataset": "cifar100", "epochs": 300, "warmup_epochs": 50, "table_learning_rate": 0.003},
    "flowers102-trainval-efficientformer_l1": TRANSFORMER | LONG | {"dataset": "flowers102-trainval"},
    "pets-efficientformer_l1": TRANSFORMER | LONG | {"dataset": "pets"},
    "flowers17-resnet18": FINE | {"dataset": "flowers17", "architecture": "resnet18"},
    "cub50-resnet18": FINE | {"dataset": "cub50", "architecture": "resnet18"},
    "cub50-efficientnet_lite0": FINE | FINE_TUNED | {"dataset": "cub50", "epochs": 30},
    "pets-efficientnet_lite0": FINE | FINE_TUNED | {"dataset": "pets", "epochs": 10},
    "flowers102-authors-efficientnet_lite0": FINE | FINE_TUNED | {"dataset": "flowers102-authors", "epochs": 15},
}


def test_there_is_a_row_for_each_cell_of_the_papers_tables_each_control_and_each_of_our_pairs():
    table6 = {f"{data}-{n}-{m}" for data in FINE_DATA for n in ("resnet18", "densenet121") for m in METHODS}
    table7 = {f"{data}-resnet18-first_relu" for data in FINE_DATA}
    controlled = [f"{data}-resnet18" for data in ("flowers17", "cub50", *FINE_DATA)] + ["cifar100-resnet32"]
    controls = {f"{base}-{control}" for base in controlled for control in CONTROLS}
    ours = {f"flowers17-resnet18-{method}" for method in (*METHODS, "first_relu")}
    starts = {f"{data}-efficientnet_lite0-{tables}" for data in TUNED for tables in FIRST_TABLES}
    rounds = {"imagenet-squeezenet1_1-rounds5"}
    assert set(RECIPES) == set(SETTINGS) | table6 | table7 | controls | ours | starts | rounds


@pytest.mark.parametrize("name", SETTINGS)
def test_the_settings_are_the_papers(name):
    assert {field: getattr(RECIPES[name], field) for field in SETTINGS[name]} == SETTINGS[name]


@pytest.mark.parametrize("name", VARIATIONS)
def test_a_variation_differs_from_its_base_in_the_fields_that_define_it_alone(name):
    base, _, difference = name.rpartition("-")
    varied, plain = asdict(RECIPES[name]), asdict(RECIPES[base])
    assert varied == plain | DIFFERENCES[difference] | {"name": name}
    assert all(plain[field] != value for field, value in DIFFERENCES[difference].items())
    assert shared_settings(RECIPES[name]) == shared_settings(RECIPES[base])


@pytest.mark.parametrize("name", RECIPES)
def test_what_a_recipe_names_is_known_and_its_name_can_be_a_folders(name):
    plan = RECIPES[name]
    assert plan.name == name
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name)
    assert name.startswith(f"{plan.dataset}-")
    assert plan.dataset in READERS
    assert plan.quantizer in QUANTIZERS
    architecture(plan.architecture)  # raises otherwise


# One tiny epoch of a recipe for each way through the code

COUNTS = {"train": 4, "validation": 3, "test": 5}
CODE = (  # the settings by which code decides what to do; other fields are numbers, and networks have their own tests
    *("start", "augmentation", "optimizer", "cosine", "label_smoothing", "place", "quantizer", "rounds", "bits"),
    *("hardness", "initial_tables", "zero_dc", "table_optimizer"),
)


def one_step(plan: Recipe) -> Recipe:
    """The recipe with one epoch of one batch of 32 pixels, for the smallest network that takes its way: networks have
    their own tests, but only a ResNet-18 has a first ReLU to replace and only some have ImageNet's weights."""
    network = "resnet32" if plan.start == "scratch" and plan.place == "input" else plan.architecture
    small = replace(plan, architecture=network, input_size=32)
    return replace(small, epochs=1, batch_size=COUNTS["train"], milestones=(), warmup_epochs=0)


def distinct_paths() -> list[str]:
    """Names of a few recipes that together have every value of every setting in CODE: greedily, the richest first."""
    values = {name: {(field, getattr(plan, field)) for field in CODE} for name, plan in RECIPES.items()}
    left, chosen = set().union(*values.values()), []
    while left:
        chosen.append(max(values, key=lambda name: len(values[name] & left)))
        left -= values[chosen[-1]]
    return chosen


def pictures(part: str) -> Examples:
    draw = np.random.default_rng(len(part))
    labels = tuple(n % 3 for n in range(COUNTS[part]))
    found = (np.array(colour_of(7 * label)) + draw.integers(0, 30, (36, 40, 3)) for label in labels)
    return Examples(tuple(picture.astype(np.uint8) for picture in found), labels)


def generated() -> Dataset:
    return Dataset(
        title="colours", source="generated", licence="CC0", split="by seed", class_names=("a", "b", "c"),
        train=pictures("train"), validation=pictures("validation"), test=pictures("test"),
    )  # fmt: skip


def weights_file(plan: Recipe, folder: Path) -> Path:
    """What stands for ImageNet weights: drawn by a seed that no run uses, with statistics of a few pictures."""
    with torch.random.fork_rng():
        torch.manual_seed(99)
        network = architecture(plan.architecture).build(1000).train()
        network.get_parameter("bn2.weight").data.mul_(
            0.05
        )  # features so small that no logit drowns the others after a step
        for seed in range(20):
            network(noise(4, 32, seed))
    save_file(network.state_dict(), folder / "imagenet.safetensors")
    return folder / "imagenet.safetensors"


def test_a_dozen_recipes_take_every_way_through_the_code():
    chosen = distinct_paths()
    assert len(chosen) <= 15
    for field in CODE:
        assert {getattr(RECIPES[name], field) for name in chosen} == {getattr(plan, field) for plan in RECIPES.values()}


@pytest.mark.parametrize("name", distinct_paths())
def test_one_tiny_epoch_gives_a_pair_as_the_recipe_says(name, tmp_path):
    plan = one_step(RECIPES[name])
    reported = []
    run = Run(
        seeds=[3],
        device=CPU,
        report=lambda seed, arm, epoch: reported.append((seed, arm, epoch.number)),
        precision=torch.float32,  # bfloat16 convolutions of maps of one pixel go wrong on a CPU
        weights=weights_file(plan, tmp_path) if plan.start == "imagenet" else None,
    )
    train_pair(plan, generated(), tmp_path / "pair", run)
    pair = load_pair(tmp_path / "pair")
    assert reported == [(3, arm, 1) for arm in ARMS]
    check_card(plan, pair)
    check_layer(plan, pair)
    check_tables(plan, pair)
    check_difference(plan, pair)


def check_card(plan: Recipe, pair: ModelPair) -> None:
    card = pair.card
    assert {arm: [epoch.number for epoch in card.history[arm]] for arm in ARMS} == {arm: [1] for arm in ARMS}
    assert {part: count.n for part, count in card.results.items()} == {"test": 5, "validation": 3}
    last = card.history["jpegdl"][-1].steps
    if plan.place == "input":
        assert np.allclose(np.array(last), pair.codec.steps, rtol=1e-5)
    else:
        assert last is None


def check_layer(plan: Recipe, pair: ModelPair) -> None:
    layer = table_layer(pair.jpegdl)
    assert table_layer(pair.baseline) is None
    assert isinstance(layer, JPEGLayer if plan.place == "input" else FeatureJPEGLayer)
    assert (pair.jpegdl.codec is layer) == (plan.place == "input")
    assert layer.max_index == (None if plan.bits is None else 2 ** (plan.bits - 1) - 1)
    assert layer.quantizer is QUANTIZERS["hard" if plan.quantizer == "additive noise" else plan.quantizer]
    if plan.place == "first relu":
        assert pair.jpegdl.backbone.relu is layer
        assert isinstance(pair.baseline.backbone.relu, nn.ReLU)
        assert layer.steps.shape == (len(pair.baseline.backbone.get_parameter("conv1.weight")), 8, 8)
    else:
        assert layer.steps.shape == (plan.rounds, 2, 8, 8)


def check_tables(plan: Recipe, pair: ModelPair) -> None:
    layer, first = table_layer(pair.jpegdl), torch.tensor(pair.card.initial_tables)
    assert layer is not None
    steps, wanted = layer.steps, layer.alpha * layer.steps.square() if plan.hardness else layer.alpha
    assert bool(((steps >= MIN_STEP) & (steps <= MAX_STEP)).all())
    assert torch.allclose(wanted, torch.tensor(plan.hardness or plan.alpha), rtol=1e-6)
    if plan.initial_tables == "inverse sensitivity":
        assert first[0, 0].max() == pytest.approx(plan.max_initial_step)
    else:
        known = {"standard": torch.tensor(STANDARD_TABLES, dtype=torch.float32), "ones": torch.ones(())}
        other = first[0]  # mean absolute: all rounds start alike
        assert torch.equal(first, known.get(plan.initial_tables, other).expand(first.shape))
    if plan.zero_dc:
        assert torch.equal(steps[..., 0, 0], torch.full((plan.rounds, 2), MIN_STEP))
        means = pair.codec.coefficients(pair.codec(noise(2, 32)))[..., 0, 0]
        assert means.abs().max() < 0.01  # grey levels, of up to 1024
        first[..., 0, 0] = steps[..., 0, 0]
    assert torch.equal(steps, first) == (plan.table_optimizer == "none")


def check_difference(plan: Recipe, pair: ModelPair) -> None:
    """The arms see the same batch from the same weights, so they differ if, and only if, the layer does something."""
    losses = [pair.card.history[arm][0].loss for arm in ARMS]
    difference = abs(losses[0] - losses[1])  # the card keeps six digits
    if plan.hardness is None and plan.quantizer != "identity":  # at hardness 0.7 the layer does next to nothing
        assert difference > 2e-5
    if plan.quantizer == "identity":  # equal but for rounding, which batch normalisation of four pictures magnifies
        ours, theirs = (
            torch.cat([v.double().flatten() for v in pair.arm(arm).backbone.state_dict().values()]) for arm in ARMS
        )
        assert difference < 1e-4
        assert (ours - theirs).norm() < 5e-3 * theirs.norm()
