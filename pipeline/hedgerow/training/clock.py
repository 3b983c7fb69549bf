"""How long has a training taken, how long will it, and which share of its steps did the network wait for crops?"""

import time
from collections.abc import Callable, Iterator

from hedgerow.training.batches import Batch


class Clock:
    """Counts the seconds of a training, those before it was stopped included, and of its steps those spent waiting."""

    def __init__(self, before: float) -> None:
        self.before = before
        self.started = time.monotonic() - before
        self.waited = self.worked = 0.0

    def working(self, step: Callable[[Batch, float], float], batch: Batch, rate: float) -> float:
        """Do a step and measure it."""
        began = time.monotonic()
        loss = step(batch, rate)
        self.worked += time.monotonic() - began
        return loss

    def waiting(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Pass batches on and measure the time until each comes."""
        while True:
            asked = time.monotonic()
            batch = next(batches, None)
            self.waited += time.monotonic() - asked
            if batch is None:
                return
            yield batch

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def left(self, share: float) -> str:
        """Say how long what is left takes, `share` times as much as was done since this clock began."""
        seconds = share * (self.seconds - self.before)
        if seconds < 90:
            return f"{seconds:.0f} s left"
        return f"{seconds / 60:.0f} min left" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h left"

    @property
    def data_share(self) -> float:
        return round(self.waited / max(1e-9, self.waited + self.worked), 4)
