"""The grid of forms and networks: what each backbone is given, against Pillow and brute force, and what is counted."""

import io
import json
from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from jpegdl.analysis.grid import evaluate_grid
from jpegdl.codec.layer import JPEGLayer
from jpegdl.codec.quantizer import Quantizer, soft_quantize, soft_quantize_all_levels
from jpegdl.codec.segments import ZIGZAG
from jpegdl.codec.variants import clip, cubic
from jpegdl.pairs.card import PairCard
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.pairs.classifier import ARMS, Arm, Classifier, build_classifier
from jpegdl.pairs.evaluate import compare, logits
from jpegdl.pairs.measured import FORMS, Form
from tests.tiny import TINY, add_tiny, noise_bytes, smooth_picture, tables

SIDE = 16


@pytest.fixture(autouse=True)
def tiny_architecture(monkeypatch):
    add_tiny(monkeypatch)


def make_pair(steps: Tensor, quantizer: Quantizer = soft_quantize, *, max_index: int | None = 127) -> ModelPair:
    """Two different untrained tiny networks of 5 classes; of a card only these facts are read."""
    facts = cast(PairCard, SimpleNamespace(name="pair", architecture=TINY, input_size=SIDE))
    codec = JPEGLayer(steps, 5.0, max_index=max_index, quantizer=quantizer)
    arms = (build_classifier(TINY, 5, seed=1), build_classifier(TINY, 5, seed=2, codec=codec))
    return ModelPair.of(facts, *arms)


def photos_and_labels(count: int = 12) -> tuple[Tensor, Tensor]:
    """Crops of waves, mixed with noise, and labels in turn."""
    waves = torch.from_numpy(np.array(smooth_picture(SIDE * count, SIDE))).permute(2, 0, 1)
    pictures = torch.stack(waves.split(SIDE, dim=1)).float()
    return (0.7 * pictures + 0.3 * noise_bytes(count, SIDE)).byte(), torch.arange(count) % 5


class Recorder(nn.Module):
    """A backbone that keeps what it is given."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone, self.seen = backbone, list[Tensor]()

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images)
        return self.backbone(images)


def given(pair: ModelPair, images: Tensor, labels: Tensor) -> dict[Arm, dict[Form, Tensor]]:
    """What `evaluate_grid` gives to each backbone, in one batch, without the normalisation."""
    found: dict[Arm, dict[Form, Tensor]] = {}
    recorders = {}
    for arm in ARMS:
        pair.arm(arm).backbone = recorders[arm] = Recorder(pair.arm(arm).backbone)
    evaluate_grid(pair, images, labels, batch_size=len(images))
    for arm in ARMS:
        classifier = pair.arm(arm)
        found[arm] = {
            form: seen * classifier.std + classifier.mean for form, seen in zip(FORMS, recorders[arm].seen, strict=True)
        }
    return found


def pillow(picture: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, bytes]:
    """Pixels (S, S, 3) and bytes after one round of Pillow's codec with whole tables (2, 8, 8)."""
    file = io.BytesIO()
    qtables = [table.astype(int).ravel().tolist() for table in steps]
    Image.fromarray(picture).save(file, "JPEG", qtables=qtables, subsampling=0, optimize=True)
    return np.array(Image.open(file).convert("RGB")), file.getvalue()


def rows(images: Tensor) -> np.ndarray:
    return images.permute(0, 2, 3, 1).numpy()


def test_both_backbones_are_given_the_same_pictures_in_every_form():
    found = given(make_pair(tables() / 4), *photos_and_labels())
    for form in FORMS:
        assert torch.allclose(found["baseline"][form], found["jpegdl"][form], atol=1e-6)
    assert len({float(found["jpegdl"][form].sum()) for form in FORMS}) == len(FORMS)


def test_raw_soft_exact_and_hard_are_the_pictures_and_the_layer_by_each_formula():
    images, labels = photos_and_labels()
    pair = make_pair(tables() / 4, max_index=40)  # some coefficients beyond the limit, some soft
    codec = pair.codec
    raw = images.double() / 255
    z, steps = codec.coefficients(raw), codec.steps.detach().double()[0][[0, 1, 1]][:, None]
    levels = torch.arange(-40, 41, dtype=torch.float64).view(-1, *[1] * z.ndim) * steps
    weights = torch.softmax(-5.0 * (z - levels).square(), dim=0)
    expected = {
        "raw": raw,
        "exact": codec.to_images((weights * levels).sum(0), SIDE, SIDE),
        "hard": codec.to_images(levels.take_along_dim((z - levels).abs().argmin(0)[None], 0)[0], SIDE, SIDE),
    }
    found = given(pair, images, labels)["jpegdl"]
    assert torch.allclose(found["soft"].double(), codec(raw).detach(), atol=1e-5)
    for form, images in expected.items():
        assert torch.allclose(found[form].double(), images.detach(), atol=1e-4), form  # type: ignore[index]


@pytest.mark.parametrize("quantizer", [soft_quantize_all_levels, clip, cubic])
def test_soft_is_the_pairs_own_quantizer(quantizer):
    images, labels = photos_and_labels()
    pair = make_pair(tables(), quantizer, max_index=5)
    z = pair.codec.coefficients(images / 255)
    own = quantizer(z, tables()[0][[0, 1, 1]][:, None], torch.tensor(5.0), max_index=5)
    found = given(pair, images, labels)["jpegdl"]["soft"]
    assert torch.allclose(found, pair.codec.to_images(own, SIDE, SIDE), atol=1e-5)


def test_file_is_what_pillow_decodes_with_rounded_tables_and_its_size_and_psnr_are_counted():
    images, labels = photos_and_labels()
    steps = tables()
    steps[0, 1, :2] = torch.tensor([0.2, 0.6, 0.7, 0.9, 0.99, 1.0, 1.01, 254.9]).expand(2, 8)
    expected = [pillow(picture, steps[0].round().clamp(1, 255).numpy()) for picture in rows(images)]
    pair = make_pair(steps)
    decoded = torch.from_numpy(np.stack([pixels for pixels, _ in expected])).permute(0, 3, 1, 2)
    assert torch.allclose(given(pair, images, labels)["baseline"]["file"], decoded / 255, atol=1e-6)

    grid = evaluate_grid(pair, images, labels, batch_size=5)
    errors = [((a - b) / 255.0) ** 2 for a, b in zip(rows(images).astype(float), rows(decoded), strict=True)]
    assert grid.psnr == pytest.approx(np.mean([-10 * np.log10(error.mean()) for error in errors]))
    assert grid.bits_per_pixel == pytest.approx(np.mean([8 * len(data) / SIDE**2 for _, data in expected]))
    assert (grid.raised_steps, grid.steps, grid.lossless) == (10, 128, 0)


def scan_bytes(data: bytes) -> int:
    """Entropy-coded bytes of a file of one scan, found by walking over its segments."""
    at = 2
    while data[at + 1] != 0xDA:
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return len(data) - at - len(b"\xff\xd9")


def test_headers_are_left_out_also_where_a_table_looks_like_a_scan():
    images, labels = photos_and_labels()
    steps = tables()
    steps[0, 0].view(-1)[torch.from_numpy(ZIGZAG[10:12].copy())] = torch.tensor([255.0, 218.0])  # FF DA in the file
    files = [pillow(picture, steps[0].round().numpy())[1] for picture in rows(images)]
    assert all(data.count(b"\xff\xda") == 2 for data in files)
    grid = evaluate_grid(make_pair(steps), images, labels)
    assert grid.bits_per_pixel_without_headers == pytest.approx(np.mean([8 * scan_bytes(f) / SIDE**2 for f in files]))


def test_pictures_that_a_file_keeps_exactly_are_counted_and_not_in_the_psnr():
    grey = torch.full((3, 3, SIDE, SIDE), 100, dtype=torch.uint8)
    grid = evaluate_grid(make_pair(torch.ones(2, 8, 8)), grey, torch.zeros(3, dtype=torch.long))
    assert (grid.psnr, grid.lossless) == (None, 3)
    mixed = evaluate_grid(
        make_pair(torch.ones(2, 8, 8)), torch.cat([grey, photos_and_labels(2)[0]]), torch.zeros(5, dtype=torch.long)
    )
    assert mixed.lossless == 3
    assert mixed.psnr is not None
    assert 40 < mixed.psnr < 70


def test_several_rounds_are_several_files_in_series():
    images, labels = photos_and_labels()
    steps = tables(2).round().flip(0)
    twice = [pillow(pillow(picture, steps[0].numpy())[0], steps[1].numpy()) for picture in rows(images)]
    pair = make_pair(steps)
    decoded = torch.from_numpy(np.stack([pixels for pixels, _ in twice])).permute(0, 3, 1, 2)
    assert torch.allclose(given(pair, images, labels)["jpegdl"]["file"], decoded / 255, atol=1e-6)
    grid = evaluate_grid(pair, images, labels)
    assert grid.bits_per_pixel == pytest.approx(np.mean([8 * len(data) / SIDE**2 for _, data in twice]))
    assert grid.steps == 256


def test_the_usual_arms_are_two_cells_and_every_cell_is_paired_with_the_baseline_on_raw_pictures():
    images, _ = photos_and_labels(40)
    pair = make_pair(4 * tables())
    usual = [logits(pair.arm(arm), images) for arm in ARMS]
    labels = usual[0].argmax(1)
    labels[:5] = usual[1][:5].argmax(1)  # so that the sides are not alike
    grid = evaluate_grid(pair, images, labels)
    assert grid.cells["soft"]["jpegdl"].only_baseline > grid.cells["soft"]["jpegdl"].only_jpegdl > 0
    assert grid.cells["soft"]["jpegdl"] == compare(usual[0], usual[1], labels)
    assert grid.cells["raw"]["baseline"] == compare(usual[0], usual[0], labels)
    for form in FORMS:
        for arm in ARMS:
            cell = grid.cells[form][arm]
            assert cell.correct("baseline") == grid.cells["raw"]["baseline"].correct("jpegdl")
            assert cell.n == 40
    crossed = Classifier(nn.Identity(), pair.jpegdl.backbone, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)).eval()
    assert grid.cells["raw"]["jpegdl"] == compare(usual[0], logits(crossed, images), labels)


def test_the_batch_size_bounds_what_a_network_is_given_and_changes_nothing():
    images, labels = photos_and_labels(10)
    pair = make_pair(tables())
    whole = evaluate_grid(pair, images, labels)
    pair.baseline.backbone = recorder = Recorder(pair.baseline.backbone)
    assert evaluate_grid(pair, images, labels, batch_size=4) == whole
    assert sorted({len(seen) for seen in recorder.seen}) == [2, 4]


def test_a_grid_is_json_without_nan():
    grid = evaluate_grid(make_pair(tables()), *photos_and_labels())
    back = json.loads(json.dumps(asdict(grid), allow_nan=False))
    assert back["cells"]["file"]["jpegdl"] == asdict(grid.cells["file"]["jpegdl"])
    assert back["bits_per_pixel"] == grid.bits_per_pixel


def test_floats_other_sizes_and_pairs_without_a_layer_at_the_input_are_refused():
    images, labels = photos_and_labels()
    pair = make_pair(tables())
    for wrong, their_labels in (
        (images / 255, labels),
        (images[..., :8], labels),
        (images, labels[:3]),
        (images[:0], labels[:0]),
    ):
        with pytest.raises(ValueError, match="takes at least one uint8 picture"):
            evaluate_grid(pair, wrong, their_labels)
    with pytest.raises(ValueError, match="no JPEG layer at the input"):
        evaluate_grid(replace(pair, jpegdl=pair.baseline), images, labels)
