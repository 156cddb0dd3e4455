"""ResNets for 32-pixel pictures: He et al. 2016 (arXiv 1512.03385), section 4.2, in the widths of JPEG-DL's table 1."""

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, rectified after the sum; a 1x1 shortcut where the shape changes."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, features: Tensor) -> Tensor:
        inner = F.relu(self.bn1(self.conv1(features)), inplace=True)
        return F.relu(self.bn2(self.conv2(inner)) + self.shortcut(features), inplace=True)


def _stage(blocks: int, channels_in: int, channels: int, stride: int) -> nn.Sequential:
    first = BasicBlock(channels_in, channels, stride)
    return nn.Sequential(first, *(BasicBlock(channels, channels, 1) for _ in range(blocks - 1)))


def resnet_cifar(depth: int, num_classes: int) -> nn.Module:
    """ResNet of `depth` = 6 n + 2 layers, n basic blocks in each of three stages of 16, 32 and 64 channels.

    Normalised images (N, 3, H, W), made for 32x32, to logits (N, num_classes). Raises ValueError for another depth.
    """
    blocks, rest = divmod(depth - 2, 6)
    if blocks < 1 or rest:
        raise ValueError(f"the depth of a CIFAR ResNet is 6 n + 2 (8, 14, 20, ...), got {depth}")
    network = nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 16, 3, padding=1, bias=False),
            bn1=nn.BatchNorm2d(16),
            relu=nn.ReLU(inplace=True),
            layer1=_stage(blocks, 16, 16, 1),
            layer2=_stage(blocks, 16, 32, 2),
            layer3=_stage(blocks, 32, 64, 2),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            fc=nn.Linear(64, num_classes),
        )
    )
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network
