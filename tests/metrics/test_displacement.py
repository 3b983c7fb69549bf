from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.metrics import hausdorff_distance

from hedgerow.edges.views import Pair, view_of_labels
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import totals
from hedgerow.metrics.displacement import Config, build, displacement
from hedgerow.records import FIELD, FOREST, OTHER, Regions, Value

SIZES_M = [(1.0, 1.0), (10.0, 10.0), (4.0, 9.0), (0.3, 0.21)]


def scattered(seed: int, many: int = 40, shape: tuple[int, int] = (30, 40)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask.ravel()[np.random.default_rng(seed).choice(mask.size, many, replace=False)] = True
    return mask


def box(top: int, left: int, height: int = 16, width: int = 16) -> np.ndarray:
    labels = np.zeros((64, 64), np.int32)
    labels[top : top + height, left : left + width] = 1
    return labels


def by_transform(test: np.ndarray, reference: np.ndarray, size_m: tuple[float, float]) -> tuple[np.ndarray, ...]:
    """Distances of both directions by an exact Euclidean distance transform."""
    return tuple(
        ndimage.distance_transform_edt(~there, sampling=size_m)[here]
        for here, there in ((test, reference), (reference, test))
    )


def values_of(candidate: Regions, reference: Regions, size_m: tuple[float, float] = (1.0, 1.0)) -> dict[str, Value]:
    valid = np.ones(reference.labels.shape, bool)
    metric = build(Config())
    pair = Pair(view_of_labels(candidate, valid, size_m), view_of_labels(reference, valid, size_m))
    return {value.name: value for value in metric.conclude(totals(metric.book(pair)))}


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), size_m=st.sampled_from(SIZES_M), many=st.integers(1, 60))
def test_distances_are_those_of_the_distance_transform(seed: int, size_m: tuple[float, float], many: int) -> None:
    test, reference = scattered(seed, many), scattered(seed + 1)
    found = displacement(test, reference, pixel_size_m=size_m)
    back, forth = by_transform(test, reference, size_m)
    assert found.assd == pytest.approx((back.sum() + forth.sum()) / (many + 40), rel=1e-12)
    expected = max(np.percentile(d, 95, method="inverted_cdf") for d in (back, forth))
    # A level is the middle of a bin of 1/16 px: half a bin is the most it can be away.
    assert found.hd95 == pytest.approx(expected, abs=np.sqrt(size_m[0] * size_m[1]) / 32 * (1 + 1e-6))


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000))
def test_directed_distances_are_those_of_scikit_image(seed: int) -> None:
    test, reference = scattered(seed, 19), scattered(seed + 1, 12)
    found = displacement(test, reference)
    modified = max(found.to_reference_m / 19, found.to_test_m / 12)
    assert modified == pytest.approx(hausdorff_distance(test, reference, method="modified"), rel=1e-12)
    # Of fewer than 20 pixels, 95 % are all: then the percentile is the Hausdorff distance.
    assert found.hd95 == pytest.approx(hausdorff_distance(test, reference), abs=1 / 32)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000))
@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, np.rot90, np.transpose])
def test_flips_and_turns_of_masks_change_no_distance(turn: Callable[[np.ndarray], np.ndarray], seed: int) -> None:
    masks = scattered(seed), scattered(seed + 1)
    turned = displacement(*(np.ascontiguousarray(turn(mask)) for mask in masks))
    straight = displacement(*masks)
    assert turned.hd95 == straight.hd95
    assert turned.assd == pytest.approx(straight.assd, rel=1e-12)  # added up in another order


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), size_m=st.sampled_from(SIZES_M))
def test_identity_is_exactly_zero(seed: int, size_m: tuple[float, float]) -> None:
    labels = np.random.default_rng(seed).integers(0, 3, (12, 14))
    found = displacement(labels, labels, pixel_size_m=size_m)
    assert (found.assd, found.hd95) == (0.0, 0.0)
    assert (found.border_shift, found.border_shift_east, found.border_shift_north) == (0.0, 0.0, 0.0)
    assert found.flag is None


def test_a_box_grown_by_one_pixel_has_shifted_outwards_by_exactly_one_pixel() -> None:
    # B(L) of a box, rows a..b and columns c..d: column c-1, row a-1, column d and row b, (b, d) shared: 4 x 16 - 1.
    # Each of these has a pixel of the grown box at distance 1. Back, of the 4 x 18 - 1: those beside a side are at 1,
    # (a-1, d+1) beside (a-1, d) and (b+1, c-1) below (b, c-1), too; the other 5 ends are at the root of 2.
    found = displacement(box(19, 19, 18, 18), box(20, 20), pixel_size_m=(10.0, 10.0))
    assert (found.n_reference, found.n_test) == (63, 71)
    assert (found.to_test_m, found.to_reference_m) == pytest.approx((630, 660 + 50 * np.sqrt(2)))
    assert found.assd == pytest.approx((63 + 66 + 5 * np.sqrt(2)) / 134 * 10)
    assert found.hd95 == pytest.approx(10 * 23 / 16)  # the root of 2, to 1/16 px
    assert found.border_shift == 10.0


def test_a_box_shrunk_by_one_pixel_has_shifted_inwards_by_exactly_one_pixel() -> None:
    found = displacement(box(21, 21, 14, 14), box(20, 20), pixel_size_m=(10.0, 10.0))
    assert found.border_shift == -10.0


@pytest.mark.parametrize("size_m", SIZES_M)
@pytest.mark.parametrize(("down", "right"), [(0, 2), (0, -3), (2, 0), (-1, 0), (0, 0)])
def test_a_moved_box_is_moved_by_so_many_metres(size_m: tuple[float, float], down: int, right: int) -> None:
    moved = displacement(box(20 + down, 20 + right, 24, 24), box(20, 20, 24, 24), pixel_size_m=size_m)
    # A few pixels of each side lie beside a corner, where the other map's nearest pixel is of another side.
    error_m = np.hypot(moved.border_shift_east - right * size_m[1], moved.border_shift_north + down * size_m[0])
    assert error_m <= 0.15 * np.hypot(right * size_m[1], down * size_m[0])
    assert moved.border_shift == 0.0  # as much border went outwards as inwards, and half of it stayed


@pytest.mark.parametrize("degrees", [0, 15, 30, 45, 60])
@pytest.mark.parametrize(("east", "north"), [(4, 0), (2, 3), (0, 0)])
def test_the_shift_of_parcels_that_run_any_way_is_found(degrees: int, east: int, north: int) -> None:
    y, x = np.mgrid[:400, :400].astype(float)
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))

    def parcels(dx: int, dy: int) -> np.ndarray:
        u, v = (x - dx) * c + (y - dy) * s, (y - dy) * c - (x - dx) * s
        return (np.floor(u / 80 + 20) * 100 + np.floor(v / 60 + 20)).astype(int)

    found = displacement(parcels(east, -north), parcels(0, 0))
    # Stairs of pixels overlap with themselves after a small move: up to a fifth is missed, and hardly any is invented.
    far = np.hypot(east, north)
    assert np.hypot(found.border_shift_east - east, found.border_shift_north - north) <= 0.2 * far


def test_borders_of_one_direction_do_not_tell_the_shift_along_them() -> None:
    values = values_of(striped(FIELD, OTHER, moved=3), striped(FIELD, OTHER))
    for name in ("border_shift_east", "border_shift_north"):
        assert values[name].value is None
        assert values[name].flag == "all borders run in one direction"


def test_a_border_that_is_lost_says_nothing_of_a_shift() -> None:
    reference = box(10, 10, 20, 20) + 2 * box(34, 10, 20, 20)
    kept = np.where(reference == 1, 1, 0)
    found = displacement(kept, reference)
    assert found.assd > 1
    # The lower box is lost; but for its upper side, 4 px from the upper box, all of it lies beyond 8 px.
    assert abs(found.border_shift_east) < 0.1


def striped(*classes: int, moved: int = 0) -> Regions:
    """Two stripes over each other, the border between them `moved` px down."""
    labels = np.ones((30, 20), np.int32)
    labels[15 + moved :] = 2
    return Regions(labels, np.array([OTHER, *classes], np.uint8))


@pytest.mark.parametrize(
    ("upper", "lower", "expected"),
    [
        (FIELD, OTHER, 3.0),
        (OTHER, FIELD, -3.0),
        (FIELD, FOREST, 3.0),
        (FOREST, FIELD, -3.0),
        (FOREST, OTHER, 3.0),
        (OTHER, FOREST, -3.0),
    ],
)
def test_the_parcel_is_the_field_and_else_the_forest(upper: int, lower: int, expected: float) -> None:
    values = values_of(striped(upper, lower, moved=3), striped(upper, lower))
    assert values["border_shift"].value == expected


@pytest.mark.parametrize("kind", [FIELD, FOREST, OTHER])
def test_a_border_between_two_of_a_class_has_no_inside(kind: int) -> None:
    values = values_of(striped(kind, kind, moved=3), striped(kind, kind))
    assert values["border_shift"].value is None
    assert values["border_shift"].flag == "no border of the reference parts a parcel from another class"
    assert values["assd"].value == 3.0


def test_a_border_that_jumps_over_a_road_into_the_next_field_has_moved_outwards() -> None:
    reference, test = np.zeros((30, 20), np.int32), np.ones((30, 20), np.int32)
    reference[:10], reference[13:] = 1, 2
    test[15:] = 2
    # B(L) of the reference: row 9 bounds the upper field, 5 px above the candidate's row 14, outside of that field; and
    # row 12 bounds the lower field, 2 px above row 14, inside of that field. The median lies between +5 and -2.
    assert displacement(test, reference).border_shift == 1.5


def test_masks_have_no_inside_and_no_direction() -> None:
    found = displacement(scattered(1), scattered(2))
    assert found.assd is not None
    assert (found.border_shift, found.border_shift_east, found.border_shift_north) == (None, None, None)


def test_what_both_lack_has_no_distance() -> None:
    nothing = np.zeros((20, 30), bool)
    found = displacement(nothing, nothing)
    assert (found.assd, found.hd95, found.border_shift, found.n_reference) == (None, None, None, 0)
    assert found.flag == "no boundaries in either map"


@pytest.mark.parametrize("swap", [False, True])
def test_what_one_map_lacks_is_as_far_as_the_diagonal_of_the_valid_area(swap: bool) -> None:
    labels, nothing = box(20, 20), np.zeros((64, 64), np.int32)
    valid = np.zeros((64, 64), bool)
    valid[10:40, 15:55] = True  # 30 x 40 px of 4 x 3 m: the diagonal is that of 120 x 120 m
    found = displacement(*((labels, nothing) if swap else (nothing, labels)), pixel_size_m=(4.0, 3.0), valid=valid)
    assert found.assd == pytest.approx(120 * np.sqrt(2))
    assert found.hd95 == pytest.approx(120 * np.sqrt(2))
    assert found.border_shift is None
    assert found.flag == "63 boundary pixels count the scene's diagonal, where the other map has no boundary"


def test_a_miss_never_improves_what_is_pooled() -> None:
    metric, valid = build(Config()), np.ones((30, 20), bool)
    reference, near, lost = striped(FIELD, OTHER), striped(FIELD, OTHER, moved=1), striped(FIELD, FIELD, moved=15)
    sums = [
        totals(metric.book(Pair(view_of_labels(one, valid, (1.0, 1.0)), view_of_labels(reference, valid, (1.0, 1.0)))))
        for one in (near, lost)
    ]
    pooled = {name: sum(part.get(name, 0.0) for part in sums) for name in {*sums[0], *sums[1]}}
    assd, hd95, shift, *_ = metric.conclude(pooled)
    # 20 + 20 pixels at 1 px, and 20 at the diagonal of 30 x 20 px.
    assert assd.value == pytest.approx((40 + 20 * np.hypot(30, 20)) / 60)
    assert hd95.value == pytest.approx(np.hypot(30, 20))
    assert assd.flag is not None
    assert assd.flag.startswith("20 boundary pixels count")
    assert shift.value == 1.0


def test_nodata_makes_no_boundary() -> None:
    valid = np.ones((64, 64), bool)
    valid[:, :28] = False  # the left half of the box, and nodata itself has no border
    found = displacement(box(20, 20), box(20, 20), valid=valid)
    assert found.n_reference == 8 + 8 + 16 - 1  # row 19 and row 35, column 35, one of them shared
    assert found.assd == 0.0


def test_labels_may_be_any_numbers() -> None:
    reference = box(20, 20)
    large = np.where(reference, 10**12, -1)
    assert displacement(large, reference) == displacement(reference, reference)


def test_the_booked_sums_are_those_of_the_function(pair_with_nodata: Pair) -> None:
    pair, metric = pair_with_nodata, build(Config())
    masks = pair.candidate.boundary, pair.reference.boundary
    found = displacement(*masks, valid=pair.valid, pixel_size_m=pair.pixel_size_m)
    values = {value.name: value for value in metric.conclude(totals(metric.book(pair)))}
    assert (values["assd"].value, values["hd95"].value) == (found.assd, found.hd95)
    assert values["assd"].n == pair.reference.boundary.sum() == found.n_reference


@pytest.mark.parametrize(
    ("test", "reference"),
    [
        (np.zeros((4, 4), bool), np.zeros((4, 5), bool)),
        (np.zeros((4, 4), bool), np.zeros((4, 4), int)),
        (np.zeros((4, 4)), np.zeros((4, 4))),
        (np.zeros(4, bool), np.zeros(4, bool)),
    ],
)
def test_arrays_that_cannot_be_compared_are_refused(test: np.ndarray, reference: np.ndarray) -> None:
    with pytest.raises(ScoreError, match="integer labels"):
        displacement(test, reference)
