import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgerow.edges.views import Pair, View, view_of_map, view_of_mask
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import totals
from hedgerow.metrics.output_noise import Config, build, output_noise
from hedgerow.records import CLASSES, OTHER, Regions, Value

METRIC = build(Config())


def probabilities(seed: int, shape: tuple[int, int] = (30, 40)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (4, *shape)).astype(np.uint8)


def map_view(bands: np.ndarray, valid: np.ndarray) -> View:
    regions = Regions(np.ones(valid.shape, np.int32), np.array([OTHER, OTHER], np.uint8))
    return view_of_map(bands, regions, valid, (1.0, 1.0))


def values(*views: View) -> tuple[Value, Value]:
    mse, sqnr = METRIC.conclude(totals(METRIC.book(Pair(*views))))
    return mse, sqnr


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), share=st.floats(0, 0.9))
def test_noise_is_that_of_the_probabilities_as_floats(seed: int, share: float) -> None:
    valid = np.random.default_rng(seed).random((30, 40)) >= share
    test, reference = probabilities(seed), probabilities(seed + 1)
    t, r = (bands[:, valid] / 255 for bands in (test, reference))
    mse, sqnr = values(map_view(test, valid), map_view(reference, valid))
    assert mse.value == pytest.approx(((t - r) ** 2).mean(), rel=1e-12)
    assert sqnr.value == pytest.approx(10 * np.log10((r**2).sum() / ((t - r) ** 2).sum()), rel=1e-12)
    assert mse.n == sqnr.n == valid.sum()
    found = output_noise(test, reference, valid=valid)
    assert (found.output_mse, found.sqnr, found.n) == (mse.value, sqnr.value, mse.n)


def test_one_level_everywhere_by_hand() -> None:
    # 100 against 101 of 255: (1 / 255)^2, and 20 log10(100) = 40 dB.
    found = output_noise(np.full((9, 9), 101, np.uint8), np.full((9, 9), 100, np.uint8))
    assert found.output_mse == pytest.approx(1 / 255**2, rel=1e-15)
    assert found.sqnr == pytest.approx(40.0, rel=1e-15)


def test_all_classes_are_compared_where_both_maps_know_them() -> None:
    valid = np.ones((30, 40), bool)
    full, other = (map_view(probabilities(seed), valid) for seed in (1, 2))
    line = view_of_mask(other.p, valid, (1.0, 1.0))
    assert [value.terms_used for value in values(full, other)] == [CLASSES, CLASSES]
    for pair in ((full, line), (line, full)):
        assert [value.terms_used for value in values(*pair)] == [("border",), ("border",)]
    border, whole = values(full, line)[0], values(full, other)[0]
    assert border.value == output_noise(full.p, other.p).output_mse
    assert border.value != whole.value
    assert border.n == whole.n == 1200


def test_inputs_with_and_without_classes_are_pooled_by_their_values_and_flagged() -> None:
    valid = np.ones((30, 40), bool)
    full, other = (map_view(probabilities(seed), valid) for seed in (1, 2))
    lines = [view_of_mask(view.p, valid, (1.0, 1.0)) for view in (full, other)]
    pooled, _ = METRIC.conclude(totals([*METRIC.book(Pair(full, other)), *METRIC.book(Pair(*lines))]))
    with_classes, without = values(full, other)[0].value, values(*lines)[0].value
    assert with_classes is not None
    assert without is not None
    assert pooled.value == pytest.approx((4 * with_classes + without) / 5, rel=1e-12)
    assert pooled.flag == "some maps without other classes than the border"
    assert pooled.n == 2400


def test_no_difference_has_no_ratio_and_no_error() -> None:
    found = output_noise(probabilities(1), probabilities(1))
    assert (found.output_mse, found.sqnr, found.flag) == (0.0, None, "no difference")


def test_a_blank_candidate_is_as_much_noise_as_signal() -> None:
    blank = np.zeros_like(probabilities(1))
    assert output_noise(blank, probabilities(1)).sqnr == 0.0
    against_blank = output_noise(probabilities(1), blank)
    assert (against_blank.sqnr, against_blank.flag) == (None, "no probability in the reference")
    assert against_blank.output_mse == output_noise(blank, probabilities(1)).output_mse


def test_nothing_valid_is_nothing_to_compare() -> None:
    found = output_noise(probabilities(1), probabilities(2), valid=np.zeros((30, 40), bool))
    assert (found.n, found.output_mse, found.sqnr, found.flag) == (0, None, None, "no valid pixel")


def test_sums_are_whole_numbers(pair_with_nodata: Pair) -> None:
    sums = totals(METRIC.book(pair_with_nodata))
    assert all(total.is_integer() for total in sums.values())
    p, q, valid = pair_with_nodata.candidate.p, pair_with_nodata.reference.p, pair_with_nodata.valid
    assert sums["noise"] == ((p.astype(int) - q) ** 2)[valid].sum()


def test_rasters_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ScoreError, match="round"):
        output_noise(probabilities(1), probabilities(1)[:3])
    with pytest.raises(ScoreError, match="round"):
        output_noise(probabilities(1) / 255, probabilities(1))  # type: ignore[arg-type]
