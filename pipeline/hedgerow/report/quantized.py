"""What was quantized in an arm? Its sites, grouped by their bits, layers of one kind under one name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hedgerow.report.leavings import Row
from hedgerow.report.wording import value_text


@dataclass(frozen=True, slots=True)
class SiteGroup:
    """Sites that share a setting: how many, and their names with every number written as `*`."""

    setting: str
    count: int
    names: tuple[str, ...]


def site_groups(arm: Row) -> list[SiteGroup]:
    """Return the groups of an arm's sites, the largest first; none for an arm without quantization."""
    sites = arm.get("sites")
    if not isinstance(sites, Mapping):
        return []
    by_setting: dict[str, list[str]] = {}
    for name, setting in sites.items():
        by_setting.setdefault(value_text(setting), []).append(str(name))
    groups = [SiteGroup(setting, len(names), _patterns(names)) for setting, names in by_setting.items()]
    return sorted(groups, key=lambda group: -group.count)


def _patterns(names: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(re.sub(r"(?<=\.)\d+(?=\.|$)", "*", name) for name in names))
