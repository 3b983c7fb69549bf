"""The edge of the command line: what is logged, and when."""

import logging
from typing import Any

import pytest

from hedgerow_cli.edge import listen


@pytest.mark.parametrize(
    ("verbose", "quiet", "level"),
    [(0, False, logging.WARNING), (0, True, logging.ERROR), (1, True, logging.INFO), (5, False, logging.DEBUG)],
)
def test_what_is_logged(monkeypatch: pytest.MonkeyPatch, verbose: int, quiet: bool, level: int) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(logging, "basicConfig", lambda **given: asked.update(given))
    listen(verbose, quiet=quiet)
    assert asked["level"] == level
