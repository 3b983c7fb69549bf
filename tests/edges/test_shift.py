import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgerow.edges.shift import best_shift, crops, meetings, most_met, scan_order, smallest_first


def rows_cols(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, cols = np.nonzero(mask)
    return rows, cols


def counts(tested: np.ndarray, reference: np.ndarray) -> dict[tuple[int, int], int]:
    return {shift: int(met.sum()) for shift, met in meetings(tested, *rows_cols(reference)).items()}


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), kind=st.sampled_from(["noise", "flat", "steps"]), channels=st.sampled_from([1, 3]))
def test_the_best_shift_has_the_least_error_and_is_the_first_of_equals(seed: int, kind: str, channels: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (*rng.integers(1, 20, 2), channels)
    reference = rng.integers(0, 256, shape).astype(np.uint8) // {"noise": 1, "flat": 255, "steps": 128}[kind]
    tested = np.roll(reference, rng.integers(-3, 4, 2), (0, 1))
    for order in (scan_order(), smallest_first()):
        errors = {
            shift: np.mean((one.astype(float) - other) ** 2)
            for shift in order
            for one, other in [crops(tested, reference, shift)]
            if abs(shift[0]) < shape[0] and abs(shift[1]) < shape[1]
        }
        assert best_shift(tested, reference, order) == min(errors, key=errors.__getitem__)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 12), cols=st.integers(1, 12))
def test_meetings_are_those_of_the_loop(seed: int, rows: int, cols: int) -> None:
    tested, reference = np.random.default_rng(seed).random((2, rows, cols)) < 0.3
    found = meetings(tested, *rows_cols(reference))
    assert set(found) == set(scan_order())
    for (i, j), met in found.items():
        expected = [
            0 <= y + i < rows and 0 <= x + j < cols and bool(tested[y + i, x + j]) for y, x in np.argwhere(reference)
        ]
        assert met.tolist() == expected


@pytest.mark.parametrize("shift", [(0, 0), (1, 0), (-2, 3), (3, -3)])
def test_edges_moved_down_and_right_meet_at_a_positive_shift(shift: tuple[int, int]) -> None:
    reference = np.zeros((40, 40), bool)
    reference[10:30, 10] = reference[10, 10:30] = True
    assert most_met(counts(np.roll(reference, shift, (0, 1)), reference)) == shift


def test_a_straight_line_says_nothing_of_a_move_along_itself() -> None:
    line = np.zeros((20, 40), bool)
    line[10, 10:30] = True
    found = counts(np.roll(line, (2, 0), (0, 1)), line)
    assert found[2, 0] == 20
    assert found[2, 1] == 19
    endless = np.zeros((20, 40), bool)
    endless[10] = True
    assert most_met(counts(np.roll(endless, 1, 0), endless)) == (1, 0)


def test_ties_go_to_the_smallest_displacement_and_then_to_the_first_scanned() -> None:
    assert most_met({(-3, -3): 5, (0, 1): 5, (-2, 0): 5}) == (0, 1)
    assert most_met({(0, 1): 5, (0, -1): 5, (1, 0): 5, (-1, 0): 5}) == (-1, 0)
    assert most_met({(3, 3): 6, (0, 0): 5}) == (3, 3)


def test_where_nothing_meets_there_is_no_shift() -> None:
    far = np.zeros((20, 20), bool)
    far[0, 0] = True
    here = np.zeros((20, 20), bool)
    here[10, 10] = True
    assert most_met(counts(far, here)) is None
    assert most_met({}) is None
