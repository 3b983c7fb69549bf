"""Borders as FlatGeobuf: one file per layer, spatially indexed, so a map server can read a part of it over HTTP."""

from functools import partial

from pydantic import BaseModel

from hedgerow.contracts import Writer
from hedgerow.writers._layers import FilePerLayer
from hedgerow.writers._ogr import put
from hedgerow.writers._stream import put_parts


class Config(BaseModel, frozen=True, extra="forbid"):
    """Nothing to choose."""


def build(_config: Config) -> Writer:
    """Return the writer."""
    return FilePerLayer(".fgb", partial(put, driver="FlatGeobuf"), put_parts=partial(put_parts, driver="FlatGeobuf"))
