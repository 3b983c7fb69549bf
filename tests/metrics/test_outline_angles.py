from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import Polygon

from hedgerow.edges.views import Pair, View, view_of_labels
from hedgerow.errors import ScoreError
from hedgerow.metrics import _projection
from hedgerow.metrics._booking import totals
from hedgerow.metrics._projection import nearest_points
from hedgerow.metrics.outline_angles import (
    Config,
    build,
    corner_angle_differences,
    max_tangent_angle,
    tangent_angles,
)
from hedgerow.records import FIELD, OTHER, Regions, Value

SQUARE = shapely.box(0, 0, 40, 40)


def star(rng: np.random.Generator, points: int) -> Polygon:
    """A polygon with long edges that turns this way and that."""
    angle = (np.arange(points) + rng.uniform(0, 0.8, points)) * 2 * np.pi / points
    radius = rng.uniform(30, 50, points)
    return Polygon(np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]))


def to_edge(point: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a + np.clip((point - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1) * (b - a)


def by_definition(test: Polygon, reference: Polygon, spacing: float) -> float | None:
    """One segment after another, as the paper describes it."""
    edges = list(pairwise(np.asarray(reference.exterior.coords)))
    contour = np.asarray(test.exterior.coords)
    points = [contour[0]]
    for a, b in pairwise(contour):
        parts = max(1, round(float(np.linalg.norm(b - a)) / spacing))
        points += [a + (b - a) * k / parts for k in range(1, parts + 1)]
    moved = [min((to_edge(p, a, b) for a, b in edges), key=lambda q: float(np.linalg.norm(q - p))) for p in points]
    angles = []
    for (a, b), (c, d) in zip(pairwise(points), pairwise(moved), strict=True):
        was, now = float(np.linalg.norm(b - a)), float(np.linalg.norm(d - c))
        if now and 0.5 < now / was < 2:
            angles.append(np.degrees(np.arccos(min(abs((b - a) @ (d - c)) / (was * now), 1.0))))
    return max(angles) if angles else None


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_the_angle_is_that_of_the_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    test, reference = star(rng, 8), star(rng, 8)
    # Nearly parallel lines: arccos loses half of the digits.
    assert max_tangent_angle(test, reference) == pytest.approx(by_definition(test, reference, 2.0), abs=1e-5)


def test_many_pairs_at_once_are_as_each_alone() -> None:
    rng = np.random.default_rng(0)
    test, reference = ([star(rng, int(n)) for n in rng.integers(4, 12, 6)] for _ in range(2))
    alone = [max_tangent_angle(a, b, spacing=3.0) for a, b in zip(test, reference, strict=True)]
    assert tangent_angles(np.array(test), np.array(reference), 3.0).tolist() == alone


def test_equal_and_concentric_outlines_have_no_error() -> None:
    assert max_tangent_angle(SQUARE, SQUARE) == 0.0
    assert max_tangent_angle(shapely.box(-3, -3, 43, 43), SQUARE) == 0.0


def test_a_corner_cut_off_is_45_degrees_wrong() -> None:
    # The cut runs from (32, 0) to (40, 8): 11.3 long, 6 segments. Its first half projects down onto y = 0, shortened by
    # sqrt 2, its second half onto x = 40; the segment that jumps from one to the other is stretched more than twice.
    cut = Polygon([(0, 0), (32, 0), (40, 8), (40, 40), (0, 40)])
    assert max_tangent_angle(cut, SQUARE) == pytest.approx(45, abs=1e-6)


def test_a_moved_side_is_off_where_it_leaves_the_other() -> None:
    # Moved by 1 along x: the left side's first sample lies on the lower side, its second, 2 further up, projects 1 to
    # the left: the segment (0, 2) becomes (-1, 2). At the right side the corner projects onto a corner: nothing turns.
    assert max_tangent_angle(shapely.box(1, 0, 41, 40), SQUARE) == pytest.approx(np.degrees(np.arctan(1 / 2)), abs=1e-6)


def test_an_outline_of_which_no_segment_keeps_its_length_has_no_angle() -> None:
    # One segment a side, each shrunk from 40 to 4.
    assert max_tangent_angle(SQUARE, shapely.box(18, 18, 22, 22), spacing=100.0) is None
    assert max_tangent_angle(shapely.box(18, 18, 22, 22), SQUARE, spacing=100.0) == 0.0  # 4 stays 4


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_both_ways_to_project_find_points_equally_near(seed: int) -> None:
    rng = np.random.default_rng(seed)
    polygons = np.array([star(rng, 9).difference(shapely.box(-4, -4, 4, 5)) for _ in range(4)], object)
    owner, xy = rng.integers(0, 4, 200), rng.uniform(-60, 60, (200, 2))
    expected = shapely.distance(shapely.boundary(polygons)[owner], shapely.points(xy))
    for few in (0, 64):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_projection, "FEW_VERTICES", few)
            patch.setattr(_projection, "_POINTS_AT_ONCE", 64)
            found = nearest_points(xy, owner, polygons)
        assert np.hypot(*(found - xy).T) == pytest.approx(expected)
        assert shapely.distance(shapely.boundary(polygons)[owner], shapely.points(found)).max() < 1e-9


def test_a_corner_that_moved_changes_its_angle_and_its_neighbours() -> None:
    # The corner (0, 40) moves by 2 along x: it opens by atan(2 / 40), the corner below closes by as much.
    moved = Polygon([(0, 0), (40, 0), (40, 40), (2, 40)])
    lean = np.degrees(np.arctan(2 / 40))
    assert np.sort(corner_angle_differences(moved, SQUARE)) == pytest.approx([0, 0, lean, lean], abs=1e-6)


def test_a_corner_farther_than_the_reach_is_another_one() -> None:
    moved = Polygon([(0, 0), (40, 0), (40, 40), (4, 40)])
    assert len(corner_angle_differences(moved, SQUARE)) == 3
    assert len(corner_angle_differences(moved, SQUARE, reach=4.0)) == 4  # the reach itself is within it


def test_a_gentle_bend_is_no_corner() -> None:
    for depth, corners in ((5.0, 4), (6.0, 5)):  # the lower side turns by 2 atan(depth / 20): 28 and 33 degrees
        bent = Polygon([(0, 0), (20, -depth), (40, 0), (40, 40), (0, 40)])
        assert len(corner_angle_differences(bent, bent)) == corners


def test_corners_match_one_to_one() -> None:
    # Both ends of a cut, 2 away from the corner that it replaces, turn by 45 degrees: one of them takes it.
    cut = Polygon([(0, 0), (38, 0), (40, 2), (40, 40), (0, 40)])
    assert np.sort(corner_angle_differences(cut, SQUARE)) == pytest.approx([0, 0, 0, 45])
    assert np.sort(corner_angle_differences(SQUARE, cut)) == pytest.approx([0, 0, 0, 45])


def test_interior_angles_know_inside_from_outside() -> None:
    # A tip of height 2 on the upper side against a dent of depth 2: they turn by as much, outwards and inwards.
    slope = np.degrees(np.arctan(2 / 6))
    tip, dent = (Polygon([(0, 0), (40, 0), (40, 40), (26, 40), (20, y), (14, 40), (0, 40)]) for y in (42, 38))
    assert corner_angle_differences(dent, tip, reach=4.0).max() == pytest.approx(4 * slope)
    for ring in (dent.exterior.coords, dent.exterior.coords[::-1]):
        assert corner_angle_differences(Polygon(ring), dent) == pytest.approx(0)


def test_the_corners_of_a_hole_turn_the_other_way() -> None:
    holed = SQUARE.difference(shapely.box(10, 10, 20, 20))
    island = shapely.box(10, 10, 20, 20)
    assert corner_angle_differences(holed, island) == pytest.approx([180] * 4)  # 270 against 90


def test_what_is_no_polygon_is_refused() -> None:
    with pytest.raises(ScoreError, match="LinearRing"):
        max_tangent_angle(SQUARE.exterior, SQUARE)  # type: ignore[arg-type]
    with pytest.raises(ScoreError, match="empty"):
        corner_angle_differences(SQUARE, Polygon())


def fields(*boxes: tuple[int, int, int, int], valid: np.ndarray | None = None) -> View:
    labels = np.ones((60, 80), np.int32)
    for number, (top, left, bottom, right) in enumerate(boxes, 2):
        labels[top:bottom, left:right] = number
    class_of = np.array([OTHER, OTHER, *[FIELD] * len(boxes)], np.uint8)
    return view_of_labels(Regions(labels, class_of), np.ones((60, 80), bool) if valid is None else valid, (10.0, 10.0))


def scores(candidate: View, reference: View) -> list[Value]:
    return list(build(Config()).conclude(totals(build(Config()).book(Pair(candidate, reference)))))


def test_a_field_moved_by_a_pixel_keeps_its_corners() -> None:
    tangent, corner = scores(fields((10, 11, 50, 51)), fields((10, 10, 50, 50)))
    assert (tangent.value, tangent.unit, tangent.n) == (pytest.approx(np.degrees(np.arctan(1 / 2)), abs=1e-6), "deg", 1)
    assert (corner.value, corner.unit, corner.n) == (0.0, "deg", 4)


def test_the_score_is_the_mean_over_matched_fields() -> None:
    kept, field = (10, 60, 50, 75), (10, 10, 50, 50)
    tangent, corner = scores(fields((10, 11, 50, 51), kept), fields(field, kept))
    assert tangent.value == pytest.approx(np.degrees(np.arctan(1 / 2)) / 2, abs=1e-6)
    assert (tangent.n, corner.n) == (2, 8)


def test_corners_that_the_frame_or_nodata_makes_do_not_count() -> None:
    valid = np.ones((60, 80), bool)
    valid[:, 60:] = False
    for field, expected in (((10, 10, 50, 50), 4), ((0, 10, 50, 50), 2), ((10, 10, 50, 60), 2), ((10, 0, 60, 50), 1)):
        view = fields(field, valid=valid)
        assert scores(view, view)[1].n == expected
    everything = fields((0, 0, 60, 80), valid=valid)
    tangent, corner = scores(everything, everything)
    assert tangent.value == 0.0
    assert (corner.value, corner.flag) == (None, "no matched corners in matched objects")


def test_empty_maps_follow_the_one_rule() -> None:
    field, elsewhere = (10, 10, 50, 50), (2, 60, 9, 78)
    for candidate, reference in ((fields(), fields(field)), (fields(field), fields())):
        tangent, corner = scores(candidate, reference)
        assert (tangent.value, corner.value) == (90.0, 360.0)
        assert tangent.flag == corner.flag
        assert str(tangent.flag).startswith("no objects in the")
    assert {value.flag for value in scores(fields(), fields())} == {"no objects in either map"}
    assert all(value.value is None and value.flag for value in scores(fields(elsewhere), fields(field)))
