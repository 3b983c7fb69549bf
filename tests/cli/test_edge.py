"""The edge of the command line: what is logged, and when; an interrupt is heeded even where it was swallowed."""

import contextlib
import logging
import signal
from typing import Any

import pytest

from hedgerow_cli.edge import Bars, heeding_interrupts, listen


def test_an_interrupt_that_a_library_swallows_is_raised_at_the_next_progress() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Bars(quiet=True) as bars:
        with heeding_interrupts():
            bars("work", 1, 3)
            with contextlib.suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                bars("work", 2, 3)
        assert signal.getsignal(signal.SIGINT) == before
        with heeding_interrupts():
            bars("work", 3, 3)  # another command is not told of it


@pytest.mark.parametrize(
    ("verbose", "quiet", "level"),
    [(0, False, logging.WARNING), (0, True, logging.ERROR), (1, True, logging.INFO), (5, False, logging.DEBUG)],
)
def test_what_is_logged(monkeypatch: pytest.MonkeyPatch, verbose: int, quiet: bool, level: int) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(logging, "basicConfig", lambda **given: asked.update(given))
    listen(verbose, quiet=quiet)
    assert asked["level"] == level
