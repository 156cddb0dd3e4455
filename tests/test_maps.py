"""The study of maps: measured in pieces by a command, kept in the card, and told with intervals and blind maps."""

from argparse import Namespace
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from jpegdl.analysis.map_study import BLIND, column
from jpegdl.analysis.results.claims import CLAIMS
from jpegdl.analysis.results.map_numbers import AREA, NUMBER, SIZES, MapTable, both, estimate
from jpegdl.analysis.results.maps import answer, maps_section
from jpegdl.analysis.results.report import results_markdown
from jpegdl.commands import maps as command
from jpegdl.commands.pieces import keep, pieces_in
from jpegdl.pairs.checkpoints import load_pair
from jpegdl.pairs.measured import Measured, Numbers
from jpegdl.training.boxes import PixelBox
from jpegdl.training.data import to_examples
from tests.cards import LEVEL, run
from tests.tiny import add_tiny, noise_bytes, write_pair

STAGE = "last"
N = 200


def measured(gain: float, *, pointing: float = 0.0, seed: int = 0) -> Measured:
    """Invented numbers of N pictures and 10 more without their object; JPEG-DL's shares are larger by `gain`."""
    draw = np.random.default_rng(seed)
    areas = draw.uniform(0.05, 0.95, N)
    columns: dict[str, np.ndarray] = {NUMBER: np.arange(N + 10), AREA: np.append(areas, np.zeros(10))}
    for measure, shift in (("share", gain), ("pointing", pointing), ("contrast", gain)):
        for of in ("baseline true", "baseline own", "jpegdl true", "jpegdl own", *BLIND):
            values = 0.4 + draw.normal(0, 0.05, N) + (shift if "jpegdl" in of else 0) - 0.2 * (of == "random")
            columns[column(measure, STAGE, of)] = np.append(values, np.full(10, 99.0))
    for curve in ("deletion", "insertion"):
        for arm in ("baseline", "jpegdl"):
            for of in ("true", "own", *BLIND):
                columns[column(curve, STAGE, f"{arm} {of}")] = draw.uniform(0.1, 0.3, 40)
    arrays = {name: Numbers.of(values) for name, values in columns.items()}
    return Measured(settings={"pictures": N + 10, "curves": 40, "steps": 8, "seed": 0}, arrays=arrays)


def test_an_estimate_is_the_mean_with_the_interval_of_another_bootstrap():
    values = np.random.default_rng(3).exponential(1, 300).astype(np.float32)
    found = estimate(np.append(values, np.float32("nan")))
    theirs = stats.bootstrap((values,), np.mean, method="percentile", rng=np.random.default_rng(1)).confidence_interval
    assert found.n == 300
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.012)
    assert estimate(values) == found


def test_too_few_pictures_give_no_number():
    nine, ten = (estimate(np.linspace(0, 1, n, dtype=np.float32)) for n in (9, 10))
    assert (nine.n, ten.n) == (9, 10)
    assert np.isnan(nine.mean)
    assert ten.low < ten.mean < ten.high


def test_differences_are_of_the_same_pictures():
    shared = np.random.default_rng(0).normal(0, 1, N).astype(np.float32)
    maps = MapTable(measured(0))
    for of, shift in (("baseline true", 0), ("jpegdl true", 0.01)):
        maps.columns[column("share", STAGE, of)] = shared + np.float32(shift)
    found = maps.difference("share", STAGE, *both("true"))
    assert (found.mean, found.low, found.high) == pytest.approx((0.01, 0.01, 0.01), abs=1e-6)
    assert found.direction == 1


def test_pictures_without_their_object_are_left_out_and_counted():
    maps = MapTable(measured(0.1))
    assert (len(maps.areas), maps.outside, maps.mean("share", STAGE, "centre").n) == (N, 10, N)
    assert maps.mean("share", STAGE, "jpegdl true").mean == pytest.approx(0.5, abs=0.02)
    assert maps.mean("deletion", STAGE, "jpegdl true").n == 40
    assert "10 more have their object outside" in maps_section(measured(0.1))


def test_every_picture_belongs_to_one_size():
    maps = MapTable(measured(0))
    sizes = [maps.mean("share", STAGE, "centre", size).n for size in SIZES]
    assert sum(sizes) == N
    assert sizes[0] == (maps.areas <= 0.125).sum()


def test_a_picture_is_placed_among_all():
    maps = MapTable(measured(0))
    values = maps.values("share", STAGE, "centre")
    assert maps.below("share", STAGE, "centre", float(np.median(values))) == pytest.approx(0.5, abs=0.01)
    assert maps.below("share", STAGE, "centre", 2) == 1


@pytest.mark.parametrize(
    ("study", "direction", "said"),
    [
        (measured(0.1), 1, "JPEG-DL's lie more on the object"),
        (measured(-0.1), -1, "JPEG-DL's lie less on the object"),
        (measured(0), 0, "JPEG-DL's lie not clearly more or less on the object"),
        (measured(0.1, pointing=-0.2), 0, "not clearly more or less"),
    ],
)
def test_the_claim_is_answered_by_the_interval_of_the_share_unless_another_measure_contradicts(study, direction, said):
    found = answer(MapTable(study))
    assert found[0] == direction
    assert said in found[1]
    page = results_markdown([replace(run("cub50-resnet18", LEVEL), maps=study)])
    claim = next(line for line in page.splitlines() if line.startswith(f"- {CLAIMS[-1].text}"))
    wanted = {1: "in the claimed direction", -1: "in the opposite direction", 0: "no clear difference"}[direction]
    assert wanted in claim


def test_an_earlier_stage_that_says_otherwise_stands_behind_the_answer():
    """Columns are in the order of the network, the last stage at the end."""
    for gain, said in ((-0.1, " At stage 4: less (share of the map in the box −"), (0.0, "")):
        both_stages = replace(measured(0), arrays=dict(measured(0).arrays))
        early = {name.replace(f"/{STAGE}/", "/stage 4/"): n for name, n in measured(gain).arrays.items()}
        study = replace(both_stages, arrays={**early, **both_stages.arrays})
        direction, sentence = answer(MapTable(study))
        assert direction == 0
        assert sentence.startswith(f"Maps of the true class at {STAGE}: ")
        assert ("At stage 4" in sentence) == bool(said)
        assert said in sentence


def test_the_section_has_both_networks_blind_maps_curves_and_sizes():
    text = maps_section(measured(0.1))
    for said in ("noise", "a bump in the middle", "the picture's edges", "difference, of the true class", *SIZES):
        assert f"| {said} |" in text
    assert "over 8 steps, n = 40" in text
    assert "nan" not in text


# --- the command --------------------------------------------------------------------------------------


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Namespace:
    """evaluate --maps on an untrained pair and seven pictures with boxes."""
    add_tiny(monkeypatch)
    write_pair(tmp_path / "pair")
    pictures = noise_bytes(7, 24).permute(0, 2, 3, 1).numpy()
    test = to_examples((picture, number % 5) for number, picture in enumerate(pictures))
    monkeypatch.setattr(command, "dataset_of", lambda card, folder: Namespace(test=test))
    monkeypatch.setattr(command, "boxes_of_test", lambda name, folder: [PixelBox(6, 7, 9, n + 2) for n in range(7)])
    monkeypatch.setattr(command, "AT_ONCE", 2)
    return Namespace(pair=tmp_path / "pair", data=tmp_path, device=torch.device("cpu"), limit=5, curves=2, steps=3)


def test_the_card_holds_the_numbers_of_evenly_spread_pictures(asked, capsys):
    command.measure_maps(asked)
    study = load_pair(asked.pair).card.maps
    assert study is not None
    assert study.settings == {"pictures": 5, "curves": 2, "steps": 3, "seed": 0}
    assert study.arrays[NUMBER].array().tolist() == [0, 2, 3, 4, 6]
    lengths = {name: len(numbers.array()) for name, numbers in study.arrays.items()}
    assert {lengths[name] for name in lengths if name.split("/")[0] in ("deletion", "insertion")} == {2}
    assert lengths[column("share", "early", "baseline true")] == 5
    assert "Do the maps lie on the object" in capsys.readouterr().out
    assert [path.name for path in asked.pair.parent.iterdir()] == ["pair"]


def test_a_stopped_measurement_goes_on_to_the_same_numbers(asked, monkeypatch):
    command.measure_maps(asked)
    whole = load_pair(asked.pair).card.maps
    done: list[object] = []

    def stop(file: Path, piece: object) -> None:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(piece)
        keep(file, piece)

    monkeypatch.setattr(command, "keep", stop)
    with pytest.raises(KeyboardInterrupt):
        command.measure_maps(asked)
    with pytest.raises(ValueError, match=r"was begun with other settings: steps; give the same, or remove the file"):
        command.measure_maps(Namespace(**(vars(asked) | {"steps": 4})))
    monkeypatch.setattr(command, "keep", keep)
    command.measure_maps(asked)
    assert load_pair(asked.pair).card.maps == whole


def test_more_steps_than_the_curves_have_are_refused(asked):
    with pytest.raises(ValueError, match=r"--steps must be at most 20, got 21"):
        command.measure_maps(Namespace(**(vars(asked) | {"steps": 21})))


def test_two_at_a_time_do_not_mix_their_pieces(asked, monkeypatch):
    def meanwhile(file: Path, piece: object) -> None:
        with pytest.raises(ValueError, match=r"another program measures what is in .*\.pair\.maps; wait for it"):
            command.measure_maps(asked)
        keep(file, piece)

    monkeypatch.setattr(command, "keep", meanwhile)
    command.measure_maps(asked)
    study = load_pair(asked.pair).card.maps
    assert study is not None
    assert study.arrays[NUMBER].array().tolist() == [0, 2, 3, 4, 6]


def held(file: Path) -> list[object]:
    """What is found in the file, which is left there as by a kill."""
    with suppress(KeyboardInterrupt), pieces_in(file, {"a": 1}) as pieces:
        found: list[object] = pieces
        raise KeyboardInterrupt
    return found


@pytest.mark.parametrize(
    "end", ["", "[2", "[2]\n\0\0\0\n[3]\n", "[2]\n\xff\n"], ids=["nothing", "half", "zeros", "bytes"]
)
def test_a_piece_that_was_cut_off_or_is_damaged_is_done_again_and_those_after_it(tmp_path, end):
    file = tmp_path / "state"
    assert held(file) == []
    keep(file, [1])
    with file.open("ab") as lines:
        lines.write(end.encode("latin-1"))
    whole = [[1], [2]] if "[2]" in end else [[1]]
    assert held(file) == whole
    keep(file, [4])
    assert held(file) == [*whole, [4]]


@pytest.mark.parametrize("content", [b"\0" * 30, b"\xff\xfe\n", b"[1]\n", b"half of a line"])
def test_a_file_that_does_not_say_what_its_pieces_are_is_named(tmp_path, content):
    (tmp_path / "state").write_bytes(content)
    with pytest.raises(ValueError, match=r"state is damaged; remove it to measure from the beginning"):
        held(tmp_path / "state")
    assert (tmp_path / "state").read_bytes() == content
