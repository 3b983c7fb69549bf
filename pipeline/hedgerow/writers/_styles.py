"""How does a map look in QGIS? Styles in QGIS's own XML, for `NAME.qml` beside a file or a table in a GeoPackage."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from hedgerow.records import FIELD, FOREST, OTHER, REGION_CLASSES, class_pair

Colour = tuple[int, int, int, int]
"""Red, green, blue, opacity, each 0..255."""

FILL: Mapping[str, Colour] = {"field": (233, 196, 106, 110), "forest": (86, 134, 92, 130)}
"""Translucent: the imagery below stays visible."""

LINE: Mapping[str, Colour] = {
    class_pair(FIELD, FIELD): (158, 74, 20, 255),
    class_pair(FIELD, FOREST): (24, 88, 40, 255),
    class_pair(FIELD, OTHER): (230, 120, 20, 255),
    class_pair(FOREST, FOREST): (90, 170, 90, 255),
    class_pair(FOREST, OTHER): (0, 140, 140, 255),
}

STEPS: Sequence[Colour] = (
    (178, 24, 43, 150), (239, 138, 98, 150), (247, 224, 190, 150), (144, 196, 224, 150), (33, 102, 172, 150),
)  # fmt: skip
"""From bad to good, told apart by the colour-blind too: red to blue."""

_EDGE: Colour = (90, 70, 40, 200)
_POLYGON, _LINE = "2", "1"  # as QGIS numbers geometry types
_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
_VERSION = "3.22.0"  # the oldest one that was tried: it reads the options below


@dataclass(frozen=True, slots=True)
class Style:
    """A style of one layer: its XML, and the number by which QGIS knows the layer's type of geometry."""

    name: str
    qml: str


def style_of(layer: str, columns: Iterable[str]) -> Style | None:
    """Return the style of `fields` or `borders`; None for a layer without the column that it would show."""
    there = set(columns)
    if layer == "fields" and "class" in there:
        return _style("fields by class", _categories("class", FILL, _fill), _POLYGON)
    if layer == "borders" and "class_pair" in there:
        return _style("borders by class pair", _categories("class_pair", LINE, _line), _LINE)
    return None


def tile_style(column: str, arm: str) -> Style:
    """Return the style of tiles.parquet: one score from 0 to 1 in five steps, of the tiles of one arm."""
    shown = f"CASE WHEN \"arm\" = {_quoted(arm)} THEN \"{column}\" END"
    return _style(f"{column} of {arm}", _ranges(shown), _POLYGON)


def _style(name: str, renderer: ET.Element, geometry: str) -> Style:
    root = ET.Element("qgis", version=_VERSION, styleCategories="Symbology", hasScaleBasedVisibilityFlag="0")
    root.append(renderer)
    for tag, text in (("blendMode", "0"), ("featureBlendMode", "0"), ("layerGeometryType", geometry)):
        ET.SubElement(root, tag).text = text
    ET.indent(root, " ")
    return Style(name, f"{_DOCTYPE}{ET.tostring(root, encoding='unicode')}\n")


def _renderer(kind: str, attribute: str, **more: str) -> ET.Element:
    return ET.Element(
        "renderer-v2", type=kind, attr=attribute, symbollevels="0", enableorderby="0", forceraster="0", **more
    )


def _categories(attribute: str, colours: Mapping[str, Colour], symbol: object) -> ET.Element:
    renderer = _renderer("categorizedSymbol", attribute)
    listed = ET.SubElement(renderer, "categories")
    for number, value in enumerate(colours):
        ET.SubElement(listed, "category", symbol=str(number), value=value, label=value, render="true", type="string")
    _symbols(renderer, [symbol(colour) for colour in colours.values()])
    return renderer
