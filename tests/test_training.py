"""Recipes, crops, sensitivities and the training loop; then a pair from the command line."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.fft import dctn, idctn
from scipy.stats import ks_2samp
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import SGD, Adam, Optimizer
from torchvision.transforms import RandomResizedCrop

from jpegdl.__main__ import main
from jpegdl.codec.jpegfile import integer_tables
from jpegdl.codec.layer import JPEGLayer
from jpegdl.pairs.checkpoints import load_pair
from jpegdl.pairs.classifier import ARMS, Arm, Classifier, build_classifier
from jpegdl.pairs.prepare import prepare
from jpegdl.training import loop
from jpegdl.training.augment import random_crops, random_resized_crop, resample
from jpegdl.training.data import Dataset, Examples, PreparedTensors, TrainingTensors, open_picture, training_tensors
from jpegdl.training.loop import Epoch, fit, make_optimizers
from jpegdl.training.pair import departures, initial_tables, train_pair
from jpegdl.training.readers import read_dataset
from jpegdl.training.recipes import RECIPES, Recipe
from jpegdl.training.sensitivity import inverse_sensitivity_tables, sensitivity
from tests.tiny import TINY, add_tiny, colour_of, noise_bytes, smooth_picture, tables, write_flowers17

CPU = torch.device("cpu")


def recipe(**changes: object) -> Recipe:
    facts: dict = {
        "name": "test", "dataset": "none", "architecture": TINY, "input_size": 16, "epochs": 4, "batch_size": 8,
        "learning_rate": 0.1, "milestones": (2,), "momentum": 0.9, "weight_decay": 1e-4, "table_learning_rate": 0.05,
        "alpha": 5.0, "bits": 8, "initial_tables": "ones", "max_initial_step": 10.0,
    }  # fmt: skip
    return Recipe(**(facts | changes))


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    add_tiny(monkeypatch)


def model_for(arm: Arm, seed: int = 0) -> Classifier:
    codec = JPEGLayer(tables(), 5.0) if arm == "jpegdl" else None
    return build_classifier(TINY, 3, seed=seed, codec=codec)


def coloured(count: int) -> tuple[TrainingTensors, PreparedTensors]:
    """Pictures of three classes that a mean colour tells apart: what any network can learn."""
    labels = torch.arange(count) % 3
    colours = torch.tensor([colour_of(int(7 * label)) for label in labels]).view(count, 3, 1, 1)
    pictures = (colours + noise_bytes(count, 32) / 8).clamp(0, 255).to(torch.uint8)
    shapes = torch.tensor([(24, 40)]).expand(count, 2)
    return TrainingTensors(pictures, shapes, labels), PreparedTensors(
        pictures[:9, :, :16, :16].contiguous(), labels[:9]
    )


# Recipes


def test_the_learning_rate_falls_tenfold_after_each_milestone():
    steps = recipe(epochs=6, milestones=(2, 4))
    assert [steps.learning_rate_at(epoch) for epoch in range(1, 7)] == pytest.approx([0.1, 0.1, 0.01, 0.01, 1e-3, 1e-3])


def test_the_paper_recipe_for_fine_grained_data_is_200_epochs_from_0_1_with_falls_after_100_and_150():
    paper = RECIPES["flowers17-resnet18"]
    rates = [paper.learning_rate_at(epoch) for epoch in (1, 100, 101, 150, 151, 200)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 1e-3, 1e-3])
    assert (paper.batch_size, paper.momentum, paper.weight_decay, paper.alpha, paper.max_index) == (
        32,
        0.9,
        1e-4,
        5,
        127,
    )


@pytest.mark.parametrize(
    "change",
    [{"milestones": (4,)}, {"milestones": (0,)}, {"epochs": 0, "milestones": ()}, {"batch_size": 0}, {"alpha": -1.0},
     {"bits": 2}, {"rounds": 0}, {"input_size": -8}],
)  # fmt: skip
def test_a_recipe_that_cannot_be_trained_is_refused_by_its_name(change):
    with pytest.raises(ValueError, match=f"test: {list(change)[-1] if 'epochs' not in change else 'epochs'}"):
        recipe(**change)


def test_departures_are_the_named_recipes_values_where_they_differ():
    named = RECIPES["flowers17-resnet18"]
    changed = dataclasses.replace(named, input_size=128, epochs=100, milestones=(50, 75))
    assert departures(changed) == {"input_size": 224, "epochs": 200, "milestones": (100, 150)}
    assert departures(named) == departures(recipe()) == {}


def test_the_tables_are_in_one_optimiser_without_decay_and_the_network_in_the_other():
    model = model_for("jpegdl")
    network, steps = make_optimizers(model, recipe())
    owned = [[id(p) for group in optimizer.param_groups for p in group["params"]] for optimizer in (network, steps)]
    assert owned[1] == [id(model.codec.steps)]
    assert sorted(owned[0] + owned[1]) == sorted(id(parameter) for parameter in model.parameters())
    assert (type(network), type(steps)) == (SGD, Adam)
    assert steps.param_groups[0]["weight_decay"] == 0
    assert (network.param_groups[0]["momentum"], network.param_groups[0]["weight_decay"]) == (0.9, 1e-4)
    assert len(make_optimizers(model_for("baseline"), recipe())) == 1


# Crops

SHAPES = [(256, 256), (256, 353), (500, 256), (90, 97)]


def torchvisions_crops(shape: tuple[int, int], count: int) -> np.ndarray:
    picture = torch.zeros(3, *shape)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        crops = [RandomResizedCrop.get_params(picture, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(count)]
    return np.array(crops, dtype=float)


def our_crops(shape: tuple[int, int], count: int) -> np.ndarray:
    shapes = torch.tensor([shape]).expand(count, 2)
    return random_crops(shapes, torch.Generator().manual_seed(2)).numpy().astype(float)


@pytest.mark.parametrize("shape", [*SHAPES, (8, 300), (300, 8), (1, 1)])
def test_crops_are_whole_pixels_inside_the_picture(shape):
    top, left, height, width = our_crops(shape, 2000).T
    assert all((values == values.round()).all() for values in (top, left, height, width))
    assert min(top.min(), left.min()) >= 0
    assert min(height.min(), width.min()) >= 1
    assert (top + height).max() <= shape[0]
    assert (left + width).max() <= shape[1]


@pytest.mark.parametrize("shape", SHAPES)
def test_crops_are_distributed_as_torchvisions(shape):
    ours, theirs = our_crops(shape, 2000).T, torchvisions_crops(shape, 2000).T
    for measure in (
        lambda top, left, height, width: height * width,
        lambda top, left, height, width: width / height,
        lambda top, left, height, width: top / np.maximum(shape[0] - height, 1),
        lambda top, left, height, width: left / np.maximum(shape[1] - width, 1),
    ):
        assert ks_2samp(measure(*ours), measure(*theirs)).pvalue > 1e-3
        assert ks_2samp(measure(*ours) * 1.1 + 0.02, measure(*theirs)).pvalue < 1e-3  # it can tell a small difference


@pytest.mark.parametrize("shape", [(8, 300), (300, 8)])
def test_where_no_crop_fits_the_largest_centred_one_is_torchvisions(shape):
    assert np.array_equal(np.unique(our_crops(shape, 50), axis=0), np.unique(torchvisions_crops(shape, 50), axis=0))


def resized(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    picture = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture).astype(float)


def whole(values: float, count: int = 1) -> Tensor:
    return torch.full((count,), float(values))


@pytest.mark.parametrize(("side", "size"), [(64, 16), (50, 32), (16, 16), (10, 40)])
def test_resampling_a_whole_picture_is_pillows_antialiased_bilinear(side, size):
    pixels = np.random.default_rng(0).integers(0, 256, (side, side), dtype=np.uint8)
    matrix = resample(whole(0), whole(side), torch.tensor([False]), side, size)[0].numpy()
    assert np.abs(matrix @ pixels @ matrix.T - resized(pixels, size, size)).max() <= 1


@pytest.mark.parametrize(("start", "length", "size"), [(5, 40, 16), (24, 8, 16), (0, 13, 13)])
def test_resampling_a_stretch_uses_its_pixels_alone_as_pillow_does_after_a_crop(start, length, size):
    pixels = np.random.default_rng(0).integers(0, 256, (1, 64), dtype=np.uint8)
    matrix = resample(whole(start), whole(length), torch.tensor([False]), 64, size)[0].numpy()
    expected = resized(np.ascontiguousarray(pixels[:, start : start + length]), 1, size)
    assert np.abs(pixels @ matrix.T - expected).max() <= 1
    assert not matrix[:, :start].any()
    assert not matrix[:, start + length :].any()


def test_flip_mirrors():
    flip = torch.tensor([False, True])
    plain, mirrored = resample(whole(3.5, 2), whole(20.25, 2), flip, 32, 16)
    assert torch.allclose(mirrored, plain.flip(0), atol=1e-6)
    assert not torch.allclose(mirrored, plain, atol=0.1)


def test_a_crop_of_the_stretched_picture_is_the_crop_of_the_picture_half_of_them_mirrored():
    picture = smooth_picture(180, 320)
    data = training_tensors(Examples((np.asarray(picture),), (0,)))
    assert data.images.shape == (1, 3, 256, 256)
    assert data.shapes.tolist() == [[180, 320]]
    images, shapes = data.images.expand(16, 3, 256, 256), data.shapes.expand(16, 2)
    ours = random_resized_crop(images, shapes, 32, torch.Generator().manual_seed(5)) * 255
    flips = 0
    for crop, (top, left, height, width) in zip(
        ours, random_crops(shapes, torch.Generator().manual_seed(5)).int().tolist(), strict=True
    ):
        box = np.asarray(picture)[top : top + height, left : left + width]
        expected = resized(np.ascontiguousarray(box), 32, 32)
        plain, mirrored = (
            np.abs(crop.permute(1, 2, 0).numpy() - other).mean() for other in (expected, expected[:, ::-1])
        )
        flips += mirrored < plain
        assert min(plain, mirrored) < 3
    assert 3 <= flips <= 13


# Sensitivities and initial tables


def loss_of_coefficients(model: Classifier, coefficients: np.ndarray, labels: Tensor) -> np.ndarray:
    """(P, 3, 2, 8, 2, 8) coefficients of P pictures 16x16, by scipy and JFIF's matrix -> cross-entropy of each."""
    ycbcr = idctn(coefficients, axes=(3, 5), norm="ortho").reshape(-1, 3, 16, 16)
    to_rgb = np.array([[1, 0, 1.402], [1, -0.114 * 1.772 / 0.587, -0.299 * 1.402 / 0.587], [1, 1.772, 0]])
    rgb = (np.einsum("rc,pchw->prhw", to_rgb, ycbcr) + 128) / 255
    with torch.no_grad():
        return cross_entropy(model(torch.from_numpy(rgb)), labels, reduction="none").numpy()


@pytest.mark.parametrize("batch_size", [2, 1])
def test_sensitivities_are_mean_squares_of_finite_differences_of_the_loss(batch_size):
    model = model_for("baseline")
    model.train()(noise_bytes(8, 16) / 255)  # batch statistics that are not the initial ones
    pictures, labels = noise_bytes(2, 16, seed=1), torch.tensor([0, 2])
    found = sensitivity(model, pictures, labels, batch_size=batch_size)

    model.double()
    to_ycbcr = np.array(
        [[0.299, 0.587, 0.114], [-0.299 / 1.772, -0.587 / 1.772, 0.5], [0.5, -0.587 / 1.402, -0.114 / 1.402]]
    )
    ycbcr = np.einsum("cr,prhw->pchw", to_ycbcr, pictures.numpy().astype(float) - 128)
    coefficients = dctn(ycbcr.reshape(2, 3, 2, 8, 2, 8), axes=(3, 5), norm="ortho")
    squares = np.zeros((3, 8, 8))
    for number in range(2):
        shifts = 1e-3 * np.eye(3 * 2 * 8 * 2 * 8).reshape(-1, 3, 2, 8, 2, 8)
        target = labels[number].expand(len(shifts))
        above, below = (loss_of_coefficients(model, coefficients[number] + s * shifts, target) for s in (1, -1))
        slope = ((above - below) / 2e-3 / batch_size).reshape(3, 2, 8, 2, 8)  # the loss is a batch's mean
        squares += (slope**2).sum((1, 3))
    assert np.allclose(found.numpy(), squares / 8, rtol=1e-2, atol=1e-3 * (squares / 8).max())


def test_initial_tables_are_inverse_to_sensitivity_and_reach_q_max_at_the_least_sensitive_luma_frequency():
    luma, blue, red = 1 + torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    steps = inverse_sensitivity_tables(torch.stack([luma, blue, red]), 10.0).double()
    assert steps.shape == (2, 8, 8)
    assert steps[0].max() == pytest.approx(10)
    assert steps[0].argmax() == luma.argmin()
    assert torch.allclose(steps[0], 10 * luma.min() / luma)
    assert torch.allclose(steps[1], 10 * luma.min() * 2 / (blue + red))


def test_initial_tables_stay_in_the_layers_range():
    values = torch.ones(3, 8, 8, dtype=torch.float64)
    values[0, 0, 0] = 1e9
    values[1:, 7, 7] = 1e-6
    steps = inverse_sensitivity_tables(values, 10.0)
    assert steps[0, 0, 0] == pytest.approx(1e-5)
    assert steps[1, 7, 7] == 255
    JPEGLayer(steps, 5.0)  # takes them


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_sensitivity_that_is_not_positive_and_finite_is_refused(value):
    values = torch.ones(3, 8, 8)
    values[2, 3, 4] = value
    with pytest.raises(ValueError, match="positive and finite"):
        inverse_sensitivity_tables(values, 10.0)


def test_every_round_starts_from_the_same_table():
    clean = PreparedTensors(noise_bytes(4, 16), torch.tensor([0, 1, 2, 0]))
    steps = initial_tables(recipe(initial_tables="inverse_sensitivity", rounds=3), model_for("baseline"), clean)
    assert steps.shape == (3, 2, 8, 8)
    assert torch.equal(steps[0], steps[2])
    assert steps[0, 0].max() == pytest.approx(10)
    assert torch.equal(initial_tables(recipe(), model_for("baseline"), clean), torch.ones(1, 2, 8, 8))


# The loop


def run(
    arm: Arm, *, epochs: int = 4, state: Path | None = None, stop: int = 99, **changes
) -> tuple[Classifier, list[Epoch]]:
    train, validation = coloured(30)
    model, history = model_for(arm), []
    plan = recipe(epochs=epochs, **changes)
    for epoch in fit(model, plan, train, validation, seed=5, device=CPU, state_file=state):
        history.append(epoch)
        if epoch.number == stop:
            break
    return model, history


def without_seconds(history: list[Epoch]) -> list[dict]:
    return [dataclasses.asdict(epoch) | {"seconds": 0} for epoch in history]


@pytest.mark.parametrize("arm", ARMS)
def test_training_lowers_the_loss_and_learns_to_tell_colours(arm):
    _, history = run(arm, epochs=12, milestones=(9,))
    assert [epoch.number for epoch in history] == list(range(1, 13))
    assert history[-1].loss < 0.5 * history[0].loss
    assert history[-1].train_accuracy > 0.8
    assert history[-1].validation_accuracy > 0.8


def test_both_arms_see_the_same_pictures_in_the_same_order_and_other_ones_in_each_epoch():
    seen: dict[Arm, list[Tensor]] = {}
    train, validation = coloured(30)
    for arm in ARMS:
        model, seen[arm] = model_for(arm), []
        model.register_forward_pre_hook(
            lambda module, inputs, arm=arm: seen[arm].append(inputs[0].clone()) if module.training else None
        )
        list(fit(model, recipe(epochs=2, milestones=()), train, validation, seed=5, device=CPU))
    assert len(seen["baseline"]) == len(seen["jpegdl"]) == 8
    assert all(torch.equal(first, second) for first, second in zip(seen["baseline"], seen["jpegdl"], strict=True))
    assert [len(batch) for batch in seen["baseline"]] == [8, 8, 8, 6] * 2
    assert not torch.equal(seen["baseline"][0], seen["baseline"][4])


@pytest.mark.parametrize("arm", ARMS)
def test_an_interrupted_run_goes_on_bit_for_bit(arm, tmp_path):
    whole_model, whole_history = run(arm)
    run(arm, state=tmp_path / "state.pt", stop=3)  # after the third epoch the rate has fallen
    model, history = run(arm, state=tmp_path / "state.pt")
    assert without_seconds(history) == without_seconds(whole_history)
    for key, value in whole_model.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key
    if arm == "jpegdl":
        assert history[-1].steps == model.state_dict()["codec.steps"].tolist() != tables().tolist()


def test_a_finished_run_is_yielded_again_without_training(tmp_path):
    model, history = run("jpegdl", state=tmp_path / "state.pt")
    again, repeated = run("jpegdl", state=tmp_path / "state.pt")
    assert repeated == history
    assert all(torch.equal(again.state_dict()[key], value) for key, value in model.state_dict().items())


def test_a_state_of_another_recipe_arm_or_seed_is_refused(tmp_path):
    state = tmp_path / "state.pt"
    run("jpegdl", state=state, stop=1)
    train, validation = coloured(30)
    others: list[tuple[Arm, Recipe, int]] = [
        ("jpegdl", recipe(learning_rate=0.2), 5),
        ("jpegdl", recipe(), 6),
        ("baseline", recipe(), 5),
    ]
    for arm, plan, seed in others:
        with pytest.raises(ValueError, match="belongs to another recipe or seed; remove it or choose another --out"):
            next(fit(model_for(arm), plan, train, validation, seed=seed, device=CPU, state_file=state))


def test_in_training_the_networks_rate_falls_and_the_tables_rate_stays(monkeypatch):
    made = []

    def make(model: Classifier, plan: Recipe) -> list[Optimizer]:
        made.append(make_optimizers(model, plan))
        return made[-1]

    monkeypatch.setattr(loop, "make_optimizers", make)
    rates = []
    train, validation = coloured(12)
    for _ in fit(model_for("jpegdl"), recipe(milestones=(1, 3)), train, validation, seed=5, device=CPU):
        rates.append([optimizer.param_groups[0]["lr"] for optimizer in made[0]])
    assert [rate[0] for rate in rates] == pytest.approx([0.1, 0.01, 0.01, 0.001])
    assert {rate[1] for rate in rates} == {0.05}


def test_training_stops_with_a_sentence_when_the_loss_is_no_number():
    with pytest.raises(ValueError, match="the loss of epoch 1 is nan; choose a lower learning rate"):
        run("baseline", learning_rate=1e30)


def test_steps_are_in_their_range_after_every_epoch_however_large_the_rate():
    _, history = run("jpegdl", table_learning_rate=200.0)
    steps = np.array([epoch.steps for epoch in history])
    assert steps.min() == pytest.approx(1e-5)
    assert steps.max() == 255
    assert run("baseline")[1][0].steps is None


# A pair


def small_dataset(count: int = 24) -> Dataset:
    def part(seed: int, count: int) -> Examples:
        draw = np.random.default_rng(seed)
        labels = tuple(n % 3 for n in range(count))
        pictures = tuple(
            (np.full((20, 28, 3), colour_of(7 * label)) + draw.integers(0, 30, (20, 28, 3))).astype(np.uint8)
            for label in labels
        )
        return Examples(pictures, labels)

    return Dataset(
        title="colours", source="generated", licence="CC0", split="by seed", class_names=("a", "b", "c"),
        train=part(0, count), validation=part(1, 6), test=part(2, 9),
    )  # fmt: skip


def test_a_pair_interrupted_in_its_second_arm_goes_on_to_the_same_weights_and_leaves_no_state(tmp_path):
    plan = recipe(epochs=2, milestones=(1,), initial_tables="inverse_sensitivity")

    def interrupt(arm: Arm, epoch: Epoch) -> None:
        if (arm, epoch.number) == ("jpegdl", 1):
            raise KeyboardInterrupt

    def train(name: str, report) -> None:
        train_pair(plan, small_dataset(), tmp_path / name, seed=1, device=CPU, report=report)

    train("whole", lambda *_: None)
    with pytest.raises(KeyboardInterrupt):
        train("resumed", interrupt)
    assert not (tmp_path / "resumed").exists()
    assert (tmp_path / ".resumed.training").is_dir()
    reported: list[tuple[Arm, int]] = []
    train("resumed", lambda arm, epoch: reported.append((arm, epoch.number)))
    assert reported == [("baseline", 1), ("baseline", 2), ("jpegdl", 1), ("jpegdl", 2)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["resumed", "whole"]
    for arm in ARMS:
        file = f"{arm}.safetensors"
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "resumed" / file).read_bytes()


@pytest.fixture(scope="module")
def flowers(tmp_path_factory) -> Path:
    """A folder like Flowers-17: 17 classes of 80 pictures, 24 x 24."""
    folder = tmp_path_factory.mktemp("data") / "flowers17"
    write_flowers17(folder, 24)
    return folder


@pytest.fixture(scope="module")
def trained(flowers, tmp_path_factory) -> Path:
    """The pair that one epoch of the flowers recipe at 16 px makes, through the command line."""
    out = tmp_path_factory.mktemp("checkpoints") / "flowers"
    name = "flowers17-resnet18"
    arguments = ["train", name, "--data", flowers, "--out", out, "--epochs", 1, "--input-size", 16, "--device", "cpu"]
    with pytest.MonkeyPatch.context() as patch:
        add_tiny(patch)  # resnet18 has maps of one pixel at this size, where bfloat16 convolutions on a CPU go wrong
        patch.setitem(RECIPES, name, dataclasses.replace(RECIPES[name], architecture=TINY))
        assert command(*arguments) == 0
    return out


def command(*arguments: object) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["jpegdl", *map(str, arguments)])
        return main()


def recount(folder: Path, dataset: Dataset) -> dict[str, dict[str, int]]:
    """Right answers counted with the stored weights and nothing of analysis.evaluate."""
    pair, found = load_pair(folder), {}
    for name, examples in (("test", dataset.test), ("validation", dataset.validation)):
        images = torch.stack([prepare(open_picture(item), 16) for item in examples.pictures]) / 255
        with torch.no_grad():
            answers = {arm: torch.cat([pair.arm(arm)(part).argmax(1) for part in images.split(34)]) for arm in ARMS}
        counts = dict.fromkeys(("both", "only_baseline", "only_jpegdl", "neither"), 0)
        for label, first, second in zip(examples.labels, *(answers[arm].tolist() for arm in ARMS), strict=True):
            counts[("neither", "only_jpegdl", "only_baseline", "both")[2 * (first == label) + (second == label)]] += 1
        found[name] = counts
    return found


def test_the_cards_counts_are_those_of_the_stored_weights(trained, flowers):
    results = json.loads((trained / "pair.json").read_text())["results"]
    assert results == recount(trained, read_dataset("flowers17", flowers))
    assert sum(results["test"].values()) == 340
    assert sum(results["validation"].values()) == 102


def test_the_card_records_the_recipe_its_departures_and_every_epoch(trained):
    card = load_pair(trained).card
    assert (card.recipe["epochs"], card.recipe["input_size"], card.input_size) == (1, 16, 16)
    assert card.paper_recipe == {"input_size": 224, "epochs": 200, "milestones": [100, 150]}
    assert card.dataset["pictures"] == {"train": 918, "validation": 102, "test": 340}
    assert {arm: [epoch["number"] for epoch in card.history[arm]] for arm in ARMS} == {"baseline": [1], "jpegdl": [1]}
    steps = load_pair(trained).codec.steps.numpy()
    assert np.allclose(card.history["jpegdl"][0]["steps"], steps, rtol=1e-5)  # rounded to six digits
    assert np.array(card.initial_tables)[0, 0].max() == pytest.approx(10)


def test_evaluate_confirms_the_counts_and_changes_no_file(trained, flowers, capsys):
    before = {path.name: path.read_bytes() for path in trained.iterdir()}
    assert command("evaluate", trained, "--data", flowers, "--device", "cpu") == 0
    assert "The counts equal the card's." in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in trained.iterdir()} == before


def test_results_and_tables_are_written_from_the_pair(trained, tmp_path, capsys):
    assert command("results", "--checkpoints", trained.parent, "--out", tmp_path / "results.md") == 0
    assert "## flowers" in (tmp_path / "results.md").read_text()
    capsys.readouterr()
    assert command("tables", trained) == 0
    printed = [line for line in capsys.readouterr().out.splitlines() if line and not line.startswith("#")]
    numbers = np.array([[int(word) for word in line.split()] for line in printed]).reshape(2, 8, 8)
    assert np.array_equal(numbers, integer_tables(load_pair(trained).codec.steps[0].numpy()))


def test_the_command_line_refuses_in_one_sentence(trained, flowers, tmp_path, capsys):
    train = ["train", "flowers17-resnet18", "--device", "cpu", "--data"]
    (tmp_path / ".new.training").mkdir()
    for arguments, sentence in (
        ([*train, flowers, "--out", trained], "exists; choose another --out"),
        ([*train, flowers, "--out", tmp_path / "new"], "holds an interrupted run; pass --resume"),
        ([*train, tmp_path / "nowhere", "--out", tmp_path / "other"], "is not a folder"),
        ([*train, flowers, "--out", tmp_path / "other", "--epochs", 0], "epochs must be positive, got 0"),
        ([*train, flowers, "--out", tmp_path / "other", "--input-size", 0], "input_size must be positive, got 0"),
        (["evaluate", tmp_path, "--data", flowers], "pair.json is missing"),
    ):
        assert command(*arguments) == 2
        error = capsys.readouterr().err
        assert sentence in error
        assert error.startswith("error: ")
        assert error.count("\n") == 1


@pytest.mark.parametrize(("epochs", "milestones"), [(1, []), (2, [1]), (4, [2, 3]), (100, [50, 75]), (400, [200, 300])])
def test_with_other_epochs_the_milestones_keep_their_share(monkeypatch, tmp_path, epochs, milestones):
    asked: list[Recipe] = []

    def ask(plan: Recipe, *_: object, **__: object) -> None:
        asked.append(plan)
        raise ZeroDivisionError

    monkeypatch.setattr("jpegdl.__main__.train_pair", ask)
    monkeypatch.setattr("jpegdl.__main__.read_dataset", lambda *_: None)
    with pytest.raises(ZeroDivisionError):
        command("train", "flowers17-resnet18", "--data", tmp_path, "--out", tmp_path / "x", "--epochs", epochs)
    assert (asked[0].epochs, list(asked[0].milestones)) == (epochs, milestones)
