"""What cannot be trained on is refused in one line that says what to do."""

import logging
import shutil
from pathlib import Path

import geopandas as gpd
import pytest
import torch

from hedgerow.errors import HedgerowError
from hedgerow.jobs.training import train

FEW = ("steps=1", "batch=1", "crop_px=32", "held_out=[]")


def on_folder(folder: Path, **entry: str) -> tuple[str, ...]:
    more = "".join(f", {key}: {value}" for key, value in entry.items())
    return (*FEW, f"data=[{{kind: folder, path: {folder}{more}}}]")


def refused(sets: tuple[str, ...], out: Path) -> str:
    with pytest.raises(HedgerowError) as caught:
        train("smoke", out, sets=sets)
    assert not out.exists()
    told = str(caught.value)
    assert "\n" not in told
    return told


def test_truth_of_another_place_is_refused(scenes_folder: Path, tmp_path: Path) -> None:
    far = gpd.read_file(scenes_folder / "strips.gpkg").translate(5e5, 5e5)
    far.to_file(tmp_path / "far.gpkg")
    told = refused(on_folder(scenes_folder, include="[strips]", truth=str(tmp_path / "far.gpkg")), tmp_path / "out")
    assert "do not overlap" in told


def test_a_band_that_the_raster_has_not_is_refused(scenes_folder: Path, tmp_path: Path) -> None:
    sets = (*on_folder(scenes_folder, include="[strips]"), "bands=[red, green, blue, nir]")
    assert "nir" in refused(sets, tmp_path / "out")


def test_bands_and_backbone_must_agree(tmp_path: Path) -> None:
    told = refused((*FEW, "bands=[red, green]", "backbone.bands=3"), tmp_path / "out")
    assert "backbone.bands is 3, but there are 2 bands (red, green)" in told


def test_a_device_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "use --device cpu" in refused((*FEW, "device=cuda"), tmp_path / "out")
    assert "there is auto, cpu and cuda" in refused((*FEW, "device=tpu"), tmp_path / "out")
    assert "there is cpu:0" in refused((*FEW, "device=cpu:x"), tmp_path / "out")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert "there is cuda:0 to cuda:1" in refused((*FEW, "device=cuda:2"), tmp_path / "out")


def test_held_out_scenes_without_truth_are_refused(scenes_folder: Path, tmp_path: Path) -> None:
    shutil.copy(scenes_folder / "strips.tif", tmp_path / "alone.tif")
    held_out = f"held_out=[{{kind: folder, path: {tmp_path}}}]"
    assert "no truth beside it" in refused((*FEW[:3], held_out), tmp_path / "out")


def test_a_pickle_to_start_from_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    train("smoke", folder, sets=FEW)
    torch.save({"weight": torch.zeros(1)}, folder / "model.safetensors")
    assert "is a pickle" in refused((*FEW, f"init={folder}"), tmp_path / "out")


def test_a_class_that_no_scene_shows_is_told(
    scenes_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Parcels alone say nothing of forest, nor that what they leave out is `other`."""
    truth = gpd.read_file(scenes_folder / "strips.gpkg")[["geometry"]]
    truth.to_file(tmp_path / "parcels.gpkg")
    with caplog.at_level(logging.WARNING):
        train(
            "smoke",
            tmp_path / "out",
            sets=on_folder(scenes_folder, include="[strips]", truth=str(tmp_path / "parcels.gpkg")),
        )
    told = [record.message for record in caplog.records if "no training scene shows" in record.message]
    assert [message.split()[4] for message in told] == ["other", "forest"]
