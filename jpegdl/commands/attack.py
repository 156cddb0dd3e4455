"""attack: both networks attacked, the paper's way and where gradients may hide; each row is kept as it is done."""

import argparse
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from jpegdl.analysis.attacks import EPSILONS
from jpegdl.analysis.results.report import robustness_markdown
from jpegdl.analysis.robustness import Moment, attack_pair, refuse_impossible, seconds_at_most
from jpegdl.analysis.suites import PARTS, STRONG_EPSILONS, paper_suite, strong_suite
from jpegdl.commands.options import Commands, add_device, count, grey_levels, pair_folder, seed
from jpegdl.commands.progress import duration, minutely
from jpegdl.pairs.card import PairCard
from jpegdl.pairs.checkpoints import change_card, load_pair
from jpegdl.pairs.measured import Attack, RobustAccuracy
from jpegdl.training.data import equally_spaced, take
from jpegdl.training.settings import dataset_of
from jpegdl.training.sources import all_at_once, prepared


def add(commands: Commands) -> None:
    attack = commands.add_parser("attack", help="attack both networks: the paper's way, and where gradients may hide")
    attack.set_defaults(run=_attack)
    attack.add_argument("pair", type=pair_folder, help="folder of the pair")
    attack.add_argument("--data", type=Path, required=True, help="folder of the data set")
    attack.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), help="these; without it, all")
    attack.add_argument("--limit", type=count, help="so many test pictures, spread evenly; without it, all")
    attack.add_argument("--epsilons", type=grey_levels, nargs="+", help="in 255ths, instead of the paper's and ours")
    attack.add_argument("--steps", type=count, default=50, help="of the long PGD")
    attack.add_argument("--restarts", type=count, default=5, help="of the long PGD")
    attack.add_argument("--queries", type=count, default=1000, help="of Square, a picture")
    attack.add_argument("--seed", type=seed, default=0)
    attack.add_argument("--again", action="store_true", help="replace rows that were measured with other settings")
    add_device(attack)


def _attack(arguments: argparse.Namespace) -> None:
    pair = load_pair(arguments.pair, arguments.device)
    given = [eps / 255 for eps in arguments.epsilons or ()]
    strong = {name: getattr(arguments, name) for name in ("steps", "restarts", "queries")}
    every = (*paper_suite(given or EPSILONS), *strong_suite(given or STRONG_EPSILONS, **strong))
    suite = [attack for attack in every if any(PARTS[part](attack) for part in arguments.only)]
    card = pair.card
    of = card.dataset.pictures.test
    pictures = min(arguments.limit or of, of)
    left = remaining(card.robustness, suite, pictures, arguments.seed, again=arguments.again)
    print(f"{len(suite) - len(left)} of {len(suite)} attacks are in the card already", flush=True)
    if left:
        refuse_impossible(pair, left)
        tell, started = minutely(), time.monotonic()
        some = take(dataset_of(card, arguments.data).test, equally_spaced(of, pictures))
        images, labels = all_at_once(prepared(some, card.input_size, card.short_side))
        rows = attack_pair(
            pair,
            images,
            labels,
            suite=left,
            seed=arguments.seed,
            watch=lambda moment: tell(_standing(moment, pictures)),
        )
        seconds = seconds_at_most(pair, images, labels, suite=left)
        print(f"At most {duration(seconds)} on this device; less where answers are wrong early.", flush=True)
        for number, row in enumerate(rows, 1):
            card = change_card(arguments.pair, pair.card, partial(_with, row))
            spent = duration(time.monotonic() - started)
            print(f"{number} of {len(left)} attacks done: {_named(row.attack)}, {spent} since the start", flush=True)
    print(robustness_markdown(card))


def _standing(moment: Moment, pictures: int) -> str:
    return (
        f"{_named(moment.attack)}, {moment.victim}: {moment.done} of {pictures} pictures done, "
        f"{moment.passes} passes over the next ones"
    )


def remaining(
    rows: Iterable[RobustAccuracy], suite: Sequence[Attack], pictures: int, seed: int, *, again: bool
) -> list[Attack]:
    """The attacks of `suite` that no row holds with these settings.

    Raises ValueError for one that a row holds with others, unless it is to be done `again`.
    """
    known = {_place(row.attack): row for row in rows}
    left = []
    for attack in suite:
        row = known.get(_place(attack))
        if row is not None and (row.attack, row.attacked.n, row.seed) == (attack, pictures, seed):
            continue
        if row is not None and not again:
            raise ValueError(
                f"the card holds {_named(attack)} with other settings ({_settings(row)}); give the same to go on, or "
                "--again to replace it"
            )
        left.append(attack)
    return left


def with_row(rows: Iterable[RobustAccuracy], new: RobustAccuracy) -> tuple[RobustAccuracy, ...]:
    """The rows with `new` in the place of its attack, in the order of the suites."""
    names = list(dict.fromkeys(attack.name for attack in (*paper_suite(), *strong_suite())))
    found = {_place(row.attack): row for row in (*rows, new)}
    return tuple(found[place] for place in sorted(found, key=lambda place: (names.index(place[0]), place[1])))


def _with(row: RobustAccuracy, card: PairCard) -> PairCard:
    return replace(card, robustness=with_row(card.robustness, row))


def _place(attack: Attack) -> tuple[str, float]:
    return attack.name, attack.epsilon


def _named(attack: Attack) -> str:
    return f"{attack.name} at {255 * attack.epsilon:.3g}/255"


def _settings(row: RobustAccuracy) -> str:
    attack = row.attack
    return f"{row.attacked.n} pictures, {attack.steps} steps, {attack.restarts} restarts, seed {row.seed}"
