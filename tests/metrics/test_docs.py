"""docs/metrics.md tells of every score, with a picture that the picture script draws."""

import re
from pathlib import Path

import pytest

from hedgerow import registry

KINDS = registry.available("metrics")
COMPOSITES = ("erq_boundary", "spatial_quality")


@pytest.fixture(scope="module")
def page(checkout: Path) -> str:
    return (checkout / "docs" / "metrics.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_every_score_is_explained(kind: str, page: str) -> None:
    named = set(re.findall(r"`([^`]+)`", page))
    assert set(registry.module_of("metrics", kind).BETTER) <= named


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in COMPOSITES])
def test_every_metric_has_its_picture(kind: str, page: str, checkout: Path) -> None:
    assert f"(images/metrics/{kind}.png)" in page
    assert (checkout / "docs" / "images" / "metrics" / f"{kind}.png").stat().st_size > 1000
    assert f'"{kind}": Picture(' in (checkout / "docs" / "metric_pictures.py").read_text(encoding="utf-8")
