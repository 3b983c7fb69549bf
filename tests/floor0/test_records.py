"""Records: frozen values that check themselves at birth."""

import dataclasses
import functools
import operator
import pickle
from typing import Any

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from hedgerow.errors import GeometryError, HedgerowError, ScoreError
from hedgerow.geo.windows import Window
from hedgerow.records import (
    BORDER,
    CLASSES,
    FIELD,
    FOREST,
    OTHER,
    ModelSpec,
    Patch,
    Prediction,
    Regions,
    Score,
    Tally,
    Tile,
    Value,
    class_pair,
)

TILE = Tile((0, 0), Window(0, 0, 2, 3), Window(0, 0, 2, 3), GeoBox((2, 3), Affine.scale(1, -1), "EPSG:32632"))


def test_classes_are_named_in_band_order() -> None:
    assert [CLASSES[i] for i in (OTHER, FIELD, FOREST, BORDER)] == ["other", "field", "forest", "border"]


@pytest.mark.parametrize(
    ("a", "b", "name"),
    [
        (FIELD, FIELD, "field|field"), (FOREST, FIELD, "field|forest"), (OTHER, FIELD, "field|other"),
        (OTHER, FOREST, "forest|other"), (OTHER, OTHER, "other|other"),
    ],
)  # fmt: skip
def test_class_pairs_do_not_depend_on_the_order(a: int, b: int, name: str) -> None:
    assert class_pair(a, b) == class_pair(b, a) == name


@pytest.mark.parametrize(
    ("data", "valid"),
    [
        (np.zeros((2, 3)), np.ones((2, 3), bool)),  # no band axis
        (np.zeros((1, 2, 3)), np.ones((3, 2), bool)),  # axes swapped
        (np.zeros((1, 2, 3)), np.ones((2, 3), np.uint8)),  # a mask of bytes
    ],
)
def test_a_patch_refuses_shapes_that_do_not_belong_together(data: Any, valid: Any) -> None:
    with pytest.raises(GeometryError, match="a patch needs"):
        Patch(data, valid)


def test_a_prediction_has_all_classes_and_the_shape_of_its_core() -> None:
    valid = np.ones((2, 3), bool)
    for shape in ((3, 2, 3), (4, 3, 2)):
        with pytest.raises(GeometryError, match="tile r0000c0000, arm int8"):
            Prediction(TILE, "int8", np.zeros(shape, np.float32), valid)


def test_probabilities_are_written_as_rounded_bytes_and_0_where_invalid() -> None:
    probabilities = np.full((4, 2, 3), 0.5, np.float32)
    probabilities[:, 0, 0] = 1.0
    valid = np.ones((2, 3), bool)
    valid[1, 2] = False
    written = Prediction(TILE, "fp32", probabilities, valid).as_bytes()
    # 255 x 1 = 255; 255 x 0.5 = 127.5, rounded to even 128.
    assert written.dtype == np.uint8
    assert written[0].tolist() == [[255, 128, 128], [128, 128, 0]]


@pytest.mark.parametrize(
    ("labels", "what"),
    [
        (np.zeros((2, 2), np.int64), "int32"),
        (np.zeros(4, np.int32), "height, width"),
        (np.full((2, 2), 2, np.int32), "no class"),
        (np.full((2, 2), -1, np.int32), "no class"),
    ],
)
def test_regions_need_a_class_for_every_label(labels: Any, what: str) -> None:
    with pytest.raises(GeometryError, match=what):
        Regions(labels, np.array([0, FIELD], np.uint8))


def test_label_0_is_invalid() -> None:
    regions = Regions(np.array([[0, 1]], np.int32), np.array([0, FIELD], np.uint8))
    assert regions.valid.tolist() == [[False, True]]


def test_arrays_inside_are_read_only_and_those_given_stay_writable() -> None:
    data, valid = np.zeros((1, 2, 3)), np.ones((2, 3), bool)
    patch = Patch(data, valid)
    for array in (patch.data, patch.valid):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 1
    data[...] = 5
    assert data.flags.writeable


@pytest.mark.parametrize("value", [TILE, ModelSpec("fp32", "m", "d"), Value("x", 1.0, "1", 3), Window(0, 0, 1, 1)])
def test_values_are_frozen_and_survive_a_pickle(value: Any) -> None:
    with pytest.raises((dataclasses.FrozenInstanceError, AttributeError)):
        setattr(value, dataclasses.fields(value)[0].name, None)
    assert pickle.loads(pickle.dumps(value)) == value


def test_a_model_spec_can_be_a_key() -> None:
    assert len({ModelSpec("a", "m", "d"), ModelSpec("a", "m", "d"), ModelSpec("b", "m", "d")}) == 2


SUMS = st.dictionaries(st.sampled_from("abc"), st.integers(-1000, 1000))


@settings(deadline=None, max_examples=50)
@given(st.lists(SUMS, max_size=5), st.randoms())
def test_tallies_add_up_in_any_order_and_zero_changes_nothing(parts: list[dict[str, int]], order: Any) -> None:
    tallies = [Tally("m", (("d", 2),), sums) for sums in parts]
    zero = Tally.zero("m", (("d", 2),))
    total = functools.reduce(operator.add, tallies, zero)
    order.shuffle(tallies)
    assert functools.reduce(operator.add, tallies, zero) == total
    assert total + zero == zero + total == total
    assert dict(total.sums) == {k: sum(p.get(k, 0) for p in parts) for k in sorted({k for p in parts for k in p})}


def test_tallies_of_other_metrics_or_parameters_are_not_added() -> None:
    with pytest.raises(ScoreError, match="must agree"):
        Tally.zero("a") + Tally.zero("b")
    with pytest.raises(ScoreError, match="must agree"):
        Tally.zero("a", (("d", 1),)) + Tally.zero("a", (("d", 2),))


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"value": 1.0, "unit": ""}, "no unit"),
        ({"value": None, "unit": "1"}, "no flag"),
        ({"value": float("nan"), "unit": "1"}, "None with a flag"),
        ({"value": float("inf"), "unit": "1", "flag": "x"}, "None with a flag"),
    ],
)
def test_a_value_says_its_unit_and_why_it_is_missing(fields: dict[str, Any], what: str) -> None:
    with pytest.raises(ScoreError, match=what):
        Value(name="erqa", n=1, **fields)


def test_a_score_is_a_row_of_plain_values() -> None:
    row = Score("erqa", "int8", "fp32", "all", None, 0.5, "1", 10, parameters={"tolerance_px": 1}).as_row()
    assert row["input"] is None
    assert row["parameters"] == {"tolerance_px": 1}
    assert list(row)[:8] == ["metric", "arm", "against", "layer", "input", "value", "unit", "n"]


def test_every_known_error_is_one_kind() -> None:
    from hedgerow import errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert len(kinds) == 6
    assert all(issubclass(kind, HedgerowError) for kind in kinds)
