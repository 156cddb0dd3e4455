"""The public names, for networks of one's own: needs torch and numpy, and Pillow where a .jpg file is written."""

from jpegdl.codec.featurelayer import FeatureJPEGLayer
from jpegdl.codec.initial import (
    inverse_sensitivity_tables,
    mean_absolute_tables,
    sensitivity,
    standard_tables,
)
from jpegdl.codec.jpegfile import JPEGFile
from jpegdl.codec.jpegfile import encode as encode_jpeg
from jpegdl.codec.layer import JPEGLayer
from jpegdl.codec.parameters import Parameters, split_parameters
from jpegdl.codec.quantizer import Quantizer, hard_quantize, hardness, soft_quantize, soft_quantize_all_levels
from jpegdl.codec.variants import QUANTIZERS

__all__ = [
    "QUANTIZERS",
    "FeatureJPEGLayer",
    "JPEGFile",
    "JPEGLayer",
    "Parameters",
    "Quantizer",
    "encode_jpeg",
    "hard_quantize",
    "hardness",
    "inverse_sensitivity_tables",
    "mean_absolute_tables",
    "sensitivity",
    "soft_quantize",
    "soft_quantize_all_levels",
    "split_parameters",
    "standard_tables",
]
