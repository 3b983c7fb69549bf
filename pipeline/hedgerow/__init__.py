"""Hedgerow: which quantizer keeps the borders of fields and forests, where does it fail, and what does it cost?

The public functions are found here; each is imported when it is first used, so that `import hedgerow` stays light.
"""

import importlib
from importlib.metadata import version as _version
from typing import Any

_PUBLIC = {
    "run": "hedgerow.jobs.running",
    "compare": "hedgerow.jobs.comparing",
    "score": "hedgerow.jobs.scoring",
    "trace": "hedgerow.jobs.tracing",
    "train": "hedgerow.jobs.training",
    "export": "hedgerow.jobs.exporting",
    "plan": "hedgerow.jobs.planning",
    "evaluate": "hedgerow.jobs.evaluating",
    "RunConfig": "hedgerow.config",
}

__all__ = ["RunConfig", "compare", "evaluate", "export", "plan", "run", "score", "trace", "train"]
__version__ = _version("hedgerow")


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'hedgerow' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
