import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgerow.edges.views import Pair, view_of_truth
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import totals
from hedgerow.metrics.continuity import Config, build, continuity
from hedgerow.records import OTHER, Regions

LINE = np.zeros((64, 64), bool)
LINE[20, 4:60] = True
SOMETHING = Regions(np.ones((64, 64), np.int32), np.array([OTHER, OTHER], np.uint8))


def without(*gaps: tuple[int, int]) -> np.ndarray:
    line = LINE.copy()
    for start, stop in gaps:
        line[20, start:stop] = False
    return line


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        (LINE, (1, 1, 1, 0)),
        (without((28, 35)), (53 / 56, 53 / 56, (53 / 56) ** 2, 0)),
        (without((28, 36)), (52 / 56, 26 / 56, 2 * 26**2 / 56**2, 1)),
        (without((8, 18), (27, 37), (46, 56)), (38 / 56, 13 / 56, 410 / 3136, 3)),
        (without((32, 60)), (30 / 56, 30 / 56, 900 / 3136, 1)),
        (np.roll(LINE, 2, 0), (1, 1, 1, 0)),
        (np.roll(LINE, 3, 0), (0, 0, 0, 1)),
    ],
)
def test_a_line_of_56_pixels(test: np.ndarray, expected: tuple[float, ...]) -> None:
    found = continuity(test, LINE)
    measured = (found.completeness, found.longest_fraction, found.continuity, found.gaps)
    assert measured == pytest.approx(expected, abs=1e-12)


def ring() -> np.ndarray:
    mask = np.zeros((50, 50), bool)
    mask[10:40, 10:40] = True
    mask[11:39, 11:39] = False
    return mask


def test_a_ring_with_twelve_pixels_missing_stays_in_one_piece() -> None:
    test = ring()
    assert test.sum() == 116
    test[10, 19:31] = False
    found = continuity(test, ring())
    assert found.completeness == pytest.approx(108 / 116)
    assert found.continuity == pytest.approx((108 / 116) ** 2)
    assert (found.gaps, found.gap_px) == (1, 8)


def test_components_weigh_by_their_length() -> None:
    reference = np.zeros((30, 60), bool)
    reference[5, 5:45] = reference[20, 5:25] = True  # 40 and 20 px
    test = reference.copy()
    test[20] = False
    found = continuity(test, reference)
    assert found.continuity == pytest.approx(40 / 60)
    assert found.longest_fraction == pytest.approx(40 / 60)


def test_gaps_are_counted_per_kilometre_of_reference() -> None:
    found = continuity(without((28, 36)), LINE, pixel_size_m=(4.0, 9.0))  # 6 m per px: 336 m
    assert found.gaps_per_km == pytest.approx(1000 / (56 * 6))


@pytest.mark.parametrize(
    ("test", "lengths_px"),
    [
        (LINE, []),
        (without((28, 35)), []),  # 3 px remain beyond the tolerance: bridged
        (without((28, 36)), [4]),
        (without((8, 18), (27, 37), (46, 56)), [6, 6, 6]),
        (without((8, 18), (27, 47)), [6, 16]),
        (without((32, 60)), [26]),
        (np.roll(LINE, 3, 0), [56]),
    ],
)
def test_gaps_are_as_long_as_their_unmatched_pixels(test: np.ndarray, lengths_px: list[int]) -> None:
    found = continuity(test, LINE, pixel_size_m=(4.0, 9.0))  # 6 m per px
    assert (found.gaps, found.gap_px) == (len(lengths_px), sum(lengths_px))
    assert found.gap_max == max(lengths_px, default=0) * 6
    assert found.gap_mean == pytest.approx(6 * sum(lengths_px) / max(len(lengths_px), 1))


def test_the_longest_of_two_maps_is_the_longest_of_the_sums() -> None:
    metric, sums = build(Config()), []
    for test, size in ((without((28, 36)), 10.0), (without((32, 60)), 1.0)):  # one gap of 40 m, one of 26 m
        views = (view_of_truth(SOMETHING, line, np.ones_like(LINE), (size, size)) for line in (test, LINE))
        sums.append(totals(metric.book(Pair(*views))))
    pooled = {name: sums[0].get(name, 0) + sums[1].get(name, 0) for name in {*sums[0], *sums[1]}}
    values = {value.name: (value.value, value.unit) for value in metric.conclude(pooled)}
    assert (values["gaps"], values["gap_mean"], values["gap_max"]) == ((2, "1"), (33, "m"), (40, "m"))


def test_surplus_lines_cost_correctness_and_quality() -> None:
    test = LINE.copy()
    test[50, 4:60] = True
    found = continuity(test, LINE)
    assert (found.correctness, found.completeness, found.continuity) == (0.5, 1.0, 1.0)
    assert found.quality == 56 / 112


def test_empty_sets_follow_the_one_rule() -> None:
    nothing = np.zeros_like(LINE)
    both, lost, surplus = continuity(nothing, nothing), continuity(nothing, LINE), continuity(LINE, nothing)
    assert both.flag == "no lines in either map"
    assert (both.continuity, both.completeness, both.gaps_per_km) == (None, None, None)
    assert (both.gap_mean, both.gap_max) == (None, None)
    assert (lost.continuity, lost.longest_fraction, lost.correctness, lost.quality) == (0.0, 0.0, 0.0, 0.0)
    assert lost.gaps_per_km == pytest.approx(1000 / 56)
    assert (lost.gap_mean, lost.gap_max) == (56, 56)
    assert (surplus.continuity, surplus.quality, surplus.gaps_per_km) == (0.0, 0.0, None)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000))
def test_removing_a_piece_of_border_never_raises_continuity(seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference = np.zeros((48, 48), bool)
    reference[rng.integers(2, 46, 2)] = True
    reference[:, rng.integers(2, 46, 2)] = True
    test = reference.copy()
    before = continuity(test, reference)
    for _ in range(5):
        y, x = rng.integers(0, 40, 2)
        test[y : y + 9, x : x + 9] = False
        after = continuity(test, reference)
        for name in ("continuity", "longest_fraction", "completeness"):
            assert getattr(after, name) <= getattr(before, name) + 1e-12
        before = after


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_identity_is_exactly_perfect(seed: int) -> None:
    lines = np.random.default_rng(seed).random((30, 40)) < 0.1
    found = continuity(lines, lines)
    assert (found.continuity, found.longest_fraction, found.completeness, found.correctness, found.quality) == (1,) * 5
    assert (found.gaps, found.gaps_per_km, found.gap_mean, found.gap_max, found.flag) == (0, 0, 0, 0, None)


@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, np.rot90, np.transpose])
def test_flips_and_turns_of_line_sets_change_nothing(turn: object, pair: Pair) -> None:
    lines = pair.candidate.line, pair.reference.line
    turned = continuity(*(np.ascontiguousarray(turn(m)) for m in lines))  # type: ignore[operator]
    straight = continuity(*lines)
    assert straight.continuity is not None
    assert 0 < straight.continuity < 1
    assert turned.continuity == pytest.approx(straight.continuity, rel=1e-12)
    assert (turned.gaps, turned.matched_reference) == (straight.gaps, straight.matched_reference)


def test_lines_beside_nodata_do_not_count() -> None:
    valid = np.ones_like(LINE)
    valid[:, 40:] = False
    found = continuity(LINE & valid, LINE & valid, valid=valid)
    assert found.n_reference == 40 - 4 - 2


def test_other_parameters_have_names_of_their_own() -> None:
    assert build(Config()).conclude({})[0].name == "continuity"
    assert build(Config(tolerance_px=1, bridge_px=0)).conclude({})[0].name == "continuity@1px,bridge0px"


def test_line_sets_must_be_bool_masks() -> None:
    with pytest.raises(ScoreError, match="bool"):
        continuity(LINE.astype(np.uint8), LINE)


def test_the_booked_sums_are_those_of_the_function(pair_with_nodata: Pair) -> None:
    pair = pair_with_nodata
    metric = build(Config())
    found = continuity(pair.candidate.line, pair.reference.line, valid=pair.valid, pixel_size_m=pair.pixel_size_m)
    values = {value.name: value.value for value in metric.conclude(totals(metric.book(pair)))}
    assert values == {name: getattr(found, name) for name in values}
    assert 0 < found.n_reference < pair.reference.line.sum()


def test_lines_everywhere_keep_every_border_and_a_flag_says_how_cheaply() -> None:
    reference, lattice = np.zeros((80, 80), bool), np.zeros((80, 80), bool)
    reference[40, 5:75] = True
    lattice[::4], lattice[:, ::4] = True, True
    found = continuity(lattice, reference)
    assert found.continuity == 1.0
    assert found.correctness < 0.2
    assert found.flag == f"only {found.correctness:.0%} of the candidate's lines lie on the reference's"
