"""Measure a model on what its training never saw, and write the scores into its card.

    python tests/bench/card.py pipeline/hedgerow/models/hedgerow-tiny [FOLDS]

Synthetic: six new scenes (`hedgerow synth --scenes 6 --seed 901`). Forest: the upper 55 % of naip_va_forest, which
configs/train/hedgerow-tiny.yaml leaves out; it lies beside a development checkout. FOLDS is the folder of a
cross-validation (tests/bench/folds.py), whose table goes into the card: the shipped weights have seen its tiles.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import yaml
from rasterio.windows import Window

from hedgerow.config import RunConfig, find_config, resolve
from hedgerow.jobs.comparing import compare
from hedgerow.jobs.synthesizing import synth

ROOT = Path(__file__).resolve().parents[2]
FOREST = ROOT.parent / "shared" / "data" / "naip_va_forest"
METRICS = ({"kind": "boundary_f1"}, {"kind": "boundary_f1", "tolerance_m": 5}, {"kind": "objects"})
WANTED = ("boundary_f1", "boundary_f1@5m", "object_precision", "object_recall", "object_f1")


def cases(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what is measured: a name and the settings of a comparison."""
    synth(folder / "synthetic", scenes=6, seed=901)
    yield "synthetic, six new scenes", {"inputs": (str(folder / "synthetic"),), "truth": "auto"}
    if FOREST.is_dir():
        upper = _upper_part(folder / "forest.tif")
        truth = {"truth": str(FOREST / "forest_semiauto.gpkg"), "truth_rule": {"default": "forest"}}
        yield "naip_va_forest, upper 55 %, -c aerial", {"inputs": (str(upper),), "file": "aerial", **truth}


def measure(model: Path, settings: dict[str, Any], out: Path) -> dict[str, float | None]:
    """Return the scores of FP32 against truth."""
    file = settings.pop("file", None)
    changes = settings | {"model": str(model), "arms": ("fp32",), "metrics": METRICS}
    config = resolve(RunConfig, file=find_config(str(file)) if file else None, changes=changes)
    return {
        s.metric: None if s.value is None else round(s.value, 4)
        for s in compare(config, out).scores
        if s.against == "truth" and s.input is None and s.layer == "all" and s.metric in WANTED
    }


def folds_of(table: Path) -> dict[str, Any]:
    """Return the table of a cross-validation as the card tells it."""
    found = json.loads(table.read_text(encoding="utf-8"))
    unet = any(row["method"] == "unet" for row in found["rows"])
    rest = "--unet-init pretrained_unet" if unet else "--unet-folds 0"
    command = f"python tests/bench/folds.py -o FOLDS --folds {found['folds']} --init pretrained {rest}"
    return {"command": command, **found}


def _upper_part(target: Path) -> Path:
    bands = [FOREST / f"NAIP-VA-b{k}.tiff" for k in (1, 2, 3)]
    with rasterio.open(bands[0]) as first:
        window = Window(0, 0, first.width, round(0.55 * first.height))
        profile = first.profile | {"height": window.height, "count": 3, "photometric": "RGB"}
    pixels = []
    for path in bands:
        with rasterio.open(path) as dataset:
            pixels.append(dataset.read(1, window=window))
    with rasterio.open(target, "w", **profile) as out:
        out.write(np.stack(pixels))
    return target


def main(model: Path, folds: Path | None) -> None:
    """Measure, write, and print what was written."""
    card = json.loads((model / "model.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as temporary:
        scores = {
            name: measure(model, settings, Path(temporary) / f"out{k}")
            for k, (name, settings) in enumerate(cases(Path(temporary)))
        }
    card["scores"]["held_out_truth"] = {"command": "python tests/bench/card.py MODEL", **scores}
    if folds is not None:
        card["scores"]["cross_validation"] = folds_of(folds / "table.json")
    (model / "model.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(yaml.safe_dump(scores, sort_keys=False))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
