"""ShuffleNetV2 (arXiv 1807.11164) as JPEG-DL's table 1 has it for 32-pixel pictures: size 1, a 1x1 stem."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

STEM = 24
STAGES = ((116, 3), (232, 7), (464, 3))  # channels, basic blocks after the one that halves the side
LAST = 1024


def _pointwise(channels_in: int, channels: int) -> list[nn.Module]:
    return [nn.Conv2d(channels_in, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]


def _depthwise(channels: int, stride: int) -> list[nn.Module]:
    weights = nn.Conv2d(channels, channels, 3, stride, padding=1, groups=channels, bias=False)
    return [weights, nn.BatchNorm2d(channels)]


class BasicBlock(nn.Module):
    """Half of the channels pass unchanged, the other half through 1x1, 3x3 depthwise, 1x1; then all are shuffled."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.layers = nn.Sequential(*_pointwise(half, half), *_depthwise(half, 1), *_pointwise(half, half))
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, features: Tensor) -> Tensor:
        kept, changed = features.chunk(2, dim=1)
        return self.shuffle(torch.cat([kept, self.layers(changed)], dim=1))


class DownBlock(nn.Module):
    """Halves the side: a depthwise and a three-layer branch, each with half of the new channels, then the shuffle."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.short = nn.Sequential(*_depthwise(channels_in, 2), *_pointwise(channels_in, half))
        self.long = nn.Sequential(*_pointwise(channels_in, half), *_depthwise(half, 2), *_pointwise(half, half))
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, features: Tensor) -> Tensor:
        return self.shuffle(torch.cat([self.short(features), self.long(features)], dim=1))


def shufflenetv2_cifar(num_classes: int) -> nn.Module:
    """ShuffleNetV2 of size 1 whose 1x1 stem keeps the side, without max-pooling.

    Normalised images (N, 3, H, W), made for 32x32 (4x4 features at the end), to logits (N, num_classes).
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict(stem=nn.Sequential(*_pointwise(3, STEM)))
    channels_in = STEM
    for number, (channels, blocks) in enumerate(STAGES, start=1):
        parts[f"stage{number}"] = nn.Sequential(
            DownBlock(channels_in, channels), *(BasicBlock(channels) for _ in range(blocks))
        )
        channels_in = channels
    parts |= {
        "last": nn.Sequential(*_pointwise(channels_in, LAST)),
        "pool": nn.AdaptiveAvgPool2d(1),
        "flatten": nn.Flatten(),
        "fc": nn.Linear(LAST, num_classes),
    }
    return nn.Sequential(parts)
