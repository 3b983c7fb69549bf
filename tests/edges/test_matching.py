import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgerow.edges.matching import ERQA_OFFSETS, NEAREST_FIRST, match_edges, unmatched_one_to_one
from hedgerow.edges.shift import best_shift, crops, scan_order, smallest_first
from hedgerow.errors import ScoreError


def greedy_loop(tested: np.ndarray, reference: np.ndarray, *, wrap: bool) -> tuple[np.ndarray, np.ndarray]:
    """One pixel after the other, as the definition reads."""
    left, right = tested.copy(), reference.copy()
    rows, cols = tested.shape
    for i, j in ERQA_OFFSETS:
        for y, x in np.argwhere(left):
            there = (y - i, x - j)
            if wrap:
                there = (there[0] % rows, there[1] % cols)
            if 0 <= there[0] < rows and 0 <= there[1] < cols and right[there]:
                left[y, x] = right[there] = False
    return left, right


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 12), cols=st.integers(1, 12), wrap=st.booleans())
def test_pairs_are_those_of_the_loop(seed: int, rows: int, cols: int, wrap: bool) -> None:
    rng = np.random.default_rng(seed)
    tested, reference = rng.random((2, rows, cols)) < 0.4
    found = unmatched_one_to_one(tested, reference, ERQA_OFFSETS, wrap=wrap)
    expected = greedy_loop(tested, reference, wrap=wrap)
    assert np.array_equal(found[0], expected[0])
    assert np.array_equal(found[1], expected[1])


def test_one_to_one_leaves_as_many_matched_on_either_side() -> None:
    tested, reference = np.random.default_rng(3).random((2, 40, 40)) < 0.3
    match = match_edges(tested, reference)
    assert match.tp.sum() + match.fn.sum() == reference.sum()
    assert match.tp.sum() + match.fp.sum() == tested.sum()


def test_version_one_lets_two_edges_share_a_partner() -> None:
    tested, reference = np.zeros((2, 5, 5), bool)
    tested[2, 1] = tested[2, 3] = reference[2, 2] = True
    shared = match_edges(tested, reference, version="1.0")
    assert (shared.tp.sum(), shared.fp.sum(), shared.fn.sum()) == (2, 0, 1)
    paired = match_edges(tested, reference, version="1.1")
    assert (paired.tp.sum(), paired.fp.sum(), paired.fn.sum()) == (1, 1, 0)


def test_nearest_first_starts_in_place_and_ends_at_the_diagonals() -> None:
    assert NEAREST_FIRST[0] == (0, 0)
    assert {abs(i) + abs(j) for i, j in NEAREST_FIRST[-4:]} == {2}


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(ScoreError, match="'1\\.0' or '1\\.1'"):
        match_edges(np.zeros((3, 3), bool), np.zeros((3, 3), bool), version="2.0")  # type: ignore[arg-type]


@pytest.mark.parametrize("shift", [(0, 0), (1, 0), (-2, 3), (3, -3), (0, -1)])
def test_a_rolled_texture_is_found_again(shift: tuple[int, int]) -> None:
    reference = np.random.default_rng(0).integers(0, 256, (40, 40)).astype(np.uint8)
    tested = np.roll(reference, shift, (0, 1))
    for order in (scan_order(), smallest_first()):
        assert best_shift(tested, reference, order) == shift
    assert np.array_equal(*crops(tested, reference, shift))


def test_a_flat_pair_takes_the_first_shift_scanned() -> None:
    flat = np.zeros((32, 32), np.uint8)
    assert best_shift(flat, flat, scan_order()) == (-3, -3)
    assert crops(flat, flat, (-3, -3))[0].shape == (29, 29)
    assert best_shift(flat, flat, smallest_first()) == (0, 0)


def test_an_image_smaller_than_the_window_has_fewer_shifts() -> None:
    tiny = np.zeros((2, 1), np.uint8)
    assert best_shift(tiny, tiny, scan_order()) == (-1, 0)
