"""What do the layers of a map hold, and in how many files do they go? Columns and types in one place, for every format.

A format is one function that puts one layer into one file; the two classes below do the rest.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from geopandas import GeoDataFrame

from hedgerow.errors import GeometryError
from hedgerow.records import FieldMap
from hedgerow.writers._staging import staged

COLUMNS: Mapping[str, Mapping[str, str]] = {
    "fields": {
        "id": "int64", "class": "str", "area_m2": "float64", "perimeter_m": "float64", "confidence": "float64",
        "source": "str",
    },
    "borders": {
        "id": "int64", "left_id": "int64", "right_id": "int64", "class_pair": "str", "length_m": "float64",
        "confidence": "float64", "open": "bool",
    },
}  # fmt: skip
"""Columns of each layer in the order in which they are written, and their types; the geometry comes last."""

GEOMETRY_TYPE: Mapping[str, str] = {"fields": "Polygon", "borders": "LineString"}
"""What an empty layer says it would hold."""

Layers = Mapping[str, GeoDataFrame]


def layers_of(field_map: FieldMap) -> dict[str, GeoDataFrame]:
    """Return both layers of a map with exactly the promised columns and types.

    Raises:
        GeometryError: a promised column is missing or cannot take its type.
    """
    return {"fields": conform(field_map.fields, "fields"), "borders": conform(field_map.borders, "borders")}


def conform(frame: GeoDataFrame, layer: str) -> GeoDataFrame:
    """Return `frame` with the columns of `layer` first, in order and typed; further columns follow."""
    promised = COLUMNS[layer]
    missing = [name for name in promised if name not in frame.columns]
    if missing:
        raise GeometryError(f"layer {layer} lacks {', '.join(missing)}; it has {', '.join(map(str, frame.columns))}")
    further = [name for name in frame.columns if name not in promised and name != frame.geometry.name]
    try:
        return frame[[*promised, *further, frame.geometry.name]].astype(dict(promised))
    except (TypeError, ValueError) as error:
        raise GeometryError(f"layer {layer} holds a value that its column cannot take: {error}") from error


def geometry_type(frame: GeoDataFrame, layer: str) -> str:
    """Return the one geometry type of a layer: the multi type if one geometry is multi, 'Unknown' for a true mix."""
    # pyogrio 0.13 takes a closed ring for a layer without a type; on disk a ring is a line.
    kinds = {str(kind).replace("LinearRing", "LineString") for kind in frame.geom_type.dropna().unique()}
    if not kinds:
        return GEOMETRY_TYPE.get(layer, "Unknown")
    single = {kind.removeprefix("Multi") for kind in kinds}
    if len(single) > 1:
        return "Unknown"
    return single.pop() if not any(kind.startswith("Multi") for kind in kinds) else f"Multi{single.pop()}"


@dataclass(frozen=True, slots=True)
class OneFile:
    """A format that holds all layers in one file; `put(frame, path, layer)` adds a layer to it."""

    extension: str
    put: Callable[[GeoDataFrame, Path, str], object]

    def write(self, field_map: FieldMap, path: Path) -> Sequence[Path]:
        """Write `fields` and `borders` into `path`."""
        return self.write_layers(layers_of(field_map), path)

    def write_layers(self, layers: Layers, path: Path) -> Sequence[Path]:
        """Write layers of any name into `path`."""
        with staged(path) as folder:
            for layer, frame in layers.items():
                self.put(frame, folder / path.name, layer)
        return (path,)


@dataclass(frozen=True, slots=True)
class FilePerLayer:
    """A format that holds one layer: `PATH_fields.EXT` and `PATH_borders.EXT`; `put` returns every file it made."""

    extension: str
    put: Callable[[GeoDataFrame, Path, str], Sequence[Path]]

    def write(self, field_map: FieldMap, path: Path) -> Sequence[Path]:
        """Write `fields` and `borders` into two files named after `path`."""
        return self.write_layers(layers_of(field_map), path)

    def write_layers(self, layers: Layers, path: Path) -> Sequence[Path]:
        """Write each layer into its own file; a layer that comes alone goes to `path` itself."""
        made: list[Path] = []
        with staged(path) as folder:
            for layer, frame in layers.items():
                name = path.name if len(layers) == 1 else f"{path.stem}_{layer}{path.suffix}"
                made += [path.parent / file.name for file in self.put(frame, folder / name, layer)]
        return made
