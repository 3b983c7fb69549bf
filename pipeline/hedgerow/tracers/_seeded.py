"""What have all tracers of probabilities in common? Seeds are keyed by class, and three settings say how they grow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hedgerow.tracers._weak import with_weak


class SeedSettings(Protocol):
    """The settings that such a tracer has, whatever else it has."""

    @property
    def halo_px(self) -> int: ...
    @property
    def border_low(self) -> float | None: ...
    @property
    def neck_m(self) -> float: ...
    @property
    def min_seed_px(self) -> int: ...


@dataclass(frozen=True)
class Seeded:
    """Seed keys are 1 + class; `seeds` and `flood` are the tracer's own."""

    config: SeedSettings

    @property
    def halo_px(self) -> int:
        """What `flood` must see around a block."""
        return self.config.halo_px

    @property
    def seed_reach_px(self) -> int:
        """What `seeds` must see around a block."""
        return 0 if self.config.border_low is None else self.halo_px

    @property
    def min_seed_px(self) -> int:
        """Seeds smaller than this do not grow."""
        return self.config.min_seed_px

    @property
    def neck_m(self) -> float:
        """Seeds are parted where they are narrower than this between wide parts."""
        return self.config.neck_m

    def class_of(self, key: int) -> int:
        """Return the region class of a key."""
        return key - 1

    def parting(self, strong: NDArray[np.bool_], border: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return strong border pixels (height, width) and, where `border_low` is set, the weak ones beside them."""
        if self.config.border_low is None:
            return strong
        return with_weak(strong, border >= self.config.border_low * 255, steps=self.halo_px)
