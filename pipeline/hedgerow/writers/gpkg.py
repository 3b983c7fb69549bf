"""Borders as a GeoPackage: one file, layers `fields` and `borders`. The default."""

from functools import partial

from pydantic import BaseModel

from hedgerow.contracts import Writer
from hedgerow.writers._layers import OneFile
from hedgerow.writers._ogr import put


class Config(BaseModel, frozen=True, extra="forbid"):
    """Nothing to choose."""


def build(_config: Config) -> Writer:
    """Return the writer."""
    return OneFile(".gpkg", partial(put, driver="GPKG"))
