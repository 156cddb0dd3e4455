"""What long commands print while they run: how long it will take, how every epoch went, how far other work is."""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from jpegdl.pairs.classifier import Arm
from jpegdl.pairs.facts import Epoch
from jpegdl.training.history import Moment
from jpegdl.training.pace import Outlook

_EVERY = 60  # seconds between lines about long work
_ARMS: Mapping[Arm, str] = {"baseline": "of the baseline", "jpegdl": "with JPEG-DL"}


class Progress:
    """Lines about one run; on a terminal an epoch's line replaces the one before."""

    def __init__(self, epochs: int, pictures: int) -> None:
        """`epochs` of an arm, and the `pictures` of an epoch."""
        self.epochs, self.pictures = epochs, pictures
        self.outlook: Outlook | None = None
        self.told = time.monotonic()

    def announce(self, outlook: Outlook) -> None:
        """Before the first step: the time that the whole run takes here."""
        self.outlook = outlook
        left = {arm: sum(n for (_, of), n in outlook.left.items() if of == arm) for arm in _ARMS}
        each = {arm: duration(seconds) for arm, seconds in outlook.pace.epoch.items()}
        epochs = ", ".join(
            f"{n} epoch{'s' if n > 1 else ''} {_ARMS[arm]} in {each[arm]}{' each' if n > 1 else ''}"
            for arm, n in left.items()
            if n
        )
        whole = duration(outlook.seconds)
        print(f"About {whole} on this device: {epochs or 'only to count and to write'}.", flush=True)

    def epoch(self, seed: int, arm: Arm, epoch: Epoch) -> None:
        """After an epoch, but for those of a run that is continued; its own time corrects what is said of the rest."""
        if self.outlook is not None:
            if self.epochs - epoch.number >= self.outlook.left[seed, arm]:
                return
            self.outlook = _learned(self.outlook, seed, arm, epoch)
        done = round(20 * epoch.number / self.epochs)
        line = (
            f"seed {seed} {arm:8} [{'#' * done}{'.' * (20 - done)}] {epoch.number:3}/{self.epochs}  "
            f"loss {epoch.loss:6.3f}  train {epoch.train_accuracy:6.1%}  validation {epoch.validation_accuracy:6.1%}  "
            f"{self.pictures / epoch.seconds:.4g} pictures/s{self._left(0)}"
        )
        self._say(line, stays=epoch.number == self.epochs)

    def moment(self, seed: int, arm: Arm, moment: Moment) -> None:
        """Once a minute inside an epoch."""
        speed = moment.done * self.pictures / moment.seconds
        line = (
            f"seed {seed} {arm:8} {moment.done:6.1%} of epoch {moment.epoch}/{self.epochs}  loss {moment.loss:6.3f}  "
            f"train {moment.train_accuracy:6.1%}  {speed:.4g} pictures/s{self._left(moment.seconds)}"
        )
        self._say(line, stays=False)

    def _say(self, line: str, *, stays: bool) -> None:
        """On a terminal the next line replaces this one, unless it stays."""
        self.told = time.monotonic()
        if sys.stdout.isatty():
            print(f"\r{line}\033[K", end="\n" if stays else "", flush=True)
        else:
            print(line, flush=True)

    def _left(self, spent: float) -> str:
        return "" if self.outlook is None else f"  {duration(self.outlook.seconds - spent)} left"

    def working(self, what: str, done: int) -> None:
        """Of work between the epochs: at most a line a minute."""
        if time.monotonic() - self.told >= _EVERY:
            self.told = time.monotonic()
            print(f"{done} {what}", flush=True)


def _learned(outlook: Outlook, seed: int, arm: Arm, epoch: Epoch) -> Outlook:
    """The outlook with one epoch less, at the pace of that epoch."""
    slower = epoch.seconds / outlook.pace.epoch[arm]  # than thought; so are the other arm's epochs
    pace = replace(outlook.pace, epoch={name: seconds * slower for name, seconds in outlook.pace.epoch.items()})
    return Outlook(pace, {**outlook.left, (seed, arm): outlook.left[seed, arm] - 1})


def minutely() -> Callable[[str], None]:
    """Prints a line if a minute has passed since the last one that was printed, or since the first call."""
    told = time.monotonic()

    def tell(line: str) -> None:
        nonlocal told
        if time.monotonic() - told >= _EVERY:
            told = time.monotonic()
            print(line, flush=True)

    return tell


def checking() -> Callable[[int, int], None]:
    """Tells how far the check of all pictures is: once a minute, and at its end."""
    told = time.monotonic()

    def tell(done: int, of: int) -> None:
        nonlocal told
        if done == of or time.monotonic() - told >= _EVERY:
            told = time.monotonic()
            print(f"{done} of {of} pictures of the data set checked.", flush=True)

    return tell


def duration(seconds: float) -> str:
    """Such as "8 s", "12 min", "3 h 05 min" or "4 d 2 h"."""
    if seconds < 99.5:
        return f"{max(seconds, 0):.2g} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours = round(seconds / 3600)
    return f"{minutes // 60} h {minutes % 60:02} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
