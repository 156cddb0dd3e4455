"""Maps of a set: those of one picture at a time, in pieces or whole; boxes carried through the crop."""

import numpy as np
import pytest
import torch
from PIL import Image

from jpegdl.analysis.explain import Explained, ExplainedBatch
from jpegdl.analysis.map_study import BLIND, Subject, box_in_square, column, study, study_curves
from jpegdl.analysis.saliency import Box, share_inside
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.pairs.classifier import ARMS
from jpegdl.pairs.prepare import crop, prepare
from tests.tiny import add_tiny, noise, noise_bytes, tiny_pair

STAGES = ["early", "last"]
BOX = Box(0.25, 0.1, 0.9, 0.8)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> ModelPair:
    with pytest.MonkeyPatch.context() as patch:
        add_tiny(patch)
        return tiny_pair(tmp_path_factory.mktemp("pairs") / "tiny")


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    add_tiny(monkeypatch)


def subjects(count: int) -> list[Subject]:
    squares = noise_bytes(count, 16).permute(0, 2, 3, 1).numpy()
    return [Subject(3 * number, square, number % 5, BOX) for number, square in enumerate(squares)]


@pytest.mark.parametrize("path", ["1", "4"])
@pytest.mark.parametrize("arm", ARMS)
def test_maps_of_a_batch_are_those_of_each_picture(pair, arm, path):
    backbone, seen = pair.arm(arm).backbone, noise(6, 16)
    classes = torch.tensor([0, 4, 2, 2, 1, 3])
    batch = ExplainedBatch(backbone, path, seen)
    maps = batch.maps(classes)
    for number, wanted in enumerate(classes.tolist()):
        alone = Explained(backbone, path, seen[number : number + 1])
        np.testing.assert_allclose(maps[number], alone.maps([wanted])[0], rtol=1e-5, atol=1e-5 * maps.max())
        np.testing.assert_allclose(batch.logits[number].softmax(0), alone.probabilities, rtol=1e-5)
    assert maps.shape == (6, 8, 8)
    assert maps.any()
    assert all(parameter.grad is None for parameter in backbone.parameters())


def test_a_study_has_every_measure_of_every_map_at_every_stage(pair):
    found = study(pair, subjects(3), stages=STAGES)
    whose = [*(f"{arm} {name}" for arm in ARMS for name in ("true", "own")), *BLIND]
    expected = {column(m, s, of) for m in ("share", "pointing", "contrast") for s in STAGES for of in whose}
    assert set(found) == expected
    assert all(len(values) == 3 for values in found.values())


def test_a_study_asks_for_the_true_class_and_for_each_networks_own(pair):
    some = subjects(4)
    found = study(pair, some, stages=["last"])
    images = torch.stack([torch.from_numpy(subject.square) for subject in some]).permute(0, 3, 1, 2).float() / 255
    for arm in ARMS:
        network = pair.arm(arm)
        for number, subject in enumerate(some):
            alone = Explained(network.backbone, "4", network.normalize(network.codec(images[number : number + 1])))
            for name, wanted in (("true", subject.label), ("own", int(alone.probabilities.argmax()))):
                share = share_inside(alone.maps([wanted])[0], BOX)
                assert found[column("share", "last", f"{arm} {name}")][number] == pytest.approx(share, rel=1e-4)


def test_a_study_in_pieces_is_the_study_of_the_whole(pair):
    some = subjects(5)
    for part in (
        lambda chosen: study(pair, chosen, stages=STAGES, seed=7),
        lambda chosen: study_curves(pair, chosen, stage="last", steps=3, seed=7),
    ):
        whole, first, second = part(some), part(some[:2]), part(some[2:])
        for name, values in whole.items():
            np.testing.assert_allclose(values, [*first[name], *second[name]], rtol=1e-4, atol=1e-6, err_msg=name)


def test_curves_of_a_networks_own_answer_are_those_of_the_true_class_where_they_agree(pair):
    (subject,) = subjects(1)
    answers = {arm: int(pair.arm(arm)(_unit(subject)).argmax()) for arm in ARMS}
    agreeing = Subject(0, subject.square, answers["baseline"], BOX)
    found = study_curves(pair, [agreeing], stage="last", steps=4)
    for curve in ("deletion", "insertion"):
        assert found[column(curve, "last", "baseline own")] == found[column(curve, "last", "baseline true")]
        for name in ("own", "true", *BLIND):
            assert 0 < found[column(curve, "last", f"jpegdl {name}")][0] < 1
    assert len(found) == 2 * len(ARMS) * 5


def _unit(subject: Subject) -> torch.Tensor:
    return torch.from_numpy(subject.square).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize(("width", "height"), [(400, 256), (256, 333), (500, 375), (90, 120)])
def test_a_box_is_carried_through_scaling_and_cropping(width, height):
    """Against the pixels: a white rectangle is drawn, prepared, and found again."""
    left, top, right, bottom = width // 3, height // 4, width // 2, height // 2
    picture = Image.new("RGB", (width, height))
    picture.paste((255, 255, 255), (left, top, right, bottom))
    square = prepare(picture, 112, 128)[0].numpy() > 127
    box = box_in_square(left, top, right - left, bottom - top, crop(width, height, 112, 128))
    columns, rows = np.flatnonzero(square.any(0)), np.flatnonzero(square.any(1))
    found = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    np.testing.assert_allclose(np.array(box) * 112, found, atol=1)
