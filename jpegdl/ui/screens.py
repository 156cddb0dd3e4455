"""The screens beside Compare: HTML, made when somebody opens one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jpegdl.analysis.results.evidence import Evidence
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.server.uploads import Refused
from jpegdl.ui.about import about
from jpegdl.ui.compare import Chosen, Compare, State, find, read_state
from jpegdl.ui.evidence import evidence_screen
from jpegdl.ui.real_file import real_file
from jpegdl.ui.tables import tables


@dataclass(frozen=True)
class Screens:
    """`evidence` is called when that screen is opened, because reading all cards takes a moment."""

    compare: Compare
    evidence: Callable[[], Evidence]

    def screen(self, name: str, state: dict[str, Any]) -> dict[str, str]:
        """{"html"} of a screen for the browser's state, or {"refused": one sentence}."""
        makers: Mapping[str, Callable[[ModelPair, State], str]] = {
            "file": lambda pair, asked: real_file(pair, self.compare.picture(asked).image),
            "tables": lambda pair, asked: tables(pair, self._upload(asked)),
            "evidence": lambda pair, _: evidence_screen(self.evidence(), pair.card.name),
            "about": lambda pair, _: about(pair.card),
        }
        try:
            asked = read_state(state)
            pair = find(self.compare.pairs, asked)
            if not isinstance(name, str) or name not in makers:
                raise Refused(f"There is no screen {repr(name)[:80]}; there are {', '.join(makers)}.")
            return {"html": makers[name](pair, asked)}
        except Refused as refused:
            return {"refused": str(refused)}

    def _upload(self, asked: State) -> Chosen | None:
        """The visitor's own picture, if that is what is looked at."""
        return self.compare.picture(asked) if asked.picture == "upload" else None
