"""One whole comparison through the installed command, read by many tests; and the command line in this process."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

TILE_PX = 64


@dataclass(frozen=True)
class Finished:
    out: Path
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe of one's own: the border-weighted quantizer with a pass short enough for a test."""
    path = tmp_path_factory.mktemp("recipes") / "w4a4-spatial.yaml"
    path.write_text(
        "quantizer: {kind: spatial, weight_bits: 4, activation_bits: 4, steps: 3, crop_px: 64}\ncalibration_tiles: 2\n"
    )
    return path


@pytest.fixture(scope="session")
def compared(
    hedgerow: Callable[..., subprocess.CompletedProcess[str]],
    scenes_folder: Path,
    tiny_model: Path,
    recipe: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Finished:
    out = tmp_path_factory.mktemp("compared") / "out"
    done = hedgerow(
        "compare", scenes_folder, "-o", out, "--arms", f"fp32, int8,{recipe}", "--truth", "auto", "--model", tiny_model,
        "--tile-size", TILE_PX, "--halo", 32, "--workers", 1, "--set", "threads=1", "--fail-below", "boundary_iou=0.01",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Finished(out, done.stdout, done.stderr)


@pytest.fixture
def invoke() -> Callable[..., Result]:
    """Run the command line in this process: quicker than the installed command, and the same from the edge inwards."""
    from hedgerow_cli.app import app

    def run(*words: Any) -> Result:
        return CliRunner().invoke(app, [str(word) for word in words])

    return run


@pytest.fixture
def quick(invoke: Callable[..., Result], tiny_model: Path) -> Callable[..., Result]:
    """A `run` or `compare` with the small network."""

    def run(command: str, *words: Any) -> Result:
        return invoke(
            command,
            *words,
            "--model",
            tiny_model,
            "--tile-size",
            TILE_PX,
            "--halo",
            32,
            "-j",
            1,
            "-q",
            "--set",
            "threads=1",
        )

    return run
