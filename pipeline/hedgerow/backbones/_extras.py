"""What if a backbone needs a package that is not installed? One line that names the extra which brings it."""

import importlib
from types import ModuleType

from hedgerow.errors import ConfigError


def needed(package: str, extra: str) -> ModuleType:
    """Import a package that comes with one of hedgerow's extras.

    Raises:
        ConfigError: it is not there, or cannot be imported.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ConfigError(
            f"the backbone needs {package}: {error}. Install it: pip install 'hedgerow[{extra}]'"
        ) from error
