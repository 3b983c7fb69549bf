"""The table of a comparison, and its quality gates."""

import json
from pathlib import Path

import pytest

from hedgerow.config import RunConfig
from hedgerow.errors import ConfigError, SourceError
from hedgerow.jobs.tables import arm_table, gates
from hedgerow.records import Score


def score(arm: str, value: float | None, metric: str = "erqa", **address: object) -> Score:
    rest = {"against": "fp32", "layer": "all", "input": None} | address
    return Score(metric, arm, value=value, unit="1", n=10, flag=None if value is not None else "no border", **rest)


def test_a_gate_names_every_arm_below_it() -> None:
    wanted = gates(["erqa=0.9"], RunConfig())
    scores = [score("fp32", 1.0), score("int8", 0.9), score("w4a4", 0.89999)]
    assert wanted.missed(scores) == ["w4a4 erqa 0.9000 < 0.9"]


def test_a_gate_looks_at_pooled_scores_of_all_borders_against_fp32() -> None:
    scores = [
        score("fp32", 1.0), score("int8", 0.95), score("int8", 0.1, input="one"), score("int8", 0.1, against="truth"),
        score("int8", 0.1, layer="field|field"), score("int8", 0.1, metric="continuity"),
    ]  # fmt: skip
    assert gates(["erqa=0.9"], RunConfig()).missed(scores) == []


def test_what_an_arm_has_lost_is_not_met_and_what_fp32_never_had_does_not_apply() -> None:
    wanted = gates(["erqa=0.9", "corner_retention=0.9"], RunConfig())
    scores = [score("fp32", 1.0), score("int8", None)]
    corners = [score(arm, None, metric="corner_retention") for arm in ("fp32", "int8")]
    assert wanted.missed(scores + corners) == ["int8 erqa no border"]


@pytest.mark.parametrize("text", ["erqa", "erqa=", "erqa=high", "erqa=nan", "=0.9", "erqua=0.9", "tile=1"])
def test_a_gate_that_could_never_be_judged_is_refused_at_once(text: str) -> None:
    with pytest.raises(ConfigError, match="--fail-below"):
        gates([text], RunConfig())


def test_a_gate_knows_the_scores_that_are_asked_for() -> None:
    with pytest.raises(ConfigError, match="unknown score 'erqa'"):
        gates(["erqa=0.9"], RunConfig(metrics=({"kind": "boundary_f1"},)))
    assert gates(["boundary_f1 = 0.5"], RunConfig()).lowest == (("boundary_f1", 0.5),)
    assert gates([], RunConfig()).missed([]) == []


def test_a_table_has_a_row_per_arm_and_the_columns_that_were_measured(tmp_path: Path) -> None:
    arms = [{"name": n, "simulated": n != "fp32", "size_bytes": 10, "seconds_per_tile": None} for n in ("fp32", "int8")]
    (tmp_path / "run.json").write_text(json.dumps({"arms": arms}))
    rows = [
        score("fp32", 1.0), score("int8", 0.5), score("int8", 0.4, input="one"),
        score("int8", 0.3, layer="field|field"), score("int8", None, metric="boundary_f1"),
        score("int8", 0.7, metric="sharpness"),
    ]  # fmt: skip
    (tmp_path / "scores.json").write_text(json.dumps({"scores": [row.as_row() for row in rows]}))
    first, second = arm_table(tmp_path)
    assert first == {"arm": "fp32", "simulated": False, "size_bytes": 10, "seconds_per_tile": None, "erqa__fp32": 1.0,
                     "boundary_f1__fp32": None, "intervals": {}, "verdicts": {}}  # fmt: skip
    assert (second["erqa__fp32"], second["boundary_f1__fp32"]) == (0.5, None)


def test_a_table_tells_intervals_and_verdicts_by_column(tmp_path: Path) -> None:
    arms = [{"name": n, "simulated": False, "size_bytes": 10, "seconds_per_tile": None} for n in ("fp32", "int8")]
    (tmp_path / "run.json").write_text(json.dumps({"arms": arms}))
    address = {"arm": "int8", "metric": "boundary_f1", "against": "truth", "input": None}
    rows = [
        address | {"layer": layer, "value": 0.5, "low": low, "high": 0.6}
        for layer, low in (("all", 0.4), ("field|field", 0.1))
    ]
    differences = [
        address | {"layer": "all", "verdict": "worse"},
        address | {"layer": "field|field", "verdict": "better"},
    ]
    (tmp_path / "scores.json").write_text(json.dumps({"scores": rows, "differences": differences}))
    first, second = arm_table(tmp_path)
    assert (first["intervals"], first["verdicts"]) == ({}, {})
    assert second["intervals"] == {"boundary_f1__truth": [0.4, 0.6]}
    assert second["verdicts"] == {"boundary_f1__truth": "worse"}


def test_a_folder_without_a_comparison_has_no_table(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no finished comparison"):
        arm_table(tmp_path)
