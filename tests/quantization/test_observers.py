"""Ranges: the order of tiles never matters, percentiles are numpy's to a bin, and what is not finite is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from hedgerow.errors import ModelError
from hedgerow.quantization.grids import QSpec
from hedgerow.quantization.observers import RangeObserver, observe
from hedgerow.quantization.sites import BitRule, plan_sites
from hedgerow.quantization.taps import Tap

BIN = 2.0**-7
"""Relative width of a bin: 128 of them to an octave."""

samples = st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=300)


def seen(*tensors: NDArray[np.float32]) -> RangeObserver:
    observer = RangeObserver()
    for values in tensors:
        observer.update(torch.from_numpy(values))
    return observer


def world(seed: int, count: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return (rng.normal(0, 1, count) * np.exp(rng.normal(0, 2, count))).astype(np.float32)


def test_the_order_of_tensors_changes_nothing() -> None:
    parts = [world(seed, 500 + seed) for seed in range(5)]
    one, other, whole = seen(*parts), seen(*parts[::-1]), seen(np.concatenate(parts))
    for observer in (other, whole):
        assert observer.extremes() == one.extremes()
        assert np.array_equal(observer.counts, one.counts)
        assert observer.percentiles(0.99) == one.percentiles(0.99)


def test_extremes_are_exact() -> None:
    values = world(1, 1000)
    assert seen(values[:400], values[400:]).extremes() == (values.min(), values.max())


@given(values=samples, share=st.sampled_from([0.6, 0.75, 0.9, 0.99, 0.999, 1.0]))
@settings(deadline=None, max_examples=150)
def test_percentiles_are_those_of_numpy_to_a_bin(values: list[float], share: float) -> None:
    """The upper end is a value that was seen (`inverted_cdf`); the lower end is the upper one of the mirrored data."""
    data = np.asarray(values, np.float32)
    low, high = seen(data).percentiles(share)
    want_high = np.percentile(data, 100 * share, method="inverted_cdf")
    want_low = -np.percentile(-data, 100 * share, method="inverted_cdf")
    assert high == pytest.approx(want_high, rel=BIN, abs=1e-30)
    assert low == pytest.approx(want_low, rel=BIN, abs=1e-30)


def test_percentiles_of_a_smooth_distribution_are_those_of_numpy() -> None:
    values = np.random.default_rng(3).normal(0.2, 1, 200_000).astype(np.float32)
    low, high = seen(values).percentiles(0.999)
    assert high == pytest.approx(np.percentile(values, 99.9), rel=BIN)
    assert low == pytest.approx(np.percentile(values, 0.1), rel=BIN)


def test_percentile_100_keeps_everything_to_a_bin() -> None:
    values = world(4, 3000)
    low, high = seen(values).percentiles(1.0)
    assert low == pytest.approx(values.min(), rel=BIN)
    assert high == pytest.approx(values.max(), rel=BIN)
    assert low >= values.min()
    assert high <= values.max()


def test_mirrored_values_have_the_mirrored_range() -> None:
    values = world(5, 999)
    for share in (0.9, 0.999, 1.0):
        low, high = seen(values).percentiles(share)
        assert seen(-values).percentiles(share) == pytest.approx((-high, -low), rel=1e-6)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_refused_by_the_name_of_their_site(bad: float) -> None:
    model = nn.Sequential(nn.Linear(3, 3), Tap())
    with torch.no_grad():
        model[0].bias[1] = bad
    with pytest.raises(ModelError, match=r"^1: .*calibrating"):
        observe(model, plan_sites(model, BitRule()), [torch.zeros(3)])


def test_observing_leaves_no_hook_behind() -> None:
    model = nn.Sequential(nn.Linear(3, 3), Tap())
    observers = observe(model, plan_sites(model, BitRule()), [torch.ones(3), -torch.ones(3)])
    assert set(observers) == {"0", "1"}
    assert observers["0"].extremes() == (-1, 1)
    assert not any(module._forward_hooks for module in model.modules())


def test_the_range_of_least_error_beats_the_extremes_when_one_value_is_far_away() -> None:
    """Of 100,000 values in [0, 1] and one at 50, a 4-bit grid over all would have steps of 3.3."""
    values = np.append(np.random.default_rng(0).random(100_000), 50).astype(np.float32)
    assert seen(values).least_error(QSpec(bits=4))[1] < 1.1
    assert seen(values[:-1]).least_error(QSpec(bits=4))[1] > 0.98
