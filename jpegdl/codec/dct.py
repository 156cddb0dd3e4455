"""8x8 blocks and their orthonormal DCT-II, the transform of the JPEG standard (paper section 3.1)."""

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import pad

BLOCK = 8


def pad_to_blocks(images: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, H', W') with H', W' the next multiples of 8; the last row and column are repeated."""
    height, width = images.shape[-2:]
    below, right = -height % BLOCK, -width % BLOCK
    return pad(images, (0, right, 0, below), mode="replicate") if below or right else images


def blockify(images: Tensor) -> Tensor:
    """(N, C, H, W) -> blocks (N, C, L, 8, 8), L = H/8 * W/8 in reading order. Raises ValueError for other sizes."""
    count, channels, height, width = images.shape
    if height % BLOCK or width % BLOCK:
        raise ValueError(f"height and width must be multiples of 8, got {height}x{width}; call pad_to_blocks first")
    rows, columns = height // BLOCK, width // BLOCK
    split = images.reshape(count, channels, rows, BLOCK, columns, BLOCK)
    return split.transpose(3, 4).reshape(count, channels, rows * columns, BLOCK, BLOCK)


def unblockify(blocks: Tensor, height: int, width: int) -> Tensor:
    """Inverse of `blockify`: blocks (N, C, L, 8, 8) -> (N, C, height, width)."""
    count, channels = blocks.shape[:2]
    rows, columns = height // BLOCK, width // BLOCK
    split = blocks.reshape(count, channels, rows, columns, BLOCK, BLOCK)
    return split.transpose(3, 4).reshape(count, channels, height, width)


def block_dct(blocks: Tensor) -> Tensor:
    """Orthonormal 2-D DCT-II of each block, (N, C, L, 8, 8) -> same shape and unit; [..., 0, 0] is 8 x block mean.

    Entry [..., i, j] has vertical frequency i and horizontal frequency j, the order of a quantization table.
    """
    return _apply(blocks, _basis(blocks.dtype, blocks.device).T)


def inverse_block_dct(coefficients: Tensor) -> Tensor:
    """Inverse of `block_dct`, (N, C, L, 8, 8) -> same shape and unit."""
    return _apply(coefficients, _basis(coefficients.dtype, coefficients.device))


def dct_matrix(dtype: torch.dtype = torch.float64) -> Tensor:
    """(8, 8) matrix D with rows = frequencies, so that D @ x is the DCT-II of x and D @ D.T is the identity."""
    frequency = torch.arange(BLOCK, dtype=torch.float64)[:, None]
    position = torch.arange(BLOCK, dtype=torch.float64)[None, :]
    matrix = torch.cos(math.pi * (2 * position + 1) * frequency / (2 * BLOCK)) * math.sqrt(2 / BLOCK)
    matrix[0] = math.sqrt(1 / BLOCK)
    return matrix.to(dtype)


def _apply(blocks: Tensor, matrix: Tensor) -> Tensor:
    """Each 8x8 block as a row of 64 values times (64, 64); one matrix product, in full precision under autocast."""
    with torch.autocast(blocks.device.type, enabled=False):
        return (blocks.reshape(-1, BLOCK * BLOCK) @ matrix).reshape(blocks.shape)


@lru_cache(maxsize=8)
def _basis(dtype: torch.dtype, device: torch.device) -> Tensor:
    """(64, 64) matrix of the 2-D transform: row = pair of frequencies, column = pixel of the block."""
    matrix = dct_matrix()
    with torch.inference_mode(False):
        return torch.kron(matrix, matrix).to(dtype=dtype, device=device)
