"""When was an image taken? What its own tags say, or nothing: a date is never guessed."""

import logging
import re
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError

_log = logging.getLogger(__name__)

TAGS = (
    ("IMAGERY", "ACQUISITIONDATETIME"),  # GDAL's own, read from the metadata of many providers
    (None, "ACQUISITIONDATETIME"),
    (None, "PRODUCT_STOP_TIME"),  # Sentinel-2
    (None, "SENSING_TIME"),  # harmonized Landsat and Sentinel-2
    (None, "DATE_ACQUIRED"),  # Landsat
    ("EXIF", "EXIF_DateTimeOriginal"),  # cameras
    (None, "EXIF_DateTimeOriginal"),
    (None, "TIFFTAG_DATETIME"),  # when the file's picture was made, by the standard
)
"""Domain and name of the tags that are looked at, in this order."""

_TIME = re.compile(r"(\d{4})[-:](\d\d)[-:](\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d))?(?:\.\d+)?([+-]\d\d:?\d\d)?)?")


def image_date(path: Path) -> datetime | None:
    """Return when the image was taken, in UTC; a time that bears no zone is taken for UTC.

    None: no such file, no such tag, or no date in it. Of several times in one tag it is the last.
    """
    if not path.is_file():
        return None
    try:
        with warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning), rasterio.open(path) as dataset:
            texts = [str(dataset.tags(ns=domain).get(name, "")) for domain, name in TAGS]
    except RasterioError as error:
        _log.info("%s: its date is unknown: %s", path, error)
        return None
    return next((max(dates) for text in texts if (dates := list(_dates(text)))), None)


def _dates(text: str) -> Iterator[datetime]:
    for year, month, day, hour, minute, second, zone in _TIME.findall(text):
        iso = f"{year}-{month}-{day}T{hour or '00'}:{minute or '00'}:{second or '00'}{zone or '+00:00'}"
        try:
            yield datetime.fromisoformat(iso).astimezone(UTC)
        except ValueError:  # 0000:00:00, as some scanners write it
            continue
