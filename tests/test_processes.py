"""Two processes on the CPU, started by torchrun, against one: the same gradients, tables, weights and pair.

The networks here have no batch normalisation: its statistics are those of a process's own share of a batch, so with it
two processes and one train different networks.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.optim import SGD

from jpegdl import __main__ as program
from jpegdl.codec.layer import JPEGLayer
from jpegdl.commands import train as train_command
from jpegdl.pairs.architectures import ARCHITECTURES, Architecture
from jpegdl.pairs.checkpoints import load_pair
from jpegdl.pairs.classifier import ARMS, Classifier, build_classifier
from jpegdl.pairs.recipe import Recipe
from jpegdl.training import processes
from jpegdl.training.batches import tensor_batches
from jpegdl.training.catalogue import RECIPES
from jpegdl.training.data import PreparedTensors, TrainingSet, TrainingTensors
from jpegdl.training.loop import epoch_generator, fit, train_step
from jpegdl.training.pair import train_pair
from tests.tiny import colour_of, noise_bytes, tables

CPU = torch.device("cpu")
NAME = "imagefolder-plain"
SECONDS = 300


class Plain(nn.Module):
    """Two convolutions and a linear layer, without batch normalisation."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, num_classes),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(images)
        return logits


ARCHITECTURE = Architecture(build=Plain, stages={"last": "layers.3"})
PLAN = Recipe(  # batches of 7, 7 and 5 of 19 pictures: shares of 4 and 3, and of 3 and 2
    name=NAME, dataset="imagefolder", architecture="plain", input_size=16, epochs=2, batch_size=7, learning_rate=0.05,
    milestones=(1,), weight_decay=1e-4, table_learning_rate=0.003,
)  # fmt: skip
COUNTS = {"train": 19, "val": 6, "test": 9}


def classifier() -> Classifier:
    return build_classifier("plain", 3, seed=4, codec=JPEGLayer(tables(), 5.0))


def training_set(rank: int, count: int) -> TrainingSet:
    labels = torch.arange(COUNTS["train"]) % 3
    stored = TrainingTensors(noise_bytes(len(labels), 20), torch.full((len(labels), 2), 20), labels)
    return TrainingSet(tensor_batches(PLAN, stored, 3, CPU, rank=rank, count=count), 3)


def gradients(rank: int, count: int) -> list[dict[str, Tensor]]:
    """Of each batch of an epoch, by the parameter's name; nothing is learned from one to the next."""
    model, found = classifier(), []
    network = processes.together(model)
    optimizer = SGD(model.parameters(), lr=0.0)
    for batch in training_set(rank, count).batches(epoch_generator(0, 1)):
        train_step(network, [optimizer], batch, precision=torch.float32)
        found.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    return found


def trained(rank: int, count: int) -> tuple[dict[str, Tensor], list[list[float]]]:
    """The JPEG-DL arm after two epochs: its tensors; loss and accuracies of each epoch."""
    model, validation = classifier(), PreparedTensors(noise_bytes(6, 16, 7), torch.arange(6) % 3)
    epochs = fit(model, PLAN, training_set(rank, count), validation, seed=2, device=CPU, precision=torch.float32)
    history = [[epoch.loss, epoch.train_accuracy, epoch.validation_accuracy] for epoch in epochs]
    return model.state_dict(), history


def command(data: str, out: str) -> list[str]:
    return ["jpegdl", "train", NAME, "--data", data, "--out", out, "--device", "cpu", "--precision", "float32"]


def worker(folder: str, data: str) -> None:
    """What each of the two processes does; the first one leaves its results in `folder`."""
    ARCHITECTURES["plain"] = ARCHITECTURE
    RECIPES[NAME] = PLAN  # type: ignore[index]  # read-only to all but tests
    torch.set_num_threads(1)
    place = Path(folder)
    (place / f"{os.environ['RANK']}.pid").write_text(str(os.getpid()))

    def observed(*arguments: Any) -> Any:
        rank, count = processes.rank(), processes.count()
        found = {"gradients": gradients(rank, count), "trained": trained(rank, count)}
        if rank == 0:
            torch.save(found, place / "found.pt")
        return train_pair(*arguments)

    # In the middle of the program, because torchrun's processes can form one group only.
    vars(train_command)["train_pair"] = observed
    sys.argv = command(data, f"{folder}/pairs/pair")
    sys.exit(program.main())


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Generated pictures of three classes in folders train, val and test."""
    root, draw = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for part, count in COUNTS.items():
        for number in range(count):
            folder = root / part / "abc"[number % 3]
            folder.mkdir(parents=True, exist_ok=True)
            pixels = np.array(colour_of(7 * (number % 3))) + draw.integers(0, 30, (20, 24, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:02}.png")
    return root


@dataclass(frozen=True)
class Result:
    """What a torchrun of `worker` left behind."""

    folder: Path
    output: str
    gradients: list[dict[str, Tensor]]
    tensors: dict[str, Tensor]
    history: list[list[float]]


@pytest.fixture(scope="module")
def together(pictures, tmp_path_factory) -> Result:
    folder = tmp_path_factory.mktemp("together")
    (folder / "script.py").write_text("import sys\nfrom tests.test_processes import worker\nworker(*sys.argv[1:])\n")
    loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    root = str(Path(__file__).parents[1])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": loopback, "PYTHONPATH": root}
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    arguments = ["--nproc-per-node", "2", str(folder / "script.py"), str(folder), str(pictures)]
    started = subprocess.Popen(
        [*launch, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        output, errors = started.communicate(timeout=SECONDS)
    finally:
        if started.poll() is None:
            started.send_signal(signal.SIGTERM)  # torchrun ends its processes, then itself
            started.communicate()
    assert started.returncode == 0, errors
    found = torch.load(folder / "found.pt", weights_only=True)
    return Result(folder, output, found["gradients"], *found["trained"])


@pytest.fixture(scope="module")
def alone(pictures, tmp_path_factory) -> Iterator[Path]:
    """The same pair, trained by this process."""
    out = tmp_path_factory.mktemp("alone") / "pair"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, "plain", ARCHITECTURE)
        patch.setitem(RECIPES, NAME, PLAN)
        patch.setattr(sys, "argv", command(str(pictures), str(out)))
        assert program.main() == 0
        yield out


def test_two_processes_average_to_the_gradients_of_one_also_of_batches_that_they_cannot_halve(together, alone):
    expected = gradients(0, 1)
    assert len(together.gradients) == len(expected) == 3
    for ours, theirs in zip(together.gradients, expected, strict=True):
        assert ours.keys() == theirs.keys() == dict(classifier().named_parameters()).keys()
        for name, gradient in theirs.items():
            assert gradient.norm() > 0
            rounding = 3e-6 if gradient.ndim > 1 else 2e-5  # a bias' gradient is a long sum that nearly cancels
            assert (ours[name] - gradient).norm() <= rounding * gradient.norm(), name


def test_a_gradient_of_half_a_batch_is_another_one(together, alone):
    """So the test before could fail."""
    halves = gradients(0, 2)
    name = "backbone.layers.6.weight"
    distance = (halves[0][name] - together.gradients[0][name]).abs().max()
    assert distance > 1e-2 * together.gradients[0][name].abs().max()


def test_two_processes_reach_the_tables_and_weights_of_one(together, alone):
    expected, history = trained(0, 1)
    assert (expected["codec.steps"] - tables()).abs().median() > 1e-3  # the tables moved
    for name, tensor in expected.items():
        assert torch.allclose(together.tensors[name], tensor, rtol=1e-6, atol=1e-6), name
    assert np.allclose(together.history, history, rtol=1e-6)


def test_two_processes_write_one_complete_pair_that_says_so(together, alone):
    assert sorted(path.name for path in (together.folder / "pairs").iterdir()) == ["pair"]
    pair = load_pair(together.folder / "pairs" / "pair")
    assert pair.card.training["jpegdl"].processes == 2
    assert load_pair(alone).card.training["jpegdl"].processes == 1
    assert [len(pair.card.history[arm]) for arm in ARMS] == [2, 2]
    assert (pair.card.results["test"].n, pair.card.results["validation"].n) == (9, 6)


def test_the_pair_of_two_processes_is_that_of_one(together, alone):
    ours, theirs = load_pair(together.folder / "pairs" / "pair"), load_pair(alone)
    assert torch.allclose(ours.codec.steps, theirs.codec.steps, rtol=1e-6, atol=1e-6)
    assert np.allclose(ours.card.initial_tables, theirs.card.initial_tables, rtol=1e-5)
    assert ours.card.results == theirs.card.results
    for arm in ARMS:
        other = theirs.arm(arm).state_dict()
        for name, tensor in ours.arm(arm).state_dict().items():
            assert torch.allclose(tensor, other[name], rtol=2e-3, atol=1e-6), name  # stored as float16
        losses = [[epoch.loss for epoch in pair.card.history[arm]] for pair in (ours, theirs)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_every_line_of_progress_is_printed_once(together):
    lines = [" ".join(line.split()[:3]) for line in together.output.splitlines() if line.startswith("seed ")]
    numbers = [line.split("]")[1].split("/")[0].strip() for line in together.output.splitlines() if "seed " in line]
    assert lines == ["seed 0 baseline"] * 2 + ["seed 0 jpegdl"] * 2
    assert numbers == ["1", "2"] * 2
    rest = [line for line in together.output.splitlines() if line and not line.startswith("seed ")]
    assert len(rest) == len(set(rest))
    assert rest


def test_no_process_is_left(together):
    for rank in (0, 1):
        with pytest.raises(ProcessLookupError):
            os.kill(int((together.folder / f"{rank}.pid").read_text()), 0)


def test_alone_there_is_one_process_and_nothing_to_wait_for(monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    model = Plain(2)
    with processes.processes(CPU) as device:
        assert device == CPU
        assert (processes.rank(), processes.count()) == (0, 1)
        assert processes.together(model) is model
        assert processes.total(torch.tensor([3.0])).tolist() == [3.0]
        processes.wait()
