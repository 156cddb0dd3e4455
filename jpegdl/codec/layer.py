"""The JPEG layer as one module with trainable quantization tables (paper figure 2)."""

import torch
from torch import Tensor, nn

from jpegdl.codec.color import rgb_to_ycbcr, ycbcr_to_rgb
from jpegdl.codec.contract import check_coefficients, check_images, check_numbers
from jpegdl.codec.dct import block_dct, blockify, inverse_block_dct, pad_to_blocks, unblockify
from jpegdl.codec.quantizer import MAX_INDEX, Quantizer, soft_quantize
from jpegdl.codec.roundtrip import roundtrip

MIN_STEP, MAX_STEP = 1e-5, 255.0
_WHITE, _LEVEL_SHIFT = 255.0, 128.0


class JPEGLayer(nn.Module):
    """Images [0, 1], (N, 3, H, W) -> their soft-quantized reconstruction, same shape, 1.0 = white, not clamped.

    Level shift, YCbCr, 8x8 DCT, one soft quantizer a round in series, and back. Sizes that are not multiples of 8
    are padded by replication and cropped back. Computed in float32 (float64 input stays float64), also under
    autocast. For the backward pass only the images and the tables are kept; it works once (no double backward).

    `tables`: initial steps, (rounds, 2, 8, 8) or (2, 8, 8): luma, chroma; grey levels a step, in [1e-5, 255].
    `alpha`: softness, 1 / grey level^2, a number or what expands to the tables' shape; a buffer, never trained.
    `max_index`: largest index of a level (127 for b = 8 bits), None for no limit.
    `quantizer`: `soft_quantize` (five levels, as the paper executes), `soft_quantize_all_levels` (its formula), or
    one of variants.py; `training_quantizer` takes its place in training mode, if given.
    Raises ValueError for tables of another shape or out of range, and for alpha <= 0.
    """

    steps: nn.Parameter  # (rounds, 2, 8, 8)
    alpha: Tensor  # (rounds, 2, 8, 8)

    def __init__(
        self,
        tables: Tensor,
        alpha: Tensor | float,
        *,
        max_index: int | None = MAX_INDEX,
        quantizer: Quantizer = soft_quantize,
        training_quantizer: Quantizer | None = None,
    ) -> None:
        super().__init__()
        check_numbers("tables", tables)
        if tables.ndim == 3:
            tables = tables[None]
        if tables.shape[1:] != (2, 8, 8) or not len(tables):
            raise ValueError(f"tables must have shape (rounds, 2, 8, 8) or (2, 8, 8), got {tuple(tables.shape)}")
        self.max_index = max_index
        self.quantizer = quantizer
        self.training_quantizer = training_quantizer or quantizer
        self.steps = nn.Parameter(tables.detach().clone())
        self.register_buffer("alpha", alpha_for(tables, alpha))

    def forward(self, images: Tensor) -> Tensor:
        """`to_images(quantize(coefficients(images)))` in one step, by other means (planes.py, kernel.cpp)."""
        quantizer = self.training_quantizer if self.training else self.quantizer
        return roundtrip(images, self.steps, self.alpha, max_index=self.max_index, quantizer=quantizer)

    def coefficients(self, images: Tensor) -> Tensor:
        """Images [0, 1], (N, 3, H, W) -> DCT coefficients (N, 3, L, 8, 8) of level-shifted YCbCr, grey levels."""
        check_images(images)
        images = images.to(torch.promote_types(images.dtype, torch.float32))
        ycbcr = rgb_to_ycbcr(pad_to_blocks(images) * _WHITE)
        return block_dct(blockify(ycbcr - _LEVEL_SHIFT))

    def quantize(self, coefficients: Tensor) -> Tensor:
        """Soft quantization, all rounds: (N, 3, L, 8, 8) -> same shape; Cb and Cr share the chroma table."""
        check_coefficients(coefficients)
        planes = coefficients.permute(1, 3, 4, 0, 2)
        for step, alpha in zip(self.steps, self.alpha, strict=True):
            planes = self.quantizer(planes, _per_channel(step), _per_channel(alpha), max_index=self.max_index)
        return planes.permute(3, 0, 4, 1, 2)

    def to_images(self, coefficients: Tensor, height: int, width: int) -> Tensor:
        """Coefficients (N, 3, L, 8, 8) -> images (N, 3, height, width), 1.0 = white, not clamped."""
        padded_height, padded_width = height + -height % 8, width + -width % 8
        check_coefficients(coefficients)
        if coefficients.shape[2] != padded_height * padded_width // 64:
            raise ValueError(
                f"{height}x{width} pixels have {padded_height * padded_width // 64} blocks; "
                f"got {tuple(coefficients.shape)}"
            )
        ycbcr = unblockify(inverse_block_dct(coefficients), padded_height, padded_width) + _LEVEL_SHIFT
        return (ycbcr_to_rgb(ycbcr) / _WHITE)[..., :height, :width]

    @torch.no_grad()
    def project_(self) -> None:
        """Move every step into [1e-5, 255]; the trainer calls this after each optimiser step."""
        self.steps.clamp_(MIN_STEP, MAX_STEP)


def alpha_for(tables: Tensor, alpha: Tensor | float) -> Tensor:
    """`alpha` in the shape of `tables`. Raises ValueError for steps out of range, alpha <= 0 or of another shape."""
    if not bool(((tables >= MIN_STEP) & (tables <= MAX_STEP)).all()):
        raise ValueError(f"steps must lie in {MIN_STEP}..{MAX_STEP}; call clamp first")
    alpha = torch.as_tensor(alpha, dtype=tables.dtype)
    try:
        alpha = alpha.expand(tables.shape).clone()
    except RuntimeError:
        raise ValueError(
            f"alpha must be a number or expand to the tables' shape {tuple(tables.shape)}, got {tuple(alpha.shape)}"
        ) from None
    if not bool((alpha > 0).all()):
        raise ValueError("alpha must be positive everywhere")
    return alpha


def _per_channel(table: Tensor) -> Tensor:
    """(2, 8, 8): luma, chroma -> (3, 8, 8, 1, 1): Y, Cb, Cr, one row a frequency as the quantizers like it."""
    return table[[0, 1, 1], :, :, None, None]
