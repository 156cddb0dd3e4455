"""Tables to start from, by finite differences and scipy's DCT, for a network that nothing here knows of."""

import math

import numpy as np
import pytest
import torch
from scipy.fft import dctn, idctn
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from jpegdl.codec.featurelayer import FeatureJPEGLayer
from jpegdl.codec.initial import inverse_sensitivity_tables, mean_absolute_tables, sensitivity, standard_tables
from jpegdl.codec.layer import JPEGLayer
from jpegdl.codec.parameters import split_parameters
from tests.tiny import noise, noise_bytes, tiny_network


def network() -> nn.Sequential:
    """Any classifier with batch statistics that are not the initial ones."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(*tiny_network(3).children())
    model.train()(noise(8, 16))
    return model


def loss_of_coefficients(model: nn.Module, coefficients: np.ndarray, labels: Tensor) -> np.ndarray:
    """(P, 3, 2, 8, 2, 8) coefficients of P pictures 16x16, by scipy and JFIF's matrix -> cross-entropy of each."""
    ycbcr = idctn(coefficients, axes=(3, 5), norm="ortho").reshape(-1, 3, 16, 16)
    to_rgb = np.array([[1, 0, 1.402], [1, -0.114 * 1.772 / 0.587, -0.299 * 1.402 / 0.587], [1, 1.772, 0]])
    rgb = (np.einsum("rc,pchw->prhw", to_rgb, ycbcr) + 128) / 255
    with torch.no_grad():
        return cross_entropy(model(torch.from_numpy(rgb)), labels, reduction="none").numpy()


@pytest.mark.parametrize("batch_size", [2, 1])
def test_sensitivities_are_mean_squares_of_finite_differences_of_each_pictures_loss(batch_size):
    model, pictures, labels = network(), noise_bytes(2, 16, seed=1), torch.tensor([0, 2])
    found = sensitivity(model, zip((pictures / 255).split(batch_size), labels.split(batch_size), strict=True))

    model.double().eval()
    to_ycbcr = np.array(
        [[0.299, 0.587, 0.114], [-0.299 / 1.772, -0.587 / 1.772, 0.5], [0.5, -0.587 / 1.402, -0.114 / 1.402]]
    )
    ycbcr = np.einsum("cr,prhw->pchw", to_ycbcr, pictures.numpy().astype(float) - 128)
    coefficients = dctn(ycbcr.reshape(2, 3, 2, 8, 2, 8), axes=(3, 5), norm="ortho")
    squares = np.zeros((3, 8, 8))
    for number in range(2):
        shifts = 1e-3 * np.eye(3 * 2 * 8 * 2 * 8).reshape(-1, 3, 2, 8, 2, 8)
        target = labels[number].expand(len(shifts))
        above, below = (loss_of_coefficients(model, coefficients[number] + s * shifts, target) for s in (1, -1))
        slope = ((above - below) / 2e-3).reshape(3, 2, 8, 2, 8)
        squares += (slope**2).sum((1, 3))
    assert np.allclose(found.numpy(), squares / 8, rtol=1e-2, atol=1e-3 * (squares / 8).max())


def test_every_picture_weighs_the_same_in_the_sensitivities_however_they_are_batched():
    model, pictures, labels = network(), noise(5, 16, seed=3), torch.tensor([0, 2, 1, 1, 0])
    in_fours = sensitivity(model, zip(pictures.split(4), labels.split(4), strict=True))  # four pictures, then one
    one_by_one = sensitivity(model, zip(pictures.split(1), labels.split(1), strict=True))
    backwards = sensitivity(model, zip(pictures.flip(0).split(4), labels.flip(0).split(4), strict=True))
    assert torch.allclose(in_fours, one_by_one, rtol=1e-4)
    assert torch.allclose(in_fours, backwards, rtol=1e-4)


def test_initial_tables_are_inverse_to_sensitivity_and_reach_q_max_at_the_least_sensitive_luma_frequency():
    luma, blue, red = 1 + torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    steps = inverse_sensitivity_tables(torch.stack([luma, blue, red]), 10.0).double()
    assert steps.shape == (2, 8, 8)
    assert steps[0].max() == pytest.approx(10)
    assert steps[0].argmax() == luma.argmin()
    assert torch.allclose(steps[0], 10 * luma.min() / luma)
    assert torch.allclose(steps[1], 10 * luma.min() * 2 / (blue + red))


def test_initial_tables_stay_in_the_layers_range():
    values = torch.ones(3, 8, 8, dtype=torch.float64)
    values[0, 0, 0] = 1e9
    values[1:, 7, 7] = 1e-6
    steps = inverse_sensitivity_tables(values, 10.0)
    assert steps[0, 0, 0] == pytest.approx(1e-5)
    assert steps[1, 7, 7] == 255
    JPEGLayer(steps, 5.0)  # takes them


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_sensitivity_that_is_not_positive_and_finite_is_refused(value):
    values = torch.ones(3, 8, 8)
    values[2, 3, 4] = value
    with pytest.raises(ValueError, match="positive and finite"):
        inverse_sensitivity_tables(values, 10.0)


@pytest.mark.parametrize("bits", [8, 11])
def test_tables_from_mean_absolute_coefficients_are_two_means_over_the_root_of_half_the_levels(bits):
    pictures = noise_bytes(3, 16)
    to_ycbcr = np.array(
        [[0.299, 0.587, 0.114], [-0.299 / 1.772, -0.587 / 1.772, 0.5], [0.5, -0.587 / 1.402, -0.114 / 1.402]]
    )
    ycbcr = np.einsum("cr,prhw->pchw", to_ycbcr, pictures.numpy().astype(float) - 128)
    coefficients = dctn(ycbcr.reshape(3, 3, 2, 8, 2, 8), axes=(3, 5), norm="ortho")
    mean = np.abs(coefficients).mean((0, 2, 4))
    expected = 2 * np.stack([mean[0], (mean[1] + mean[2]) / 2]) / math.sqrt(2 ** (bits - 1))
    found = mean_absolute_tables([(pictures[:2] / 255, torch.zeros(2)), (pictures[2:] / 255, torch.zeros(1))], bits)
    assert np.allclose(found.numpy(), expected, rtol=1e-4)


def test_a_network_is_as_it_was_after_its_sensitivities_were_taken() -> None:
    model = network()
    model[1].eval()  # a frozen batch normalisation in a network that is being trained
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    sensitivity(model, [(noise(3, 16), torch.tensor([0, 1, 2]))])
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("statistics", [lambda none: sensitivity(network(), none), mean_absolute_tables])
def test_no_pictures_are_refused(statistics) -> None:
    with pytest.raises(ValueError, match="no pictures to take statistics of"):
        statistics([])


def test_standard_tables_are_annex_ks_and_scale_as_libjpeg_does() -> None:
    assert (standard_tables()[0, 0, 0].item(), standard_tables()[1, 7, 7].item()) == (16, 99)
    assert (standard_tables(90)[0, 0, 0].item(), standard_tables(90)[1, 7, 7].item()) == (3, 20)
    JPEGLayer(standard_tables(1), 5.0)  # takes them


def test_parameters_are_split_into_the_networks_and_the_steps_of_every_layer_with_tables() -> None:
    first, inner, backbone = (
        JPEGLayer(standard_tables(), 5.0),
        FeatureJPEGLayer(torch.ones(6, 8, 8), 5.0, max_index=5),
        network(),
    )
    network_parameters, tables = split_parameters(
        nn.Sequential(first, nn.Sequential(backbone[0], inner, *list(backbone)[1:]))
    )
    assert [id(p) for p in tables] == [id(first.steps), id(inner.steps)]
    assert [id(p) for p in network_parameters] == [id(p) for p in backbone.parameters()]
    assert split_parameters(backbone).tables == []
