"""Recipes, crops, sensitivities and the training loop; then a pair from the command line."""

import dataclasses
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from jpegdl.__main__ import main
from jpegdl.codec.jpegfile import integer_tables
from jpegdl.codec.layer import JPEGLayer
from jpegdl.commands import progress
from jpegdl.commands import train as train_command
from jpegdl.pairs import weights
from jpegdl.pairs.checkpoints import CARD, load_pair
from jpegdl.pairs.classifier import ARMS, Arm, Classifier, build_classifier
from jpegdl.pairs.facts import RESIZED_COPY, Epoch, Pictures, tables_of
from jpegdl.pairs.pictures import read_picture
from jpegdl.pairs.prepare import prepare
from jpegdl.pairs.recipe import Recipe
from jpegdl.training import loop, processes
from jpegdl.training.batches import tensor_batches
from jpegdl.training.catalogue import RECIPES
from jpegdl.training.data import Dataset, Examples, PreparedTensors, TrainingSet, TrainingTensors
from jpegdl.training.history import Moment
from jpegdl.training.initial import initial_tables
from jpegdl.training.loop import constrain, fit, make_optimizers
from jpegdl.training.pair import Run, train_pair
from jpegdl.training.readers import READERS, read_dataset
from jpegdl.training.settings import alone, begin, work_folder
from tests.tiny import TINY, add_tiny, card, colour_of, noise_bytes, tables, write_flowers17

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


def coloured(count: int, plan: Recipe | None = None) -> tuple[TrainingSet, PreparedTensors]:
    """Pictures of three classes that a mean colour tells apart: what any network can learn."""
    labels = torch.arange(count) % 3
    colours = torch.tensor([colour_of(int(7 * label)) for label in labels]).view(count, 3, 1, 1)
    pictures = (colours + noise_bytes(count, 32) / 8).clamp(0, 255).to(torch.uint8)
    shapes = torch.tensor([(24, 40)]).expand(count, 2)
    plan = plan or recipe()
    batches = tensor_batches(plan, TrainingTensors(pictures, shapes, labels), 3, CPU)
    validation = PreparedTensors(pictures[:9, :, :16, :16].contiguous(), labels[:9])
    return TrainingSet(batches, math.ceil(count / plan.batch_size)), validation


# Recipes


def test_the_learning_rate_falls_tenfold_after_each_milestone():
    steps = recipe(epochs=6, milestones=(2, 4))
    assert [steps.learning_rate_at(epoch) for epoch in range(6)] == pytest.approx([0.1, 0.1, 0.01, 0.01, 1e-3, 1e-3])


def test_the_paper_recipe_for_fine_grained_data_is_200_epochs_from_0_1_with_falls_after_100_and_150():
    paper = RECIPES["flowers17-resnet18"]
    rates = [paper.learning_rate_at(epoch) for epoch in (0, 99, 100, 149, 150, 199)]
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
     {"bits": 2}, {"rounds": 0}, {"input_size": -8}, {"input_size": 7}, {"input_size": 1025}],
)  # fmt: skip
def test_a_recipe_that_cannot_be_trained_is_refused_by_its_name(change):
    with pytest.raises(ValueError, match=f"test: {list(change)[-1] if 'epochs' not in change else 'epochs'}"):
        recipe(**change)


def test_departures_are_the_named_recipes_values_where_they_differ():
    named = RECIPES["flowers17-resnet18"]
    changed = dataclasses.replace(named, input_size=128, epochs=100, milestones=(50, 75))
    known = card(recipe=changed, paper_recipe=named)
    assert known.departures == {"input_size": 224, "epochs": 200, "milestones": (100, 150)}
    assert card(recipe=named, paper_recipe=named).departures == {}


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


def test_with_adamw_only_matrices_decay_and_tables_in_their_own_optimiser_follow_the_recipe():
    model = model_for("jpegdl")
    network, steps = make_optimizers(model, recipe(optimizer="adamw", weight_decay=0.05, table_optimizer="sgd"))
    decays = {id(p): group["weight_decay"] for group in network.param_groups for p in group["params"]}
    expected = {id(p): 0.05 if p.ndim > 1 else 0.0 for p in model.backbone.parameters()}
    assert (type(network), decays) == (AdamW, expected)
    assert (type(steps), steps.param_groups[0]["momentum"]) == (SGD, 0.9)
    assert len(make_optimizers(model, recipe(table_optimizer="none"))) == 1


def test_frozen_tables_want_no_gradient_dc_is_held_at_zero_and_alpha_follows_the_steps():
    layer = JPEGLayer(tables(), 5.0)
    constrain(layer, recipe(table_optimizer="none", zero_dc=True, alpha=None, hardness=0.7))
    assert not layer.steps.requires_grad
    assert torch.allclose(layer.alpha * layer.steps.square(), torch.full((1, 2, 8, 8), 0.7))
    grey = torch.full((1, 3, 16, 16), 0.9)  # nothing but DC
    assert torch.allclose(layer(grey), torch.full_like(grey, 128 / 255), atol=1e-5)


# Initial tables


def test_every_round_starts_from_the_same_table():
    clean = PreparedTensors(noise_bytes(4, 16), torch.tensor([0, 1, 2, 0]))
    steps = initial_tables(recipe(initial_tables="inverse sensitivity", rounds=3), model_for("baseline"), clean)
    assert steps.shape == (3, 2, 8, 8)
    assert torch.equal(steps[0], steps[2])
    assert steps[0, 0].max() == pytest.approx(10)
    assert torch.equal(initial_tables(recipe(), model_for("baseline"), clean), torch.ones(1, 2, 8, 8))
    standard = initial_tables(recipe(initial_tables="standard"), model_for("baseline"), clean)
    assert (standard[0, 0, 0, 0].item(), standard[0, 1, 7, 7].item()) == (16, 99)  # Annex K's corners
    fine = initial_tables(recipe(initial_tables="standard at quality 90"), model_for("baseline"), clean)
    assert (fine[0, 0, 0, 0].item(), fine[0, 1, 7, 7].item()) == (3, 20)  # a fifth of them, rounded, as cjpeg does


# The loop


def run(
    arm: Arm, *, epochs: int = 4, state: Path | None = None, stop: int = 99, **changes
) -> tuple[Classifier, list[Epoch]]:
    plan = recipe(epochs=epochs, **changes)
    train, validation = coloured(30, plan)
    model, history = model_for(arm), []
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


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float32])
def test_training_and_validation_pictures_are_computed_in_the_precision_of_the_run(precision):
    model, plan = model_for("baseline"), recipe(epochs=1, milestones=())
    found: dict[bool, set[torch.dtype]] = {True: set(), False: set()}  # while training, and while not
    model.register_forward_hook(lambda module, _, output: found[module.training].add(output.dtype))
    list(fit(model, plan, *coloured(30, plan), seed=5, device=CPU, precision=precision))
    assert found == {True: {precision}, False: {precision}}


@pytest.mark.parametrize("arm", ARMS)
def test_an_interrupted_run_goes_on_bit_for_bit(arm, tmp_path):
    whole_model, whole_history = run(arm)
    run(arm, state=tmp_path / "arm.state", stop=3)  # after the third epoch the rate has fallen
    model, history = run(arm, state=tmp_path / "arm.state")
    assert without_seconds(history) == without_seconds(whole_history)
    for key, value in whole_model.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key
    if arm == "jpegdl":
        assert (
            history[-1].steps == tables_of(model.state_dict()["codec.steps"].tolist()) != tables_of(tables().tolist())
        )


def test_a_finished_run_is_yielded_again_without_training(tmp_path):
    model, history = run("jpegdl", state=tmp_path / "arm.state")
    again, repeated = run("jpegdl", state=tmp_path / "arm.state")
    assert repeated == history
    assert all(torch.equal(again.state_dict()[key], value) for key, value in model.state_dict().items())


def test_a_run_may_go_on_in_another_precision_and_every_epoch_says_which(tmp_path):
    state, (train, validation) = tmp_path / "arm.state", coloured(30)
    epochs: list[Epoch] = []
    for precision, stop in ((torch.bfloat16, 2), (torch.float32, 4)):
        training = fit(
            model_for("jpegdl"), recipe(), train, validation, seed=5, device=CPU, precision=precision, state_file=state
        )
        epochs = [next(training) for _ in range(stop)]
    assert [epoch.precision for epoch in epochs] == ["bfloat16", "bfloat16", "float32", "float32"]


def test_an_epoch_that_takes_long_is_told_of_while_it_runs(monkeypatch):
    monkeypatch.setattr(loop, "_WATCHED_EVERY", 0.0)
    train, validation = coloured(30)
    told: list[Moment] = []
    plan = recipe(epochs=2, milestones=())
    history = list(fit(model_for("jpegdl"), plan, train, validation, seed=5, device=CPU, watch=told.append))
    assert [(moment.epoch, moment.done) for moment in told] == [(n, step / 4) for n in (1, 2) for step in (1, 2, 3, 4)]
    for epoch, last in zip(history, (told[3], told[7]), strict=True):
        assert (epoch.loss, epoch.train_accuracy) == (last.loss, last.train_accuracy)
        assert 0 < last.seconds <= epoch.seconds
    silent = list(fit(model_for("jpegdl"), plan, train, validation, seed=5, device=CPU))
    assert without_seconds(silent) == without_seconds(history)


def test_a_state_of_another_recipe_arm_or_seed_is_refused(tmp_path):
    state = tmp_path / "arm.state"
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
    plan = recipe(epochs=2, milestones=(1,), initial_tables="inverse sensitivity")

    def interrupt(seed: int, arm: Arm, epoch: Epoch) -> None:
        if (arm, epoch.number) == ("jpegdl", 1):
            raise KeyboardInterrupt

    def train(name: str, report) -> None:
        train_pair(plan, small_dataset(), tmp_path / name, Run(seeds=[1], device=CPU, report=report))

    train("whole", lambda *_: None)
    with pytest.raises(KeyboardInterrupt):
        train("resumed", interrupt)
    assert not (tmp_path / "resumed").exists()
    assert (tmp_path / ".resumed.training").is_dir()
    reported: list[tuple[Arm, int]] = []
    train("resumed", lambda seed, arm, epoch: reported.append((arm, epoch.number)))
    assert reported == [("jpegdl", 1), ("jpegdl", 2)]  # the finished arm was kept
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
    """Right answers counted with the stored weights and nothing of pairs.evaluate."""
    pair, found = load_pair(folder), {}
    for name, examples in (("test", dataset.test), ("validation", dataset.validation)):
        images = torch.stack([prepare(read_picture(item).image, 16, 18) for item in examples.pictures]) / 255
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
    assert (card.recipe.epochs, card.recipe.input_size, card.input_size) == (1, 16, 16)
    assert card.departures == {"input_size": 224, "epochs": 200, "milestones": (100, 150)}
    assert card.dataset.pictures == Pictures(train=918, validation=102, test=340)
    assert {arm: [epoch.number for epoch in card.history[arm]] for arm in ARMS} == {"baseline": [1], "jpegdl": [1]}
    steps = load_pair(trained).codec.steps.numpy()
    assert np.allclose(np.array(card.history["jpegdl"][0].steps), steps, rtol=1e-5)  # rounded to six digits
    assert np.array(card.initial_tables)[0, 0].max() == pytest.approx(10)


def test_evaluate_confirms_the_counts_and_adds_every_input_to_both_networks(trained, flowers, capsys, monkeypatch):
    """And says how far it is: here after every batch, as if each took a minute."""
    before = load_pair(trained).card
    monkeypatch.setattr(progress, "_EVERY", 0.0)
    assert command("evaluate", trained, "--data", flowers, "--device", "cpu") == 0
    said = capsys.readouterr().out
    assert "The counts equal the card's." in said
    n = before.results["test"].n
    assert f"\n{n} test pictures counted\n" in f"\n{said}"
    assert f"\n{n} of {n} pictures given to both networks\n" in said
    after = load_pair(trained).card
    assert (after.results, after.weights) == (before.results, before.weights)
    assert after.grid
    assert list(after.grid.cells) == ["raw", "soft", "exact", "hard", "file"]
    assert after.grid.cells["soft"]["jpegdl"] == after.results["test"]
    files = {path.name: path.read_bytes() for path in trained.iterdir()}
    monkeypatch.setattr("jpegdl.commands.evaluate.evaluate_grid", lambda *_, **__: after.grid)  # once is enough
    assert command("evaluate", trained, "--data", flowers, "--device", "cpu") == 0
    assert {path.name: path.read_bytes() for path in trained.iterdir()} == files


@pytest.mark.parametrize("words", [("evaluate",), ("evaluate", "--maps"), ("attack", "--limit", 6)], ids=str)
@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (lambda data: {"class_names": data.class_names[::-1]}, "list of classes"),
        (lambda data: {"test": data.validation}, "pictures of the data set"),
        (lambda data: {"split": "drawn anew"}, "split of the data set"),
        (lambda data: {"title": f"Pets, {RESIZED_COPY}"}, "resolution of the data set"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_pair_is_measured_on_its_own_data_only(trained, flowers, capsys, monkeypatch, words, changed, named):
    """Counts on other classes or pictures would stand in the card as if they were of its data."""
    before = (trained / CARD).read_bytes()
    own = read_dataset("flowers17", flowers)
    other = dataclasses.replace(own, **changed(own))
    monkeypatch.setitem(READERS, "flowers17", lambda folder: other)
    assert command(words[0], trained, "--data", flowers, "--device", "cpu", *words[1:]) == 2
    name = load_pair(trained).card.name
    refusal = f"{flowers} does not hold the data of {name}: another {named}; pass those with --data"
    assert capsys.readouterr().err == f"error: {refusal}\n"
    assert (trained / CARD).read_bytes() == before


def test_attack_prints_no_number_without_its_checks_and_keeps_them_in_the_card(trained, flowers, capsys):
    attack = ["attack", trained, "--data", flowers, "--device", "cpu", "--epsilons", 4, "--limit", 6, "--queries", 5]
    assert command(*attack, "--steps", 50, "--restarts", 2) == 0
    progress, _, table = capsys.readouterr().out.partition("7 of 7 attacks done")
    assert "%" not in progress
    assert "zero" in table.lower()
    assert "hardness" in table
    rows = load_pair(trained).card.robustness
    assert [row.attack.name for row in rows][:2] == ["FGSM", "PGD, as in the paper"]
    assert {row.checks.n for row in rows} == {6}
    assert command(*attack, "--steps", 2, "--restarts", 1, "--again") == 0
    assert "%" not in capsys.readouterr().out.partition("4 of 4 attacks done")[2]


def test_a_record_keeps_the_card_without_weights_and_joins_the_results(trained, tmp_path, capsys):
    assert command("record", trained, "--out", tmp_path / "records") == 0
    (file,) = (tmp_path / "records").iterdir()
    assert file.stat().st_size < 60_000
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    arguments = ["results", "--checkpoints", nothing, "--records", file.parent, "--out", tmp_path / "results.md"]
    assert command(*arguments) == 0
    assert "0 pairs, 1 runs without weights" in capsys.readouterr().out
    assert "flowers" in (tmp_path / "results.md").read_text()


def test_a_record_takes_the_place_neither_of_another_run_nor_of_what_is_no_card(trained, tmp_path, capsys):
    record = ["record", trained, "--out", tmp_path]
    assert command(*record) == 0
    (file,) = tmp_path.iterdir()
    facts = json.loads(file.read_text(encoding="utf-8"))
    for text, said in (
        (json.dumps(facts | {"dataset": facts["dataset"] | {"split": "another"}}), "with another split of the data"),
        ("half", "cannot be read"),
    ):
        file.write_text(text, encoding="utf-8")
        assert command(*record) == 2
        assert said in capsys.readouterr().err
        assert file.read_text(encoding="utf-8") == text


def test_a_record_and_the_results_page_are_whole_also_after_a_kill(trained, tmp_path, monkeypatch):
    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    page = tmp_path / "results.md"
    commands = [
        ["record", trained, "--out", tmp_path / "records"],
        ["results", "--checkpoints", trained.parent, "--records", tmp_path / "records", "--out", page],
    ]
    assert [command(*words) for words in commands] == [0, 0]
    files = [page, *(tmp_path / "records").iterdir()]
    before = [(file.read_bytes(), file.stat().st_ino) for file in files]
    monkeypatch.setattr("os.replace", kill)
    assert [command(*words) for words in commands] == [130, 130]
    assert [(file.read_bytes(), file.stat().st_ino) for file in files] == before


def test_a_baseline_of_the_precision_that_is_not_native_here_is_taken_only_if_the_command_says_so(
    trained, flowers, tmp_path, monkeypatch, capsys
):
    name, out = "flowers17-resnet18", tmp_path / "control"
    monkeypatch.setitem(RECIPES, name, dataclasses.replace(RECIPES[name], architecture=TINY))
    found = load_pair(trained).card.history["baseline"][0].precision
    other = "float32" if found == "bfloat16" else "bfloat16"
    monkeypatch.setattr("jpegdl.commands.train.native_precision", lambda _: getattr(torch, other))
    words = ["train", name, "--data", flowers, "--out", out, "--epochs", 1, "--input-size", 16, "--device", "cpu"]
    assert command(*words, "--baseline", trained) == 2
    said = f"was trained in {found}, and this run would be in {other}; choose with --precision {found} or {other}"
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert command(*words, "--baseline", trained, "--precision", other) == 0
    assert load_pair(out).card.history["jpegdl"][0].precision == other


def test_the_list_of_recipes_needs_no_data(capsys):
    assert command("train", "--list") == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in RECIPES)
    assert "71.14" in printed  # table 1, ResNet-32
    assert command("train") == 2
    assert "recipe and data and out must be given" in capsys.readouterr().err


def test_several_seeds_share_one_card_and_a_baseline_can_be_taken(tmp_path):
    plan, dataset = recipe(epochs=1, milestones=()), small_dataset()
    reported: list[tuple[int, Arm]] = []
    run = Run(seeds=[3, 1], device=CPU, report=lambda seed, arm, _: reported.append((seed, arm)))
    pair = train_pair(plan, dataset, tmp_path / "pair", run)
    assert reported == [(3, "baseline"), (3, "jpegdl"), (1, "baseline"), (1, "jpegdl")]
    assert pair.card.seed == 3
    (other,) = pair.card.other_seeds
    alone = train_pair(plan, dataset, tmp_path / "alone", dataclasses.replace(run, seeds=[1])).card
    assert (other.seed, other.results) == (1, alone.results)
    assert other.steps == alone.history["jpegdl"][-1].steps

    control = dataclasses.replace(plan, name="control", quantizer="clip")
    reported.clear()
    taken = dataclasses.replace(run, seeds=[3], baseline=tmp_path / "pair")
    found = train_pair(control, dataset, tmp_path / "control", taken)
    assert reported == [(3, "jpegdl")]
    first, second = (pair.baseline.state_dict(), found.baseline.state_dict())
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert found.card.history["baseline"] == pair.card.history["baseline"]
    for changed, odd in ((dataclasses.replace(control, epochs=2), "epochs"), (control, "seed")):
        other_run = dataclasses.replace(taken, seeds=[3 if odd == "epochs" else 4])
        with pytest.raises(ValueError, match=f"baseline of pair was trained with another {odd}; train one instead"):
            train_pair(changed, dataset, tmp_path / "refused", other_run)


def test_results_and_tables_are_written_from_the_pair(trained, tmp_path, capsys):
    assert (
        command("results", "--checkpoints", trained.parent, "--records", tmp_path, "--out", tmp_path / "results.md")
        == 0
    )
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
        ([*train, flowers, "--out", trained], "is a pair with another architecture, "),
        ([*train, flowers, "--out", tmp_path / "new"], "holds an interrupted run; pass --resume"),
        ([*train, tmp_path / "nowhere", "--out", tmp_path / "other"], "is not a folder"),
        ([*train, flowers, "--out", tmp_path / "other", "--epochs", 0], "epochs must be positive, got 0"),
        ([*train, flowers, "--out", tmp_path / "other", "--input-size", 0], "input_size must be 8..1024 pixels, got 0"),
        ([*train, flowers, "--out", tmp_path / "other", "--epochs", -3], "epochs must be positive, got -3"),
        (
            [*train, flowers, "--out", tmp_path / "other", "--weights", trained / "pair.json"],
            "starts from random weights; leave",
        ),
    ):
        assert command(*arguments) == 2
        error = capsys.readouterr().err
        assert sentence in error
        assert error.startswith("error: ")
        assert error.count("\n") == 1


def test_what_can_be_known_without_the_data_is_refused_before_they_are_read(
    trained, flowers, tmp_path, monkeypatch, capsys
):
    """There are no data at all here, so whatever reads them first says so."""
    name = "flowers17-resnet18"
    monkeypatch.setitem(RECIPES, name, dataclasses.replace(RECIPES[name], architecture=TINY))
    card = load_pair(trained).card
    same = ["--epochs", card.recipe.epochs, "--input-size", card.input_size, "--seeds", card.seed]
    other = ["--epochs", card.recipe.epochs + 1, "--input-size", card.input_size, "--seeds", card.seed]
    note, full = tmp_path / "note.txt", tmp_path / "full"
    note.write_text("mine", encoding="utf-8")
    full.mkdir()
    (full / "note.txt").write_text("mine", encoding="utf-8")
    begun = tmp_path / "begun"
    begin(work_folder(begun), RECIPES[name], read_dataset("flowers17", flowers))
    precision = ["--precision", card.history["baseline"][0].precision]
    new = tmp_path / "new"
    for words, sentence in (
        (["--out", trained, *same], "is a pair; pass --resume to add seeds to it, choose another --out, or remove it"),
        (
            ["--out", trained, *other, "--resume"],
            "is a pair with another epochs, milestones; give the settings of that",
        ),
        (["--out", note, *same, "--resume"], "is a file, so it is no pair; choose another folder, or move it away"),
        (["--out", full, *same, "--resume"], "is a folder without pair.json, so it is no pair; choose another folder"),
        (["--out", begun, *same, "--resume"], "holds a run with another input_size, epochs"),
        (["--out", new, "--baseline", full, *precision], "full/pair.json is missing"),
        (
            ["--out", new, *other, "--baseline", trained, *precision],
            "was trained with another epochs, milestones; train one",
        ),
        (["--out", new, *same, "--seeds", 7, "--baseline", trained, *precision], "was trained with another seed"),
        (["--out", new, *same, "--seeds", 0, 7, "--baseline", trained, *precision], "one network of one seed, got"),
        (["--out", new, *same, "--input-size", 1025], "input_size must be 8..1024 pixels, got 1025"),
        (["--out", new, *same], "nowhere is not a folder"),
    ):
        assert command("train", name, "--device", "cpu", "--data", tmp_path / "nowhere", *words) == 2, words
        error = capsys.readouterr().err
        assert sentence in error, words
        assert error.count("\n") == 1
    assert command("train", name, "--data", tmp_path / "nowhere", "--out", trained, *same, "--resume") == 0
    assert f"{trained} has seed {card.seed} already; nothing is left to train." in capsys.readouterr().out


def test_missing_weights_and_a_run_that_trains_elsewhere_are_named_before_the_data_are_read(
    tmp_path, capsys, monkeypatch
):
    words = ["--device", "cpu", "--data", tmp_path / "nowhere", "--out", tmp_path / "new"]
    assert command("train", "flowers102-authors-densenet121", *words) == 2
    assert "nowhere is not a folder" in capsys.readouterr().err
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    assert command("train", "pets-efficientnet_lite0", *words) == 2
    assert "ImageNet weights of timm:tf_efficientnet_lite0 are not installed; run " in capsys.readouterr().err
    work = work_folder(tmp_path / "new")
    work.mkdir()
    with alone(work):
        assert command("train", "flowers17-resnet18", *words, "--resume") == 2
    assert capsys.readouterr().err == f"error: another program trains in {work}; wait for it, or stop it\n"


@pytest.mark.parametrize("rank", [0, 1])
def test_of_several_processes_one_downloads_and_the_others_wait_for_it(rank, tmp_path, monkeypatch):
    done: list[object] = []

    def read(name: str, folder: Path, *, download: bool = False) -> Dataset:
        done.append("downloads" if download else "reads")
        if not download:
            raise KeyboardInterrupt  # nothing is trained
        return small_dataset()

    monkeypatch.setattr(train_command, "read_dataset", read)
    monkeypatch.setattr(processes, "rank", lambda: rank)
    monkeypatch.setattr(processes, "wait", lambda: done.append("waits"))
    words = ["--device", "cpu", "--data", tmp_path, "--out", tmp_path / "new", "--download"]
    assert command("train", "cifar100-resnet32", *words) == 130
    assert done == ["downloads", "waits", "reads"][rank:]


def test_the_folder_that_a_command_is_started_in_is_a_pair_like_any_other(trained, monkeypatch, capsys):
    """Its name is in the hidden folders beside it."""
    monkeypatch.chdir(trained)
    assert command("tables", ".") == 0
    assert command("train", "flowers17-resnet18", "--data", "d", "--out", ".", "--device", "cpu") == 2
    assert f"error: {trained} is a pair with another" in capsys.readouterr().err


def test_a_page_of_results_is_not_replaced_by_an_empty_one(tmp_path, capsys):
    page = tmp_path / "results.md"
    page.write_text("figures", encoding="utf-8")
    there = ["results", "--checkpoints", tmp_path / "none", "--records", tmp_path / "no", "--out", page]
    assert command(*there) == 2
    said = f"neither {tmp_path / 'none'} nor {tmp_path / 'no'} holds a card that can be read, so {page} stays as it is"
    assert said in capsys.readouterr().err
    assert page.read_text(encoding="utf-8") == "figures"


def test_a_pair_can_be_trained_into_a_folder_that_is_there_and_empty(tmp_path):
    plan, dataset = recipe(epochs=1, milestones=()), small_dataset()
    out = tmp_path / "pair"
    out.mkdir()
    trained = train_pair(plan, dataset, out, Run(seeds=[3], device=CPU, report=lambda *_: None))
    assert load_pair(out).card == trained.card
    assert [path.name for path in tmp_path.iterdir()] == ["pair"]
