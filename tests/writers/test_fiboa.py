"""fiboa: the columns, types and words that the specification asks for, and no word that the map does not know."""

import datetime as dt
import json
import logging
import shutil
import subprocess
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
from affine import Affine

from hedgerow import registry
from hedgerow.errors import ConfigError, GeometryError
from hedgerow.records import FieldMap
from hedgerow.writers._image_date import image_date
from hedgerow.writers.fiboa import SCHEMAS

CORE, FIBOA = SCHEMAS


def write(field_map: FieldMap, folder: Path, **settings: Any) -> Path:
    (path,) = registry.build("writers", {"kind": "fiboa", **settings}).write(field_map, folder / "m.fiboa.parquet")
    return path


def collection(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(pq.read_schema(path).metadata[b"collection"])
    return found


def image(path: Path, namespace: str | None = None, **tags: str) -> Path:
    profile = {"driver": "GTiff", "width": 2, "height": 2, "count": 1, "dtype": "uint8", "crs": "EPSG:32632"}
    with rasterio.open(path, "w", transform=Affine(1, 0, 500000, 0, -1, 6000000), **profile) as dataset:
        dataset.update_tags(ns=namespace, **tags)
    return path


def test_the_columns_are_those_of_the_specification(two_fields: FieldMap, tmp_path: Path) -> None:
    schema = pq.read_schema(write(two_fields, tmp_path))
    required = {field.name for field in schema if not field.nullable}
    assert required == {"id", "collection", "geometry"}
    types = {field.name: field.type for field in schema}
    assert types["id"] == types["collection"] == types["determination:method"] == pa.string()
    assert types["geometry"] == pa.binary()
    assert types["metrics:area"] == types["metrics:perimeter"] == pa.float32()
    assert types["determination:datetime"] == pa.timestamp("ms", tz="UTC")
    assert pa.types.is_list(types["category"])
    assert types["category"].value_type == pa.string()
    assert [field.name for field in types["bbox"]] == ["xmin", "ymin", "xmax", "ymax"]


def test_a_field_is_told_in_the_words_of_the_specification(two_fields: FieldMap, tmp_path: Path) -> None:
    back = geopandas.read_parquet(write(two_fields, tmp_path))
    assert back.crs == two_fields.crs
    assert back["id"].tolist() == ["1"]
    assert back["metrics:area"].tolist() == [np.float32(10_004.5)]
    assert back["metrics:perimeter"].tolist() == [np.float32(400.125)]
    assert back["determination:method"].tolist() == ["auto-imagery"]
    assert [list(words) for words in back["category"]] == [["other"]]
    assert back["determination:datetime"].isna().all()  # there is no image at its path
    assert back.geometry.geom_equals(two_fields.fields.geometry[:1]).all()


def test_the_file_says_which_schemas_it_keeps_to(two_fields: FieldMap, tmp_path: Path) -> None:
    path = write(two_fields, tmp_path, collection="næste")
    assert collection(path)["schemas"] == {"næste": [CORE, FIBOA]}
    assert collection(path)["collection"] == "næste"
    assert geopandas.read_parquet(path)["collection"].unique().tolist() == ["næste"]
    assert set(collection(path)["schemas:custom"]["properties"]) == {"confidence", "source"}
    assert json.loads(pq.read_schema(path).metadata[b"geo"])["version"] == "1.1.0"


def test_a_collection_bears_the_name_of_the_image_or_else_of_the_file(two_fields: FieldMap, tmp_path: Path) -> None:
    assert collection(write(two_fields, tmp_path))["collection"] == "ø,b"
    fields = two_fields.fields.assign(source=["a.tif", "b.tif"]).assign(**{"class": "field"})
    assert collection(write(FieldMap(fields, two_fields.borders), tmp_path))["collection"] == "m"


def test_forests_stay_out_and_that_is_said(
    two_fields: FieldMap, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert len(geopandas.read_parquet(write(two_fields, tmp_path))) == 1
    assert "1 of 2 regions are no fields" in caplog.text


def test_measures_beyond_the_specification_are_left_open(two_fields: FieldMap, tmp_path: Path) -> None:
    fields = two_fields.fields.assign(**{"class": "field", "area_m2": [1.1e9, 0.0]})
    back = geopandas.read_parquet(write(FieldMap(fields, two_fields.borders), tmp_path))
    assert back["metrics:area"].isna().all()
    assert back["metrics:perimeter"].notna().all()


def test_an_empty_map_keeps_its_columns(two_fields: FieldMap, empty_map: FieldMap, tmp_path: Path) -> None:
    whole = pq.read_schema(write(two_fields, tmp_path))
    empty = write(empty_map, tmp_path)
    assert pq.read_schema(empty).equals(whole)
    assert len(geopandas.read_parquet(empty)) == 0


def test_the_date_comes_from_the_image_of_each_field(two_fields: FieldMap, tmp_path: Path) -> None:
    taken = image(tmp_path / "a.tif", TIFFTAG_DATETIME="2021:06:05 10:20:30")
    unknown = image(tmp_path / "b.tif")
    fields = two_fields.fields.assign(source=[str(taken), str(unknown)], **{"class": "field"})
    back = geopandas.read_parquet(write(FieldMap(fields, two_fields.borders), tmp_path))
    assert back["determination:datetime"][0] == dt.datetime(2021, 6, 5, 10, 20, 30, tzinfo=dt.UTC)
    assert back["determination:datetime"].isna().tolist() == [False, True]


def test_a_date_that_is_given_goes_before_that_of_the_image(two_fields: FieldMap, tmp_path: Path) -> None:
    taken = image(tmp_path / "a.tif", TIFFTAG_DATETIME="2021:06:05 10:20:30")
    fields = two_fields.fields.assign(source=str(taken))
    path = write(FieldMap(fields, two_fields.borders), tmp_path, datetime="2024-07-01", category=["operational"])
    back = geopandas.read_parquet(path)
    assert back["determination:datetime"].tolist() == [dt.datetime(2024, 7, 1, tzinfo=dt.UTC)]
    assert [list(words) for words in back["category"]] == [["operational"]]


@pytest.mark.parametrize(
    ("namespace", "tags", "expected"),
    [
        (None, {"TIFFTAG_DATETIME": "2021:06:05 10:20:30"}, "2021-06-05T10:20:30+00:00"),
        ("IMAGERY", {"ACQUISITIONDATETIME": "2016-05-08 10:30:32"}, "2016-05-08T10:30:32+00:00"),
        (None, {"PRODUCT_STOP_TIME": "2016-05-08T10:30:32.026Z"}, "2016-05-08T10:30:32+00:00"),
        (None, {"DATE_ACQUIRED": "2020-02-29"}, "2020-02-29T00:00:00+00:00"),
        (None, {"SENSING_TIME": "2020-05-01T23:30:00+02:00"}, "2020-05-01T21:30:00+00:00"),
        # Of an interval it is the end; the tag of the provider goes before that of the file.
        (None, {"SENSING_TIME": "2020-05-01T10:00:00Z; 2020-05-01T10:00:20Z"}, "2020-05-01T10:00:20+00:00"),
        (None, {"TIFFTAG_DATETIME": "2022:01:01 00:00:00", "DATE_ACQUIRED": "2020-02-29"}, "2020-02-29T00:00:00+00:00"),
        (None, {"TIFFTAG_DATETIME": "0000:00:00 00:00:00"}, None),
        (None, {"TIFFTAG_DATETIME": "last summer"}, None),
        (None, {}, None),
    ],
)
def test_a_date_is_read_from_tags_and_never_guessed(
    tmp_path: Path, namespace: str | None, tags: dict[str, str], expected: str | None
) -> None:
    found = image_date(image(tmp_path / "a.tif", namespace, **tags))
    assert (found.isoformat() if found else None) == expected


def test_what_is_no_image_has_no_date(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_text("no raster")
    assert image_date(tmp_path / "a.tif") is None
    assert image_date(tmp_path / "missing.tif") is None


@pytest.mark.parametrize("settings", [{"category": ["pasture"]}, {"datetime": "soon"}, {"collection": ""}, {"x": 1}])
def test_settings_that_the_specification_does_not_know_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        registry.build("writers", {"kind": "fiboa", **settings})


def test_a_file_without_fields_of_ours_is_refused(two_fields: FieldMap, tmp_path: Path) -> None:
    writer = registry.build("writers", "fiboa")
    with pytest.raises(ConfigError, match="there is only borders"):
        writer.write_layers({"borders": two_fields.borders}, tmp_path / "m.parquet")
    drawn = two_fields.fields[["id", "geometry"]]  # by hand perhaps: nobody may call that auto-imagery
    with pytest.raises(GeometryError, match="lacks class"):
        writer.write_layers({"fields": drawn}, tmp_path / "m.parquet")
    assert not list(tmp_path.iterdir())


# What the specification's own schemas demand, for a validator that cannot reach them.
DEMANDS: dict[str, Any] = {
    CORE: {
        "$schema": "https://vecorel.org/sdl/v0.2.0/schema.json",
        "required": ["schemas", "id", "collection", "geometry"],
        "collection": {"schemas": True, "id": False, "geometry": False, "bbox": False},
        "properties": {
            "schemas": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
            "id": {"type": "string", "minLength": 1},
            "collection": {"type": "string", "minLength": 1},
            "geometry": {"type": "geometry"},
            "bbox": {"type": "bounding-box"},
        },
    },
    FIBOA: {
        "$schema": "https://vecorel.org/sdl/v0.2.0/schema.json",
        "collection": {"metrics:area": False, "metrics:perimeter": False},
        "properties": {
            "category": {"type": "array", "uniqueItems": True, "items": {"type": "string"}},
            "metrics:area": {"type": "float", "exclusiveMinimum": 0, "maximum": 1e9},
            "metrics:perimeter": {"type": "float", "exclusiveMinimum": 0, "maximum": 1.25e9},
            "determination:datetime": {"type": "date-time"},
            "determination:method": {"type": "string", "enum": ["auto-imagery", "manual", "unknown"]},
        },
    },
    "https://geoparquet.org/releases/v1.1.0/schema.json": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "required": ["version", "primary_column", "columns"],
        "properties": {"version": {"const": "1.1.0"}},
    },
}

OFFLINE = """
import json, sys
from vecorel_cli.vecorel import util
util.file_cache.update(json.load(open(sys.argv.pop(1))))
from fiboa_cli.cli.setup import run
"""


@pytest.fixture(scope="module")
def fiboa(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The words that run `fiboa` on its own Python, with the schemas at hand instead of on the net."""
    command = shutil.which("fiboa")
    if command is None:
        pytest.skip("fiboa is not on PATH: install fiboa-cli in an environment of its own")
    folder = tmp_path_factory.mktemp("fiboa")
    (folder / "demands.json").write_text(json.dumps(DEMANDS))
    (folder / "offline.py").write_text(OFFLINE)
    python = Path(command).resolve().parent / "python"
    return [str(python), str(folder / "offline.py"), str(folder / "demands.json")]


def validated(fiboa: list[str], path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*fiboa, "validate", "-n", "-1", str(path)], capture_output=True, text=True, timeout=120)


def test_fiboa_itself_finds_nothing_wrong(
    fiboa: list[str], two_fields: FieldMap, empty_map: FieldMap, tmp_path: Path
) -> None:
    for field_map, settings in ((two_fields, {}), (two_fields, {"datetime": "2024-07-01"}), (empty_map, {})):
        done = validated(fiboa, write(field_map, tmp_path, **settings))
        assert done.returncode == 0, done.stdout + done.stderr
        assert "INVALID" not in done.stdout
        assert "VALID" in done.stdout


def test_fiboa_itself_would_find_a_fault(fiboa: list[str], two_fields: FieldMap, tmp_path: Path) -> None:
    path = write(two_fields, tmp_path)
    table = pq.read_table(path)
    wrong = table.set_column(table.schema.names.index("id"), "id", pa.array([1]))
    pq.write_table(wrong, path)
    assert "INVALID" in validated(fiboa, path).stdout
