"""The batches of an epoch from pictures that fit into memory."""

from collections.abc import Iterator

import torch
from torch import Tensor

from jpegdl.pairs.recipe import Recipe
from jpegdl.training.augment import random_resized_crop, random_shifted_crop
from jpegdl.training.data import Batch, Batches, TrainingTensors
from jpegdl.training.strong import strong_batch

_PADDING = 4  # pixels, of CRD's random crops of 32-pixel pictures
SMALLEST_BATCH = 2  # batch normalisation needs two values a channel


def tensor_batches(
    recipe: Recipe, train: TrainingTensors, num_classes: int, device: torch.device, *, rank: int = 0, count: int = 1
) -> Batches:
    """Shuffled, augmented batches of `train`; the pictures are kept on `device`.

    Of `count` processes, this one, `rank`, gets every count-th picture of each global batch; all draw the same crops.
    A last batch that gives a process fewer than two pictures is left out.
    """
    images, labels = train.images.to(device), train.labels.to(device)

    def augmented(batch: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        there = batch.to(device)
        pictures, targets = images[there], labels[there]
        if recipe.augmentation == "shifted crop":
            return random_shifted_crop(pictures, _PADDING, generator), targets
        if recipe.augmentation == "resized crop":
            return random_resized_crop(pictures, train.shapes[batch], recipe.input_size, generator), targets
        return strong_batch(pictures, train.shapes[batch], targets, num_classes, recipe.input_size, generator)

    def epoch(generator: torch.Generator) -> Iterator[Batch]:
        order = torch.randperm(len(labels), generator=generator)
        for batch in order.split(recipe.batch_size):
            if len(batch) >= SMALLEST_BATCH * count:
                inputs, targets = augmented(batch, generator)
                yield Batch(inputs[rank::count], targets[rank::count], len(batch))

    return epoch
