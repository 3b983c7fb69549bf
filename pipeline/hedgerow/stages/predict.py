"""What does each arm say of a tile? Read padded, scale, run every network, keep the core.

Models never travel: a task carries their specs, and each process loads each of them once.
"""

import threading
import time
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from hedgerow.contracts import Source
from hedgerow.errors import HedgerowError, ModelError
from hedgerow.geo.windows import Window
from hedgerow.models.store import load
from hedgerow.records import CLASSES, ModelSpec, Prediction, Tile
from hedgerow.scaling import Scaling
from hedgerow.stages.zoom import Zoom


@dataclass(frozen=True)
class PredictTile:
    """A task: predictions of all arms for one tile."""

    source: Source
    scaling: Scaling
    zoom: Zoom
    halo_px: int
    models: tuple[ModelSpec, ...]

    def __call__(self, tile: Tile) -> tuple[Prediction, ...]:
        """Return one prediction per model, in order.

        Raises:
            SourceError: the tile cannot be read.
            ModelError: a network failed; the text names tile and arm.
        """
        patch = self.source.read(tile.padded)
        inner = tile.core.inside(tile.padded)
        valid = patch.valid[inner.slices]
        if not valid.any():
            return tuple(_nothing(tile, spec.arm, valid) for spec in self.models)
        image = framed(self.scaling.apply(patch), tile, self.halo_px)
        core = tile.core.inside(tile.core.padded(self.halo_px))
        return tuple(self._one(spec, image, core, tile, valid) for spec in self.models)

    def _one(
        self, spec: ModelSpec, image: NDArray[np.float32], core: Window, tile: Tile, valid: NDArray[np.bool_]
    ) -> Prediction:
        started = time.perf_counter()
        try:
            probabilities = probabilities_of(model_for(spec), image, self.zoom, spec.device)
        except HedgerowError as error:
            raise type(error)(f"tile {tile.id}, arm {spec.arm}: {error}") from error
        except Exception as error:
            raise ModelError(f"tile {tile.id}, arm {spec.arm}: {type(error).__name__}: {error}") from error
        seconds = time.perf_counter() - started
        kept = np.where(valid, probabilities[:, *core.slices], np.float32(0))
        return Prediction(tile, spec.arm, kept, valid, seconds)


@torch.inference_mode()
def probabilities_of(
    model: nn.Module, image: NDArray[np.float32], zoom: Zoom, device: str = "cpu"
) -> NDArray[np.float32]:
    """Return class probabilities (classes, height, width) of a scaled image (bands, height, width) of any size.

    Raises:
        ModelError: the network's answer has another shape, or is not finite.
    """
    seen = zoom.into(torch.from_numpy(np.ascontiguousarray(image))[None]).to(device)
    logits: Tensor = model(seen)
    if logits.shape != (1, len(CLASSES), *seen.shape[-2:]):
        raise ModelError(
            f"the network returned {tuple(logits.shape)} for an image {tuple(seen.shape)}; "
            f"logits (1, {len(CLASSES)}, height, width) are needed"
        )
    probabilities = zoom.back(F.softmax(logits.float(), dim=1), (image.shape[1], image.shape[2]))[0].cpu().numpy()
    if not np.isfinite(probabilities).all():
        raise ModelError("the network returned values that are not finite: check weights and scaling")
    return np.asarray(np.clip(probabilities, 0, 1), np.float32)


def framed(image: NDArray[np.float32], tile: Tile, halo_px: int) -> NDArray[np.float32]:
    """Mirror the image where the halo reaches beyond the raster, so that every tile has its full context."""
    full = tile.core.padded(halo_px)
    missing = (
        (tile.padded.y0 - full.y0, full.y1 - tile.padded.y1),
        (tile.padded.x0 - full.x0, full.x1 - tile.padded.x1),
    )
    return np.pad(image, ((0, 0), *missing), mode="symmetric")


_loaded: dict[ModelSpec, nn.Module] = {}
_loading = threading.Lock()


def model_for(spec: ModelSpec) -> nn.Module:
    """Return this process's copy of a model, loaded at the first call."""
    with _loading:
        if spec not in _loaded:
            torch.set_num_threads(spec.threads)
            _loaded[spec] = load(spec.path).to(spec.device).eval()
        return _loaded[spec]


def _nothing(tile: Tile, arm: str, valid: NDArray[np.bool_]) -> Prediction:
    return Prediction(tile, arm, np.zeros((len(CLASSES), *valid.shape), np.float32), valid)
