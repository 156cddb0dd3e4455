"""The JPEG layer inside a network, in place of a ReLU (paper appendix A.7)."""

import torch
from torch import Tensor, nn

from jpegdl.codec.contract import check_numbers
from jpegdl.codec.dct import block_dct, blockify, inverse_block_dct, pad_to_blocks, unblockify
from jpegdl.codec.layer import MAX_STEP, MIN_STEP, alpha_for
from jpegdl.codec.quantizer import Quantizer, soft_quantize


class FeatureJPEGLayer(nn.Module):
    """Feature maps (N, C, H, W) -> the same, soft-quantized in the 8x8 DCT domain, one table a channel.

    No colour transform and no level shift: features have neither. Sizes that are not multiples of 8 are padded by
    replication and cropped back. Computed in float32, also under autocast. `tables` (C, 8, 8): initial steps, in the
    features' unit, in [1e-5, 255]; `alpha`: softness, 1 / unit^2, a number or what expands to the tables' shape.
    Raises ValueError for tables of another shape or out of range, and for alpha <= 0.
    """

    steps: nn.Parameter  # (C, 8, 8)
    alpha: Tensor  # (C, 8, 8)

    def __init__(
        self,
        tables: Tensor,
        alpha: Tensor | float,
        *,
        max_index: int | None,
        quantizer: Quantizer = soft_quantize,
    ) -> None:
        super().__init__()
        check_numbers("tables", tables)
        if tables.ndim != 3 or tables.shape[1:] != (8, 8):
            raise ValueError(f"tables must have shape (channels, 8, 8), got {tuple(tables.shape)}")
        self.max_index = max_index
        self.quantizer = quantizer
        self.steps = nn.Parameter(tables.detach().clone())
        self.register_buffer("alpha", alpha_for(tables, alpha))

    def forward(self, features: Tensor) -> Tensor:
        check_numbers("features", features)
        if features.ndim != 4 or features.shape[1] != len(self.steps) or not (features.shape[2] and features.shape[3]):
            raise ValueError(
                f"features must have shape (count, {len(self.steps)}, height, width), a table a channel, height and "
                f"width at least 1; got {tuple(features.shape)}"
            )
        height, width = features.shape[-2:]
        with torch.autocast(features.device.type, enabled=False):
            padded = pad_to_blocks(features.float())
            planes = block_dct(blockify(padded)).permute(1, 3, 4, 0, 2)  # (C, 8, 8, N, L): one row a table entry
            levels = self.quantizer(
                planes, self.steps[..., None, None], self.alpha[..., None, None], max_index=self.max_index
            )
            images = unblockify(inverse_block_dct(levels.permute(3, 0, 4, 1, 2)), *padded.shape[-2:])
        return images[..., :height, :width].to(features.dtype)

    @torch.no_grad()
    def project_(self) -> None:
        """Move every step into [1e-5, 255]; the trainer calls this after each optimiser step."""
        self.steps.clamp_(MIN_STEP, MAX_STEP)
