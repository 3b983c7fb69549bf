"""Which choices are there? One file = one choice: the kind is the file's stem, and nothing is imported to list them.

Other packages add kinds by entry points in the group `hedgerow.<family>`.
"""

import importlib
from collections.abc import Mapping
from difflib import get_close_matches
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ValidationError

from hedgerow.errors import ConfigError

FAMILIES = ("sources", "backbones", "quantizers", "losses", "tracers", "metrics", "writers")


def available(family: str) -> tuple[str, ...]:
    """Return the kinds of a family, sorted, without importing any of them."""
    return tuple(sorted({*_own_kinds(family), *_foreign_kinds(family)}))


def module_of(family: str, kind: str) -> ModuleType:
    """Import the one file that makes `kind`.

    Raises:
        ConfigError: no such kind (the nearest name is offered), or its optional dependency is missing.
    """
    if kind not in available(family):
        raise ConfigError(unknown(f"{family} kind", kind, available(family)))
    foreign = _foreign_kinds(family)
    name = foreign.get(kind, f"hedgerow.{family}.{kind}")
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"{family} kind {kind!r} needs a package that is missing: {error}. Install it first"
        ) from error


def configure(family: str, settings: str | Mapping[str, Any]) -> BaseModel:
    """Check settings (`'kind'` or `{kind: ..., option: ...}`) against the kind's own Config."""
    options = {"kind": settings} if isinstance(settings, str) else dict(settings)
    if "kind" not in options:
        raise ConfigError(f"{family}: no `kind` in {options}; choose one of {', '.join(available(family))}")
    config_class: type[BaseModel] = module_of(family, str(options["kind"])).Config
    options.pop("kind")
    try:
        return config_class.model_validate(options)
    except ValidationError as error:
        raise ConfigError(readable(error, f"{family} {settings!r}")) from error


def build(family: str, settings: str | Mapping[str, Any]) -> Any:
    """Build one member of a family from its settings."""
    config = configure(family, settings)
    return module_of(family, settings if isinstance(settings, str) else str(settings["kind"])).build(config)


def unknown(what: str, name: str, known: tuple[str, ...]) -> str:
    """Say in one line that `name` is unknown, the nearest known name and all of them."""
    near = get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return f"unknown {what} {name!r}{hint} Known: {', '.join(known)}"


def readable(error: ValidationError, where: str) -> str:
    """Turn pydantic's report into one line."""
    problems = (f"{'.'.join(map(str, e['loc'])) or 'value'}: {e['msg']}" for e in error.errors())
    return f"{where}: {'; '.join(problems)}"


def _own_kinds(family: str) -> tuple[str, ...]:
    if family not in FAMILIES:
        raise ConfigError(unknown("family", family, FAMILIES))
    spec = find_spec(f"hedgerow.{family}")
    folders = spec.submodule_search_locations if spec else None
    return tuple(
        file.stem for folder in folders or () for file in Path(folder).glob("*.py") if not file.stem.startswith("_")
    )


def _foreign_kinds(family: str) -> dict[str, str]:
    return {point.name: point.value for point in entry_points(group=f"hedgerow.{family}")}
