"""JPEG-DL: a trainable JPEG layer in front of a classifier; and, in its rooms, networks trained and explained in pairs.

    from jpegdl import JPEGLayer, standard_tables
    model = torch.nn.Sequential(JPEGLayer(standard_tables(90), alpha=5.0), classifier)

The image contract, true at every network's boundary: float32, NCHW, RGB, 1.0 = white in; logits out. The scale
0..255 exists inside `jpegdl.codec` alone, mean and deviation inside `jpegdl.pairs.classifier.Classifier` alone.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jpegdl.library import (
        QUANTIZERS,
        FeatureJPEGLayer,
        JPEGFile,
        JPEGLayer,
        Parameters,
        Quantizer,
        encode_jpeg,
        hard_quantize,
        hardness,
        inverse_sensitivity_tables,
        mean_absolute_tables,
        sensitivity,
        soft_quantize,
        soft_quantize_all_levels,
        split_parameters,
        standard_tables,
    )

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


def __getattr__(name: str) -> Any:
    """A public name when it is asked for: what serves strangers is set up before torch is imported."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; public are {', '.join(__all__)}")
    import jpegdl.library

    return getattr(jpegdl.library, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
