"""What all tests share: where the real imagery lies, when it is there."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
REAL_DATA = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def checkout() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    if not REAL_DATA.is_dir():
        pytest.skip(f"real imagery is not beside this checkout ({REAL_DATA.name} missing in ../shared)")
    return REAL_DATA
