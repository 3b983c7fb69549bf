"""Score tables: what is written is what was meant, and nonsense is refused."""

import json
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from hedgerow.errors import GeometryError, ScoreError
from hedgerow.writers._tables import footprint, write_scores, write_tiles


def score(**changes: Any) -> dict[str, Any]:
    row = {"metric": "erqa", "arm": "int8", "against": "fp32", "layer": "all", "input": None, "value": 0.5, "n": 3}
    return row | changes


def test_scores_come_back_and_numpy_numbers_are_numbers(tmp_path: Path) -> None:
    rows = [score(value=np.float64(0.5), n=np.int64(3)), score(value=None, flag="no borders", arm="nf4")]
    write_scores(rows, tmp_path / "scores.json")
    back = json.loads((tmp_path / "scores.json").read_text())["scores"]
    assert [(row["value"], row["n"]) for row in back] == [(0.5, 3), (None, 3)]


@pytest.mark.parametrize("rows", [[score(value=float("nan"))], [score(value=np.inf)], [score(), score(value=0.25)]])
def test_nan_and_double_rows_are_refused_and_nothing_is_written(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    with pytest.raises(ScoreError):
        write_scores(rows, tmp_path / "scores.json")
    assert not list(tmp_path.iterdir())


def test_differences_stand_beside_the_scores_and_only_where_they_are_given(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    write_scores([score()], path)
    assert json.loads(path.read_text()).keys() == {"scores"}
    write_scores([score()], path, differences=[score(value=-0.1)], intervals={"level": 0.95})
    content = json.loads(path.read_text())
    assert (content["differences"][0]["value"], content["intervals"]) == (-0.1, {"level": 0.95})
    with pytest.raises(ScoreError, match="one row each"):
        write_scores([], path, differences=[score(), score()])


def test_tiles_have_one_row_each_in_degrees_and_a_column_per_score(tmp_path: Path) -> None:
    geobox = GeoBox((100, 200), Affine(10, 0, 500000, 0, -10, 6000000), "EPSG:32632")
    tile = {"input": "a", "tile": "r0000c0000", "status": "ok", "support": 20_000, "geometry": footprint(geobox)}
    rows = [tile | {"arm": "int8", "erqa__fp32": 0.5}, tile | {"arm": "nf4", "boundary_f1__truth": None}]
    write_tiles(rows, tmp_path / "tiles.parquet")
    back = geopandas.read_parquet(tmp_path / "tiles.parquet")
    assert list(back.columns) == [
        "input", "tile", "arm", "status", "support", "boundary_f1__truth", "erqa__fp32", "geometry"
    ]  # fmt: skip
    assert back.crs == "EPSG:4326"
    assert back["erqa__fp32"].tolist()[0] == 0.5
    assert np.isnan(back["erqa__fp32"][1])
    assert np.isnan(back["boundary_f1__truth"]).all()
    # The grid's upper left corner lies on the central meridian of zone 32: 9 degrees east.
    assert back.geometry[0].bounds[0] == pytest.approx(9.0, abs=1e-12)


def test_no_tiles_still_make_a_table(tmp_path: Path) -> None:
    write_tiles([], tmp_path / "tiles.parquet")
    assert len(geopandas.read_parquet(tmp_path / "tiles.parquet")) == 0


def test_a_grid_without_a_place_has_no_footprint() -> None:
    with pytest.raises(GeometryError, match="without a CRS"):
        footprint(GeoBox((4, 4), Affine.identity(), None))
