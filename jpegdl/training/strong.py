"""The strong augmentation of EfficientFormer-L1 (paper A.5; the recipe of Xu et al., "Initializing Models with Larger
Ones"), with torchvision's transforms.

Where torchvision's RandAugment differs from timm's rand-m9-mstd0.5-inc1, which that recipe names: it has the identity
among its operations in place of inverting and of adding below a threshold, posterises to 4 bits where timm leaves 1,
and moves pictures by bilinear interpolation. Uncovered corners are grey here, the mean colour there.
"""

import torch
from torch import Tensor
from torchvision.transforms import v2

from jpegdl.training.augment import cubic, random_resized_crop

_MAGNITUDE, _DEVIATION, _BINS = 90, 5, 101  # timm's 9 and 0.5 of 10, in steps of 0 .. 100
_OPERATIONS, _OPERATION_RATE = 2, 0.5  # timm leaves out each operation half of the time
_MIXUP, _CUTMIX = 0.8, 1.0  # parameters of their beta distributions; one of the two for each batch
_ERASING_RATE = 0.25
_GREY, _NOISE = 0.5, 0.25  # mean and deviation of what erases, about those of photographs


def strong_batch(
    images: Tensor,
    shapes: Tensor,
    labels: Tensor,
    num_classes: int,
    size: int,
    generator: torch.Generator,
    *,
    colour_jitter: float = 0.4,
) -> tuple[Tensor, Tensor]:
    """uint8 pictures (N, 3, H, W), stretched from `shapes` (N, 2), and labels (N,) -> inputs (N, 3, size, size) in
    [0, 1] and probabilities (N, num_classes), on the pictures' device.

    Random resized crop (bicubic), mirror, RandAugment, jitter of brightness, contrast and saturation, erasing, and
    mixup or cutmix of the batch. Label smoothing is left to the loss. All depends on the CPU generator alone, and no
    other random state is used or changed.
    """
    crops = random_resized_crop(images, shapes, size, generator, cubic)
    pictures = (crops * 255).round().clamp(0, 255).to(torch.uint8)
    jitter = v2.ColorJitter(colour_jitter, colour_jitter, colour_jitter)
    mix = v2.RandomChoice(
        [v2.MixUp(alpha=_MIXUP, num_classes=num_classes), v2.CutMix(alpha=_CUTMIX, num_classes=num_classes)]
    )
    with torch.random.fork_rng(devices=()):
        # Not torch.manual_seed, which would seed the GPU's generators too.
        torch.default_generator.manual_seed(int(torch.randint(2**32, (), generator=generator)))
        inputs = torch.stack([_erased(jitter(_rand_augmented(picture)).float() / 255) for picture in pictures])
        inputs, targets = mix(inputs, labels)
    return inputs.clamp(0, 1), targets


def _rand_augmented(picture: Tensor) -> Tensor:
    """uint8 (3, S, S) -> the same after up to two random operations, each of its own magnitude."""
    for _ in range(_OPERATIONS):
        magnitude = round(_MAGNITUDE + _DEVIATION * torch.randn(()).item())
        if torch.rand(()) < _OPERATION_RATE:
            change = v2.RandAugment(
                num_ops=1,
                magnitude=min(max(magnitude, 0), _BINS - 1),
                num_magnitude_bins=_BINS,
                interpolation=v2.InterpolationMode.BILINEAR,
                fill=128,
            )
            picture = change(picture)
    return picture


def _erased(picture: Tensor) -> Tensor:
    """Picture (3, S, S) in [0, 1] -> the same, now and then with a rectangle of noise about grey, in [0, 1] too."""
    erase = v2.RandomErasing(p=_ERASING_RATE, scale=(0.02, 1 / 3), ratio=(0.3, 1 / 0.3), value="random")
    return (erase((picture - _GREY) / _NOISE) * _NOISE + _GREY).clamp(0, 1)
