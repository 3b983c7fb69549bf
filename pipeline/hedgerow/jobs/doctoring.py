"""Is this machine fit for the work? Versions, CPU features, and what is missing with its fix."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from hedgerow.models.store import shipped

_OPTIONAL = {
    "onnxruntime": "only for models that are ONNX graphs: pip install hedgerow[onnx]",
    "transformers": "only for backbones from a hub: pip install hedgerow[hub]",
}
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "asimddp")


def examine() -> list[dict[str, str]]:
    """Return findings: what, found, state ('ok', 'note', 'missing') and fix."""
    return [
        _finding("python", platform.python_version()),
        _finding("platform", f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"),
        _finding("CPU features", _cpu_flags() or "unknown", "ok" if _cpu_flags() else "note"),
        *(_package(name) for name in ("hedgerow", "numpy", "rasterio", "geopandas", "shapely", "dask", "cv2")),
        _torch(),
        _torchvision(),
        *(_optional(name, fix) for name, fix in _OPTIONAL.items()),
        _models(),
    ]


def _finding(what: str, found: str, state: str = "ok", fix: str = "") -> dict[str, str]:
    return {"what": what, "found": found, "state": state, "fix": fix}


def _package(name: str) -> dict[str, str]:
    distribution = {"cv2": "opencv-python-headless"}.get(name, name)
    try:
        return _finding(distribution, version(distribution))
    except PackageNotFoundError:
        return _finding(distribution, "", "missing", f"pip install {distribution}")


def _torch() -> dict[str, str]:
    try:
        import torch

        answer = float(torch.ones(2) @ torch.ones(2))
        cuda = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU only"
    except (ImportError, OSError, RuntimeError) as error:
        return _finding("torch", f"{error}", "missing", "pip install 'torch>=2.8,<2.14'")
    state = "ok" if answer == 2.0 else "missing"
    return _finding("torch", f"{torch.__version__}, {cuda}, {torch.get_num_threads()} threads", state)


def _torchvision() -> dict[str, str]:
    if find_spec("torchvision") is None:
        return _finding("torchvision", "not installed, as it should be")
    return _finding("torchvision", "installed", "note", "with a CPU torch it breaks imports: pip uninstall torchvision")


def _optional(name: str, fix: str) -> dict[str, str]:
    if find_spec(name) is None:
        return _finding(name, "not installed", "note", fix)
    return _finding(name, version(name))


def _models() -> dict[str, str]:
    names = ", ".join(shipped())
    return _finding(
        "models", names or "none", "ok" if names else "missing", "" if names else "install the package again"
    )


def _cpu_flags() -> str:
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return ""
    words = set(info.read_text(encoding="utf-8").split())
    return ", ".join(flag for flag in _FLAGS if flag in words)
