"""train: both arms of a recipe."""

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from jpegdl.analysis.results.paper import listing
from jpegdl.analysis.results.report import verdict
from jpegdl.commands.options import Commands, add_device, add_seeds, existing_file, folder, known_recipe
from jpegdl.commands.progress import Progress, checking
from jpegdl.pairs.recipe import Recipe, with_epochs
from jpegdl.pairs.seeds import seeds_text
from jpegdl.pairs.weights import imagenet_backbone
from jpegdl.training import processes
from jpegdl.training.catalogue import RECIPES
from jpegdl.training.check import refuse_damaged
from jpegdl.training.data import Dataset
from jpegdl.training.pair import Run, train_pair
from jpegdl.training.precision import native_precision
from jpegdl.training.readers import read_dataset
from jpegdl.training.settings import alone, check_precision, check_run, work_folder


def add(commands: Commands) -> None:
    train = commands.add_parser("train", help="train both arms of a recipe")
    train.set_defaults(run=_train)
    train.add_argument("recipe", nargs="?", type=known_recipe, metavar="RECIPE", help="name of the recipe")
    train.add_argument("--list", action="store_true", help="print the recipes with the paper's figures, and stop")
    train.add_argument("--data", type=Path, help="folder of the data set")
    train.add_argument("--download", action="store_true", help="let torchvision download the data set into --data")
    train.add_argument("--out", type=folder, help="folder of the pair, such as checkpoints/NAME")
    add_seeds(train, [0], "the weights kept are those of the first")
    train.add_argument(
        "--baseline", type=folder, help="a pair whose baseline is taken instead of training the same one"
    )
    train.add_argument(
        "--precision",
        choices=["auto", "bfloat16", "float32"],
        default="auto",
        help="of the networks; auto: bfloat16 where it is native; one of these also beside a --baseline of the other",
    )
    train.add_argument(
        "--weights", type=existing_file, help="file of ImageNet weights, for recipes that start from them"
    )
    train.add_argument("--input-size", type=int, help="pixels, instead of the recipe's")
    train.add_argument("--epochs", type=int, help="instead of the recipe's; milestones and warm-up keep their share")
    train.add_argument(
        "--resume", action="store_true", help="continue an interrupted run, or add seeds to a finished pair"
    )
    add_device(train)


def _train(arguments: argparse.Namespace) -> None:
    if arguments.list:
        print(listing(RECIPES.values()))
        return
    missing = [name for name in ("recipe", "data", "out") if getattr(arguments, name) is None]
    if missing:
        raise ValueError(f"{' and '.join(missing)} must be given; or --list the recipes")
    with processes.processes(torch.device(arguments.device)) as device:
        _train_on(arguments, device)


def _train_on(arguments: argparse.Namespace, device: torch.device) -> None:
    out: Path = arguments.out
    state = work_folder(out)
    if processes.rank() == 0 and state.exists() and not arguments.resume:
        raise ValueError(f"{state} holds an interrupted run; pass --resume to continue it, or remove it")
    recipe: Recipe = arguments.recipe
    if arguments.epochs is not None:
        recipe = with_epochs(recipe, arguments.epochs)
    if arguments.weights and recipe.start != "imagenet":
        raise ValueError(f"{recipe.name} starts from random weights; leave --weights out")
    if arguments.input_size is not None:
        recipe = replace(recipe, input_size=arguments.input_size)
    precision = native_precision(device) if arguments.precision == "auto" else getattr(torch, arguments.precision)
    if arguments.baseline and arguments.precision == "auto":
        check_precision(arguments.baseline, precision)
    if processes.rank() == 0:
        with alone(state):
            pass
    if present := check_run(recipe, None, out, arguments.seeds, arguments.baseline):
        if not arguments.resume:
            raise ValueError(f"{out} is a pair; pass --resume to add seeds to it, choose another --out, or remove it")
        if set(arguments.seeds) <= set(present.seeds) and not state.exists():
            if processes.rank() == 0:
                print(f"{out} has {seeds_text(arguments.seeds)} already; nothing is left to train.")
                print(verdict(present))
            return
    if recipe.start == "imagenet":
        imagenet_backbone(recipe.architecture, 2, arguments.weights)  # so that missing weights are named at once
    dataset = _dataset(recipe.dataset, arguments)
    if processes.rank() == 0 and not state.exists():
        refuse_damaged(dataset, checking())
    progress = Progress(recipe.epochs, len(dataset.train))
    run = Run(
        seeds=arguments.seeds,
        device=device,
        report=progress.epoch,
        announce=progress.announce,
        watch=progress.moment,
        working=progress.working,
        precision=precision,
        baseline=arguments.baseline,
        weights=arguments.weights,
    )
    if processes.rank() == 0:
        print(f"The networks train in {str(precision).removeprefix('torch.')} on {device}.", flush=True)
    pair = train_pair(recipe, dataset, out, run)
    if processes.rank() == 0:
        print(verdict(pair.card))


def _dataset(name: str, arguments: argparse.Namespace) -> Dataset:
    """Read by every process; what is downloaded comes once, for all of them."""
    if processes.rank() == 0 and arguments.download:
        read_dataset(name, arguments.data, download=True)
    processes.wait()
    return read_dataset(name, arguments.data)
