"""`hedgerow.evaluate`: how much does a quantized module change the borders of an original, on the same patches?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from torch import Tensor, nn

from hedgerow.contracts import Metric
from hedgerow.edges.views import Pair, View, view_of_mask
from hedgerow.errors import ScoreError
from hedgerow.geo.tiling import tile_geobox
from hedgerow.geo.windows import whole
from hedgerow.records import BORDER, Tally, Value
from hedgerow.stages.measure import conclude, measure, scorers
from hedgerow.stages.predict import probabilities_of
from hedgerow.stages.zoom import Zoom

_LINE_METRICS = ("erqa", "corners", "continuity", "sharpness", "erq_boundary", "spatial_quality")
_PIXEL_M = (1.0, 1.0)  # patches have no place on earth: scores in pixels only


@dataclass(frozen=True)
class Evaluation:
    """Scores of a quantized module against its original, pooled over all patches."""

    edge: float | None
    corner: float | None
    continuity: float | None
    composite: float | None
    output_mse: float
    sqnr: float | None
    """Signal to quantization noise of the probabilities, dB; None when there is no noise."""
    values: Mapping[str, Value]


def evaluate(original: nn.Module, quantized: nn.Module, patches: Sequence[NDArray[np.float32] | Tensor]) -> Evaluation:
    """Score two modules on the same patches.

    Args:
        original: the reference; maps (n, bands, height, width) to logits (n, classes, height, width).
        quantized: the candidate, likewise.
        patches: images (bands, height, width) in [0, 1].

    Raises:
        ScoreError: there is no patch.
        ModelError: a module's answer has another shape, or is not finite.
    """
    if not patches:
        raise ScoreError("no patch to evaluate on: give at least one image (bands, height, width)")
    chosen = scorers(_LINE_METRICS)
    tallies: dict[str, Tally] = {}
    noise = signal = count = 0.0
    for patch in patches:
        image = torch.as_tensor(patch, dtype=torch.float32).numpy()
        one, other = (probabilities_of(module, image, Zoom()) for module in (quantized, original))
        difference = one.astype(np.float64) - other
        noise += float((difference**2).sum())
        signal += float((other.astype(np.float64) ** 2).sum())
        count += difference.size
        for metric, tally in _tallies(Pair(_view(one), _view(other)), chosen.metrics).items():
            tallies[metric] = tallies[metric] + tally if metric in tallies else tally
    values = conclude(tallies, chosen)
    return Evaluation(
        edge=values["erqa"].value,
        corner=values["corner_retention"].value,
        continuity=values["continuity"].value,
        composite=values["spatial_quality"].value,
        output_mse=noise / count,
        sqnr=10 * float(np.log10(signal / noise)) if noise else None,
        values=values,
    )


def _view(probabilities: NDArray[np.float32]) -> View:
    border = np.rint(probabilities[BORDER] * np.float32(255)).astype(np.uint8)
    return view_of_mask(border, np.ones(border.shape, bool), _PIXEL_M)


def _tallies(pair: Pair, metrics: Sequence[Metric]) -> dict[str, Tally]:
    rows, cols = whole(pair.shape).shape
    geobox = GeoBox.from_bbox((0, 0, cols, rows), "EPSG:32631", shape=(rows, cols))
    return measure(pair, metrics, tile_geobox(geobox, max(rows, cols), 0)).tallies()
