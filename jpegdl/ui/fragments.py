"""Pieces of the page as HTML. Pure functions; every text is escaped; styles are in static/page.css."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from jpegdl.analysis.compression import Compression
from jpegdl.analysis.results.report import format_p, verdict
from jpegdl.analysis.results.runs import departures
from jpegdl.codec.jpegfile import JPEGFile
from jpegdl.pairs.card import PairCard
from jpegdl.pairs.classifier import ARMS, Arm
from jpegdl.pairs.comparison import Comparison
from jpegdl.ui.heatmaps import legend

ARM_NAMES: Mapping[Arm, str] = {"baseline": "Baseline", "jpegdl": "JPEG-DL"}


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Both arms' first choice for one picture: class name and probability 0..1, and the truth if it is known."""

    top: Mapping[Arm, tuple[str, float]]
    true_label: str | None = None


def verdict_strip(card: PairCard, decision: Decision | None = None) -> str:
    """What both arms say about this picture (once there is one), and how often each is right on the test set."""
    counts = card.results["test"]
    picture = _picture_line(decision) if decision else ""
    return (
        f'<section class="jx jx-verdict" aria-label="Verdict">{picture}{_test_line(counts)}{_counts(counts)}</section>'
    )


def verdict_sentence(card: PairCard) -> str:
    """Which pair this is, which arm is ahead on its test set, and in what the run departed from its recipe."""
    changed = ", ".join(departures(card)).replace("_", " ")
    note = f" Trained with {changed}." if changed else ""
    return f'<p class="jx"><b>{escape(card.title)}.</b> {escape(verdict(card) + note)}</p>'


def _picture_line(decision: Decision) -> str:
    answers = {}
    for arm, (name, probability) in decision.top.items():
        mark = "" if decision.true_label is None else _mark(name == decision.true_label)
        answers[arm] = f"<b>{escape(name)}</b> {_percent(probability)}{mark}"
    first, second = (decision.top[arm][0] for arm in ARMS)
    agreement = "Both name the same class." if first == second else "They name different classes."
    if decision.true_label is not None:
        agreement += f" True label: {decision.true_label}."
    return _line("This picture", answers, escape(agreement))


def _test_line(counts: Comparison) -> str:
    answers = {}
    for arm in ARMS:
        low, high = counts.interval(arm)
        interval = f"[{100 * low:.1f}, {100 * high:.1f}]"
        answers[arm] = (
            f'<b class="jx-number">{_percent(counts.accuracy(arm))}</b> '
            f'<span class="jx-number jx-quiet" title="Wilson’s 95 % interval">{interval}</span>'
        )
    points = _points(counts.accuracy("jpegdl") - counts.accuracy("baseline"))
    p = f"p = {format_p(counts.p_value)}"
    compared = (
        f'<span class="jx-number" title="JPEG-DL minus baseline">Difference {points} points</span>, '
        f'<span class="jx-number" title="McNemar’s exact test, two-sided">{p}</span>'
    )
    return _line(f"Test set, n = {counts.n}", answers, compared)


def _line(label: str, answers: Mapping[Arm, str], compared: str) -> str:
    """One line of the strip: label, one answer an arm (HTML), what the comparison says (HTML)."""
    shown = "".join(
        f'<p class="jx-answer jx-{arm}"><span class="jx-arm">{ARM_NAMES[arm]}</span> <span>{answers[arm]}</span></p>'
        for arm in ARMS
    )
    return f'<div class="jx-line"><h3>{escape(label)}</h3>{shown}<p class="jx-compared">{compared}</p></div>'


def _counts(counts: Comparison) -> str:
    named = {
        "both right": counts.both,
        "only baseline": counts.only_baseline,
        "only JPEG-DL": counts.only_jpegdl,
        "neither": counts.neither,
    }
    items = "".join(f"<div><dt>{name}</dt><dd>{count}</dd></div>" for name, count in named.items())
    return f'<dl class="jx-counts">{items}</dl>'


def paired_bars(
    class_names: Sequence[str],
    probabilities: Mapping[Arm, ArrayLike],
    *,
    top: int = 5,
    targets: Mapping[Arm, int] | None = None,
    true_label: int | None = None,
) -> str:
    """Both arms' bars for each arm's `top` classes, most probable first; probabilities (classes,), 0..1.

    `targets`: the class that each arm's map explains, `true_label`: the right one, all as indices; they are marked, and
    shown also when they are not among the first.
    """
    shares = {arm: np.asarray(probabilities[arm], dtype=np.float64) for arm in ARMS}
    tags = _tags(targets, true_label)
    shown = {int(index) for arm in ARMS for index in np.argsort(-shares[arm], kind="stable")[:top]} | set(tags)
    groups = []
    for index in sorted(shown, key=lambda index: -max(shares[arm][index] for arm in ARMS)):
        marks = "".join(f' <span class="jx-tag">{tag}</span>' for tag in tags.get(index, []))
        baseline, jpegdl = (float(shares[arm][index]) for arm in ARMS)
        groups.append(
            f'<tbody><tr><th scope="rowgroup" colspan="2">{escape(class_names[index])}{marks}</th>'
            f'<td class="jx-number" title="JPEG-DL minus baseline">{_points(jpegdl - baseline)} points</td></tr>'
            f"{_bar('baseline', baseline)}{_bar('jpegdl', jpegdl)}</tbody>"
        )
    return (
        f'<table class="jx jx-bars"><caption>Each network’s {top} most probable classes, and how many points JPEG-DL '
        "gives more (+) or less (−) than the baseline.</caption><colgroup><col><col><col></colgroup><thead><tr>"
        '<th scope="col">Network</th><th scope="col" colspan="2">Probability</th></tr></thead>'
        f"{''.join(groups)}</table>"
    )


def _tags(targets: Mapping[Arm, int] | None, true_label: int | None) -> dict[int, list[str]]:
    """Class index -> what is said about it."""
    tags: dict[int, list[str]] = {}
    if targets and len(set(targets.values())) == 1:
        tags[targets["baseline"]] = ["explained"]
    elif targets:
        tags = {targets[arm]: [f"explained for {ARM_NAMES[arm]}"] for arm in ARMS}
    if true_label is not None:
        tags.setdefault(true_label, []).append("true label")
    return tags


def _bar(arm: Arm, share: float) -> str:
    return (
        f'<tr><th scope="row" class="jx-arm">{ARM_NAMES[arm]}</th>'
        f'<td><div class="jx-track"><div class="jx-bar jx-{arm}" style="width:{100 * share:.1f}%"></div></div></td>'
        f'<td class="jx-number">{_percent(share)}</td></tr>'
    )


def ruler(maximum: float, *, cells: tuple[int, int], difference: bool = False) -> str:
    """Legend of mass-normalised maps of (h, w) cells: 0 to `maximum`, or -maximum to +maximum of their difference.

    `maximum` is the share of a map's sum in one cell, 0..1, at the stage's own resolution.
    """
    height, width = cells
    if difference:
        end = f"{100 * maximum:.1f}"
        ticks = [(0.0, f"−{end} points, baseline more"), (0.5, "0"), (1.0, f"JPEG-DL more, +{end} points")]
        return legend("difference", ticks, f"JPEG-DL minus baseline, in each of {height} × {width} cells.")
    label = (
        f"Share of the whole map in one of its {height} × {width} cells. Each map sums to 100 %; spread evenly, "
        f"every cell would have {_percent(1 / (height * width))}."
    )
    return legend("heat", [(0.0, "0"), (0.5, _percent(maximum / 2)), (1.0, _percent(maximum))], label)


def compression_facts(compression: Compression, file: JPEGFile, *, max_index: int | None, gain: int) -> str:
    """What the layer and a real .jpg with its tables did to this picture.

    `max_index` is the layer's limit, `gain` what the residual picture is multiplied by.
    """
    psnr = "identical" if np.isinf(compression.psnr) else f"{compression.psnr:.1f} dB"
    limit = "no limit in this pair" if max_index is None else f"cut off at ±{max_index} steps, brightness first"
    return definitions(
        [
            ("PSNR", psnr, "reconstruction against the picture; higher is closer"),
            ("Real .jpg", f"{file.bits_per_pixel:.2f} bits per pixel", "24 without compression"),
            ("Zeroed", _percent(compression.zeroed), "of the coefficients round to 0"),
            ("Limited", _percent(compression.limited), f"of the coefficients; {limit}"),
            ("Beyond black or white", _percent(compression.outside), "of the values; the network sees them uncut"),
            (
                "Five or all levels",
                f"{255 * compression.five_or_all:.2f} grey levels",
                "mean difference between the executed quantizer and the paper’s formula",
            ),
            ("Difference picture", f"× {gain}", "how much the last picture is amplified"),
            ("Changed steps", f"{len(file.changed)} of 128", "a .jpg needs whole numbers 1..255"),
        ]
    )


def notice(kind: Literal["info", "warning"], text: str) -> str:
    """A box with one short text; the kind is also said in words."""
    word = {"info": "Note", "warning": "Warning"}[kind]
    return f'<p class="jx jx-notice jx-{kind}" role="status"><b>{word}:</b> {escape(text)}</p>'


def definitions(facts: Iterable[tuple[str, str, str]]) -> str:
    """A definition list of (term, value, note) each, all plain text."""
    items = "".join(
        f"<div><dt>{escape(term)}</dt><dd>{escape(str(value))}"
        + (f" <small>{escape(note)}</small>" if note else "")
        + "</dd></div>"
        for term, value, note in facts
    )
    return f'<dl class="jx jx-facts">{items}</dl>'


def _mark(right: bool) -> str:
    sign, word = ("✓", "right") if right else ("✗", "wrong")
    return f' <span class="jx-mark jx-{word}" role="img" aria-label="{word}" title="{word}">{sign}</span>'


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(difference: float) -> str:
    """A difference of shares in points with its sign; 0.0 has none."""
    text = f"{100 * difference:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")
