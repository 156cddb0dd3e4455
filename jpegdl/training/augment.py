"""Random crops and flips of a whole batch at once, on any device."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

_AREA, _ASPECT, _TRIES = (0.08, 1.0), (3 / 4, 4 / 3), 10  # torchvision's defaults, the paper's setting


def random_crops(shapes: Tensor, generator: torch.Generator) -> Tensor:
    """(N, 2) heights and widths in pixels -> (N, 4) crops: top, left, height, width, in pixels.

    torchvision's RandomResizedCrop: area 0.08..1 of the picture, aspect 3/4..4/3 log-uniform, ten tries, and the
    largest centred crop of a permitted aspect when none fits.
    """
    count = len(shapes)
    height, width = shapes[:, :1].float(), shapes[:, 1:].float()
    area = height * width * torch.empty(count, _TRIES).uniform_(*_AREA, generator=generator)
    log_aspect = torch.empty(count, _TRIES).uniform_(*map(math.log, _ASPECT), generator=generator)
    wide = (area * log_aspect.exp()).sqrt().round()
    high = (area / log_aspect.exp()).sqrt().round()
    fits = (wide <= width) & (high <= height) & (wide > 0) & (high > 0)
    first = fits.float().argmax(1, keepdim=True)
    fallback_wide = torch.minimum(width, (height * _ASPECT[1]).round())
    fallback_high = torch.minimum(height, (width / _ASPECT[0]).round())
    found = fits.any(1, keepdim=True)
    wide = wide.gather(1, first).where(found, fallback_wide)
    high = high.gather(1, first).where(found, fallback_high)
    place = torch.rand(count, 2, generator=generator)
    top = (place[:, :1] * (height - high + 1)).floor().where(found, ((height - high) / 2).floor())
    left = (place[:, 1:] * (width - wide + 1)).floor().where(found, ((width - wide) / 2).floor())
    return torch.cat([top, left, high, wide], 1)


def linear(distance: Tensor) -> Tensor:
    """Weight of a pixel at a distance of 0 or more, in pixels: bilinear interpolation."""
    return (1 - distance).clamp(min=0)


def cubic(distance: Tensor) -> Tensor:
    """Weight of a pixel at a distance of 0 or more, in pixels: bicubic interpolation (Keys, a = -1/2), as Pillow's."""
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((2.5 - 0.5 * distance) * distance - 4) * distance + 2
    return torch.where(distance < 1, near, far.where(distance < 2, 0.0))


def resample(
    start: Tensor, length: Tensor, flip: Tensor, pixels: int, size: int, kernel: Callable[[Tensor], Tensor] = linear
) -> Tensor:
    """(N, size, pixels) matrices that take the stretch start .. start + length of a row of `pixels` to `size` values.

    With antialiasing, as Pillow's: the kernel, max(1, length / size) times as wide, normalised, over the pixels of
    the stretch alone; mirrored where `flip`. `start` and `length` (N,) in pixels, `flip` (N,) bool.
    """
    step = (length / size)[:, None, None]
    target = torch.arange(size, device=start.device, dtype=start.dtype) + 0.5
    target = torch.where(flip[:, None], target.flip(0), target)[:, :, None]
    centre = start[:, None, None] + target * step
    position = torch.arange(pixels, device=start.device, dtype=start.dtype)[None, None, :] + 0.5
    weight = kernel((position - centre).abs() / step.clamp(min=1))
    begin, end = start[:, None, None], (start + length)[:, None, None]
    weight = weight.where((position > begin) & (position < end), 0.0)
    return weight / weight.sum(-1, keepdim=True)


def random_resized_crop(
    images: Tensor, shapes: Tensor, size: int, generator: torch.Generator, kernel: Callable[[Tensor], Tensor] = linear
) -> Tensor:
    """uint8 pictures (N, 3, H, W), each stretched from its own shape (N, 2), -> crops (N, 3, size, size) in [0, 1].

    Random resized crop in the geometry of the original shape, then a mirror image half of the time. With `cubic`,
    values beside sharp edges leave [0, 1]. `generator` is a CPU generator, so that every device draws the same crops.
    """
    stored = torch.tensor(images.shape[-2:])
    crops = random_crops(shapes, generator) * (stored / shapes).repeat(1, 2)
    flip = torch.rand(len(shapes), generator=generator) < 0.5
    top, left, high, wide = crops.to(images.device).unbind(1)
    rows = resample(top, high, torch.zeros_like(flip).to(images.device), images.shape[-2], size, kernel)
    columns = resample(left, wide, flip.to(images.device), images.shape[-1], size, kernel)
    crop = rows[:, None] @ images.float() @ columns[:, None].transpose(-1, -2)
    return crop / 255


def random_shifted_crop(images: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    """uint8 pictures (N, 3, H, W) -> float32 of the same shape in [0, 1], each moved by up to `padding` pixels.

    A crop of the picture's own size from the picture with `padding` black pixels on every side, then a mirror image
    half of the time (appendix A.3 for CIFAR-100). `generator` is a CPU generator, so that every device draws the same.
    """
    if padding < 0:
        raise ValueError(f"padding must be zero or more pixels, got {padding}")
    count, _, height, width = images.shape
    top, left = torch.randint(2 * padding + 1, (2, count), generator=generator).to(images.device)
    flip = (torch.rand(count, generator=generator) < 0.5).to(images.device)
    windows = pad(images, (padding,) * 4).unfold(2, height, 1).unfold(3, width, 1)  # (N, 3, tops, lefts, H, W), a view
    crops = windows[torch.arange(count, device=images.device), :, top, left]
    return torch.where(flip[:, None, None, None], crops.flip(3), crops).float() / 255
