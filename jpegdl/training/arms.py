"""The two networks of a run before training: the same backbone, with and without the recipe's layer."""

from pathlib import Path

import torch
from torch import Tensor, nn

from jpegdl.codec.featurelayer import FeatureJPEGLayer
from jpegdl.codec.layer import JPEGLayer
from jpegdl.codec.variants import IN_TESTS, QUANTIZERS
from jpegdl.pairs.architectures import architecture
from jpegdl.pairs.classifier import Classifier, build_classifier, replace_first_relu, table_layer
from jpegdl.pairs.recipe import Recipe
from jpegdl.pairs.weights import imagenet_backbone


def first_backbone(recipe: Recipe, classes: int, seed: int, weights: Path | None = None) -> nn.Module:
    """The backbone that both arms begin with, each time the same; the caller's random state is left as it was.

    `weights`: file of ImageNet weights for recipes that start from them, if no package has them.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if recipe.start == "imagenet":
            return imagenet_backbone(recipe.architecture, classes, weights)
        return architecture(recipe.architecture).build(classes)


def baseline_arm(recipe: Recipe, classes: int, backbone: nn.Module) -> Classifier:
    return build_classifier(recipe.architecture, classes, backbone=backbone)


def jpegdl_arm(recipe: Recipe, classes: int, backbone: nn.Module, tables: Tensor | None) -> Classifier:
    """`tables`: steps to start from, (rounds, 2, 8, 8); None for a layer inside the network, which starts from ones."""
    if tables is not None:
        return build_classifier(recipe.architecture, classes, backbone=backbone, codec=_input_layer(recipe, tables))
    model = build_classifier(recipe.architecture, classes, backbone=backbone)
    return replace_first_relu(model, lambda channels: _feature_layer(recipe, channels))


def first_steps(model: Classifier) -> Tensor:
    """A copy of the steps that an arm's layer has now."""
    layer = table_layer(model)
    if layer is None:
        raise ValueError("a baseline has no tables; pass the JPEG-DL arm")
    return layer.steps.detach().clone()


def _input_layer(recipe: Recipe, tables: Tensor) -> JPEGLayer:
    alpha = recipe.alpha if recipe.hardness is None else recipe.hardness / tables.square()
    return JPEGLayer(
        tables,
        alpha if alpha is not None else 1.0,
        max_index=recipe.max_index,
        quantizer=QUANTIZERS[IN_TESTS.get(recipe.quantizer, recipe.quantizer)],
        training_quantizer=QUANTIZERS[recipe.quantizer],
    )


def _feature_layer(recipe: Recipe, channels: int) -> FeatureJPEGLayer:
    tables, quantizer = torch.ones(channels, 8, 8), QUANTIZERS[recipe.quantizer]
    return FeatureJPEGLayer(tables, recipe.alpha or 1.0, max_index=recipe.max_index, quantizer=quantizer)
