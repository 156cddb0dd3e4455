"""MobileNetV2 (arXiv 1801.04381) as JPEG-DL's table 1 has it for 32-pixel pictures: half width, expansion 6."""

from collections import OrderedDict

from torch import Tensor, nn

EXPANSION = 6
WIDTH = 0.5
LAST = 1280  # not scaled by a width below 1
STAGES = (  # expansion, channels at width 1, blocks, stride of the first
    (1, 16, 1, 1),
    (EXPANSION, 24, 2, 1),
    (EXPANSION, 32, 3, 2),
    (EXPANSION, 64, 4, 2),
    (EXPANSION, 96, 3, 1),
    (EXPANSION, 160, 3, 2),
    (EXPANSION, 320, 1, 1),
)


def _convolution(channels_in: int, channels: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    weights = nn.Conv2d(channels_in, channels, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return [weights, nn.BatchNorm2d(channels)]


class InvertedResidual(nn.Module):
    """1x1 expansion, 3x3 depthwise, 1x1 projection without ReLU; a shortcut where the shape stays."""

    def __init__(self, channels_in: int, channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels_in * expansion
        self.shortcut = stride == 1 and channels_in == channels
        self.layers = nn.Sequential(
            *_convolution(channels_in, inner, 1),
            nn.ReLU(inplace=True),
            *_convolution(inner, inner, 3, stride, groups=inner),
            nn.ReLU(inplace=True),
            *_convolution(inner, channels, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        inner: Tensor = self.layers(features)
        return features + inner if self.shortcut else inner


def mobilenetv2_half(num_classes: int) -> nn.Module:
    """MobileNetV2 with half of the channels; the first convolution and three stages halve the side.

    Normalised images (N, 3, H, W), made for 32x32 (2x2 features at the end), to logits (N, num_classes). Differs from
    the 224-pixel network in the second stage's stride (1), plain ReLU, the first stage's 1x1 convolution (which expands
    nothing), and the missing dropout.
    """
    channels_in = int(32 * WIDTH)
    stages = []
    for expansion, full, blocks, stride in STAGES:
        channels = int(full * WIDTH)
        first = InvertedResidual(channels_in, channels, stride, expansion)
        stages.append(
            nn.Sequential(first, *(InvertedResidual(channels, channels, 1, expansion) for _ in range(blocks - 1)))
        )
        channels_in = channels
    network = nn.Sequential(
        OrderedDict(
            stem=nn.Sequential(*_convolution(3, int(32 * WIDTH), 3, 2), nn.ReLU(inplace=True)),
            stages=nn.Sequential(*stages),
            last=nn.Sequential(*_convolution(channels_in, LAST, 1), nn.ReLU(inplace=True)),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            fc=nn.Linear(LAST, num_classes),
        )
    )
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)
    return network
