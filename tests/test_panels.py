"""What is taken away from an answer: exact pictures with speaking names, and numbers that say what they are."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from jpegdl.analysis.figures import colour_at
from jpegdl.analysis.numbers import answer_numbers, describe_pair, named_tables
from jpegdl.analysis.panels import NAMES, learned_file, panels
from jpegdl.analysis.request import Answer, answer, make_request
from jpegdl.codec.jpegfile import read_tables
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.pairs.classifier import ARMS
from tests.tiny import TINY, add_tiny, smooth_picture, tiny_pair


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> ModelPair:
    with pytest.MonkeyPatch.context() as patch:
        add_tiny(patch)
        return tiny_pair(tmp_path_factory.mktemp("pairs") / "one", TINY, 7)


@pytest.fixture
def found(pair, monkeypatch) -> Answer:
    add_tiny(monkeypatch)
    request = make_request(pair.card, smooth_picture(40, 60), target="class 3", true_class="class 2")
    return answer({"one": pair}, request)


@pytest.fixture
def files(pair, found) -> dict[str, bytes]:
    return panels(found, learned_file(pair, found))


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_files_have_their_names_in_order_and_the_kind_that_the_name_says(files):
    assert tuple(files) == NAMES
    for name, data in files.items():
        assert Image.open(io.BytesIO(data)).format == {"png": "PNG", "jpg": "JPEG"}[name[-3:]]


def test_the_picture_and_the_reconstruction_are_there_pixel_by_pixel(files, found):
    assert np.array_equal(pixels(files["picture.png"]), found.square)
    assert np.array_equal(pixels(files["reconstruction.png"]), found.reconstruction)
    assert not np.array_equal(found.reconstruction, found.square)


def test_maps_are_drawn_as_cells_on_one_scale(files, found):
    shares = {arm: found.map(arm, 3) / found.map(arm, 3).sum() for arm in ARMS}
    highest = max(share.max() for share in shares.values())
    for arm in ARMS:
        drawn = pixels(files[f"map-{arm}.png"])
        rows, columns = shares[arm].shape
        each = len(drawn) // rows
        assert drawn.shape == (each * rows, each * columns, 3)
        for (row, column), share in np.ndenumerate(shares[arm]):
            cell = drawn[row * each : (row + 1) * each, column * each : (column + 1) * each].reshape(-1, 3)
            assert (cell == cell[0]).all()
            assert np.abs(cell[0].astype(int) - colour_at("heat", share / highest)).max() <= 2


def test_the_jpeg_holds_the_learned_tables(files, pair):
    assert np.array_equal(
        np.array(read_tables(files["learned-tables.jpg"])), named_tables(pair)["learned as in a .jpg"]
    )


def test_numbers_are_json_and_carry_settings_target_and_versions(pair, found):
    numbers = json.loads(json.dumps(answer_numbers(pair, found, learned_file(pair, found)), allow_nan=False))
    assert numbers["settings"] == {
        "target": "class 3",
        "true_class": "class 2",
        "stage": "last",
        "quantizer": "five levels",
    }
    assert {"torch", "numpy"} <= set(numbers["versions"])
    for arm in ARMS:
        said = numbers["arms"][arm]
        assert said["explained_class"] == "class 3"
        assert np.allclose(list(said["probabilities"].values()), found.probabilities[arm])
        assert said["answer"] == max(said["probabilities"], key=said["probabilities"].get)
        assert np.sum(said["map"]) == pytest.approx(1)
        assert np.allclose(np.array(said["map"]) * said["map_sum_raw"], found.map(arm, 3), rtol=1e-5)


def test_a_pairs_description_offers_what_a_request_accepts(pair, monkeypatch):
    add_tiny(monkeypatch)
    described = describe_pair(pair)
    for target in (*described["targets"], *described["classes"]):
        for stage in described["stages"]:
            for quantizer in described["quantizers"]:
                make_request(
                    pair.card,
                    smooth_picture(20, 20),
                    target=target,
                    true_class=described["classes"][0],
                    stage=stage,
                    quantizer=quantizer,
                )
    assert described["default_stage"] == described["stages"][-1]
    assert described["test_set"]["n"] == pair.card.results["test"].n
