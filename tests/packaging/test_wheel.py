"""What a person gets who installs the package: two import packages, their types, presets, page and model."""

import configparser
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # the backend directly: what `pip wheel --no-build-isolation` calls, without a network
    code = f"from hatchling.build import build_wheel; print(build_wheel({str(folder)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as pip would lay it out, away from the checkout."""
    site = tmp_path_factory.mktemp("site")
    zipfile.ZipFile(wheel).extractall(site)
    return site


def test_the_top_level_names_are_exactly_the_two_packages(names: set[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    (info,) = (top for top in tops if top.endswith(".dist-info"))
    assert tops - {info} == {"hedgerow", "hedgerow_cli"}


def test_both_packages_say_that_they_are_typed(names: set[str]) -> None:
    assert {"hedgerow/py.typed", "hedgerow_cli/py.typed"} <= names


def test_every_source_file_is_in_the_wheel(names: set[str], checkout: Path) -> None:
    for root, package in (("pipeline", "hedgerow"), ("cli", "hedgerow_cli")):
        for path in (checkout / root / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert path.relative_to(checkout / root).as_posix() in names
    assert not [name for name in names if name.endswith(".pyc") or "__pycache__" in name]


def test_presets_page_and_model_travel_with_it(names: set[str], checkout: Path) -> None:
    for path in (checkout / "configs").rglob("*.yaml"):
        assert f"hedgerow/configs/{path.relative_to(checkout / 'configs').as_posix()}" in names
    for name in ("report/report.html.j2", "report/report.css", "models/hedgerow-tiny/model.safetensors",
                 "models/hedgerow-tiny/model.json"):  # fmt: skip
        assert f"hedgerow/{name}" in names


def test_the_licence_and_the_command_are_declared(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    info = next(name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name)
    metadata = archive.read(f"{info}/METADATA").decode()
    assert "License-Expression: Apache-2.0" in metadata
    assert "Requires-Dist: torch<2.14,>=2.8" in metadata
    for never in ("torchvision", "timm", "segmentation-models", "opencv-python>", "gdal"):
        assert f"Requires-Dist: {never}" not in metadata
    points = configparser.ConfigParser()
    points.read_string(archive.read(f"{info}/entry_points.txt").decode())
    assert points["console_scripts"]["hedgerow"] == "hedgerow_cli.app:main"
    assert any(name.endswith("licenses/LICENSE") for name in archive.namelist())


def in_isolation(site: Path, code: str) -> str:
    """Run code that finds the unpacked wheel before the checkout that is installed for development."""
    lines = f"import sys\nsys.path.insert(0, {str(site)!r})\n{code}"
    done = subprocess.run([sys.executable, "-c", lines], cwd=site, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_installed_wheel_finds_its_presets_and_its_model(installed: Path) -> None:
    code = (
        "import hedgerow\nfrom hedgerow.config import configs_folder, load_recipe, preset_names\n"
        "from hedgerow.jobs.listing import listing\n"
        "print(hedgerow.__file__)\nprint(configs_folder())\nload_recipe('int8')\n"
        "assert 'aerial' in preset_names() and 'w4a4-spatial' in preset_names('arms')\n"
        "assert [m['name'] for m in listing('models')['models']]"
    )
    where, configs = in_isolation(installed, code).splitlines()
    assert Path(where) == installed / "hedgerow/__init__.py"
    assert Path(configs) == installed / "hedgerow/configs"


def test_an_installed_wheel_runs_its_command(installed: Path) -> None:
    code = "import sys\nfrom hedgerow_cli.app import main\nsys.argv = ['hedgerow', 'config', 'check', 'int8']\nmain()"
    assert in_isolation(installed, code) == "int8: ok (arm)\n"


def test_the_source_roots_are_no_packages(checkout: Path) -> None:
    for root in ("pipeline", "cli"):
        assert not (checkout / root / "__init__.py").exists()
    settings = tomllib.loads((checkout / "pyproject.toml").read_text())["tool"]
    banned = settings["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]
    assert {"pipeline", "cli", "osgeo", "torchvision"} <= banned.keys()
    assert "--import-mode=importlib" in settings["pytest"]["ini_options"]["addopts"]
    assert settings["pytest"]["ini_options"]["filterwarnings"][0] == "error"


@pytest.mark.parametrize("module", ["pipeline.hedgerow", "cli.hedgerow_cli", "osgeo", "torchvision"])
def test_a_banned_import_is_caught(checkout: Path, module: str) -> None:
    code = f'"""Does it get through?"""\n\nimport {module}\n\n__all__ = ["{module}"]\n'
    ruff = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--select",
        "TID251",
        "--stdin-filename",
        "pipeline/hedgerow/x.py",
        "-",
    ]
    done = subprocess.run(ruff, input=code, cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 1
    assert "TID251" in done.stdout


def test_imports_go_down_the_floors_only(checkout: Path) -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout
