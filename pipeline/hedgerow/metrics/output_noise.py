"""How far are the probabilities themselves from the reference's? Mean squared error and signal-to-noise ratio.

All classes are compared where both maps know them, else the border alone; `terms_used` says which. Rasters of bytes as
written are compared, so every sum is a whole number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log10
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from hedgerow.edges.views import Pair, View
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import Booking, booked, totals
from hedgerow.metrics._policy import not_applicable, sum_of
from hedgerow.records import BORDER, CLASSES, Better, Value

FULL = 255
"""The byte of probability 1."""

BETTER: Mapping[str, Better] = {"output_mse": "lower", "sqnr": "higher"}


class Config(BaseModel, frozen=True, extra="forbid"):
    """Nothing to choose."""


def build(config: Config) -> OutputNoiseMetric:  # noqa: ARG001
    return OutputNoiseMetric()


@dataclass(frozen=True, slots=True)
class OutputNoise:
    """Pixels compared, mean squared error of probabilities in [0, 1], and signal-to-noise ratio in dB."""

    n: int
    output_mse: float | None
    sqnr: float | None
    flag: str | None = None


def output_noise(
    test: NDArray[np.uint8], reference: NDArray[np.uint8], *, valid: NDArray[np.bool_] | None = None
) -> OutputNoise:
    """Return the noise of `test`, probabilities as bytes (height, width) or (classes, height, width).

    output_mse = mean of ((T - R) / 255)^2; sqnr = 10 log10(sum of R^2 / sum of (T - R)^2), in dB, None where nothing
    differs or the reference is 0 everywhere. `valid` (height, width), True = valid, limits both.

    Raises:
        ScoreError: the shapes differ or the pixels are not uint8.
    """
    if test.shape != reference.shape or test.ndim not in (2, 3) or {test.dtype, reference.dtype} != {np.dtype("uint8")}:
        raise ScoreError(
            f"probabilities of {test.shape} {test.dtype} and {reference.shape} {reference.dtype}: give uint8 of one "
            "shape, (height, width) or (classes, height, width); a probability p becomes round(255 p)"
        )
    test, reference = (image.reshape(-1, *image.shape[-2:]) for image in (test, reference))
    counted = np.ones(test.shape[1:], np.bool_) if valid is None else valid
    sums = totals([booked(counted, px=None, noise=_noise(test, reference), signal=_squares(reference))])
    noise, signal, px = sum_of(sums, "noise", "signal", "px")
    mse, sqnr = _values(noise, signal, px, px * len(test), ())
    return OutputNoise(mse.n, mse.value, sqnr.value, sqnr.flag)


@dataclass(frozen=True, slots=True)
class OutputNoiseMetric:
    """Squared differences of the probabilities, booked per pixel, summed over the classes."""

    @property
    def name(self) -> str:
        return "output_noise"

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        return ()

    @property
    def by_layer(self) -> bool:
        return False

    def book(self, pair: Pair) -> Sequence[Booking]:
        test, reference = pair.candidate.probabilities, pair.reference.probabilities
        if test is None or reference is None:
            noise = _noise(pair.candidate.p[None], pair.reference.p[None])
            return [booked(pair.valid, px_border=None, noise=noise, signal=pair.reference.once(_border_signal))]
        signal = pair.reference.once(_signal)
        return [booked(pair.valid, px_classes=None, noise=_noise(test, reference), signal=signal)]

    def conclude(self, sums: Mapping[str, float]) -> Sequence[Value]:
        noise, signal, px_border, px_classes = sum_of(sums, "noise", "signal", "px_border", "px_classes")
        terms = CLASSES if px_classes else (CLASSES[BORDER],)
        values = _values(noise, signal, px_border + px_classes, px_border + len(CLASSES) * px_classes, terms)
        return [_mixed(value) for value in values] if px_border and px_classes else values


def _values(noise: float, signal: float, px: float, compared: float, terms: tuple[str, ...]) -> list[Value]:
    """Mean squared error and signal-to-noise ratio, in this order."""
    if not px:
        flag = "no valid pixel"
        return [not_applicable("output_mse", flag), not_applicable("sqnr", flag, unit="dB")]
    n = round(px)
    mse = Value("output_mse", noise / (FULL**2 * compared), "1", n, terms_used=terms)
    if not noise or not signal:
        return [
            mse,
            Value("sqnr", None, "dB", n, "no probability in the reference" if noise else "no difference", terms),
        ]
    return [mse, Value("sqnr", 10 * log10(signal / noise), "dB", n, terms_used=terms)]


def _mixed(value: Value) -> Value:
    flag = "; ".join(filter(None, (value.flag, "some maps without other classes than the border")))
    return Value(value.name, value.value, value.unit, value.n, flag, value.terms_used)


def _signal(view: View) -> NDArray[np.float64]:
    return _border_signal(view) if view.probabilities is None else _squares(view.probabilities)


def _border_signal(view: View) -> NDArray[np.float64]:
    return _squares(view.p[None])


def _noise(test: NDArray[np.uint8], reference: NDArray[np.uint8]) -> NDArray[np.float64]:
    return _squares(np.maximum(test, reference) - np.minimum(test, reference))


def _squares(bands: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the sum over bands (bands, height, width) of the squares, per pixel: whole numbers."""
    total = np.zeros(bands.shape[1:])
    for band in bands:
        cv2.accumulateSquare(band, total)
    return total
