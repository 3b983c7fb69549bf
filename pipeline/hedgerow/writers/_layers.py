"""What do the layers of a map hold, and in how many files do they go? Columns and types in one place, for every format.

A format is one function that puts one layer into one file; the two classes below do the rest.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pandas as pd
from geopandas import GeoDataFrame

from hedgerow.errors import GeometryError
from hedgerow.records import FieldMap
from hedgerow.writers._staging import staged
from hedgerow.writers._styles import EITHER_PAIR, Style, style_of

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


@dataclass(frozen=True)
class Parts:
    """A layer that comes part by part, once: `head` is its first part, and tells the columns of all."""

    head: GeoDataFrame
    rest: Iterator[GeoDataFrame]

    @classmethod
    def of(cls, frames: Iterable[GeoDataFrame], layer: str) -> "Parts":
        """Begin with the first of `frames`, one at least, each with the columns of `layer` in order and typed."""
        conformed = (conform(frame, layer) for frame in frames)
        return cls(next(conformed), conformed)

    def __iter__(self) -> Iterator[GeoDataFrame]:
        return chain((self.head,), self.rest)

    def whole(self) -> GeoDataFrame:
        """Return all parts as one frame."""
        return GeoDataFrame(pd.concat(list(self), ignore_index=True))


def _nothing(*_: object) -> None:
    """Do nothing more."""


@dataclass(frozen=True, slots=True)
class OneFile:
    """A format that holds all layers in one file; `put(frame, path, layer)` adds a layer to it.

    `finish(path, layers)` is called once all layers are in.
    """

    extension: str
    put: Callable[[GeoDataFrame, Path, str], object]
    finish: Callable[[Path, Layers], object] = _nothing
    crs: str | None = None
    put_parts: Callable[[Parts, Path, str], object] | None = None

    def write(self, field_map: FieldMap, path: Path) -> Sequence[Path]:
        """Write `fields` and `borders` into `path`."""
        return self.write_layers(layers_of(field_map), path)

    def write_layers(self, layers: Layers, path: Path) -> Sequence[Path]:
        """Write layers of any name into `path`."""
        with staged(path) as folder:
            for layer, frame in layers.items():
                self.put(frame, folder / path.name, layer)
            self.finish(folder / path.name, layers)
        return (path,)

    def write_parts(self, layers: Mapping[str, Iterable[GeoDataFrame]], path: Path) -> Sequence[Path]:
        """Write layers that come part by part into `path`; with `put_parts`, none is ever whole in memory."""
        parts = {layer: Parts.of(frames, layer) for layer, frames in layers.items()}
        if self.put_parts is None:
            return self.write_layers({layer: one.whole() for layer, one in parts.items()}, path)
        with staged(path) as folder:
            for layer, one in parts.items():
                self.put_parts(one, folder / path.name, layer)
            self.finish(folder / path.name, {layer: one.head for layer, one in parts.items()})
        return (path,)


@dataclass(frozen=True, slots=True)
class FilePerLayer:
    """A format that holds one layer: `PATH_fields.EXT` and `PATH_borders.EXT`; `put` returns every file it made.

    `check(files)` hears where the files of a layer are to go, before any of them does. Beside each file goes its
    style for QGIS, not listed among the files made.
    """

    extension: str
    put: Callable[[GeoDataFrame, Path, str], Sequence[Path]]
    check: Callable[[Sequence[Path]], object] = _nothing
    crs: str | None = None
    put_parts: Callable[[Parts, Path, str], Sequence[Path]] | None = None

    def write(self, field_map: FieldMap, path: Path) -> Sequence[Path]:
        """Write `fields` and `borders` into two files named after `path`."""
        return self.write_layers(layers_of(field_map), path)

    def write_layers(self, layers: Layers, path: Path) -> Sequence[Path]:
        """Write each layer into its own file; a layer that comes alone goes to `path` itself."""
        columns = {layer: tuple(map(str, frame.columns)) for layer, frame in layers.items()}
        return self._written(path, columns, lambda layer, file: self.put(layers[layer], file, layer))

    def write_parts(self, layers: Mapping[str, Iterable[GeoDataFrame]], path: Path) -> Sequence[Path]:
        """Do the same with layers that come part by part; with `put_parts`, none is ever whole in memory."""
        parts = {layer: Parts.of(frames, layer) for layer, frames in layers.items()}
        put = self.put_parts
        if put is None:
            return self.write_layers({layer: one.whole() for layer, one in parts.items()}, path)
        columns = {layer: tuple(map(str, one.head.columns)) for layer, one in parts.items()}
        return self._written(path, columns, lambda layer, file: put(parts[layer], file, layer))

    def _written(
        self, path: Path, columns: Mapping[str, Sequence[str]], put: Callable[[str, Path], Sequence[Path]]
    ) -> Sequence[Path]:
        made: list[Path] = []
        with staged(path) as folder:
            for layer, names in columns.items():
                name = path.name if len(columns) == 1 else f"{path.stem}_{layer}{path.suffix}"
                files = put(layer, folder / name)
                made += [path.parent / file.name for file in files]
                self.check([path.parent / file.name for file in files])
                style = style_of(layer, names, pair=EITHER_PAIR)
                for file in files:
                    if file.suffix == path.suffix:
                        put_style(style, file)
        return made


def put_style(style: Style | None, file: Path) -> None:
    """Put a style for QGIS beside a staged file, unless one lies where it would go: people change styles.

    A staging folder lies in the folder for which its files are meant.
    """
    beside = file.with_suffix(".qml")
    if style and not (file.parent.parent / beside.name).exists():
        beside.write_text(style.qml, encoding="utf-8")
