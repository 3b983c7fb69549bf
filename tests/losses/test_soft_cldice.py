"""Topology of borders: soft skeletons against plain NumPy, gaps and lines that are not there by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import maximum_filter, minimum_filter
from skimage.morphology import skeletonize
from torch import Tensor

from hedgerow.losses import soft_cldice
from hedgerow.losses._morphology import grown, shrunk
from hedgerow.losses._partial import ANY
from hedgerow.losses.soft_cldice import soft_skeleton
from hedgerow.records import BORDER, FIELD

LOSS = soft_cldice.build(soft_cldice.Config())


def numpy_skeleton(image: np.ndarray, iterations: int) -> np.ndarray:
    """Write down algorithm 1 of the paper line by line."""
    opened = maximum_filter(minimum_filter(image, 3, mode="nearest"), 3, mode="nearest")
    skeleton = np.maximum(image - opened, 0)
    for _ in range(iterations):
        image = minimum_filter(image, 3, mode="nearest")
        opened = maximum_filter(minimum_filter(image, 3, mode="nearest"), 3, mode="nearest")
        skeleton = skeleton + (1 - skeleton) * np.maximum(image - opened, 0)
    return skeleton


def lines(*rows: int, height: int = 15, width: int = 20) -> Tensor:
    """Return borders (1, height, width) of 3 px around these rows, from frame to frame."""
    border = torch.zeros(1, height, width, dtype=torch.bool)
    for y in rows:
        border[:, y - 1 : y + 2] = True
    return border


def cost(predicted: Tensor, target: Tensor, known: Tensor | None = None) -> float:
    logits = torch.zeros(1, 4, *target.shape[1:], dtype=torch.float64)
    logits[:, BORDER] = torch.where(predicted, 80.0, -80.0)
    allowed = torch.where(target, 1 << BORDER, 1 << FIELD).to(torch.uint8)
    if known is not None:
        allowed[~known] = ANY
    return float(LOSS(logits, allowed))


@given(seed=st.integers(0, 10_000), iterations=st.integers(1, 5))
@settings(deadline=None, max_examples=25)
def test_soft_skeletons_are_those_of_the_algorithm(seed: int, iterations: int) -> None:
    images = np.random.default_rng(seed).random((2, 13, 17))
    for values in (torch.from_numpy(images), torch.from_numpy(images).requires_grad_(True)):
        got = soft_skeleton(values, iterations).detach().numpy()
        np.testing.assert_allclose(got, np.stack([numpy_skeleton(image, iterations) for image in images]), atol=1e-12)


def test_both_ways_to_grow_and_shrink_agree() -> None:
    values = torch.rand(2, 9, 11, generator=torch.Generator().manual_seed(0))
    followed = values.clone().requires_grad_(True)
    assert torch.equal(grown(values), grown(followed).detach())
    assert torch.equal(shrunk(values), shrunk(followed).detach())


@pytest.mark.parametrize("width", [3, 5, 7])
def test_a_straight_band_is_thinned_to_its_centre_line(width: int) -> None:
    band = torch.zeros(1, 15, 20)
    band[:, 7 - width // 2 : 8 + width // 2] = 1
    expected = np.zeros((15, 20))
    expected[7] = 1
    np.testing.assert_array_equal(soft_skeleton(band, 3)[0].numpy(), expected)
    thinned = skeletonize(band[0].numpy() > 0)  # which takes bites out of the ends
    np.testing.assert_array_equal(thinned[:, 5:15], expected[:, 5:15])


def test_a_gap_costs_what_it_takes_from_the_centre_line() -> None:
    """4 of 20 px are missing: S = (16 + 1) / (20 + 1), P = 1, cost = 1 - 2 S / (1 + S) = 2 / 19."""
    target, predicted = lines(7), lines(7)
    predicted[:, :, 8:12] = False
    assert cost(predicted, target) == pytest.approx(2 / 19)


def test_a_line_too_many_costs_its_centre_line() -> None:
    """Half of 40 px are wrong: P = (20 + 1) / (40 + 1), S = 1, cost = 1 - 42 / 62 = 10 / 31."""
    assert cost(lines(3, 10), lines(3)) == pytest.approx(10 / 31)
    assert cost(lines(7), lines()) == pytest.approx(1 - 2 / 22)


def test_half_a_width_to_the_side_or_thinner_costs_nothing_and_beside_costs_all() -> None:
    assert cost(lines(8), lines(7)) == pytest.approx(0, abs=1e-12)
    thin = torch.zeros_like(lines(7))
    thin[:, 7] = True
    assert cost(thin, lines(7)) == pytest.approx(0, abs=1e-12)
    assert cost(lines(10), lines(7)) == pytest.approx(1 - 1 / 21)


def test_what_is_drawn_where_nothing_is_known_costs_nothing() -> None:
    known = torch.ones_like(lines(3))
    known[:, 7:] = False
    assert cost(lines(3, 10), lines(3), known) == pytest.approx(0, abs=1e-12)


def test_an_area_too_wide_for_a_centre_line_is_not_seen() -> None:
    assert cost(torch.ones_like(lines(7)), lines(7)) == pytest.approx(0, abs=1e-12)
