"""Finished arms that wait for the other half of their pair are whole, and trained as their recipe says."""

from pathlib import Path

import pytest
import torch

from jpegdl.pairs.arms import load_arm
from jpegdl.pairs.seeds import other_recipe
from jpegdl.training.catalogue import RECIPES
from tests.tiny import noise

ROOT = Path(__file__).parents[1]
FOLDERS = sorted(path.parent for path in (ROOT / "arms").glob("*/*/arm.json"))
SHORTER = {"input_size", "epochs", "milestones"}  # what a slow machine may change, and says


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_a_kept_arm_is_final_and_follows_the_recipe_of_its_folder(folder):
    card, network = load_arm(folder)
    assert card.paper_recipe == RECIPES[folder.parent.name]
    assert set(other_recipe(card.recipe, card.paper_recipe)) <= SHORTER
    assert [epoch.number for epoch in card.history] == list(range(1, card.recipe.epochs + 1))
    assert (card.arm, card.flaws) == ("baseline", ())
    logits = network(noise(2, card.input_size))
    assert logits.shape == (2, len(card.class_names))
    assert torch.isfinite(logits).all()
    assert card.weights is not None
    assert (folder / card.weights.file).stat().st_size < 25_000_000


def test_an_arm_leaves_when_its_pair_is_there():
    pairs = {path.parent.name for path in (ROOT / "checkpoints").glob("*/pair.json")}
    assert not pairs & {folder.parent.name for folder in FOLDERS}
