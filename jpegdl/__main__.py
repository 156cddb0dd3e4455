"""Command line: python -m jpegdl train | evaluate | attack | record | results | tables."""

import argparse
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import torch

from jpegdl.analysis.attacks import EPSILONS
from jpegdl.analysis.grid import evaluate_grid
from jpegdl.analysis.results.paper import listing
from jpegdl.analysis.results.report import results_markdown, robustness_markdown, verdict
from jpegdl.analysis.robustness import attack_pair
from jpegdl.analysis.suites import STRONG_EPSILONS, paper_suite, strong_suite
from jpegdl.codec.jpegfile import cjpeg_qtables_text
from jpegdl.pairs.card import PairCard, card_from_json, card_to_json, without_weights
from jpegdl.pairs.checkpoints import ModelPair, load_pair, load_pairs, save_pair
from jpegdl.pairs.classifier import ARMS, Arm
from jpegdl.training import processes
from jpegdl.training.catalogue import RECIPES
from jpegdl.training.data import Dataset
from jpegdl.training.loop import Epoch
from jpegdl.training.pair import Run, measure, train_pair
from jpegdl.training.readers import read_dataset
from jpegdl.training.recipes import Recipe
from jpegdl.training.sources import prepared


def main() -> int:
    arguments = _parser().parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    try:
        arguments.run(arguments)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m jpegdl", description="Train and measure baseline / JPEG-DL pairs.")
    commands = parser.add_subparsers(required=True, metavar="command")

    train = commands.add_parser("train", help="train both arms of a recipe")
    train.set_defaults(run=_train)
    train.add_argument("recipe", nargs="?", choices=list(RECIPES), metavar="RECIPE", help="name of the recipe")
    train.add_argument("--list", action="store_true", help="print the recipes with the paper's figures, and stop")
    train.add_argument("--data", type=Path, help="folder of the data set")
    train.add_argument("--download", action="store_true", help="let torchvision download the data set into --data")
    train.add_argument("--out", type=Path, help="folder of the pair, such as checkpoints/NAME")
    train.add_argument("--seeds", type=int, nargs="+", default=[0], help="the weights kept are those of the first")
    train.add_argument("--baseline", type=Path, help="a pair whose baseline is taken instead of training the same one")
    train.add_argument("--precision", choices=["bfloat16", "float32"], default="bfloat16", help="of the networks")
    train.add_argument("--weights", type=Path, help="file of ImageNet weights, for recipes that start from them")
    train.add_argument("--input-size", type=int, help="pixels, instead of the recipe's")
    train.add_argument("--epochs", type=int, help="instead of the recipe's; the milestones keep their share")
    train.add_argument("--resume", action="store_true", help="continue an interrupted run of the same recipe and seed")

    evaluate = commands.add_parser("evaluate", help="count right answers again, and for every input to both networks")
    evaluate.set_defaults(run=_evaluate)
    evaluate.add_argument("pair", type=Path, help="folder of the pair")
    evaluate.add_argument("--data", type=Path, required=True, help="folder of the data set")

    attack = commands.add_parser("attack", help="attack both networks: the paper's way, and where gradients may hide")
    attack.set_defaults(run=_attack)
    attack.add_argument("pair", type=Path, help="folder of the pair")
    attack.add_argument("--data", type=Path, required=True, help="folder of the data set")
    attack.add_argument("--limit", type=int, help="so many test pictures, spread evenly; without it, all")
    attack.add_argument("--epsilons", type=float, nargs="+", help="in 255ths, instead of the paper's ten and our two")
    attack.add_argument("--steps", type=int, default=50, help="of the long PGD")
    attack.add_argument("--restarts", type=int, default=5, help="of the long PGD")
    attack.add_argument("--queries", type=int, default=1000, help="of Square, a picture")
    attack.add_argument("--seed", type=int, default=0)

    record = commands.add_parser("record", help="keep the card of a pair whose weights are not kept")
    record.set_defaults(run=_record)
    record.add_argument("pair", type=Path, help="folder of the pair")
    record.add_argument("--out", type=Path, default=Path("docs/results"), help="folder of such cards")

    results = commands.add_parser("results", help="write docs/results.md from the cards")
    results.set_defaults(run=_results)
    results.add_argument("--checkpoints", type=Path, default=Path("checkpoints"))
    results.add_argument("--records", type=Path, default=Path("docs/results"), help="cards without weights")
    results.add_argument("--out", type=Path, default=Path("docs/results.md"))

    tables = commands.add_parser("tables", help="print a pair's learned tables for cjpeg -qtables")
    tables.set_defaults(run=_tables)
    tables.add_argument("pair", type=Path, help="folder of the pair")

    for command in (train, evaluate, attack):
        command.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    for command in (train, evaluate, attack, record, results, tables):
        command.add_argument("--threads", type=int, help="CPU threads of torch")
    return parser


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
    state = out.with_name(f".{out.name}.training")
    if out.exists():
        raise ValueError(f"{out} exists; choose another --out or remove it")
    if processes.rank() == 0 and state.exists() and not arguments.resume:
        raise ValueError(f"{state} holds an interrupted run; pass --resume to continue it, or remove it")
    recipe = _adapted(RECIPES[arguments.recipe], arguments.epochs, arguments.input_size)
    run = Run(
        seeds=arguments.seeds,
        device=device,
        report=_Progress(recipe.epochs),
        precision=getattr(torch, arguments.precision),
        commit=_commit(),
        baseline=arguments.baseline,
        weights=arguments.weights,
    )
    dataset = read_dataset(recipe.dataset, arguments.data, download=arguments.download)
    pair = train_pair(recipe, dataset, out, run)
    if processes.rank() == 0:
        print(verdict(pair.card))


def _evaluate(arguments: argparse.Namespace) -> None:
    before, device = load_pair(arguments.pair).card, torch.device(arguments.device)
    dataset = read_dataset(before.dataset["name"], arguments.data)
    card = measure(arguments.pair, dataset, device)
    print(_counts(card))
    print("The counts equal the card's." if card.results == before.results else "The card's counts were replaced.")
    if card.place == "input":
        pair = load_pair(arguments.pair, device)
        grid = asdict(evaluate_grid(pair, *_test_pictures(pair, dataset)))
        save_pair(arguments.pair, replace(card, grid=grid), {arm: pair.arm(arm) for arm in ARMS})
        print("The inputs to both networks are in the card; `python -m jpegdl results` shows them.")


def _attack(arguments: argparse.Namespace) -> None:
    pair = load_pair(arguments.pair, arguments.device)
    dataset = read_dataset(pair.card.dataset["name"], arguments.data)
    given = [eps / 255 for eps in arguments.epsilons or ()]
    strong = {name: getattr(arguments, name) for name in ("steps", "restarts", "queries")}
    suite = (*paper_suite(given or EPSILONS), *strong_suite(given or STRONG_EPSILONS, **strong))
    rows = []
    images, labels = _test_pictures(pair, dataset)
    for row in attack_pair(pair, images, labels, suite=suite, limit=arguments.limit, seed=arguments.seed):
        rows.append(row)
        print(f"{len(rows)} of {len(suite)} attacks done: {row.attack.name}", flush=True)
    card = replace(pair.card, robustness=[asdict(row) for row in rows])
    save_pair(arguments.pair, card, {arm: pair.arm(arm) for arm in ARMS})
    print(robustness_markdown(card))


def _test_pictures(pair: ModelPair, dataset: Dataset) -> tuple[torch.Tensor, torch.Tensor]:
    """All test pictures, prepared, uint8 (N, 3, S, S), and labels (N,)."""
    parts = list(prepared(dataset.test, pair.card.input_size, pair.card.short_side).batches())
    return torch.cat([images for images, _ in parts]), torch.cat([labels for _, labels in parts])


def _record(arguments: argparse.Namespace) -> None:
    pair = load_pair(arguments.pair)
    arguments.out.mkdir(parents=True, exist_ok=True)
    card = pair.card
    file = arguments.out / f"{card.name}-{card.input_size}px-{card.recipe.get('epochs')}epochs.json"
    file.write_text(card_to_json(without_weights(card)))
    print(f"{file}: counts and tables of {card.name}")


def _results(arguments: argparse.Namespace) -> None:
    pairs, refused = load_pairs(arguments.checkpoints)
    for error in refused.values():
        print(f"left out: {error}", file=sys.stderr)
    records = [card_from_json(path.read_text()) for path in sorted(arguments.records.glob("*.json"))]
    arguments.out.write_text(results_markdown([pair.card for pair in pairs.values()], records))
    print(f"{arguments.out}: {len(pairs)} pairs, {len(records)} runs without weights")


def _tables(arguments: argparse.Namespace) -> None:
    print(cjpeg_qtables_text(load_pair(arguments.pair).codec.steps[0].numpy()), end="")


def _adapted(recipe: Recipe, epochs: int | None, input_size: int | None) -> Recipe:
    """The recipe with another number of epochs (milestones at the same share of them) or another input size."""
    if epochs is not None:
        shares = (round(milestone * epochs / recipe.epochs) for milestone in recipe.milestones)
        milestones = tuple(milestone for milestone in shares if 0 < milestone < epochs)
        recipe = replace(recipe, epochs=epochs, milestones=milestones)
    return recipe if input_size is None else replace(recipe, input_size=input_size)


class _Progress:
    """A line an epoch, with a bar; rewritten in place on a terminal."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def __call__(self, seed: int, arm: Arm, epoch: Epoch) -> None:
        done = round(20 * epoch.number / self.epochs)
        rest = (self.epochs - epoch.number) * epoch.seconds / 60
        line = (
            f"seed {seed} {arm:8} [{'#' * done}{'.' * (20 - done)}] {epoch.number:3}/{self.epochs}  "
            f"loss {epoch.loss:6.3f}  train {epoch.train_accuracy:6.1%}  validation {epoch.validation_accuracy:6.1%}  "
            f"{epoch.seconds:5.1f} s, {rest:4.0f} min left"
        )
        last = epoch.number == self.epochs
        print(
            f"\r{line}" if sys.stdout.isatty() else line,
            end="" if sys.stdout.isatty() and not last else "\n",
            flush=True,
        )


def _counts(card: PairCard) -> str:
    return "\n".join(
        f"{name}: n {c.n}, both {c.both}, only baseline {c.only_baseline}, only JPEG-DL {c.only_jpegdl}, "
        f"neither {c.neither}"
        for name, c in card.results.items()
    )


def _commit() -> str:
    """The commit of the working copy, or nothing where there is none."""
    try:
        return subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


if __name__ == "__main__":
    sys.exit(main())
