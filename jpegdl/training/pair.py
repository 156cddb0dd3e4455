"""Both arms of a pair from one recipe: baseline, initial tables, JPEG-DL, counts, card; for one seed or several.

Each step ends with something complete under its final name, in a hidden folder beside the pair: an arm in training has
its state, a finished arm its float16 weights and card, a seed its measured pair. The last step gives the pair its name.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import torch
from torch import Tensor

from jpegdl.pairs.arms import load_arm, save_arm
from jpegdl.pairs.card import PairCard
from jpegdl.pairs.checkpoints import ModelPair, change_card, load_pair, save_pair
from jpegdl.pairs.classifier import ARMS, Arm, Classifier
from jpegdl.pairs.comparison import Comparison
from jpegdl.pairs.evaluate import compare, logits
from jpegdl.pairs.facts import Epoch, Part
from jpegdl.pairs.proof import make_proof
from jpegdl.pairs.recipe import Recipe
from jpegdl.pairs.seeds import summary, with_seeds
from jpegdl.training import processes
from jpegdl.training.arms import baseline_arm, first_backbone, first_steps, jpegdl_arm
from jpegdl.training.data import Dataset, Examples, ToldPictures
from jpegdl.training.describe import arm_card, pair_card
from jpegdl.training.history import Moment
from jpegdl.training.initial import initial_tables
from jpegdl.training.loop import fit
from jpegdl.training.pace import Outlook, measure_pace
from jpegdl.training.settings import (
    alone,
    arm_folder,
    begin,
    check_run,
    epochs_left,
    forget_seeds,
    load_baseline,
    place_baseline,
    seed_folder,
    state_file,
    work_folder,
)
from jpegdl.training.sources import Sources, prepared, read_sources
from jpegdl.training.state import remove_state

Report = Callable[[int, Arm, Epoch], None]  # seed, arm, epoch
Working = Callable[[str, int], None]


@dataclass(frozen=True, kw_only=True)
class Run:
    """Where and how a pair is trained, beside the recipe."""

    seeds: Sequence[int]
    device: torch.device
    report: Report
    announce: Callable[[Outlook], None] | None = None  # told how long it will take, before the first step
    watch: Callable[[int, Arm, Moment], None] | None = None  # told once a minute, of seed and arm, inside an epoch
    working: Working = lambda what, done: None  # told of other long work: what is done, to how many pictures so far
    precision: torch.dtype = torch.bfloat16  # of the networks in training; the layer computes in float32
    baseline: Path | None = None  # a pair, or an arm alone, whose baseline is taken instead of training one
    weights: Path | None = None  # ImageNet weights for recipes that start from them, if no package has them


def train_pair(recipe: Recipe, dataset: Dataset, out: Path, run: Run) -> ModelPair:
    """Train, measure, save and re-read a pair; the counts in its card are measured with the stored weights.

    The weights are those of the first seed; of the others the card keeps counts and tables. To a pair that is there
    already the seeds that it lacks are added, and its weights stay. What an unfinished run has lies in a hidden folder
    beside `out` and is continued if it exists; of seeds that the pair has nothing stays there. `run.report` is called
    after every epoch, also after those of an unfinished arm that an earlier process trained. Raises ValueError before
    anything is trained if either folder holds a run with other settings, or if the baseline that is to be taken is not
    what this recipe would train.
    """
    present = check_run(recipe, dataset, out, run.seeds, run.baseline)
    missing = [seed for seed in run.seeds if not present or seed not in present.seeds]
    work = work_folder(out)
    with ExitStack() as held:
        if processes.rank() == 0:
            begin(work, recipe, dataset)
            held.enter_context(alone(work))
            if run.baseline and missing:
                place_baseline(work, missing[0], *load_baseline(run.baseline))
        processes.wait()
        _train_seeds(recipe, dataset, work, replace(run, seeds=missing))
        if processes.rank() == 0:
            pairs = [load_pair(seed_folder(work, seed)) for seed in missing]
            if present:
                change_card(out, present, lambda card: with_seeds(card, [summary(pair.card) for pair in pairs]))
            else:
                first, *others = pairs
                card = with_seeds(first.card, [summary(pair.card) for pair in others])
                save_pair(out, card, {arm: first.arm(arm) for arm in ARMS})
            forget_seeds(work, run.seeds)
    processes.wait()
    return load_pair(out, run.device)


def _train_seeds(recipe: Recipe, dataset: Dataset, work: Path, run: Run) -> None:
    """Whatever of the seeds is not finished."""
    sources = cache(lambda: read_sources(recipe, dataset, run.device))
    left = epochs_left(work, recipe, run.seeds)
    if left and run.announce and processes.rank() == 0:
        pace = measure_pace(recipe, dataset, sources(), run.device, run.precision, run.weights)
        run.announce(Outlook(pace, left))
    processes.wait()
    for seed in run.seeds:
        if not seed_folder(work, seed).exists():
            _train_seed(recipe, dataset, sources, work, seed, run)
            processes.wait()


def _train_seed(
    recipe: Recipe, dataset: Dataset, sources: Callable[[], Sources], work: Path, seed: int, run: Run
) -> None:
    """One complete pair in the seed's folder, from arms that are complete in theirs."""
    classes = len(dataset.class_names)

    def train(arm: Arm, model: Classifier, tables: Tensor | None = None) -> None:
        epochs, data, state = [], sources(), state_file(work, seed, arm)
        for epoch in fit(
            model,
            recipe,
            data.train,
            data.validation,
            seed=seed,
            device=run.device,
            precision=run.precision,
            state_file=state,
            watch=partial(run.watch, seed, arm) if run.watch and processes.rank() == 0 else None,
        ):
            epochs.append(epoch)
            if processes.rank() == 0:
                run.report(seed, arm, epoch)
        if processes.rank() == 0:
            save_arm(
                arm_folder(work, seed, arm), arm_card(arm, recipe, dataset, seed, tables, epochs, run.device), model
            )
            remove_state(state)
        processes.wait()

    def backbone() -> torch.nn.Module:
        return first_backbone(recipe, classes, seed, run.weights)

    if not arm_folder(work, seed, "baseline").exists():
        train("baseline", baseline_arm(recipe, classes, backbone()))
    first_card, baseline = load_arm(arm_folder(work, seed, "baseline"))
    baseline.to(run.device)
    if not arm_folder(work, seed, "jpegdl").exists():
        clean = ToldPictures(sources().clean, partial(run.working, "pictures looked at for the first tables"))
        tables = initial_tables(recipe, baseline, clean) if recipe.place == "input" else None
        fresh = jpegdl_arm(recipe, classes, backbone(), tables)
        train("jpegdl", fresh, first_steps(fresh))
    if processes.rank() == 0:
        second_card, jpegdl = load_arm(arm_folder(work, seed, "jpegdl"))
        models: dict[Arm, Classifier] = {"baseline": baseline, "jpegdl": jpegdl.to(run.device)}
        results = count(models, dataset, recipe.input_size, second_card.short_side, run.working)
        proof = make_proof(baseline, jpegdl, recipe.input_size)
        save_pair(seed_folder(work, seed), pair_card(first_card, second_card, results, proof), models)


def measure(
    folder: Path, dataset: Dataset, device: torch.device, working: Working = lambda what, done: None
) -> PairCard:
    """Count both arms' right answers again with the stored weights, and write them and a new proof into the card."""
    pair = load_pair(folder, device)
    models: dict[Arm, Classifier] = {arm: pair.arm(arm) for arm in ARMS}
    results = count(models, dataset, pair.card.input_size, pair.card.short_side, working)
    proof = make_proof(pair.baseline, pair.jpegdl, pair.card.input_size)
    return change_card(folder, pair.card, lambda card: replace(card, results=results, proof=proof))


def count(
    models: dict[Arm, Classifier],
    dataset: Dataset,
    size: int,
    short_side: int,
    working: Working = lambda what, done: None,
) -> dict[Part, Comparison]:
    """Right answers of two arms on the test and validation parts; `working` hears how far that is."""
    parts: dict[Part, Comparison] = {}
    examples_of: dict[Part, Examples] = {"test": dataset.test, "validation": dataset.validation}
    for name, examples in examples_of.items():
        scores: dict[Arm, list[Tensor]] = {arm: [] for arm in ARMS}
        labels = []
        pictures = ToldPictures(prepared(examples, size, short_side), partial(working, f"{name} pictures counted"))
        for images, targets in pictures.batches():
            labels.append(targets)
            for arm in ARMS:
                scores[arm].append(logits(models[arm], images))
        parts[name] = compare(torch.cat(scores["baseline"]), torch.cat(scores["jpegdl"]), torch.cat(labels))
    return parts
