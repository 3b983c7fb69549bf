"""How do shares of objects add up to the same total in any order? On a fixed grid they add without rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BITS = 40
"""Steps of 2^-40 (1e-12): sums stay exact until they reach 2^13 = 8192; above, they round as any sum does."""


def fixed_point(shares: NDArray[Any]) -> NDArray[np.float64]:
    """Return values of about 0 to 1, each moved to the nearest multiple of 2^-40; 0 and 1 stay what they are."""
    return np.asarray(np.ldexp(np.rint(np.ldexp(np.asarray(shares, dtype=np.float64), BITS)), -BITS))
