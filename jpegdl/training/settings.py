"""An unfinished run on disk: where its parts lie, and that one folder holds one run, whoever resumes it."""

import json
import re
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from jpegdl.pairs.arms import ARM_CARD, load_arm, save_arm
from jpegdl.pairs.card import ArmCard, PairCard
from jpegdl.pairs.checkpoints import CARD, load_pair
from jpegdl.pairs.classifier import ARMS, Arm, Classifier
from jpegdl.pairs.facts import DatasetFacts
from jpegdl.pairs.reading import read
from jpegdl.pairs.recipe import Recipe, shared_settings
from jpegdl.pairs.seeds import Trained, differing, other_data, other_recipe
from jpegdl.pairs.storage import alone_in, new_folder, write_file
from jpegdl.training.data import Dataset
from jpegdl.training.describe import baseline_of, dataset_facts
from jpegdl.training.readers import read_dataset
from jpegdl.training.state import epochs_done

_FILE = "run.json"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What all seeds of a run have in common."""

    recipe: Recipe
    dataset: DatasetFacts
    class_names: tuple[str, ...]

    @property
    def flaws(self) -> tuple[str, ...]:
        """None: they are found later."""
        return ()


def settings_of(recipe: Recipe, dataset: Dataset) -> Settings:
    return Settings(recipe=recipe, dataset=dataset_facts(recipe, dataset), class_names=tuple(dataset.class_names))


def dataset_of(card: PairCard, folder: Path) -> Dataset:
    """The data on which a pair was trained, from `folder`. Raises ValueError, as `read_dataset` does, for others."""
    dataset = read_dataset(card.dataset.name, folder)
    if odd := other_data(card, settings_of(card.recipe, dataset)):
        raise ValueError(
            f"{folder} does not hold the data of {card.name}: another {', '.join(odd)}; pass those with --data"
        )
    return dataset


def work_folder(out: Path) -> Path:
    """Where an unfinished run lies that will become the pair `out`."""
    return out.with_name(f".{out.name}.training")


def alone(work: Path) -> AbstractContextManager[int | None]:
    """`alone_in` for a run's folder. Raises ValueError where another program is in it."""
    return alone_in(work, busy=f"another program trains in {work}; wait for it, or stop it")


def seed_folder(work: Path, seed: int) -> Path:
    return work / f"seed{seed}"


def arm_folder(work: Path, seed: int, arm: Arm) -> Path:
    """Of a finished arm."""
    return work / f"seed{seed}-{arm}"


def state_file(work: Path, seed: int, arm: Arm) -> Path:
    """Of an arm that is being trained."""
    return work / f"seed{seed}-{arm}.state"


def epochs_left(work: Path, recipe: Recipe, seeds: Sequence[int]) -> dict[tuple[int, Arm], int]:
    """Seed and arm -> epochs that are still to be trained, for those that are not finished."""
    return {
        (seed, arm): recipe.epochs - epochs_done(state_file(work, seed, arm))
        for seed in seeds
        for arm in ARMS
        if not (seed_folder(work, seed).exists() or arm_folder(work, seed, arm).exists())
    }


def forget_seeds(work: Path, seeds: Sequence[int]) -> None:
    """Remove what the run has of these seeds, and its folder if it has no others."""
    for path in {path for seed in seeds for path in work.glob(f"seed{seed}*") if _seed_of(path) == seed}:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if not any(work.glob("seed*")):
        shutil.rmtree(work)


def _seed_of(path: Path) -> int | None:
    """Of a folder or a file of the run, by its name, as the functions above make it."""
    found = re.fullmatch(r"seed(\d+)(-.+)?", path.name)
    return int(found[1]) if found else None


def check_run(
    recipe: Recipe, dataset: Dataset | None, out: Path, seeds: Sequence[int], baseline: Path | None = None
) -> PairCard | None:
    """The card of the pair that is at `out` already; None where there is none yet.

    Raises ValueError for what must not be trained there: seeds that are none, a place that holds something else, a pair
    or an unfinished run of other settings, a baseline that this recipe would not train. Without `dataset`, which can
    take minutes to read, its part of the settings is left out.
    """
    if len(set(seeds)) < len(seeds) or not seeds or min(seeds) < 0:
        raise ValueError(f"seeds must be different whole numbers from 0, got {list(seeds)}")
    present, work = pair_at(out), work_folder(out)
    if present and (odd := _other_than(present, recipe, dataset)):
        raise ValueError(
            f"{out} is a pair with another {', '.join(odd)}; give the settings of that, or choose another --out"
        )
    if work.exists() and (odd := _other_than(read_settings(work), recipe, dataset)):
        raise ValueError(
            f"{work} holds a run with another {', '.join(odd)}; resume it with the settings that it was started with, "
            "or choose another --out"
        )
    if baseline and not (present and set(seeds) <= set(present.seeds)):
        _check_baseline(baseline, recipe, dataset, seeds)
    return present


def pair_at(out: Path) -> PairCard | None:
    """The card of the pair in the folder; None if it is empty, or not there. Raises ValueError for anything else."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    if not (out / CARD).is_file():
        what = "a file" if out.is_file() else f"a folder without {CARD}"
        raise ValueError(f"{out} is {what}, so it is no pair; choose another folder, or move it away")
    return load_pair(out).card


def _other_than(present: Trained, recipe: Recipe, dataset: Dataset | None) -> list[str]:
    if dataset is None:
        return other_recipe(present.recipe, recipe)
    return differing(present, settings_of(recipe, dataset))


def begin(work: Path, recipe: Recipe, dataset: Dataset) -> None:
    """Make the run's folder, if it is not there."""
    if not work.exists():
        with new_folder(work) as staged:
            write_file(staged / _FILE, json.dumps(asdict(settings_of(recipe, dataset)), indent=1).encode())


def read_settings(work: Path) -> Settings:
    try:
        settings: Settings = read(Settings, json.loads((work / _FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{work / _FILE} does not say what run this is ({type(error).__name__}: {error}); "
            "restore it, or remove the folder to train again"
        ) from None
    return settings


def _check_baseline(source: Path, recipe: Recipe, dataset: Dataset | None, seeds: Sequence[int]) -> None:
    """Raises ValueError if the baseline there is not what this recipe would train with its only seed, on these data."""
    if len(seeds) > 1:
        raise ValueError(f"--baseline is one network of one seed, got seeds {list(seeds)}; train each seed by itself")
    card, _ = load_baseline(source)
    odd = [name for name, value in shared_settings(recipe).items() if value != getattr(card.recipe, name)]
    odd += ["seed"] * (card.seed != seeds[0])
    odd += other_data(card, settings_of(recipe, dataset)) if dataset else []
    if odd:
        raise ValueError(f"the baseline of {source.name} was trained with another {', '.join(odd)}; train one instead")


def check_precision(source: Path, precision: torch.dtype) -> None:
    """Raises ValueError if the baseline there was not trained in this precision alone."""
    asked = str(precision).removeprefix("torch.")
    found = sorted({epoch.precision for epoch in load_baseline(source)[0].history})
    if found != [asked]:
        raise ValueError(
            f"the baseline of {source.name} was trained in {' and '.join(found)}, and this run would be in {asked}; "
            f"choose with --precision {' or '.join(dict.fromkeys([*found, asked]))}, or train a baseline"
        )


def place_baseline(work: Path, seed: int, card: ArmCard, model: Classifier) -> None:
    """Put a baseline where the run would have its own. Raises ValueError if the run already has another one."""
    folder = arm_folder(work, seed, "baseline")
    if not folder.exists():
        save_arm(folder, card, model)
        return
    present = load_arm(folder)[1].state_dict()
    if any(not torch.equal(value, present[name]) for name, value in model.state_dict().items()):
        raise ValueError(f"{work} already has another baseline; leave out --baseline, or choose another --out")


def load_baseline(source: Path) -> tuple[ArmCard, Classifier]:
    """A baseline from the folder of a pair, or from that of an arm alone."""
    if not (source / ARM_CARD).exists():
        pair = load_pair(source)
        return baseline_of(pair.card), pair.baseline
    card, model = load_arm(source)
    if card.arm != "baseline":
        raise ValueError(f"{source} holds a JPEG-DL network; --baseline takes one without the layer")
    return card, model
