"""Is an arm worse? Paired differences by hand, and verdicts that follow the direction of the score."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from hedgerow.errors import ScoreError
from hedgerow.records import Better, Score
from hedgerow.stages.bootstrap import MIN_TILES, Resampled, Samples
from hedgerow.stages.differences import Difference, differences, loss

DIRECTIONS: Mapping[str, Better] = {"f": "higher", "metres": "lower", "bias": "zero", "raw": "one", "count": "neither"}
STEPS = np.linspace(-1, 1, 101)


@pytest.fixture(autouse=True)
def directions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hedgerow.stages.differences.better", DIRECTIONS.__getitem__)


def row(arm: str, value: float | None, metric: str = "f", **more: object) -> Score:
    return Score(
        metric,
        arm,
        "truth",
        "all",
        None,
        value,
        "1",
        7,
        **({"flag": None if value is not None else "no borders"} | more),
    )


def sampled(values: np.ndarray, metric: str = "f", tiles: int = 20) -> Resampled:
    return Resampled({("all", metric): Samples(np.asarray(values, float), tiles)}, tuple(range(tiles)))


def difference(ours: np.ndarray, theirs: np.ndarray, metric: str = "f", **more: int) -> Difference:
    (found,) = differences(
        [row("int8", float(np.mean(ours)), metric)], [row("fp32", float(np.mean(theirs)), metric)],
        sampled(ours, metric, **more), sampled(theirs, metric, **more),
    )  # fmt: skip
    return found


def test_an_arm_that_is_fp32_differs_by_exactly_nothing() -> None:
    same = np.random.default_rng(0).random(101)
    found = difference(same, same)
    assert (found.value, found.low, found.high, found.verdict) == (0, 0, 0, "no difference shown")


def test_what_is_hard_for_both_arms_falls_out_of_the_difference() -> None:
    hard = np.random.default_rng(0).permutation(np.linspace(0.2, 0.8, 101))
    found = difference(hard - 0.05 + 0.01 * STEPS, hard)
    # The scores waver by 0.6, their difference by 0.02: its middle 95 % is -0.05 -+ 0.95 * 0.01.
    assert (found.low, found.high) == pytest.approx((-0.0595, -0.0405))
    assert found.value == pytest.approx(-0.05)
    assert found.verdict == "worse"


def test_a_difference_says_what_it_is_of() -> None:
    found = difference(STEPS, STEPS + 1)
    assert found.as_row() == {
        "metric": "f", "arm": "int8", "minus": "fp32", "against": "truth", "layer": "all", "input": None,
        "value": pytest.approx(-1), "unit": "1", "n": 20, "low": pytest.approx(-1), "high": pytest.approx(-1),
        "flag": None, "verdict": "worse",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "ours", "theirs", "verdict"),
    [
        ("f", 0.8, 0.7, "better"), ("f", 0.6, 0.7, "worse"),
        ("metres", 8, 7, "worse"), ("metres", 6, 7, "better"),
        # -2 is less than 1, yet farther from 0; 0.9 is less than 1.3, and nearer to 1
        ("bias", -2, 1, "worse"), ("bias", 0.5, -1, "better"), ("raw", 0.9, 1.3, "better"), ("raw", 1.4, 0.7, "worse"),
        ("count", 100, 1, None),
    ],
)  # fmt: skip
def test_the_verdict_follows_the_direction_of_the_score(
    metric: str, ours: float, theirs: float, verdict: str | None
) -> None:
    found = difference(ours + 0.01 * STEPS, np.full(101, float(theirs)), metric)
    assert found.verdict == verdict
    assert found.low <= ours - theirs <= found.high


def test_an_interval_that_holds_0_shows_no_difference() -> None:
    assert difference(0.7 + 0.1 * STEPS - 0.05, np.full(101, 0.7)).verdict == "no difference shown"
    # -0.094 -+ 0.095 holds 0, -0.096 -+ 0.095 does not
    assert difference(0.606 + 0.1 * STEPS, np.full(101, 0.7)).verdict == "no difference shown"
    assert difference(0.604 + 0.1 * STEPS, np.full(101, 0.7)).verdict == "worse"


def test_rounding_is_no_difference() -> None:
    ours = np.full(101, 0.1 + 0.2)  # 0.30000000000000004
    assert difference(ours, np.full(101, 0.3)).verdict == "no difference shown"


def test_few_tiles_give_a_difference_without_a_verdict_and_say_so() -> None:
    found = difference(STEPS, STEPS + 1, tiles=MIN_TILES - 1)
    assert found.value == pytest.approx(-1)
    assert (found.low, found.high, found.verdict) == (None, None, None)
    assert found.flag == "no interval: 5 tiles hold anything of it, 6 are needed"


def test_a_score_that_one_arm_has_not_has_no_difference() -> None:
    for ours, theirs, who in ((None, 0.5, "int8"), (0.5, None, "fp32")):
        (found,) = differences([row("int8", ours)], [row("fp32", theirs)], sampled(STEPS), sampled(STEPS))
        assert found.value is found.low is found.verdict is None
        assert found.flag == f"{who}: no borders"


def test_composites_of_other_terms_are_not_compared() -> None:
    ours, theirs = (row(arm, 0.5, terms_used=terms) for arm, terms in (("int8", ("a", "b")), ("fp32", ("a",))))
    (found,) = differences([ours], [theirs], sampled(STEPS), sampled(STEPS))
    assert (found.value, found.flag) == (None, "int8 and fp32 have it of other terms")


def test_what_is_flagged_beside_its_number_stays_flagged() -> None:
    ours = row("int8", 0.0, flag="no borders in the candidate")
    (found,) = differences([ours], [row("fp32", 0.5)], sampled(STEPS), sampled(STEPS + 0.5))
    assert (found.value, found.flag) == (-0.5, "int8: no borders in the candidate")


def test_single_inputs_have_no_difference_and_other_tiles_are_refused() -> None:
    one = replace(row("int8", 0.5), input="farm")
    assert differences([one], [replace(one, arm="fp32")], sampled(STEPS), sampled(STEPS)) == []
    with pytest.raises(ScoreError, match="different tiles"):
        differences([row("int8", 0.5)], [row("fp32", 0.5)], sampled(STEPS), sampled(STEPS, tiles=21))


def test_the_loss_is_lowest_where_the_score_is_good() -> None:
    values = np.array([-1.0, 0.0, 0.5, 1.0, 3.0])
    best = {d: values[np.argmin(loss(d, values))] for d in ("higher", "lower", "zero", "one")}
    assert best == {"higher": 3.0, "lower": -1.0, "zero": 0.0, "one": 1.0}
    assert not loss("neither", values).any()
