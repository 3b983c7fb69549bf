"""How does a layer go through GDAL's vector drivers? One call of pyogrio, its errors in our words."""

from pathlib import Path
from typing import Any

from geopandas import GeoDataFrame
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError
from pyogrio.errors import GeometryError as OgrGeometryError

from hedgerow.errors import GeometryError
from hedgerow.writers._layers import geometry_type


def put(frame: GeoDataFrame, path: Path, layer: str, *, driver: str, **options: Any) -> list[Path]:
    """Write one layer with a GDAL driver and return its file.

    Raises:
        GeometryError: the driver cannot hold the layer.
    """
    kind = geometry_type(frame, layer)
    try:
        frame.to_file(
            path, layer=layer, driver=driver, engine="pyogrio", geometry_type=kind,
            promote_to_multi=kind.startswith("Multi"), index=False, **options,
        )  # fmt: skip
    except (DataLayerError, DataSourceError, FeatureError, FieldError, OgrGeometryError, ValueError) as error:
        raise GeometryError(f"{path.name}: {driver} cannot hold layer {layer!r}: {error}. Try --to gpkg") from error
    return [path]
