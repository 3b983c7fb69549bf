"""The registry: kinds are listed without importing them, and a broken one hurts only who asks for it."""

import subprocess
import sys
import textwrap
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import hedgerow
from hedgerow import registry
from hedgerow.errors import ConfigError

PACKAGE = Path(hedgerow.__file__).parent


@pytest.mark.parametrize("family", registry.FAMILIES)
def test_the_kinds_of_a_family_are_its_files(family: str) -> None:
    files = {file.stem for file in (PACKAGE / family).glob("*.py")}
    assert set(registry.available(family)) == {stem for stem in files if not stem.startswith("_")}
    assert list(registry.available(family)) == sorted(registry.available(family))


def test_listing_imports_no_kind() -> None:
    script = """
        import sys
        from hedgerow import registry
        kinds = [f"hedgerow.{family}.{kind}" for family in registry.FAMILIES for kind in registry.available(family)]
        assert len(kinds) > 20, kinds
        print(sorted(set(kinds) & set(sys.modules)))
        registry.configure("metrics", "boundary_iou")
        print(sorted(set(kinds) & set(sys.modules)))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.splitlines() == ["[]", "['hedgerow.metrics.boundary_iou']"]


@pytest.mark.parametrize(
    ("family", "settings", "what"),
    [
        ("metric", "erqa", r"unknown family 'metric'; did you mean 'metrics'\? Known: sources, .*writers"),
        ("metrics", "erqua", r"unknown metrics kind 'erqua'; did you mean 'erqa'\? Known: .*continuity"),
        ("writers", {"kind": "shpp"}, r"did you mean 'shp'\?"),
        ("quantizers", {"bits": 4}, r"quantizers: no `kind` in .*choose one of .*minmax"),
        ("quantizers", {"kind": "minmax", "bitts": 4}, r"bitts: Extra inputs are not permitted"),
        ("quantizers", {"kind": "minmax", "weight_bits": "four"}, r"weight_bits: .*integer"),
    ],
)
def test_what_is_unknown_is_answered_in_one_line(family: str, settings: object, what: str) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
        registry.build(family, settings)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_kind_is_built_from_its_own_config() -> None:
    config = registry.configure("quantizers", {"kind": "minmax", "weight_bits": 5})
    assert config.weight_bits == 5  # type: ignore[attr-defined]
    assert registry.configure("quantizers", "none") == registry.configure("quantizers", {"kind": "none"})


_WORKING = """
from pydantic import BaseModel
class Config(BaseModel, frozen=True, extra="forbid"):
    answer: int = 1
def build(config):
    return f"built {config.answer}"
"""


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another package offers two metrics: one that works, one whose dependency is missing."""
    (tmp_path / "somebody").mkdir()
    for name, code in (("__init__", ""), ("metric", _WORKING), ("broken", "import no_such_package")):
        (tmp_path / "somebody" / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    points = (
        EntryPoint("foreign", "somebody.metric", "hedgerow.metrics"),
        EntryPoint("broken", "somebody.broken", "hedgerow.metrics"),
    )
    offered = {"hedgerow.metrics": points}
    monkeypatch.setattr(registry, "entry_points", lambda *, group: offered.get(group, ()))


@pytest.mark.usefixtures("foreign")
def test_another_package_adds_kinds_by_entry_point() -> None:
    assert {"foreign", "erqa"} <= set(registry.available("metrics"))
    assert "foreign" not in registry.available("writers")
    assert registry.build("metrics", {"kind": "foreign", "answer": 7}) == "built 7"


@pytest.mark.usefixtures("foreign")
def test_a_broken_dependency_hurts_only_who_asks_for_it() -> None:
    assert "broken" in registry.available("metrics")
    assert registry.build("metrics", "foreign") == "built 1"
    with pytest.raises(ConfigError, match=r"metrics kind 'broken' needs a package that is missing: .*no_such_package"):
        registry.build("metrics", "broken")
