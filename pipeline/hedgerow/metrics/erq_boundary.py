"""Are the borders still in one piece and as steep as before? Continuity times sharpness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from hedgerow.metrics._policy import not_applicable
from hedgerow.records import Better, Value

TERMS = ("continuity", "sharpness")

BETTER: Mapping[str, Better] = {"erq_boundary": "higher"}

SCENE_WIDE = frozenset(BETTER)
"""As continuity: see `stages.measure.scene_wide`."""


class Config(BaseModel, frozen=True, extra="forbid"):
    """Nothing to choose."""


def build(config: Config) -> ErqBoundary:  # noqa: ARG001
    return ErqBoundary()


@dataclass(frozen=True, slots=True)
class ErqBoundary:
    """The product of two scores of the same arm, tile and layer; it needs both."""

    def compose(self, values: Mapping[str, Value]) -> Sequence[Value]:
        return [_product([values.get(term) for term in TERMS])]


def _product(terms: list[Value | None]) -> Value:
    continuity, sharpness = terms
    if continuity is None or sharpness is None or continuity.value is None or sharpness.value is None:
        missing = (name for name, term in zip(TERMS, terms, strict=True) if term is None or term.value is None)
        return not_applicable("erq_boundary", f"no value for {' and '.join(missing)}")
    flag = continuity.flag or sharpness.flag
    n = min(continuity.n, sharpness.n)
    return Value("erq_boundary", continuity.value * sharpness.value, "1", n, flag, TERMS)
