"""How does a file appear whole or not at all? It is made in a folder beside its place and then renamed into it."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hedgerow.errors import ConfigError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
_LONGEST_PREFIX = 100  # of the folder's name: a file's own may be as long as the disk allows


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """Yield an empty folder on the same disk as `path`; its files move beside `path` when the block ends well.

    After an error nothing is moved, and older files are as they were. Renames replace older files. The parts that
    bear `path`'s own extension go last: where a `.shp` lies, its `.dbf` and `.prj` lie too.

    Raises:
        ConfigError: nothing can be written there, the disk is full, or a folder is in the way.
    """
    folder = _folder_beside(path)
    try:
        yield folder
        parts = sorted(folder.iterdir(), key=lambda part: (part.suffix == path.suffix, part.name))
        _move({part: path.parent / part.name for part in parts}, folder)
    except OSError as error:
        if error.errno in _FULL:
            raise _unwritable(path, error) from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _folder_beside(path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{path.stem[:_LONGEST_PREFIX]}-"
        return Path(tempfile.mkdtemp(prefix=prefix, suffix=".part", dir=path.parent))
    except OSError as error:
        raise _unwritable(path, error) from error


def _move(targets: dict[Path, Path], folder: Path) -> None:
    """Rename every part to its target, or none: what a failure finds replaced is put back."""
    for target in targets.values():
        if target.is_dir():
            raise ConfigError(f"{target}: is a folder, and a file of that name is to be written: choose another name")
    older = folder / ".older"
    older.mkdir()
    new = [target for target in targets.values() if not target.exists()]
    done: list[Path] = []
    try:
        for part, target in targets.items():
            with suppress(OSError):  # not every disk has links: there the newest file stays, whatever follows
                os.link(target, older / target.name)
            os.replace(part, target)  # noqa: PTH105 - says what it does better than Path.replace
            done.append(target)
    except OSError as error:
        for replaced in done:
            _put_back(older / replaced.name, replaced, new=replaced in new)
        raise _unwritable(target, error) from error


def _put_back(older: Path, target: Path, *, new: bool) -> None:
    with suppress(OSError):
        if new:
            target.unlink()
        elif older.exists():
            os.replace(older, target)  # noqa: PTH105


def _unwritable(path: Path, error: OSError) -> ConfigError:
    file = next((above for above in path.parents if above.is_file()), None)
    why = f"{file} is a file, no folder" if file else error.strerror or str(error)
    remedy = "make room, or choose another place" if error.errno in _FULL else "choose another place"
    return ConfigError(f"{path}: cannot be written: {why}: {remedy}")
