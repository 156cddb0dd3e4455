"""What is known about all runs, as plain data: the numbers of docs/results.md for the page."""

from collections.abc import Iterable, Sequence
from functools import cached_property

from jpegdl.analysis.results.claims import CLAIMS, verdict_on
from jpegdl.analysis.results.controls import control_text, controls_of, limit_text
from jpegdl.analysis.results.findings import (
    Attacked,
    Attacks,
    ClaimEvidence,
    ClaimItem,
    Control,
    Counted,
    Input,
    Maps,
    PaperCell,
    RunEvidence,
    Share,
)
from jpegdl.analysis.results.grid import MEANINGS, files_text
from jpegdl.analysis.results.limits import limits
from jpegdl.analysis.results.maps import maps_findings
from jpegdl.analysis.results.report import verdict
from jpegdl.analysis.results.robustness import all_signs, finding, missing_checks
from jpegdl.analysis.results.runs import TrainedRun, gather, meaning, points, unpaired
from jpegdl.analysis.results.words import chance_text
from jpegdl.pairs.architectures import network_title
from jpegdl.pairs.card import PairCard
from jpegdl.pairs.classifier import ARMS, Arm
from jpegdl.pairs.comparison import Comparison
from jpegdl.pairs.measured import FORMS, Grid, RobustAccuracy


class Evidence:
    """All runs, shipped pairs first; each part is worked out when it is first asked for, as maps take a moment.

    Raises ValueError for cards that `results_markdown` refuses.
    """

    def __init__(self, pairs: Iterable[PairCard], records: Iterable[PairCard] = ()) -> None:
        self._gathered = gather(pairs, records)

    @cached_property
    def runs(self) -> tuple[RunEvidence, ...]:
        return tuple(_run(run, self._gathered) for run in self._gathered)

    @cached_property
    def maps(self) -> dict[str, Maps]:
        """What the study of maps of a shipped pair found, by the pair's name."""
        shipped = (run.card for run in self._gathered if run.shipped)
        return {card.name: maps_findings(card.maps) for card in shipped if card.maps}

    @cached_property
    def claims(self) -> tuple[ClaimEvidence, ...]:
        return tuple(
            ClaimEvidence(
                text=claim.text,
                where=claim.where,
                verdict=verdict_on(found, claim.cells),
                items=tuple(ClaimItem(**vars(item)) for item in found),
            )
            for claim in CLAIMS
            for found in [claim.find(self._gathered)]
        )


def _run(run: TrainedRun, runs: Sequence[TrainedRun]) -> RunEvidence:
    card = run.card
    grid = card.grid
    return RunEvidence(
        name=card.name,
        title=card.title,
        shipped=run.shipped,
        data=card.dataset.title,
        network=network_title(card.architecture),
        layer=meaning(run),
        pixels=card.input_size,
        epochs=card.recipe.epochs,
        seed=card.seed,
        sets={name: counted(counts) for name, counts in card.results.items()},
        seeds={seed: counted(counts) for seed, counts in run.test.items()},
        verdict=verdict(card),
        limit=limit_text(card),
        flaws=card.flaws,
        not_full=tuple(limits(run)),
        controls=tuple(_control(control, run, seed) for control, seed in controls_of(run, runs)),
        paper=_paper(run),
        inputs=_inputs(grid) if grid else (),
        files=files_text(grid) if grid else "",
        attacks=_attacks(card.robustness) if card.robustness else None,
    )


def _inputs(grid: Grid) -> tuple[Input, ...]:
    cells = grid.cells
    return tuple(
        Input(
            form=form,
            meaning=MEANINGS[form],
            shares={arm: share_of(cells[form][arm], "jpegdl") for arm in ARMS},
            p_values={arm: None if (form, arm) == ("raw", "baseline") else cells[form][arm].p_value for arm in ARMS},
        )
        for form in FORMS
    )


def counted(counts: Comparison) -> Counted:
    """The counts with everything that follows from them."""
    return Counted(
        n=counts.n,
        both=counts.both,
        only_baseline=counts.only_baseline,
        only_jpegdl=counts.only_jpegdl,
        neither=counts.neither,
        baseline=share_of(counts, "baseline"),
        jpegdl=share_of(counts, "jpegdl"),
        points=points(counts),
        p_value=counts.p_value,
        chance=chance_text(counts.p_value),
    )


def share_of(counts: Comparison, arm: Arm) -> Share:
    """One side's accuracy and its interval, percent."""
    low, high = counts.interval(arm)
    return Share(percent=100 * counts.accuracy(arm), low=100 * low, high=100 * high)


def _control(control: TrainedRun, whole: TrainedRun, seed: int) -> Control:
    own, method = control.test[seed], whole.test[seed]
    ahead, p = unpaired(own, method)
    return Control(
        name=control.card.name,
        layer=meaning(control),
        seed=seed,
        counted=counted(own),
        against_method=ahead,
        against_method_p=p,
        sentence=control_text(control, whole, seed),
    )


def _paper(run: TrainedRun) -> PaperCell | None:
    figure = run.figure
    if figure is None:
        return None
    return PaperCell(**vars(figure), gain=figure.gain, comparable=not run.card.departures)


def _attacks(rows: Sequence[RobustAccuracy]) -> Attacks:
    missing = tuple(missing_checks(rows))
    direction, sentence = finding(rows)
    return Attacks(
        rows=() if missing else tuple(map(_attacked, rows)),
        missing=missing,
        signs=() if missing else tuple(all_signs(rows)),
        direction=direction,
        sentence=sentence,
    )


def _attacked(row: RobustAccuracy) -> Attacked:
    return Attacked(
        attack=row.attack.name,
        epsilon=255 * row.attack.epsilon,
        steps=row.attack.steps,
        restarts=row.attack.restarts,
        clean=counted(row.clean),
        attacked=counted(row.attacked),
        zero_gradients={arm: 100 * row.checks.zero_gradient_pictures[arm] for arm in ARMS},
        flat_coefficients=100 * row.checks.flat_coefficients,
        median_hardness=row.checks.median_hardness,
    )
