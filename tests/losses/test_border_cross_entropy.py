"""Cross-entropy that counts more beside borders: weights against SciPy's distances, values by hand."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from hedgerow.losses import border_cross_entropy, cross_entropy
from hedgerow.losses._maps import distance_px
from hedgerow.losses._partial import ANY
from hedgerow.records import BORDER, FIELD, OTHER


@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.5, 0.05, 0.003]))
@settings(deadline=None, max_examples=30)
def test_distances_are_exact(seed: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((37, 50)) < share
    mask[seed % 37, seed % 50] = True
    assert np.array_equal(distance_px(mask), distance_transform_edt(~mask).astype(np.float32))


def test_distances_are_exact_across_a_large_crop() -> None:
    mask = np.zeros((1024, 1024), bool)
    mask[3, 5] = mask[700, 90] = True
    assert np.array_equal(distance_px(mask), distance_transform_edt(~mask).astype(np.float32))


def test_where_nothing_is_marked_the_distance_is_infinite() -> None:
    assert np.isinf(distance_px(np.zeros((3, 4), bool))).all()


@pytest.mark.parametrize(("w0", "sigma"), [(10.0, 5.0), (3.0, 1.5)])
def test_it_is_cross_entropy_weighted_by_distance(world: object, w0: float, sigma: float) -> None:
    allowed = torch.cat([world(1), world(2)])  # type: ignore[operator]
    logits = torch.randn(2, 4, 40, 40, generator=torch.Generator().manual_seed(0))
    distance = np.stack([distance_transform_edt(crop != 1 << BORDER) for crop in allowed.numpy()])
    weight = 1 + w0 * np.exp(-(distance**2) / (2 * sigma**2))
    plain = F.cross_entropy(logits, torch.log2(allowed.float()).long(), reduction="none").numpy()
    config = border_cross_entropy.Config(w0=w0, sigma_px=sigma)
    got = float(border_cross_entropy.build(config)(logits, allowed))
    assert got == pytest.approx((weight * plain).sum() / weight.sum(), rel=1e-5)


def test_without_a_border_it_is_plain_cross_entropy() -> None:
    allowed = torch.tensor([[[1 << FIELD, 1 << OTHER, 1 << FIELD | 1 << BORDER, ANY]]], dtype=torch.uint8)
    logits = torch.randn(1, 4, 1, 4, generator=torch.Generator().manual_seed(0))
    expected = cross_entropy.build(cross_entropy.Config())(logits, allowed)
    torch.testing.assert_close(border_cross_entropy.build(border_cross_entropy.Config())(logits, allowed), expected)


def test_by_hand() -> None:
    """A border pixel said with p = 1/4, and 5 px from it a field pixel said with 1/2; between them, nothing is known.

    Their weights are 1 + 10 and 1 + 10 exp(-1/2).
    """
    allowed = torch.tensor([[[1 << BORDER, ANY, ANY, ANY, ANY, 1 << FIELD]]], dtype=torch.uint8)
    logits = torch.tensor([0.125, 0.5, 0.125, 0.25]).log().reshape(1, 4, 1, 1).repeat(1, 1, 1, 6)
    near, far = 11.0, 1 + 10 * math.exp(-0.5)
    expected = (near * math.log(4) + far * math.log(2)) / (near + far)
    got = float(border_cross_entropy.build(border_cross_entropy.Config())(logits, allowed))
    assert got == pytest.approx(expected, rel=1e-6)
