import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import euler_number

from hedgerow.edges.views import Pair, View, view_of_truth
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import totals
from hedgerow.metrics.betti_error import BETTER, Config, betti_error, build
from hedgerow.records import OTHER, Regions


def outline(*, top: int = 10, left: int = 10, height: int = 30, width: int = 30, shape: int = 60) -> np.ndarray:
    line = np.zeros((shape, shape), bool)
    line[top : top + height, left : left + width] = True
    line[top + 1 : top + height - 1, left + 1 : left + width - 1] = False
    return line


def two_rectangles() -> np.ndarray:
    line = outline(height=25, width=35)
    line[10:35, 27] = True  # the wall that they share
    return line


def numbers(line: np.ndarray) -> tuple[int, int]:
    found = betti_error(line, line)
    return found.betti_0, found.betti_1


def truth(line: np.ndarray, valid: np.ndarray | None = None) -> View:
    regions = Regions(np.ones(line.shape, np.int32), np.array([OTHER, OTHER], np.uint8))
    return view_of_truth(regions, line, np.ones(line.shape, bool) if valid is None else valid, (1.0, 1.0))


def test_a_gap_opens_a_ring() -> None:
    ring, broken = outline(), outline()
    broken[10, 19:31] = False
    found = betti_error(broken, ring)
    assert ring.sum() == 116
    assert (found.betti_0_reference, found.betti_1_reference) == (1, 1)
    assert (found.betti_0, found.betti_1) == (1, 0)
    assert (found.betti_error, found.betti_0_ratio) == (1.0, 1.0)


def test_a_lost_wall_joins_two_rectangles() -> None:
    apart, joined = two_rectangles(), two_rectangles()
    joined[15:29, 27] = False
    found = betti_error(joined, apart)
    assert apart.sum() == 139
    assert (found.betti_0_reference, found.betti_1_reference) == (1, 2)
    assert (found.betti_0, found.betti_1) == (1, 1)
    assert found.betti_error == 1.0


def test_a_line_in_three_pieces_has_a_third_of_the_ratio() -> None:
    whole = np.zeros((9, 30), bool)
    whole[4, 2:28] = True
    torn = whole.copy()
    torn[4, [8, 19]] = False
    found = betti_error(torn, whole)
    assert (found.betti_0, found.betti_error, found.betti_0_ratio) == (3, 2.0, pytest.approx(1 / 3))
    assert betti_error(whole, torn).betti_0_ratio == found.betti_0_ratio


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.1, 0.4, 0.6, 0.9]))
def test_pieces_less_holes_are_the_euler_number(seed: int, share: float) -> None:
    line = np.random.default_rng(seed).random((17, 23)) < share
    pieces, holes = numbers(line)
    assert pieces - holes == euler_number(line, connectivity=2)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_identity_is_exactly_perfect(seed: int) -> None:
    line = np.random.default_rng(seed).random((17, 23)) < 0.4
    found = betti_error(line, line)
    assert (found.betti_error, found.betti_0_ratio, found.flag) == (0.0, 1.0, None)


@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, np.rot90, np.transpose])
def test_flips_and_turns_change_nothing(turn: object) -> None:
    masks = [np.random.default_rng(k).random((17, 23)) < 0.4 for k in (1, 2)]
    assert betti_error(*(np.ascontiguousarray(turn(m)) for m in masks)) == betti_error(*masks)  # type: ignore[operator]


def test_the_frame_and_nodata_close_no_hole() -> None:
    assert numbers(outline(top=0, left=0)) == (1, 1)
    assert numbers(outline()[:, 20:]) == (1, 0)  # the frame cuts the ring open
    valid = np.ones((60, 60), bool)
    valid[:, :20] = False
    assert betti_error(outline(), outline(), valid=valid).betti_1 == 0


def test_a_hole_that_is_all_nodata_is_booked_on_a_valid_pixel() -> None:
    ring = outline()
    valid = np.ones_like(ring)
    valid[11:39, 11:39] = False
    metric = build(Config())
    bookings = metric.book(Pair(truth(ring, valid), truth(ring, valid)))
    assert totals(bookings)["betti_1"] == 1
    assert all(valid[booking.rows, booking.cols].all() for booking in bookings)


def test_pieces_and_holes_are_booked_on_the_line_where_they_begin() -> None:
    line = outline() | outline(top=45, left=5, height=8, width=8)
    pieces, holes, *_ = build(Config()).book(Pair(truth(line), truth(line)))
    assert [*zip(pieces.rows, pieces.cols, strict=True)] == [(10, 10), (45, 5)]
    assert sorted(zip(holes.rows, holes.cols, strict=True)) == [(10, 11), (45, 6)]


def test_noise_in_one_place_hides_a_loss_in_another() -> None:
    ring = outline(top=15, left=15, height=20, width=20)
    reference = ring | outline(top=2, left=50, height=5, width=5)
    test = ring | outline(top=50, left=2, height=5, width=5)
    assert betti_error(ring, reference).betti_error == 2.0
    assert betti_error(test, reference).betti_error == 0.0


def test_empty_sets_follow_the_one_rule() -> None:
    nothing = np.zeros((60, 60), bool)
    both, lost, surplus = (
        betti_error(nothing, nothing),
        betti_error(nothing, two_rectangles()),
        betti_error(outline(), nothing),
    )
    assert (both.betti_error, both.betti_0_ratio, both.flag) == (None, None, "no pieces of line in either map")
    assert (lost.betti_error, lost.betti_0_ratio) == (3.0, 0.0)
    assert lost.flag == "no pieces of line in the candidate"
    assert (surplus.betti_error, surplus.betti_0_ratio) == (2.0, 0.0)


def test_the_booked_sums_are_those_of_the_function(pair_with_nodata: Pair) -> None:
    pair, metric = pair_with_nodata, build(Config())
    found = betti_error(pair.candidate.line, pair.reference.line, valid=pair.valid)
    values = {value.name: value.value for value in metric.conclude(totals(metric.book(pair)))}
    assert values == {name: getattr(found, name) for name in BETTER}


def test_line_sets_must_be_bool_and_of_one_shape() -> None:
    with pytest.raises(ScoreError, match="bool masks of one shape"):
        betti_error(outline().astype(np.uint8), outline())  # type: ignore[arg-type]
    with pytest.raises(ScoreError, match="bool masks of one shape"):
        betti_error(outline(), outline()[1:])
