"""The door of the layer, fuzzed in PyTorch and compiled: what it takes is computed whole, all else is refused."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from jpegdl.codec.featurelayer import FeatureJPEGLayer
from jpegdl.codec.layer import JPEGLayer
from jpegdl.codec.quantizer import Quantizer, soft_quantize, soft_quantize_all_levels
from jpegdl.codec.roundtrip import roundtrip
from tests.test_layer import path, pictures, tables

__all__ = ["path"]  # a fixture: both ways

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
OTHERS = (torch.uint8, torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn)
QUANTIZERS = (soft_quantize, soft_quantize_all_levels)
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "plain": lambda t: t,
    "turned": lambda t: t.transpose(-1, -2).contiguous().transpose(-1, -2) if t.ndim > 1 else t,
    "sliced": lambda t: t.repeat_interleave(2, -1)[..., ::2] if t.ndim else t,
    "channels last": lambda t: t.contiguous(memory_format=torch.channels_last) if t.ndim == 4 else t,
    "one repeated": lambda t: t[:1].expand(t.shape) if t.ndim and t.shape[0] else t,
    "inside another": lambda t: torch.nn.functional.pad(t, (3, 5))[..., 3 : 3 + t.shape[-1]] if t.ndim else t,
}

shapes = st.one_of(
    st.tuples(st.integers(0, 3), st.just(3), st.integers(1, 19), st.integers(1, 19)),
    st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 19), st.integers(0, 19)),
    st.lists(st.integers(0, 9), max_size=5).map(tuple),
)
table_shapes = st.one_of(
    st.tuples(st.integers(1, 9), st.just(2), st.just(8), st.just(8)),
    st.sampled_from([(2, 8, 8), (0, 2, 8, 8), (1, 3, 8, 8), (1, 2, 64), (1, 2, 8, 7), (), (128,)]),
)
dtypes = st.sampled_from([*FLOATS, *FLOATS, *OTHERS])
limits = st.sampled_from([127, 2, 1023, 5000, None, 1, -1, 2.5, "127"])


def filled(shape: tuple[int, ...], low: float, high: float, dtype: torch.dtype) -> Tensor:
    values = torch.rand(shape, generator=torch.Generator().manual_seed(len(shape))) * (high - low) + low
    return values.to(dtype)


def fits(images: Tensor, steps: Tensor, alpha: Tensor, limit: Any) -> bool:
    """What the layer takes, in other words than the code's."""
    return (
        images.ndim == 4
        and images.shape[1] == 3
        and min(images.shape[2:]) > 0
        and steps.ndim == 4
        and tuple(steps.shape)[1:] == (2, 8, 8)
        and steps.shape[0] > 0
        and alpha.shape == steps.shape
        and {images.dtype, steps.dtype, alpha.dtype} <= set(FLOATS)
        and (limit is None or (isinstance(limit, int) and limit >= 2))
    )


def long_way(images: Tensor, steps: Tensor, alpha: Tensor, limit: int | None, quantizer: Quantizer) -> Tensor:
    """The same by other code: blocks, DCT and quantizer one after the other, float64."""
    layer = JPEGLayer(steps.double(), alpha.double(), max_index=limit, quantizer=quantizer)
    coefficients = layer.quantize(layer.coefficients(images.double()))
    return layer.to_images(coefficients, *images.shape[-2:]).detach()


@given(
    shape=shapes,
    table_shape=table_shapes,
    alpha_shape=st.none() | table_shapes,
    kinds=st.tuples(dtypes, dtypes, dtypes) | st.just((torch.float32,) * 3),
    layout=st.sampled_from(list(LAYOUTS)),
    limit=limits,
    quantizer=st.sampled_from(QUANTIZERS),
    recorded=st.booleans(),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_comes_to_the_door_is_refused_with_a_sentence_or_computed_whole(
    path: str, shape, table_shape, alpha_shape, kinds, layout, limit, quantizer, recorded
) -> None:
    images = LAYOUTS[layout](filled(shape, 0, 1, kinds[0]))
    steps = LAYOUTS[layout](filled(table_shape, 4, 9, kinds[1]))
    alpha = filled(table_shape if alpha_shape is None else alpha_shape, 0.01, 0.05, kinds[2])
    wanted = fits(images, steps, alpha, limit)
    if recorded and wanted:
        images = images.detach().requires_grad_()
    if not wanted:
        with pytest.raises(ValueError, match="must"):
            roundtrip(images, steps, alpha, max_index=limit, quantizer=quantizer)
        return
    found = roundtrip(images, steps, alpha, max_index=limit, quantizer=quantizer)
    assert found.shape == images.shape
    expected = long_way(images.detach(), steps, alpha, limit, quantizer)
    assert torch.allclose(found.detach().double(), expected, atol=5e-3, rtol=0)
    if recorded:
        (gradient,) = torch.autograd.grad(found.sum(), images)
        assert gradient.shape == images.shape
        assert gradient.isfinite().all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"images": torch.rand(2, 1, 8, 8)}, r"got \(2, 1, 8, 8\); grey pictures: images.expand\(-1, 3, -1, -1\)"),
        ({"images": torch.rand(2, 4, 8, 8)}, r"got \(2, 4, 8, 8\); put transparent pictures on a background"),
        ({"images": torch.rand(2, 8, 8, 3)}, r"got \(2, 8, 8, 3\); channels come second"),
        ({"images": torch.rand(3, 8, 8)}, r"got \(3, 8, 8\); one picture is a batch of one: images\[None\]"),
        ({"images": torch.rand(2, 3, 0, 8)}, r"height and width at least 1; got \(2, 3, 0, 8\)"),
        ({"images": torch.zeros(1, 3, 8, 8, dtype=torch.uint8)}, "got torch.uint8; divide by 255"),
        ({"images": torch.rand(1, 3, 8, 8).to_sparse()}, "must be dense, got torch.sparse_coo"),
        ({"images": [[1.0]]}, "must be a tensor, got list"),
        ({"steps": torch.ones(2, 8, 8)}, r"steps must have shape \(rounds, 2, 8, 8\).* got \(2, 8, 8\)"),
        ({"alpha": torch.ones(2, 2, 8, 8)}, r"alpha must have the shape of the steps, \(1, 2, 8, 8\); got \(2, 2"),
        ({"alpha": torch.ones(1, 2, 8, 8, device="meta")}, "steps on cpu, alpha on meta; move them to one device"),
        ({"max_index": 1}, r"at least 2 \(five levels\), got 1"),
    ],
)
def test_a_refusal_says_what_came_what_was_expected_and_what_to_do(path: str, change: dict, sentence: str) -> None:
    given: dict[str, Any] = {"images": torch.rand(1, 3, 8, 8), "steps": torch.ones(1, 2, 8, 8), "max_index": 127}
    given |= {"alpha": torch.ones(1, 2, 8, 8)} | change
    with pytest.raises(ValueError, match=sentence):
        roundtrip(**given, quantizer=soft_quantize)


def test_tables_that_were_replaced_by_others_are_refused_by_the_layer(path: str) -> None:
    layer, images = JPEGLayer(tables(0), 0.5), pictures(1, 16, 16)
    layer.alpha = torch.ones(3, 2, 8, 8)
    with pytest.raises(ValueError, match=r"alpha must have the shape of the steps, \(1, 2, 8, 8\); got \(3, 2, 8, 8\)"):
        layer(images)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("limit", [127, None])
@pytest.mark.parametrize("quantizer", QUANTIZERS)
def test_a_value_that_is_not_finite_spoils_its_own_block_and_nothing_else(
    path: str, quantizer: Quantizer, limit: int | None, bad: float
) -> None:
    steps = tables(0)
    steps[:, :2, :2] = 0.02  # most of these coefficients are at the limit, if there is one
    layer, images = JPEGLayer(steps, 0.5, max_index=limit, quantizer=quantizer), pictures(4, 64, 64)
    spoilt = images.clone()
    spoilt[1, 1, 10, 20] = bad
    others = torch.ones_like(images, dtype=torch.bool)
    others[1, :, 8:16, 16:24] = False
    wanted, found = (layer(t).detach() for t in (images, spoilt))
    assert found[others].sub(wanted[others]).abs().max() < 1e-6
    if bad != bad:
        assert found[~others].isnan().all()
    gradients = []
    for t in (images, spoilt):
        x = t.clone().requires_grad_()
        gradients.append(torch.autograd.grad(layer(x).square().sum(), x)[0])
    assert torch.allclose(gradients[0][others], gradients[1][others], rtol=1e-4, atol=1e-4)


# The layer's other doors


@pytest.mark.parametrize("shape", [(2, 1, 8, 8), (2, 4, 8, 8), (3, 8, 8), (2, 3, 0, 8)])
def test_coefficients_of_something_else_than_pictures_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="images must have shape"):
        JPEGLayer(tables(0), 0.5).coefficients(torch.rand(shape))


@pytest.mark.parametrize("shape", [(2, 1, 4, 8, 8), (2, 3, 4, 64), (2, 3, 4, 8, 1)])
def test_coefficients_of_another_shape_are_not_stretched_but_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"coefficients must have shape \(count, 3, blocks, 8, 8\); got"):
        JPEGLayer(tables(0), 0.5).quantize(torch.rand(shape))


def test_coefficients_of_another_number_of_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match=r"17x16 pixels have 6 blocks; got \(1, 3, 4, 8, 8\)"):
        JPEGLayer(tables(0), 0.5).to_images(torch.rand(1, 3, 4, 8, 8), 17, 16)


@pytest.mark.parametrize("shape", [(2, 1, 8, 8), (2, 4, 8, 8), (3, 8, 8), (2, 3, 8, 0)])
def test_features_of_another_number_of_channels_are_not_stretched_but_refused(shape: tuple[int, ...]) -> None:
    layer = FeatureJPEGLayer(torch.ones(3, 8, 8), 2.0, max_index=5)
    with pytest.raises(ValueError, match=r"features must have shape \(count, 3, height, width\).* got"):
        layer(torch.rand(shape))


def test_an_alpha_that_does_not_expand_to_the_tables_is_refused() -> None:
    with pytest.raises(ValueError, match=r"alpha must be a number or expand to the tables' shape \(1, 2, 8, 8\)"):
        JPEGLayer(torch.ones(2, 8, 8), torch.ones(3, 2, 8, 8))


@pytest.mark.parametrize("tables", [[[1.0]], torch.ones(2, 8, 8, dtype=torch.int64)])
def test_tables_that_are_no_floating_point_tensor_are_refused(tables: Any) -> None:
    with pytest.raises(ValueError, match="tables must be"):
        JPEGLayer(tables, 5.0)
