"""Errors weighed by their distance to the outline: against brute force, by hand, and for every size of crop alike."""

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from hedgerow.losses import boundary_distance
from hedgerow.losses._partial import ANY
from hedgerow.records import BORDER, FIELD, FOREST, OTHER

MAYBE = 1 << FIELD | 1 << OTHER


def cost(probability: Tensor, allowed: Tensor, *, cap_px: float = 20.0, name: str = "field") -> float:
    """Return the cost of a probability (n, height, width) of field; the rest is other."""
    tiny = 1e-30
    p = torch.stack([1 - probability, probability, torch.zeros_like(probability), torch.zeros_like(probability)], 1)
    loss = boundary_distance.build(boundary_distance.Config(classes=(name,), cap_px=cap_px))
    return float(loss((p.double() + tiny).log(), allowed))


def row(*sets: int) -> Tensor:
    return torch.tensor([[sets]], dtype=torch.uint8)


def test_signed_distances_are_those_to_the_nearest_pixel_of_the_other_side_less_half_a_pixel() -> None:
    rng = np.random.default_rng(0)
    is_class = rng.random((23, 31)) < 0.3
    known = is_class | (rng.random(is_class.shape) < 0.9)
    points = np.argwhere(np.ones_like(is_class))
    between = np.linalg.norm(points[:, None] - points[None], axis=-1).reshape(*is_class.shape, *is_class.shape)
    to_inside = np.where(is_class | ~known, between, np.inf).min(axis=(2, 3)) - 0.5
    to_outside = np.where(~is_class, between, np.inf).min(axis=(2, 3)) - 0.5
    expected = np.where(is_class, -to_outside, np.where(known, to_inside, 0))
    np.testing.assert_allclose(boundary_distance.signed_distance_px(is_class, known), expected, atol=1e-5)


def test_it_is_the_mean_distance_of_what_is_wrong(world: object) -> None:
    """All that is known is certain here, so SciPy's two transforms say how far off each pixel is."""
    allowed = world(1)  # type: ignore[operator]
    p = torch.rand(allowed.shape, generator=torch.Generator().manual_seed(0))
    field = allowed[0].numpy() == 1 << FIELD
    off = np.where(field, distance_transform_edt(field), distance_transform_edt(~field)) - 0.5
    expected = (np.abs(p[0].numpy() - field) * np.minimum(off, 4) / 4).mean()
    assert cost(p, allowed, cap_px=4) == pytest.approx(expected, rel=1e-5)


def test_by_hand() -> None:
    """Two field pixels said with 1/2, three others said to be field: (0.5 x 1.5 + 0.5 x 0.5 + 0.5 + 1.5 + 2) / 5 / 2.

    The last one lies 2.5 px off, which counts as the cap of 2.
    """
    allowed = row(1 << FIELD, 1 << FIELD, 1 << FOREST, 1 << OTHER, 1 << OTHER)
    p = torch.tensor([[[0.5, 0.5, 1.0, 1.0, 1.0]]])
    assert cost(p, allowed, cap_px=2) == pytest.approx((0.75 + 0.25 + 0.5 + 1.5 + 2) / 5 / 2)


def test_the_outline_may_run_beside_a_pixel_that_is_not_known() -> None:
    """The field's end is 1/2 px away where a pixel may be other, and 1/2 px from the pixel that may be field."""
    allowed = row(1 << FIELD, MAYBE, 1 << OTHER, 1 << OTHER)
    p = torch.tensor([[[0.0, 1.0, 1.0, 0.0]]])
    assert cost(p, allowed, cap_px=4) == pytest.approx((0.5 + 0.5) / 3 / 4)


@pytest.mark.parametrize(("sets", "p", "expected"), [(1 << OTHER, 0.3, 0.3), (1 << FIELD, 0.3, 0.7), (ANY, 0.3, 0.0)])
def test_without_an_outline_every_pixel_is_as_far_off_as_can_be(sets: int, p: float, expected: float) -> None:
    allowed = torch.full((1, 6, 7), sets, dtype=torch.uint8)
    assert cost(torch.full(allowed.shape, p), allowed) == pytest.approx(expected)


@pytest.mark.parametrize("times", [(1, 2), (3, 1), (4, 4)])
def test_a_larger_crop_of_the_same_land_costs_the_same(times: tuple[int, int]) -> None:
    """Stripes, cut in the middle of one, repeat without a seam."""
    stripe = np.where((np.arange(16) + 4) // 8 % 2 == 0, 1 << FIELD, 1 << OTHER).astype(np.uint8)
    allowed = torch.from_numpy(np.tile(stripe, (16, 1)))[None]
    p = torch.from_numpy(np.tile(np.linspace(0, 1, 16), (16, 1)))[None]
    small, large = cost(p, allowed), cost(p.repeat(1, *times), allowed.repeat(1, *times))
    assert small > 0
    assert large == pytest.approx(small, rel=1e-6)


def test_farther_off_costs_more() -> None:
    allowed = torch.full((1, 31, 31), 1 << OTHER, dtype=torch.uint8)
    allowed[:, 14:17] = 1 << FIELD
    costs = []
    for y in (13, 12, 8, 3):
        p = (allowed == 1 << FIELD).double()
        p[:, y] = 1.0
        costs.append(cost(p, allowed))
    assert costs == pytest.approx([d / 31 / 20 for d in (0.5, 1.5, 5.5, 10.5)])


def test_classes_count_alike(world: object) -> None:
    allowed = world(2)  # type: ignore[operator]
    logits = torch.randn(1, 4, 40, 40, generator=torch.Generator().manual_seed(0))

    def of(*names: str) -> float:
        return float(boundary_distance.build(boundary_distance.Config(classes=names))(logits, allowed))

    assert of("field", "border") == pytest.approx((of("field") + of("border")) / 2, rel=1e-6)
    assert BORDER == 3
