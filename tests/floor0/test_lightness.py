"""Lightness: what is heavy is imported when it is used, not before."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "dask", "distributed", "geopandas", "rasterio", "pandas", "scipy", "cv2", "matplotlib", "skimage")


def heavy_after(code: str) -> list[str]:
    script = f"import sys\n{code}\nprint('loaded', *sorted(set(sys.modules) & set({HEAVY})), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    first, *heavy = done.stderr.split()
    assert first == "loaded"  # the script came to its end
    return heavy


@pytest.mark.parametrize(
    "code",
    [
        "import hedgerow",
        "import hedgerow; dir(hedgerow); hedgerow.__version__",
        "import hedgerow.registry as r; [r.available(family) for family in r.FAMILIES]",
        "sys.argv = ['hedgerow', '--help']\nfrom hedgerow_cli.app import app\napp(standalone_mode=False)",
        "sys.argv = ['hedgerow', 'compare', '--help']\nfrom hedgerow_cli.app import app\napp(standalone_mode=False)",
    ],
)
def test_help_and_import_load_nothing_heavy(code: str) -> None:
    assert heavy_after(code) == []


def test_what_is_used_is_loaded() -> None:
    assert "torch" in heavy_after("import hedgerow; hedgerow.run")


def test_settings_load_no_network_and_no_raster() -> None:
    assert heavy_after("from hedgerow import RunConfig; RunConfig()") == []


def test_the_public_functions_are_found_and_others_are_not() -> None:
    import hedgerow

    assert {"run", "compare", "score", "trace", "RunConfig"} <= set(dir(hedgerow))
    assert all(callable(getattr(hedgerow, name)) for name in hedgerow.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'runn'"):
        _ = hedgerow.runn
