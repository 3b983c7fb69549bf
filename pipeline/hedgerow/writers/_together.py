"""What of a format that needs all layers at once? One function puts them into one file."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from geopandas import GeoDataFrame

from hedgerow.records import FieldMap
from hedgerow.writers._layers import Layers, Parts, layers_of
from hedgerow.writers._staging import staged


@dataclass(frozen=True, slots=True)
class Together:
    """A format that holds what `put(layers, path)` makes of all layers."""

    extension: str
    put: Callable[[Layers, Path], object]
    crs: str | None = None

    def write(self, field_map: FieldMap, path: Path) -> Sequence[Path]:
        """Write `fields` and `borders` into `path`."""
        return self.write_layers(layers_of(field_map), path)

    def write_layers(self, layers: Layers, path: Path) -> Sequence[Path]:
        """Write layers of any name into `path`."""
        with staged(path) as folder:
            self.put(layers, folder / path.name)
        return (path,)

    def write_parts(self, layers: Mapping[str, Iterable[GeoDataFrame]], path: Path) -> Sequence[Path]:
        """Write layers that come part by part into `path`; they are put together in memory."""
        return self.write_layers({layer: Parts.of(frames, layer).whole() for layer, frames in layers.items()}, path)
