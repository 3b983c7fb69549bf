"""How does a map look in QGIS? Styles in QGIS's own XML, for `NAME.qml` beside a file or a table in a GeoPackage."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from xml.etree import ElementTree as ET

from hedgerow.records import FIELD, FOREST, OTHER, class_pair

Colour = tuple[int, int, int, int]
"""Red, green, blue, opacity, each 0..255."""

FILL: Mapping[str, Colour] = {"field": (233, 196, 106, 110), "forest": (86, 134, 92, 130)}
"""Fields by class; translucent, so that the imagery below stays visible."""

LINE: Mapping[str, Colour] = {
    class_pair(FIELD, FIELD): (158, 74, 20, 255),
    class_pair(FIELD, FOREST): (24, 88, 40, 255),
    class_pair(FIELD, OTHER): (230, 120, 20, 255),
    class_pair(FOREST, FOREST): (90, 170, 90, 255),
    class_pair(FOREST, OTHER): (0, 140, 140, 255),
}
"""Borders by class pair."""

STEPS: Mapping[tuple[float, float], Colour] = dict(
    zip(
        pairwise((0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
        ((178, 24, 43, 160), (239, 138, 98, 160), (247, 224, 190, 160), (144, 196, 224, 160), (33, 102, 172, 160)),
        strict=True,
    )
)
"""Scores of tiles from 0 to 1: red to blue, which the colour-blind tell apart too."""

EITHER_PAIR = "coalesce(attribute('class_pair'), attribute('pair'))"
"""The class pair under its full name, or under that of a shapefile: one `NAME.qml` for files of both kinds."""

_EDGE: Colour = (90, 70, 40, 200)
_POLYGONS, _LINES = "2", "1"  # as QGIS numbers types of geometry
_QGIS = "3.22.0"  # written so that this one reads it; older ones know other symbol options
_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>"


@dataclass(frozen=True, slots=True)
class Style:
    """How one layer is drawn: a name for people, and the XML for QGIS."""

    name: str
    qml: str


def style_of(layer: str, columns: Iterable[str], *, pair: str = "class_pair") -> Style | None:
    """Return the style of `fields` or `borders`; None where the column that it would show is missing.

    Args:
        layer: name of the layer.
        columns: full names of its columns.
        pair: what QGIS is to evaluate for the class pair of a border: a column, or an expression.
    """
    there = set(columns)
    if layer == "fields" and "class" in there:
        return Style("fields by class", _document(_categories("class", FILL, fill=True), _POLYGONS))
    if layer == "borders" and "class_pair" in there:
        return Style("borders by class pair", _document(_categories(pair, LINE, fill=False), _LINES))
    return None


def tile_style(column: str, arm: str) -> Style:
    """Return the style of tiles.parquet: a score of one arm in five steps; tiles of other arms are not drawn."""
    quoted = arm.replace("'", "''")
    shown = f'CASE WHEN "arm" = \'{quoted}\' THEN "{column}" END'
    return Style(f"{column} of {arm}", _document(_ranges(shown), _POLYGONS))


def _document(renderer: ET.Element, geometry: str) -> str:
    root = ET.Element("qgis", version=_QGIS, styleCategories="Symbology")
    root.append(renderer)
    ET.SubElement(root, "layerGeometryType").text = geometry
    ET.indent(root, " ")
    return f"{_DOCTYPE}\n{ET.tostring(root, encoding='unicode')}\n"


def _categories(attribute: str, colours: Mapping[str, Colour], *, fill: bool) -> ET.Element:
    renderer = ET.Element("renderer-v2", type="categorizedSymbol", attr=attribute)
    listed = ET.SubElement(renderer, "categories")
    for number, value in enumerate(colours):
        ET.SubElement(listed, "category", symbol=str(number), value=value, label=value, type="string", render="true")
    renderer.append(_symbols(_fill(c) if fill else _line(c) for c in colours.values()))
    return renderer


def _ranges(attribute: str) -> ET.Element:
    renderer = ET.Element("renderer-v2", type="graduatedSymbol", attr=attribute, graduatedMethod="GraduatedColor")
    listed = ET.SubElement(renderer, "ranges")
    for number, (low, high) in enumerate(STEPS):
        bounds = {"lower": f"{low:g}", "upper": f"{high:g}", "label": f"{low:g} to {high:g}"}
        ET.SubElement(listed, "range", symbol=str(number), render="true", attrib=bounds)
    renderer.append(_symbols(map(_fill, STEPS.values())))
    return renderer


def _symbols(drawn: Iterable[tuple[str, str, Mapping[str, str]]]) -> ET.Element:
    symbols = ET.Element("symbols")
    for number, (kind, layer_class, options) in enumerate(drawn):
        symbol = ET.SubElement(symbols, "symbol", name=str(number), type=kind, alpha="1")
        layer = ET.SubElement(symbol, "layer", {"class": layer_class, "enabled": "1", "locked": "0", "pass": "0"})
        listed = ET.SubElement(layer, "Option", type="Map")
        for name, value in options.items():
            ET.SubElement(listed, "Option", name=name, type="QString", value=value)
    return symbols


def _fill(colour: Colour) -> tuple[str, str, dict[str, str]]:
    options = {
        "style": "solid", "color": _rgba(colour), "outline_style": "solid", "outline_color": _rgba(_EDGE),
        "outline_width": "0.2", "outline_width_unit": "MM", "joinstyle": "round",
    }  # fmt: skip
    return "fill", "SimpleFill", options


def _line(colour: Colour) -> tuple[str, str, dict[str, str]]:
    options = {
        "line_style": "solid", "line_color": _rgba(colour), "line_width": "0.4", "line_width_unit": "MM",
        "joinstyle": "round", "capstyle": "round",
    }  # fmt: skip
    return "line", "SimpleLine", options


def _rgba(colour: Colour) -> str:
    return ",".join(map(str, colour))
