"""Corners of fields: Harris weights against OpenCV, none on straight or slanting borders, values by hand."""

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from hedgerow.edges.harris import IDEAL_CORNER
from hedgerow.losses import corner
from hedgerow.losses._partial import ANY
from hedgerow.records import BORDER, FIELD


def weight(border: np.ndarray, known: np.ndarray | None = None, **options: float) -> np.ndarray:
    loss = corner.build(corner.Config(**options))  # type: ignore[arg-type]
    return loss.weight(border, np.ones_like(border) if known is None else known)


def line(*points: tuple[float, float], side: int = 48) -> np.ndarray:
    """Return a border 3 px wide through points (x, y)."""
    canvas = np.zeros((side, side), np.uint8)
    cv2.polylines(canvas, [np.rint(np.asarray(points)).astype(np.int32)], isClosed=False, color=1)
    return cv2.dilate(canvas, np.ones((3, 3), np.uint8)) > 0


def opencv_weight(border: np.ndarray, radius: int, threshold: float) -> np.ndarray:
    """Spread OpenCV's responses, which lie between pixels, over 2 x radius pixels; none within 2 px of the frame."""
    response = cv2.cornerHarris(border.view(np.uint8) * np.uint8(255), 2, 3, 0.04) / IDEAL_CORNER
    response[response < threshold] = 0
    height, width = border.shape
    out = np.zeros(border.shape)
    for y in range(2, height - 1):
        for x in range(2, width - 1):
            near = (slice(max(y - radius, 0), y + radius), slice(max(x - radius, 0), x + radius))
            out[near] = np.maximum(out[near], min(response[y, x], 1.0))
    return out


def logits(seed: int = 0, side: int = 40) -> Tensor:
    return torch.randn(1, 4, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("radius", [1, 3])
def test_weights_are_responses_of_opencv_spread(world: object, radius: int) -> None:
    border = world(1)[0].numpy() == 1 << BORDER  # type: ignore[operator]
    expected = opencv_weight(border, radius, 0.1)
    assert 0 < (expected > 0).mean() < 0.5
    np.testing.assert_allclose(weight(border, radius_px=radius, threshold=0.1), expected, atol=1e-5)


def test_it_is_cross_entropy_weighted_by_corners(world: object) -> None:
    allowed = world(1)  # type: ignore[operator]
    weights = opencv_weight(allowed[0].numpy() == 1 << BORDER, 3, 0.1)
    plain = F.cross_entropy(logits(), torch.log2(allowed.float()).long(), reduction="none")[0].numpy()
    expected = (weights * plain).sum() / weights.sum()
    assert float(corner.build(corner.Config())(logits(), allowed)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("degrees", range(0, 180, 3))
def test_a_straight_border_has_no_corner_whatever_its_slope(degrees: int) -> None:
    """From far beyond the frame to far beyond the frame."""
    along = 90 * np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))])
    big = line(tuple(100 - along), tuple(100 + along), side=201)
    assert weight(big[76:124, 76:124].copy()).max() == 0


@pytest.mark.parametrize("degrees", [30, 60, 90])
@pytest.mark.parametrize("turned", [0, 17, 45, 71])
def test_an_angle_of_borders_is_a_corner(degrees: int, turned: int) -> None:
    first, second = (np.deg2rad(turned + d) for d in (0, degrees))
    ends = [(24 + 60 * np.cos(a), 24 + 60 * np.sin(a)) for a in (first, second)]
    weights = weight(line(ends[0], (24, 24), ends[1]))
    assert weights[21:28, 21:28].max() > 0.3


def test_the_weight_of_a_right_angle_surrounds_it() -> None:
    """The angle's own 3 x 3 pixels weigh in full; along its arms, beyond the reach of 6 px, nothing does."""
    weights = weight(line((20, 47), (20, 20), (47, 20)))
    assert weights[19:22, 19:22].min() > 0.5
    assert weights[19:22, 28:44].max() == 0
    assert weights[:12].max() == 0
    np.testing.assert_array_equal(weights, weights.T)


def test_a_cut_by_nodata_or_by_the_frame_is_no_corner() -> None:
    border = line((0, 24), (47, 24))
    known = np.ones_like(border)
    known[:, 30:] = False
    assert weight(border & known, known).max() == 0
    assert weight(border & known).max() > 0.5  # where it is known that it ends there, it does
    assert weight(line((0, 0), (60, 60))).max() == 0


def test_a_crop_without_corners_costs_nothing() -> None:
    allowed = torch.full((1, 40, 40), 1 << FIELD, dtype=torch.uint8)
    allowed[:, 18:21] = 1 << BORDER
    assert float(corner.build(corner.Config())(logits(), allowed)) == 0


def test_a_mistake_counts_at_the_corner_and_nowhere_else(world: object) -> None:
    allowed = torch.from_numpy(np.where(line((20, 47), (20, 20), (47, 20)), 1 << BORDER, 1 << FIELD))[None]
    allowed = allowed.to(torch.uint8)
    right = 40.0 * torch.stack([allowed == 1 << c for c in range(4)], dim=1).float()
    loss = corner.build(corner.Config())
    for place, counts in (((20, 20), True), ((20, 38), False), ((40, 40), False)):
        wrong = right.clone()
        wrong[(0, slice(None), *place)] = 0
        assert (float(loss(wrong, allowed)) > 1e-3) == counts
    allowed[:, 20, 20] = ANY
    wrong = right.clone()
    wrong[0, :, 20, 20] = 0
    assert float(loss(wrong, allowed)) < 1e-6
