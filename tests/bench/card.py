"""Measure a model on scenes that its training never saw, and write the scores into its card.

    python tests/bench/card.py pipeline/hedgerow/models/hedgerow-tiny

Synthetic: six new scenes (`hedgerow synth --scenes 6 --seed 901`). Real: the two aerial tiles and the lower 40 % of
the Danish scene that configs/train/hedgerow-tiny.yaml holds out; they lie beside a development checkout.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import rasterio
import yaml
from rasterio.windows import Window

from hedgerow.config import RunConfig, find_config, resolve
from hedgerow.jobs.comparing import compare
from hedgerow.jobs.synthesizing import synth

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
AERIAL = ("naip_41p1864N_88p1872W", "naip_42p6575N_90p0795W")
METRICS = ({"kind": "boundary_f1"}, {"kind": "boundary_f1", "tolerance_m": 5}, {"kind": "objects"})


def cases(folder: Path) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield what is measured: a name and the settings of a comparison."""
    synth(folder / "synthetic", scenes=6, seed=901)
    yield "synthetic, six new scenes", {"inputs": (str(folder / "synthetic"),), "truth": "auto"}
    if not DATA.is_dir():
        return
    tiles = tuple(str(DATA / "naip_us_fields" / f"{name}.tif") for name in AERIAL)
    yield "naip_us_fields, two held-out tiles, -c aerial", {"inputs": tiles, "truth": "auto", "file": "aerial"}
    lower = _lower_part(DATA / "s2_dk_lpis" / "s2_l1c_20160508_bgr.tif", folder / "dk_lower.tif")
    truth = str(DATA / "s2_dk_lpis" / "lpis_parcels_2016.gpkg")
    yield "s2_dk_lpis, lower 40 %, -c sentinel2-bgr", {"inputs": (str(lower),), "truth": truth, "file": "sentinel2-bgr"}


def measure(model: Path, settings: dict[str, object], out: Path) -> dict[str, float | None]:
    """Return the scores of FP32 against truth."""
    file = settings.pop("file", None)
    changes = settings | {"model": str(model), "arms": ("fp32",), "metrics": METRICS}
    config = resolve(RunConfig, file=find_config(str(file)) if file else None, changes=changes)
    found = compare(config, out).scores
    wanted = ("boundary_f1", "boundary_f1@5m", "object_precision", "object_recall", "object_f1")
    return {
        s.metric: None if s.value is None else round(s.value, 4)
        for s in found
        if s.against == "truth" and s.input is None and s.layer == "all" and s.metric in wanted
    }


def _lower_part(path: Path, target: Path) -> Path:
    with rasterio.open(path) as dataset:
        top = round(0.6 * dataset.height)
        window = Window(0, top, dataset.width, dataset.height - top)
        profile = dataset.profile | {"height": dataset.height - top, "transform": dataset.window_transform(window)}
        with rasterio.open(target, "w", **profile) as out:
            out.write(dataset.read(window=window))
    return target


if __name__ == "__main__":
    model = Path(sys.argv[1])
    card = json.loads((model / "model.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as temporary:
        scores = {
            name: measure(model, settings, Path(temporary) / f"out{k}")
            for k, (name, settings) in enumerate(cases(Path(temporary)))
        }
    card["scores"]["held_out_truth"] = {"command": "python tests/bench/card.py MODEL", **scores}
    (model / "model.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(yaml.safe_dump(scores, sort_keys=False))
