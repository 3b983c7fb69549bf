"""Staging: a file appears whole or not at all, and what was there before outlives every failure."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hedgerow import registry
from hedgerow.errors import ConfigError
from hedgerow.writers import _staging
from hedgerow.writers._staging import staged


def contents(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir()}


def write(path: Path, *names: str) -> None:
    with staged(path) as folder:
        for name in names:
            (folder / name).write_text("newer")


def test_files_appear_together_at_the_end(tmp_path: Path) -> None:
    with staged(tmp_path / "new" / "a.shp") as folder:
        (folder / "a.shp").write_text("shapes")
        (folder / "a.dbf").write_text("table")
        assert [path.name for path in (tmp_path / "new").iterdir()] == [folder.name]
    assert contents(tmp_path / "new") == {"a.shp": "shapes", "a.dbf": "table"}


def test_an_error_leaves_older_files_alone(tmp_path: Path) -> None:
    (tmp_path / "a.shp").write_text("older")
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "a.shp", "a.shp", "no/such/folder")
    assert contents(tmp_path) == {"a.shp": "older"}


def test_a_rename_that_fails_brings_older_files_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.dbf").write_text("older table")
    (tmp_path / "a.shp").write_text("older shapes")
    rename = os.replace

    def locked(source: Path, target: Path) -> None:
        if Path(target) == tmp_path / "a.shp":  # as a program on Windows does that has it open
            raise PermissionError(errno.EACCES, "Permission denied")
        rename(source, target)

    monkeypatch.setattr(_staging.os, "replace", locked)
    with pytest.raises(ConfigError, match=r"a\.shp: cannot be written: Permission denied"):
        write(tmp_path / "a.shp", "a.shp", "a.dbf", "a.prj")
    assert contents(tmp_path) == {"a.shp": "older shapes", "a.dbf": "older table"}


def test_a_name_as_long_as_the_disk_allows_can_be_staged(tmp_path: Path) -> None:
    path = tmp_path / f"{'n' * 250}.shp"
    with staged(path) as folder:
        (folder / path.name).write_text("whole")
    assert contents(tmp_path) == {path.name: "whole"}


KINDS = registry.available("writers")
FULL_DISK = """
import resource, signal, sys
import geopandas, numpy as np, shapely
from pathlib import Path
from hedgerow import registry
from hedgerow.errors import HedgerowError
from hedgerow.records import FieldMap

n = np.arange(1500)
boxes = shapely.box(5e5 + 10.0 * n, 6e6, 5e5 + 10.0 * n + 10, 6e6 + 10)
notes = [f"{k * 7919 % 10007}" for k in n]  # nothing that compresses well
fields = geopandas.GeoDataFrame(
    {"id": n + 1, "class": "field", "area_m2": np.sqrt(n + 1.0), "perimeter_m": np.cbrt(n + 1.0),
     "confidence": np.sin(n) ** 2, "source": notes}, geometry=boxes, crs="EPSG:32632")
borders = geopandas.GeoDataFrame(
    {"id": n + 1, "left_id": n + 1, "right_id": 0, "class_pair": "field|other", "length_m": np.sqrt(n + 2.0),
     "confidence": np.cos(n) ** 2, "open": False}, geometry=shapely.boundary(boxes), crs="EPSG:32632")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for kind in sys.argv[3:]:
    folder = Path(sys.argv[1]) / kind
    writer = registry.build("writers", kind)
    path = folder / f"map{writer.extension}"
    files = writer.write(FieldMap(fields, borders), path)
    whole = max(file.stat().st_size for file in files if file.suffix == path.suffix)
    before = {file: file.read_bytes() for file in folder.iterdir()}
    for part in sys.argv[2].split(","):
        limit = int(float(part) * whole) if float(part) > 0 else whole + int(part)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        try:
            writer.write(FieldMap(fields, borders), path)
        except HedgerowError as error:
            print(kind, part, error, sep="\t")
        assert {file: file.read_bytes() for file in folder.iterdir()} == before, (kind, part)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on file sizes is that of Linux")
def test_a_disk_that_fills_up_at_any_byte_is_noticed_and_older_files_stay(tmp_path: Path) -> None:
    """A limit on the size of files fails as a full disk does: GDAL hears of it late, or never."""
    parts = ["0.02", "0.5", "0.9", "-2"]  # of the whole, and two bytes less: GeoJSON ends in a line break
    words = [sys.executable, "-c", FULL_DISK, str(tmp_path), ",".join(parts), *KINDS]
    done = subprocess.run(words, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    told = [line.split("\t") for line in done.stdout.splitlines()]
    assert [(kind, part) for kind, part, _ in told] == [(kind, part) for kind in KINDS for part in parts]
    assert all("map" in text for _, _, text in told)
