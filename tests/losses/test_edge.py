"""Edges of probability maps: gradients as the scores compute them, values by hand, none beside the unknown."""

import numpy as np
import pytest
import torch
from scipy.ndimage import sobel
from torch import Tensor

from hedgerow.edges.canny import gradient_magnitude as magnitude_of_scores
from hedgerow.losses import edge
from hedgerow.losses._partial import ANY
from hedgerow.losses.edge import gradient_magnitude
from hedgerow.records import FIELD, OTHER

STEP = 0.999001  # sqrt(1 + 0.001^2) - 0.001 = 0.9990005, and its rounding


def of_field(probability: Tensor, allowed: Tensor) -> float:
    p = torch.stack([1 - probability, probability, torch.zeros_like(probability), torch.zeros_like(probability)], 1)
    return float(edge.build(edge.Config(classes=("field",)))((p.double() + 1e-30).log(), allowed))


def halves(height: int = 6, width: int = 8) -> Tensor:
    allowed = torch.full((1, height, width), 1 << OTHER, dtype=torch.uint8)
    allowed[:, :, width // 2 :] = 1 << FIELD
    return allowed


def test_gradients_are_those_of_the_scores() -> None:
    image = np.random.default_rng(0).integers(0, 256, (21, 33)).astype(np.uint8)
    expected = magnitude_of_scores(image) / (4 * 255)
    got = gradient_magnitude(torch.from_numpy(image)[None] / 255)[0].numpy()
    np.testing.assert_allclose(got, expected, atol=1.01e-3)  # 0.001 is what the root is smoothed by


def test_gradients_are_those_of_scipy() -> None:
    image = np.random.default_rng(1).random((21, 33))
    expected = np.hypot(sobel(image, 0, mode="nearest"), sobel(image, 1, mode="nearest")) / 4
    got = gradient_magnitude(torch.from_numpy(image)[None])[0].numpy()
    np.testing.assert_allclose((got + 1e-3) ** 2, expected**2 + 1e-6, rtol=1e-9)


def test_a_flat_map_costs_all_edges() -> None:
    """A step over 6 rows has gradient 1 in two columns: cost = 12 / (12 + 1)."""
    energy = 12 * STEP**2
    for p in (0.0, 0.5, 1.0):
        assert of_field(torch.full((1, 6, 8), p), halves()) == pytest.approx(energy / (energy + 1), rel=1e-5)


def test_a_step_half_as_steep_costs_a_fifth() -> None:
    """(1/2)^2 / (1^2 + (1/2)^2) = 1/5, but for the 1 that is added: 3 / (3 + 12 + 1)."""
    p = 0.5 * (halves() == 1 << FIELD).double()
    assert of_field(p, halves()) == pytest.approx(3 / 16, rel=3e-3)  # the root is smoothed by 0.001


def test_a_step_two_pixels_off_costs_as_much_as_none_and_one_of_its_own() -> None:
    p = (halves() == 1 << FIELD).double().roll(2, dims=2)
    p[:, :, :2] = 0
    assert of_field(p, halves()) == pytest.approx(24 / 25, rel=1e-3)


def test_a_map_and_its_negative_have_the_same_edges() -> None:
    p = torch.rand(1, 6, 8, generator=torch.Generator().manual_seed(0)).double()
    assert of_field(p, halves()) == pytest.approx(of_field(1 - p, halves()), rel=1e-6)


def test_edges_beside_what_is_not_known_do_not_count() -> None:
    """The unknown columns hide the step and their neighbours: a wrong edge there is free, one farther off is not."""
    allowed = halves(6, 12)
    allowed[:, :, 5:7] = ANY
    beside, away = torch.zeros(1, 6, 12), torch.zeros(1, 6, 12)
    beside[:, :, 5:] = 1
    away[:, :, 3:] = 1
    assert of_field(beside, allowed) == pytest.approx(0, abs=1e-6)
    energy = 12 * STEP**2
    assert of_field(away, allowed) == pytest.approx(energy / (energy + 1), rel=1e-5)
