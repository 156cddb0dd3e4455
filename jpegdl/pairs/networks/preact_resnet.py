"""Pre-activation ResNet-18 for 224-pixel pictures (He et al. 2016, arXiv 1603.05027): the network that the paper names
in A.4, not the ordinary ResNet-18 that its code runs."""

from collections import OrderedDict

from torch import Tensor, nn

WIDTHS = (64, 128, 256, 512)


class PreActBlock(nn.Module):
    """Twice normalise, rectify, convolve; nothing after the sum. A 1x1 shortcut where the shape changes starts from the
    rectified features."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.before = nn.Sequential(nn.BatchNorm2d(channels_in), nn.ReLU(inplace=True))
        self.layers = nn.Sequential(
            nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        )
        changes = stride != 1 or channels_in != channels
        self.shortcut = nn.Conv2d(channels_in, channels, 1, stride, bias=False) if changes else None

    def forward(self, features: Tensor) -> Tensor:
        active = self.before(features)
        kept = features if self.shortcut is None else self.shortcut(active)
        return kept + self.layers(active)


def preact_resnet18(num_classes: int) -> nn.Module:
    """ResNet-18 of pre-activation blocks behind a 7x7 stem of stride 2 and max-pooling, normalised once at the end.

    Normalised images (N, 3, H, W), made for 224x224 (7x7 features at the end), to logits (N, num_classes).
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(3, WIDTHS[0], 7, 2, padding=3, bias=False), maxpool=nn.MaxPool2d(3, 2, padding=1)
    )
    for number, (channels_in, channels) in enumerate(zip(WIDTHS[:1] + WIDTHS, WIDTHS, strict=False), start=1):
        first = PreActBlock(channels_in, channels, 1 if number == 1 else 2)
        parts[f"layer{number}"] = nn.Sequential(first, PreActBlock(channels, channels, 1))
    parts |= {
        "active": nn.Sequential(nn.BatchNorm2d(WIDTHS[-1]), nn.ReLU(inplace=True)),
        "pool": nn.AdaptiveAvgPool2d(1),
        "flatten": nn.Flatten(),
        "fc": nn.Linear(WIDTHS[-1], num_classes),
    }
    network = nn.Sequential(parts)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network
