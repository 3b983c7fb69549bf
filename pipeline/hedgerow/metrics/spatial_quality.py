"""How good is the map's spatial quality in one number? A weighted mean of edges, corners and continuity.

`spatial_quality` is the score to quote. `spatial_quality_sharp` takes continuity times sharpness as third term;
`spatial_quality_raw` is the literal form (Jaccard index, uncapped corner ratio) and can exceed 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

from hedgerow.metrics._policy import not_applicable
from hedgerow.records import Better, Value

Weights = tuple[float, float, float]

DEFAULT_WEIGHTS: Weights = (0.4, 0.3, 0.3)

TERMS = {
    "spatial_quality": ("erqa", "corner_retention", "continuity"),
    "spatial_quality_sharp": ("erqa", "corner_retention", "erq_boundary"),
    "spatial_quality_raw": ("erqa_jaccard", "corner_retention_raw", "continuity"),
}

BETTER: Mapping[str, Better] = {
    "spatial_quality": "higher",
    "spatial_quality_sharp": "higher",
    "spatial_quality_raw": "one",
}

SCENE_WIDE = frozenset(BETTER)
"""As continuity: see `stages.measure.scene_wide`."""


class Config(BaseModel, frozen=True, extra="forbid"):
    """Weights of the three terms, in the order edges, corners, continuity."""

    edges: float = Field(DEFAULT_WEIGHTS[0], ge=0)
    corners: float = Field(DEFAULT_WEIGHTS[1], ge=0)
    continuity: float = Field(DEFAULT_WEIGHTS[2], ge=0)


def build(config: Config) -> SpatialQuality:
    return SpatialQuality((config.edges, config.corners, config.continuity))


@dataclass(frozen=True, slots=True)
class SpatialQuality:
    """Weighted means of named scores; where a term does not apply the other weights are renormalised."""

    weights: Weights = DEFAULT_WEIGHTS

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        return (("weights", self.weights),)

    def compose(self, values: Mapping[str, Value]) -> Sequence[Value]:
        return [self._mean(name + self._suffix, terms, values) for name, terms in TERMS.items()]

    def _mean(self, name: str, terms: Sequence[str], values: Mapping[str, Value]) -> Value:
        used = [
            (weight, values[term])
            for weight, term in zip(self.weights, terms, strict=True)
            if weight and term in values and values[term].value is not None
        ]
        if not used:
            return not_applicable(name, f"no value for any of {', '.join(terms)}")
        # The same order of additions above and below: three perfect terms give exactly 1.
        mean = sum(w * (term.value or 0.0) for w, term in used) / sum(w for w, _ in used)
        flags = dict.fromkeys(term.flag for _, term in used if term.flag)
        return Value(
            name, mean, "1", min(term.n for _, term in used), "; ".join(flags) or None, tuple(t.name for _, t in used)
        )

    @property
    def _suffix(self) -> str:
        return "" if self.weights == DEFAULT_WEIGHTS else "@" + ",".join(f"{w:g}" for w in self.weights)
