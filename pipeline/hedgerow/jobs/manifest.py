"""What was done, exactly? `run.json`: written last, so that its presence says that a run is complete."""

import hashlib
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hedgerow import registry
from hedgerow.jobs.arms import Arm
from hedgerow.jobs.mapping import Mapped, TileTimes
from hedgerow.jobs.mosaics import member_rows, relative
from hedgerow.jobs.planning import Failure, Plan, PlannedScene, source_settings
from hedgerow.scaling import Scaling

FILE = "run.json"
_PACKAGES = (
    "hedgerow", "torch", "numpy", "scipy", "scikit-image", "opencv-python-headless", "rasterio", "shapely",
    "geopandas", "pyproj", "odc-geo", "dask",
)  # fmt: skip
_OPTIONAL = ("onnxruntime", "transformers")  # named where they are installed: some backbones compute with them
_MISSING = "missing"
_MEASURED = "percentiles of the input"
_HASHED_BYTES = 1 << 20


def manifest(
    plan: Plan,
    arms: Sequence[Arm],
    scalings: Mapping[str, Scaling],
    mapped: Sequence[Mapped],
    failures: Sequence[Failure],
    times: TileTimes,
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """Return the manifest as plain values for JSON."""
    return {
        "hedgerow": version("hedgerow"),
        "config": plan.config.model_dump(mode="json"),
        "versions": {"python": platform.python_version(), **_versions()},
        "model": {
            "name": plan.card.name,
            "licence": plan.card.licence,
            "attribution": plan.card.attribution,
            "bands": list(plan.card.bands),
            "gsd_m": plan.card.gsd_m,
        },
        "inputs": [_input(scene, scalings.get(scene.name), failures, plan) for scene in plan.scenes]
        + [{"name": f.input, "status": "failed", "error": f.error} for f in plan.failures],
        "passed_over": [str(path) for path in plan.passed_over],
        "arms": [_arm(arm, times) for arm in arms],
        "maps": [
            {"input": m.scene, "arm": m.arm, "files": [str(f.name) for f in m.files], "summary": dict(m.summary)}
            for m in mapped
        ],
        "failures": [{"input": f.input, "error": f.error} for f in failures],
        "seed": plan.config.seed,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
    }


def fingerprint(path: Path) -> str:
    """Return size and SHA-256 of a file's first and last mebibyte: enough to tell another file, quick on large ones."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(_HASHED_BYTES))
        file.seek(max(0, size - _HASHED_BYTES))
        digest.update(file.read(_HASHED_BYTES))
    return f"{size}-{digest.hexdigest()[:32]}"


def _input(planned: PlannedScene, scaling: Scaling | None, failures: Sequence[Failure], plan: Plan) -> dict[str, Any]:
    source: Any = planned.source
    places = getattr(source, "places", ())
    failed = next((f.error for f in failures if f.input == planned.name), None)
    return {
        "name": planned.name,
        "path": str(planned.scene.first_path),
        "paths": [str(path) for path in planned.scene.paths],
        "fingerprints": {
            relative(path, planned.scene.folder): fingerprint(path) for path in planned.scene.paths if path.is_file()
        },
        "members": member_rows(source),
        "source": _settings(source_settings(planned.scene, plan.config, plan.card)),
        "status": "failed" if failed else "skipped" if scaling is None else "done",
        "error": failed or ("no valid pixel" if scaling is None else None),
        "warnings": list(planned.warnings),
        "crs": str(source.geobox.crs),
        "shape": list(source.geobox.shape),
        "gsd_m": round(planned.gsd_m, 4),
        "network_gsd_m": round(planned.zoom.seen_gsd_m(planned.gsd_m), 4),
        "tiles": len(planned.tiles),
        "empty_tiles": len(planned.tiles) - len(planned.filled),
        "bands": list(source.bands),
        "display_bands": [index - 1 for _, index in places],
        "band_files": [str(path) for path, _ in places],
        "scaling": None if scaling is None else {"low": list(scaling.low), "high": list(scaling.high)},
        "scaling_from": "config" if plan.config.scaling else "model card" if plan.constants else _MEASURED,
        "truth": None if planned.truth is None else str(planned.truth),
    }


def _settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the source of an input was built from, so that it can be built again."""
    return {"kind": settings["kind"], **registry.configure("sources", settings).model_dump(mode="json")}


def _arm(arm: Arm, times: TileTimes) -> dict[str, Any]:
    seconds = times.mean(arm.name)
    return {
        "name": arm.name,
        "description": arm.recipe.description,
        "quantizer": dict(arm.recipe.quantizer),
        "calibration_tiles": arm.recipe.calibration_tiles,
        "simulated": arm.simulated,
        "size_bytes": arm.ledger.total,
        "size": {"codes": arm.ledger.codes, "grids": arm.ledger.grids, "floats": arm.ledger.floats},
        "seconds_per_tile": None if seconds is None else round(seconds, 4),
        "quantize_seconds": round(arm.seconds, 3),
        "weights_digest": arm.spec.digest,
        "sites": arm.sites.bits_by_site(),
    }


def _versions() -> dict[str, str]:
    found = {package: _version(package) for package in (*_PACKAGES, *_OPTIONAL)}
    return {package: told for package, told in found.items() if told != _MISSING or package not in _OPTIONAL}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return _MISSING
