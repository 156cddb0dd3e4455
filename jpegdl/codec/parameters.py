"""Which parameters of a network are quantization tables: they are trained at a rate of their own, without decay."""

from typing import NamedTuple

from torch import nn

from jpegdl.codec.featurelayer import FeatureJPEGLayer
from jpegdl.codec.layer import JPEGLayer

TableLayer = JPEGLayer | FeatureJPEGLayer


class Parameters(NamedTuple):
    """All parameters of a network, each in one of the two."""

    network: list[nn.Parameter]
    tables: list[nn.Parameter]


def split_parameters(model: nn.Module) -> Parameters:
    """The parameters of `model`: what an optimiser of networks moves, and the steps of every layer with tables in it.

    The paper moves the network with SGD and the tables with Adam, without weight decay, which would pull steps to zero.
    """
    tables = [module.steps for module in model.modules() if isinstance(module, TableLayer)]
    return Parameters([p for p in model.parameters() if all(p is not table for table in tables)], tables)
