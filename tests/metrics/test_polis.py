from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import Polygon, affinity

from hedgerow.edges.views import Pair, View, view_of_labels
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import totals
from hedgerow.metrics.polis import Config, build, distances, polis
from hedgerow.records import FIELD, OTHER, Regions, Value

SQUARE = shapely.box(0, 0, 10, 10)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (shapely.box(0, 0, 10, 10), 0.0),
        (shapely.box(1, 0, 11, 10), 0.5),  # the closing vertex counted twice would give 0.4
        (shapely.box(-1, -1, 11, 11), (1 + np.sqrt(2)) / 2),
        (Polygon([(0, 0), (4, 0), (10, 0), (10, 10), (0, 10)]), 0.0),
    ],
    ids=["identical", "moved by 1", "grown by 1", "a collinear vertex more"],
)
def test_golden_values_of_a_square(other: Polygon, expected: float) -> None:
    assert polis(SQUARE, other) == pytest.approx(expected, abs=1e-15)
    assert polis(other, SQUARE) == pytest.approx(expected, abs=1e-15)


def test_holes_have_vertices_and_are_boundary() -> None:
    # The shells agree; the hole's 4 vertices (of 8) are 3 away from the shell of the other, whose 4 lie on both.
    holed = SQUARE.difference(shapely.box(3, 3, 7, 7))
    assert polis(holed, SQUARE) == pytest.approx((4 * 3 / 8 + 0) / 2)


def star(rng: np.random.Generator, points: int) -> Polygon:
    angle = (np.arange(points) + rng.uniform(0, 0.8, points)) * 2 * np.pi / points
    radius = rng.uniform(3, 10, points)
    return Polygon(np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]))


def to_edge(point: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    along = np.clip((point - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
    return float(np.linalg.norm(a + along * (b - a) - point))


def by_formula(one: Polygon, other: Polygon) -> float:
    rings = [np.asarray(p.exterior.coords) for p in (one, other)]
    means = []
    for mine, theirs in (rings, rings[::-1]):
        away = [min(to_edge(v, a, b) for a, b in pairwise(theirs)) for v in mine[:-1]]
        means.append(sum(away) / len(away))
    return sum(means) / 2


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_many_pairs_at_once_are_each_by_the_formula(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = ([star(rng, int(rng.integers(4, 12))) for _ in range(5)] for _ in range(2))
    expected = [by_formula(a, b) for a, b in zip(one, other, strict=True)]
    assert distances(np.array(one), np.array(other)) == pytest.approx(np.array(expected))


def test_turning_both_polygons_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    one, other = star(rng, 9), star(rng, 7)
    turned = (affinity.rotate(p, 37, origin=(4, 5)) for p in (one, other))
    assert polis(*turned) == pytest.approx(polis(one, other))


def test_what_is_no_polygon_is_refused() -> None:
    with pytest.raises(ScoreError, match="MultiPolygon"):
        polis(SQUARE, shapely.MultiPolygon([SQUARE]))


def fields(*boxes: tuple[int, int, int, int], valid: np.ndarray | None = None) -> View:
    """Draws fields at (top, left, bottom, right) on pixels 2 m high and 3 m wide."""
    labels = np.ones((40, 60), np.int32)
    for number, (top, left, bottom, right) in enumerate(boxes, 2):
        labels[top:bottom, left:right] = number
    class_of = np.array([OTHER, OTHER, *[FIELD] * len(boxes)], np.uint8)
    return view_of_labels(Regions(labels, class_of), np.ones((40, 60), bool) if valid is None else valid, (2.0, 3.0))


def score(candidate: View, reference: View) -> Value:
    (value,) = build(Config()).conclude(totals(build(Config()).book(Pair(candidate, reference))))
    return value


def test_the_score_is_the_mean_over_matched_objects_in_metres() -> None:
    # One field is the same, the other lies one column (3 m) further: PoLiS 0 and 3 / 2, for the side that does not move
    # holds half of the vertices.
    found = score(fields((5, 5, 25, 25), (5, 31, 25, 51)), fields((5, 5, 25, 25), (5, 30, 25, 50)))
    assert (found.value, found.unit, found.n, found.flag) == (pytest.approx(0.75), "m", 2, None)


def test_objects_without_a_match_are_left_out_and_none_at_all_says_so() -> None:
    same, other = (5, 5, 25, 25), (30, 40, 38, 55)
    assert score(fields(same), fields(same, other)).value == 0.0
    nothing = score(fields(other), fields(same))
    assert (nothing.value, nothing.flag) == (None, "no matched objects to compare")


def test_a_map_without_objects_costs_the_diagonal_of_the_valid_area() -> None:
    field = (5, 5, 25, 25)
    lost, invented = score(fields(), fields(field)), score(fields(field), fields())
    assert (lost.value, lost.flag, lost.n) == (np.hypot(40 * 2, 60 * 3), "no objects in the candidate", 1)
    assert (invented.value, invented.flag) == (lost.value, "no objects in the reference")
    valid = np.ones((40, 60), bool)
    valid[30:] = False
    assert score(fields(valid=valid), fields(field, valid=valid)).value == np.hypot(30 * 2, 60 * 3)
    assert score(fields(), fields()).flag == "no objects in either map"
