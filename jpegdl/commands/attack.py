"""attack: both networks attacked, the paper's way and where gradients may hide."""

import argparse
from dataclasses import replace
from pathlib import Path

from jpegdl.analysis.attacks import EPSILONS
from jpegdl.analysis.results.report import robustness_markdown
from jpegdl.analysis.robustness import attack_pair
from jpegdl.analysis.suites import STRONG_EPSILONS, paper_suite, strong_suite
from jpegdl.commands.options import Commands, add_device, count, grey_levels, seed
from jpegdl.pairs.checkpoints import load_pair, save_card
from jpegdl.training.readers import read_dataset
from jpegdl.training.sources import all_at_once, prepared


def add(commands: Commands) -> None:
    attack = commands.add_parser("attack", help="attack both networks: the paper's way, and where gradients may hide")
    attack.set_defaults(run=_attack)
    attack.add_argument("pair", type=Path, help="folder of the pair")
    attack.add_argument("--data", type=Path, required=True, help="folder of the data set")
    attack.add_argument("--limit", type=count, help="so many test pictures, spread evenly; without it, all")
    attack.add_argument("--epsilons", type=grey_levels, nargs="+", help="in 255ths, instead of the paper's and ours")
    attack.add_argument("--steps", type=count, default=50, help="of the long PGD")
    attack.add_argument("--restarts", type=count, default=5, help="of the long PGD")
    attack.add_argument("--queries", type=count, default=1000, help="of Square, a picture")
    attack.add_argument("--seed", type=seed, default=0)
    add_device(attack)


def _attack(arguments: argparse.Namespace) -> None:
    pair = load_pair(arguments.pair, arguments.device)
    dataset = read_dataset(pair.card.dataset.name, arguments.data)
    given = [eps / 255 for eps in arguments.epsilons or ()]
    strong = {name: getattr(arguments, name) for name in ("steps", "restarts", "queries")}
    suite = (*paper_suite(given or EPSILONS), *strong_suite(given or STRONG_EPSILONS, **strong))
    rows = []
    images, labels = all_at_once(prepared(dataset.test, pair.card.input_size, pair.card.short_side))
    for row in attack_pair(pair, images, labels, suite=suite, limit=arguments.limit, seed=arguments.seed):
        rows.append(row)
        print(f"{len(rows)} of {len(suite)} attacks done: {row.attack.name}", flush=True)
    card = save_card(arguments.pair, replace(pair.card, robustness=tuple(rows)))
    print(robustness_markdown(card))
