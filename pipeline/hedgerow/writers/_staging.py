"""How does a file appear whole or not at all? It is made in a folder beside its place and then renamed into it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """Yield an empty folder on the same disk as `path`; its files move beside `path` when the block ends well.

    After an error nothing is moved. Renames replace older files. The parts that bear `path`'s own extension go last:
    where a `.shp` lies, its `.dbf` and `.prj` lie too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.stem}-", suffix=".part", dir=path.parent))
    try:
        yield folder
        for part in sorted(folder.iterdir(), key=lambda part: (part.suffix == path.suffix, part.name)):
            os.replace(part, path.parent / part.name)  # noqa: PTH105 - says what it does better than Path.replace
    finally:
        shutil.rmtree(folder, ignore_errors=True)
