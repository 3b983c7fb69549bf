"""Where is the truth of an input, and what does it say on the input's grid? Vector polygons of fields and forests.

Truth comes as people have it: any OGR format, any CRS, several layers, self-crossing rings, multipolygons, parcels far
outside the image. What was mended or left out is counted in the report, and what cannot be used is refused.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from affine import Affine
from geopandas import GeoDataFrame
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS
from shapely.affinity import affine_transform

from hedgerow.config import TruthRule
from hedgerow.errors import ConfigError, SourceError
from hedgerow.records import FIELD, FOREST, OTHER, REGION_CLASSES
from hedgerow.registry import unknown
from hedgerow.sources._frame import FRAME_MARGIN_PX, opened_at_frame
from hedgerow.sources._vectors import Bounds, PolygonLayer, degrees, polygon_layers, polygon_parts, transformed

VECTOR_SUFFIXES = (".gpkg", ".shp", ".parquet", ".geoparquet", ".fgb", ".geojson", ".json", ".gml", ".kml")
"""What is looked for beside an input or in a truth folder, in order of preference."""

_FIELDS = TruthRule()


@dataclass(frozen=True, slots=True)
class Truth:
    """Polygons in the CRS of a raster: `geometries` (n,) of shapely.Polygon, `classes` (n,) uint8 region classes."""

    geometries: NDArray[Any]
    classes: NDArray[np.uint8]
    report: Mapping[str, Any]
    known: frozenset[int] = frozenset({FIELD, FOREST})
    """Classes that the truth tells of."""

    def __post_init__(self) -> None:
        if self.geometries.shape != self.classes.shape or self.classes.dtype != np.uint8:
            raise SourceError(f"truth has {self.geometries.shape} polygons and {self.classes.shape} classes")


def find_truth(option: str | None, input_path: Path, stem: str) -> Path | None:
    """Return the vector file that `--truth` means for one input, or None where it has none.

    Args:
        option: None; a vector file, taken for every input; a folder with `STEM.EXT` or `STEM_fields.EXT`; or 'auto',
            the same names beside the input.
        input_path: the raster.
        stem: what the input is called in the outputs; may hold folders.

    Raises:
        SourceError: `option` names a file or folder that does not exist.
    """
    if option is None:
        return None
    if option == "auto":
        return _named_after([input_path.with_name(input_path.stem)])
    path = Path(option)
    if not path.exists():
        raise SourceError(f"--truth {option}: there is no such file or folder; give one, or `auto`")
    if path.is_file() or path.suffix.lower() == ".gdb":
        return path
    return _named_after([path / stem, path / Path(stem).name, path / input_path.stem])


def read_truth(
    path: Path,
    geobox: GeoBox,
    *,
    truth_rule: TruthRule = _FIELDS,
) -> Truth:
    """Return the truth polygons that touch a raster, single and valid, in its CRS, open at its frame.

    The class of a polygon is, in this order: what the rule's `classes` make of its attribute; the attribute itself
    where it is a class; the same for the layer's name; the rule's default. Polygons of class `other` are left out.

    Args:
        path: a vector file; layers without polygons are passed over if another layer has some.
        geobox: the raster's grid.
        truth_rule: which class a polygon has.

    Raises:
        SourceError: no polygon layer, no CRS, no such attribute, or no overlap with the raster.
        ConfigError: the rule names a class that regions do not have.
    """
    naming = _Naming(truth_rule)
    grid = _Grid.of(geobox, path)
    layers, skipped = polygon_layers(path)
    _refuse_if_apart(path, layers, grid)
    pieces = [_on_grid(layer, grid, naming, path) for layer in layers]
    geometries = np.concatenate([piece.geometries for piece in pieces])
    codes = np.concatenate([piece.codes for piece in pieces])
    kept = codes != REGION_CLASSES.index("other")
    report = {
        "path": str(path),
        "layers": [layer.name for layer in layers],
        "skipped_layers": skipped,
        "polygons": int(kept.sum()),
        **{name: int((codes == code).sum()) for code, name in enumerate(REGION_CLASSES)},
        **{name: sum(getattr(piece, name) for piece in pieces) for name in ("made_valid", "opened_at_frame")},
        "without_class": dict(sum((piece.without_class for piece in pieces), Counter[str]())),
    }
    known = naming.classes_known(told=any(piece.told for piece in pieces), codes=codes)
    return Truth(geometries[kept], codes[kept], report | {"known": [REGION_CLASSES[c] for c in sorted(known)]}, known)


def _named_after(stems: Iterable[Path]) -> Path | None:
    candidates = (
        stem.with_name(f"{stem.name}{ending}{suffix}")
        for stem in stems
        for ending in ("", "_fields")
        for suffix in VECTOR_SUFFIXES
    )
    return next((path for path in candidates if path.is_file() and "_mask" not in path.stem.lower()), None)


@dataclass(frozen=True, slots=True)
class _Grid:
    """The raster's grid as truth needs it."""

    crs: CRS
    shape: tuple[int, int]
    transform: Affine

    @classmethod
    def of(cls, geobox: GeoBox, path: Path) -> "_Grid":
        if geobox.crs is None:
            raise SourceError(f"{path}: truth cannot be laid on a raster without a CRS: assign one to the raster first")
        shape = (geobox.shape[0], geobox.shape[1])
        return cls(CRS.from_user_input(str(geobox.crs)), shape, geobox.transform)

    def bounds(self, margin_px: int = 0) -> Bounds:
        """Return the box around the raster, in its CRS."""
        height, width = self.shape
        pixels = shapely.box(-margin_px, -margin_px, width + margin_px, height + margin_px)
        west, south, east, north = affine_transform(pixels, self.transform.to_shapely()).bounds
        return west, south, east, north


@dataclass(frozen=True, slots=True)
class _Naming:
    """A rule whose classes exist, put to use."""

    rule: TruthRule

    def __post_init__(self) -> None:
        for name in (*self.rule.classes.values(), self.rule.default, *(self.rule.known or ())):
            if name not in REGION_CLASSES:
                raise ConfigError(unknown("class of truth", name, REGION_CLASSES))

    def values(self, frame: GeoDataFrame, layer: str, path: Path) -> list[str]:
        """Return the text of each feature's class attribute, '' where there is none."""
        name = self.rule.attribute or "class"
        if name in frame.columns:
            return [_text(value) for value in frame[name]]
        if self.rule.attribute:
            columns = tuple(str(column) for column in frame.columns.drop(frame.geometry.name))
            raise SourceError(f"{path}: {unknown(f'attribute of layer {layer!r}', self.rule.attribute, columns)}")
        return [""] * len(frame)

    def classes_known(self, *, told: bool, codes: NDArray[np.uint8]) -> frozenset[int]:
        """Return the classes that a truth tells of, see `TruthRule.known`."""
        if self.rule.known is not None:
            return frozenset(REGION_CLASSES.index(name) for name in self.rule.known)
        occurring = {REGION_CLASSES.index(self.rule.default), *map(int, np.unique(codes))}
        return frozenset({FIELD, FOREST} if told else occurring) - {OTHER}

    def known(self, word: str) -> str | None:
        """Return the class that a value or layer name stands for, if any: 'Forests' is forest."""
        plain = word.strip().lower().removesuffix("s")
        return self.rule.classes.get(word) or (plain if plain in REGION_CLASSES else None)


def _text(value: Any) -> str:
    """Codes are often stored as floats: 3.0 is '3'."""
    if value is None or value != value:
        return ""
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


@dataclass(frozen=True, slots=True)
class _Piece:
    """What one layer gives to the truth, and what was done to it."""

    geometries: NDArray[Any]
    codes: NDArray[np.uint8]
    made_valid: int
    opened_at_frame: int
    without_class: Counter[str]
    told: bool
    """Whether an attribute told the classes."""


def _on_grid(layer: PolygonLayer, grid: _Grid, naming: _Naming, path: Path) -> _Piece:
    frame = layer.load(transformed(grid.bounds(FRAME_MARGIN_PX), grid.crs, layer.crs))
    words = naming.values(frame, layer.name, path)
    shapes = shapely.force_2d(frame.geometry.to_crs(grid.crs).to_numpy())
    invalid = ~(shapely.is_valid(shapes) | shapely.is_missing(shapes))
    parts, origin = polygon_parts(_made_valid(shapes, invalid))
    parts, of_part, opened = _within_frame(parts, grid)
    origin = origin[of_part]
    by_layer = naming.known(layer.name) or naming.rule.default
    names = [naming.known(word) if word else None for word in words]
    codes = np.asarray([REGION_CLASSES.index(name or by_layer) for name in names], dtype=np.uint8)
    used = np.unique(origin)
    return _Piece(
        geometries=parts,
        codes=codes[origin],
        made_valid=int(invalid[used].sum()),
        opened_at_frame=opened,
        without_class=Counter(words[i] for i in used if words[i] and names[i] is None),
        told=any(name is not None for name in names),
    )


def _within_frame(parts: NDArray[Any], grid: _Grid) -> tuple[NDArray[Any], NDArray[np.int64], int]:
    """Keep polygons that share an area with the raster, open at its frame; say from which part each came."""
    to_crs = grid.transform.to_shapely()
    outline = affine_transform(shapely.box(0, 0, grid.shape[1], grid.shape[0]), to_crs)
    inside = np.flatnonzero(shapely.intersects(parts, outline) & ~shapely.touches(parts, outline))
    pixels = _moved(parts[inside], (~grid.transform).to_shapely())
    opened, changed = opened_at_frame(pixels, grid.shape)
    # Only what was changed goes there and back: the others keep their coordinates to the last bit.
    kept = parts[inside].copy()
    kept[changed] = _moved(opened[changed], to_crs)
    single, of_kept = polygon_parts(kept)
    return single, inside[of_kept], int(changed.sum())


def _moved(geometries: NDArray[Any], matrix: Sequence[float]) -> NDArray[Any]:
    """Apply (a, b, d, e, xoff, yoff), as shapely orders an affine transform."""
    a, b, d, e, x, y = matrix
    linear, offset = np.array([[a, b], [d, e]]), np.array([x, y])
    return np.asarray(shapely.transform(geometries, lambda xy: xy @ linear.T + offset), dtype=object)


def _made_valid(shapes: NDArray[Any], invalid: NDArray[np.bool_]) -> NDArray[Any]:
    mended = shapes.copy()
    mended[invalid] = shapely.make_valid(shapes[invalid], method="structure", keep_collapsed=False)
    return mended


def _refuse_if_apart(path: Path, layers: Iterable[PolygonLayer], grid: _Grid) -> None:
    """Truth may be empty here, but then it must lie around the raster, or hold nothing at all."""
    raster = degrees(grid.bounds(), grid.crs)
    extents = [extent for extent in (layer.degrees for layer in layers) if np.isfinite(extent).all()]
    if extents and not any(shapely.box(*raster).intersects(shapely.box(*extent)) for extent in extents):
        places = "; ".join(_place(extent) for extent in extents)
        raise SourceError(
            f"{path}: truth and raster do not overlap: truth lies at {places}, the raster at {_place(raster)}. "
            "Give the truth of this raster, or check both CRSs"
        )


def _place(bounds: Bounds) -> str:
    west, south, east, north = bounds
    return f"longitude {west:.4f} to {east:.4f}, latitude {south:.4f} to {north:.4f}"
