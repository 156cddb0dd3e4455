"""RGB to full-range YCbCr and back, as JFIF 1.02 defines it (ITU-R BT.601 weights), as 3x3 matrices.

The level-shifted transform is purely linear: subtract 128 from R, G and B, and Y comes out shifted while Cb and Cr
are centred at 0. The authors' code adds a further 0.5 to the chroma, which we do not (docs/method.md).
"""

import torch
from torch import Tensor

KR, KG, KB = 0.299, 0.587, 0.114  # luma weights, BT.601


def rgb_to_ycbcr_matrix() -> Tensor:
    """(3, 3) float64; rows Y, Cb, Cr; columns R, G, B. Source: paper section 3.1, JFIF 1.02."""
    blue, red = 2 * (1 - KB), 2 * (1 - KR)
    rows = ((KR, KG, KB), (-KR / blue, -KG / blue, 0.5), (0.5, -KG / red, -KB / red))
    return torch.tensor(rows, dtype=torch.float64)


def ycbcr_to_rgb_matrix() -> Tensor:
    """Inverse of `rgb_to_ycbcr_matrix`, (3, 3) float64."""
    blue, red = 2 * (1 - KB), 2 * (1 - KR)
    rows = ((1.0, 0.0, red), (1.0, -KB * blue / KG, -KR * red / KG), (1.0, blue, 0.0))
    return torch.tensor(rows, dtype=torch.float64)
