"""torchvision's DenseNet-121 (arXiv 1608.06993) with a name for its last features."""

from collections import OrderedDict

from torch import nn
from torchvision import models


def densenet121(num_classes: int) -> nn.Module:
    """DenseNet-BC of 121 layers: normalised images (N, 3, H, W), made for 224x224, to logits (N, num_classes).

    torchvision rectifies and averages the last features by functions, so no module puts out what is averaged. Here
    modules do the same; the names of the weights are torchvision's.
    """
    network = models.densenet121(weights=None, num_classes=num_classes)
    return nn.Sequential(
        OrderedDict(
            features=network.features,
            relu=nn.ReLU(inplace=True),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            classifier=network.classifier,
        )
    )
