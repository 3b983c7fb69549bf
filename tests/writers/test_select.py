"""Selection: the condition means the same for every format, and what it cannot mean is told."""

import logging
from pathlib import Path

import geopandas
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from hedgerow import registry
from hedgerow.errors import ConfigError
from hedgerow.records import FieldMap
from hedgerow.writers._maps import read_layers
from hedgerow.writers._select import selected

FORMATS = {"gpkg": "m.gpkg", "shp": "m_borders.shp", "fgb": "m_borders.fgb", "geojson": "m_borders.geojson",
           "parquet": "m_borders.parquet"}  # fmt: skip


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("condition", "ids"),
    [
        ("class_pair = 'field|other'", [2]),
        ("open", [2]),
        ("not open and length_m < 200", [1]),
        ("class_pair LIKE 'field|%' AND confidence >= 0.25", [1, 2]),
        ("left_id in (7, 8)", []),
        ("1 -- everything", [1, 2]),
        ("CLASS_PAIR = 'FIELD|OTHER'", []),  # names are found in any case, texts are not
    ],
)
def test_a_condition_chooses_the_same_from_every_format(
    two_fields: FieldMap, tmp_path: Path, kind: str, condition: str, ids: list[int]
) -> None:
    writer = registry.build("writers", kind)
    writer.write(two_fields, tmp_path / f"m{writer.extension}")
    layers = read_layers(tmp_path / FORMATS[kind], layer="borders", where=condition)
    assert sorted(layers["borders"]["id"]) == ids


def frame(values: list[float | None]) -> geopandas.GeoDataFrame:
    columns = {"value": values, "group": ["a", "b"] * (len(values) // 2) + ["a"] * (len(values) % 2)}
    return geopandas.GeoDataFrame(columns, geometry=[shapely.Point(k, 0) for k in range(len(values))], crs=4326)


# Thousandths: of a number as small as 1e-290 SQLite reads the last bit of its text otherwise than Python.
NUMBERS = st.integers(-100_000, 100_000).map(lambda thousandths: thousandths / 1000)


@given(st.lists(st.one_of(st.none(), NUMBERS), max_size=20), NUMBERS)
def test_numbers_are_chosen_as_pandas_would(values: list[float | None], bound: float) -> None:
    layer = frame(values).astype({"value": "float64"})
    chosen = selected(layer, f"value > {bound!r} and \"group\" = 'a'", layer="x")
    expected = layer[(layer["value"] > bound) & (layer["group"] == "a")]
    assert chosen.index.tolist() == expected.index.tolist()
    assert chosen.crs == layer.crs


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("area > 3", "no such column: area"),
        ("value >", "syntax error"),
        ("value = 1; drop table layer", "syntax error"),
        ("", "syntax error"),
    ],
)
def test_what_is_no_condition_on_the_layer_is_refused_with_its_columns(condition: str, words: str) -> None:
    with pytest.raises(ConfigError, match=rf"--where .* on layer 'wells': .*{words}.*value, group"):
        selected(frame([1.0]), condition, layer="wells")


def test_a_layer_that_lacks_the_column_is_not_passed_over(two_fields: FieldMap, tmp_path: Path) -> None:
    (path,) = registry.build("writers", "gpkg").write(two_fields, tmp_path / "m.gpkg")
    with pytest.raises(ConfigError, match=r"layer 'borders': no such column: area_m2.*--layer"):
        read_layers(path, where="area_m2 > 1")
    assert len(read_layers(path, layer="fields", where="area_m2 > 100000")["fields"]) == 1


def test_a_choice_of_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert len(selected(frame([1.0, 2.0]), "value > 5", layer="wells")) == 0
    assert "none of the 2 features of layer 'wells'" in caplog.text
