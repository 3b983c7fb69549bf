"""Formats of a run: a GeoPackage always, each further kind once, with the settings that were given."""

import json

import pytest

from hedgerow import registry
from hedgerow.config import RunConfig, assigned
from hedgerow.errors import ConfigError
from hedgerow.jobs.mapping import writers_of


def extensions(*to: object) -> list[str]:
    return [writer.extension for writer in writers_of(RunConfig.model_validate({"to": to}))]


def test_a_geopackage_is_always_there_and_every_kind_once() -> None:
    assert extensions() == [".gpkg"]
    assert extensions("shp", "gpkg", "shp", "pmtiles") == [".gpkg", ".shp", ".pmtiles"]
    assert extensions({"kind": "fiboa", "collection": "mine"}) == [".gpkg", ".fiboa.parquet"]


def test_settings_of_a_format_reach_it_and_outlive_the_manifest() -> None:
    config = RunConfig.model_validate({"to": [{"kind": "gpkg", "styles": False}]})
    again = RunConfig.model_validate(json.loads(config.model_dump_json()))
    (writer,) = writers_of(again)
    assert writer.finish.keywords == {"with_styles": False}  # type: ignore[attr-defined]


def test_no_two_formats_of_a_run_write_the_same_file() -> None:
    names = [registry.build("writers", kind).extension for kind in registry.available("writers")]
    assert len(set(names)) == len(names)


def test_assignments_become_settings() -> None:
    assert assigned(["a=1", "b.c=x", "b.d=[2, 3]"]) == {"a": 1, "b": {"c": "x", "d": [2, 3]}}
    with pytest.raises(ConfigError, match="write it as"):
        assigned(["a"])
