"""Inputs: files, folders and globs become named scenes, in a settled order, without opening anything."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from hedgerow.errors import ConfigError, SourceError
from hedgerow.jobs.inputs import RASTER_SUFFIXES, Found, find_scenes


def touch(folder: Path, *names: str) -> Path:
    """Make empty files: nothing is opened here."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def names(found: Found) -> list[str]:
    return [scene.name for scene in found.scenes]


def find(*inputs: Path | str, bands: dict[str, str] | None = None) -> Found:
    return find_scenes([str(text) for text in inputs], bands)


def test_a_folder_is_searched_through_and_names_are_paths_below_it(tmp_path: Path) -> None:
    touch(tmp_path, "b.tif", "a.tif", "2024/may/a.tif", "2024/c.5m.tif")
    assert names(find(tmp_path)) == ["2024/c.5m", "2024/may/a", "a", "b"]


def test_rasters_are_known_by_extension_in_any_case(tmp_path: Path) -> None:
    files = ["a.tif", "b.TIFF", "c.gtif", "d.VRT", "e.jp2", "f.img", "g.png", "h.jpg", "i.jpeg"]
    assert {Path(name).suffix.lower() for name in files} <= RASTER_SUFFIXES
    touch(tmp_path, *files)
    assert names(find(tmp_path)) == list("abcdefghi")


def test_sidecars_and_hidden_files_are_passed_over_in_silence(tmp_path: Path) -> None:
    touch(tmp_path, "a.tif", "a.gpkg", "a.tif.aux.xml", "a.tfw", "a.tif.ovr", "a.tif.msk", "README.md", "a_fields.gpkg")
    touch(tmp_path, "._a.tif", ".thumbnails/a.png")  # left by file managers
    found = find(tmp_path)
    assert names(found) == ["a"]
    assert found.passed_over == ()


def test_masks_are_passed_over_and_listed(tmp_path: Path) -> None:
    touch(tmp_path, "a.tif", "a_mask.tif", "A_MASK_2.png", "masked.tif")
    found = find(tmp_path)
    assert names(found) == ["a", "masked"]
    assert [path.name for path in found.passed_over] == ["A_MASK_2.png", "a_mask.tif"]


def test_a_file_that_is_named_is_taken_whatever_its_extension(tmp_path: Path) -> None:
    touch(tmp_path, "scan.raw")
    assert names(find(tmp_path / "scan.raw")) == ["scan"]


def test_globs_match_files_and_folders(tmp_path: Path) -> None:
    touch(tmp_path, "x1/a.tif", "x2/b.tif", "y/c.tif", "x1/notes.md", "d.tif")
    assert names(find(tmp_path / "x*" / "*.tif")) == ["a", "b"]
    assert names(find(tmp_path / "x*")) == ["a", "b"]
    assert names(find(tmp_path / "**" / "*.tif")) == ["d", "a", "b", "c"]
    assert names(find(tmp_path / "*")) == ["d", "a", "b", "c"]


@pytest.mark.parametrize("name", ["2018-10-13, Sentinel-2B L1C, B04", "a[1]", "ünï côde", "50% *", "-c"])
def test_names_with_blanks_commas_and_brackets_are_names(tmp_path: Path, name: str) -> None:
    touch(tmp_path, f"{name}.tif")
    assert names(find(tmp_path)) == names(find(tmp_path / f"{name}.tif")) == [name]


def test_equal_stems_get_suffixes_that_nobody_has(tmp_path: Path) -> None:
    touch(tmp_path, "p/a.tif", "p/a.png", "p/a-2.tif", "q/a.tif")
    found = find(tmp_path / "p", tmp_path / "q")
    assert len(set(names(found))) == 4
    by_name = {scene.name: scene.first_path.relative_to(tmp_path).as_posix() for scene in found.scenes}
    assert by_name == {"a-2": "p/a-2.tif", "a": "p/a.png", "a-3": "p/a.tif", "a-4": "q/a.tif"}


def test_a_file_that_two_inputs_hold_is_taken_once(tmp_path: Path) -> None:
    touch(tmp_path, "sub/a.tif", "b.tif")
    assert names(find(tmp_path, tmp_path / "sub", tmp_path / "b.tif")) == ["b", "sub/a"]
    assert names(find(tmp_path / "sub", tmp_path)) == ["a", "b"]


@pytest.mark.parametrize("missing", ["none", "none.tif", "*.tif", "sub/**/*.jp2"])
def test_an_input_that_does_not_exist_is_named(tmp_path: Path, missing: str) -> None:
    with pytest.raises(ConfigError, match="there is no such file or folder, and no file matches it") as caught:
        find(touch(tmp_path, "a.png") / "a.png", tmp_path / missing)
    assert str(caught.value).startswith(str(tmp_path / missing))


def test_a_folder_without_rasters_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.gpkg", "README.md")
    with pytest.raises(SourceError, match=r"no raster in .*looked for \.") as caught:
        find(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_folder_of_masks_is_refused_as_such(tmp_path: Path) -> None:
    touch(tmp_path, "a_mask.tif")
    with pytest.raises(SourceError, match=r"but 1 passed over by name"):
        find(tmp_path)


# --- single-band files ------------------------------------------------------------------------------------------------

S2 = {"red": "*B04*", "green": "*B03*", "blue": "*B02*"}


def test_single_band_files_become_one_scene_per_folder(tmp_path: Path) -> None:
    for day in ("T32_0501", "T32_0601"):
        touch(tmp_path / day, *(f"{day}_{band}_10m.jp2" for band in ("B02", "B03", "B04", "B08", "TCI")))
    found = find(tmp_path, bands=S2)
    assert names(found) == ["T32_0501", "T32_0601"]
    first = found.scenes[0]
    assert isinstance(first.path, dict)
    assert {role: path.name for role, path in first.path.items()} == {
        "red": "T32_0501_B04_10m.jp2", "green": "T32_0501_B03_10m.jp2", "blue": "T32_0501_B02_10m.jp2",
    }  # fmt: skip
    assert [path.name[9:12] for path in first.paths] == ["B04", "B03", "B02"]
    assert first.first_path.name == "T32_0501_B04_10m.jp2"


def test_a_scene_that_lies_in_the_input_itself_is_called_after_it(tmp_path: Path) -> None:
    folder = touch(tmp_path / "may", "B02.tif", "B03.tif", "B04.tif", "other.tif")
    assert names(find(folder, bands=S2)) == ["may"]
    assert names(find(*sorted(folder.glob("B*.tif")), bands=S2)) == ["may"]


@pytest.mark.parametrize(
    ("files", "what"),
    [
        (["B02.tif", "B03.tif"], r"band red=\*B04\* matches no file: exactly one file must"),
        (["B02.tif", "B03.tif", "B04.tif", "B04_old.tif"], r"band red=\*B04\* matches B04.tif, B04_old.tif: exactly"),
        (["a.tif"], r"no file matches --bands red=\*B04\*,green=\*B03\*,blue=\*B02\*"),
    ],
)
def test_a_band_with_no_file_or_with_two_is_refused(tmp_path: Path, files: Sequence[str], what: str) -> None:
    touch(tmp_path, *files)
    with pytest.raises(SourceError, match=what):
        find(tmp_path, bands=S2)
