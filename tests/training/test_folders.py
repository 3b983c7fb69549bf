"""What a training finds in a folder, and what it says of images that it would both learn and judge."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio

from hedgerow.errors import SourceError
from hedgerow.jobs.training import train
from hedgerow.training.data import FolderData, SyntheticData
from hedgerow.training.folders import images, trained_and_held_out

FEW = ("steps=1", "batch=1", "crop_px=32")


def found(folder: Path) -> list[str]:
    return [name for name, _ in images(FolderData(path=folder))]


def test_rasters_are_found_whatever_the_case_and_what_lies_beside_them_is_not_taken_for_one(tmp_path: Path) -> None:
    for name in (
        "b.TIF",
        "a.tif",
        "c.jp2",
        "a.tif.aux.xml",
        "a.tif.ovr",
        "a_mask.tif",
        "._a.tif",
        "a.gpkg",
        "curve.png",
    ):
        (tmp_path / name).touch()
    assert found(tmp_path) == ["a", "b", "c"]


def test_a_folder_that_is_not_there_is_told_from_one_without_rasters(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no such folder"):
        found(tmp_path / "nowhere")
    with pytest.raises(SourceError, match=r"no raster matches \*"):
        found(tmp_path)


@pytest.mark.parametrize(
    ("learned", "judged", "both"),
    [
        ({}, {}, ("a", "b")),
        ({"exclude": ("b",)}, {"include": ("b",)}, ()),
        ({"rows": (0, 0.7)}, {"rows": (0.7, 1)}, ()),
        ({"rows": (0, 0.7), "include": ("a",)}, {"rows": (0.6, 1)}, ("a",)),
    ],
)
def test_what_is_learned_and_judged_is_found_by_file_and_rows(
    learned: dict[str, object], judged: dict[str, object], both: tuple[str, ...], tmp_path: Path
) -> None:
    for name in ("a.tif", "b.tif"):
        (tmp_path / name).touch()
    one, two = (FolderData.model_validate({"path": tmp_path, **entry}) for entry in (learned, judged))
    assert trained_and_held_out((SyntheticData(), one), (two, SyntheticData())) == both


def test_an_image_that_is_learned_and_judged_is_warned_of(
    scenes_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entry = f"[{{kind: folder, path: {scenes_folder}, include: [strips]}}]"
    with caplog.at_level(logging.WARNING):
        train("smoke", tmp_path / "out", sets=(*FEW, f"data={entry}", f"held_out={entry}"))
    assert next(r.message for r in caplog.records if "is trained on and held out" in r.message).startswith("strips is")


def test_loading_tells_of_every_scene(scenes_folder: Path, tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "load":
            heard.append((done, total))

    entry = f"{{kind: folder, path: {scenes_folder}, include: [strips]}}"
    data = f"data=[{{scenes: 3, scene_px: 64, gsd_m: [1, 2]}}, {entry}]"
    train("smoke", tmp_path / "out", sets=(*FEW, "held_out=[]", data), progress=progress)
    assert heard == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_card_names_the_constants_of_all_that_was_learned_from(
    scenes_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    constants = "{low: [0, 0, 0], high: [200, 210, 220]}"
    scaled = f"{{kind: folder, path: {scenes_folder}, scaling: {constants}}}"
    sets = (*FEW, "held_out=[]", f"data=[{scaled}]")
    assert train("smoke", tmp_path / "one", sets=sets).scaling == {"low": (0, 0, 0), "high": (200, 210, 220)}
    assert not [r for r in caplog.records if "scaled in several ways" in r.message]
    mixed = (*sets[:-1], f"data=[{scaled}, {{scenes: 1, scene_px: 64, gsd_m: [1, 2]}}]")
    assert train("smoke", tmp_path / "two", sets=mixed).scaling is None
    assert [r for r in caplog.records if "scaled in several ways" in r.message]


def test_a_raster_without_a_valid_pixel_is_not_said_to_lack_truth(scenes_folder: Path, tmp_path: Path) -> None:
    shutil.copy(scenes_folder / "strips.gpkg", tmp_path / "strips.gpkg")
    with rasterio.open(scenes_folder / "strips.tif") as file:
        profile, pixels = file.profile | {"nodata": 0}, file.read()
    with rasterio.open(tmp_path / "strips.tif", "w", **profile) as file:
        file.write(np.zeros_like(pixels))
    with pytest.raises(SourceError, match=r"strips\.tif: has no valid pixel"):
        train("smoke", tmp_path / "out", sets=(*FEW, f"data=[{{kind: folder, path: {tmp_path}}}]"))


def test_a_raster_that_is_nothing_but_edge_is_warned_of(
    scenes_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """At a zoom of 0.02 the 2 network px along the frame of which nothing is known are 100 px: all of it."""
    with caplog.at_level(logging.WARNING):
        entry = f"[{{kind: folder, path: {scenes_folder}, include: [strips], zoom: [0.02, 0.02]}}]"
        train("smoke", tmp_path / "out", sets=(*FEW, "held_out=[]", f"data={entry}"))
    assert any("strips: teaches nothing" in record.message for record in caplog.records)
