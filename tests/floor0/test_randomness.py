"""Randomness: one seed, named streams, the same in every process."""

import subprocess
import sys

import numpy as np

from hedgerow.randomness import integer_seed, rng_for

_PRINT = (
    "from hedgerow.randomness import rng_for, integer_seed;"
    "print(rng_for(7, 'calibration', 3).integers(2**63, size=4).tolist(), integer_seed(7, 'fit'))"
)


def test_a_named_stream_is_the_same_in_another_process() -> None:
    # PYTHONHASHSEED changes str.__hash__: a stream built on it would differ.
    answers = {
        subprocess.run(
            [sys.executable, "-c", _PRINT], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout.strip()
        for seed in ("1", "2")
    }
    here = f"{rng_for(7, 'calibration', 3).integers(2**63, size=4).tolist()} {integer_seed(7, 'fit')}"
    assert answers == {here}


def test_streams_of_other_names_or_seeds_are_independent() -> None:
    streams = [rng_for(0, "a"), rng_for(0, "b"), rng_for(1, "a"), rng_for(0, "a", 0), rng_for(0)]
    draws = np.stack([rng.standard_normal(20_000) for rng in streams])
    correlations = np.corrcoef(draws)[np.triu_indices(len(streams), 1)]
    # The correlation of 20,000 independent pairs has a standard deviation of 1/141: 5 of them is 0.035.
    assert np.abs(correlations).max() < 0.036


def test_drawing_from_one_stream_does_not_move_another() -> None:
    alone = rng_for(0, "a").random(5)
    rng_for(0, "b").random(1000)
    np.random.default_rng(0).random(3)
    np.testing.assert_array_equal(rng_for(0, "a").random(5), alone)


def test_integer_seeds_fit_what_torch_takes() -> None:
    seeds = {integer_seed(0, "x", k) for k in range(200)}
    assert len(seeds) == 200
    assert all(0 <= seed < 2**63 for seed in seeds)
