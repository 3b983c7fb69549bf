"""What does a fold's model score? It predicts every tile once; maps are then made from that, one per setting.

Either with the settings of the preset, or with the few that decide what becomes a field chosen on the fold's training
tiles: the preset's were chosen on the aerial tiles.
"""

import itertools
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fold_pictures import write_picture
from fold_plan import Fold
from fold_scores import Case, Sums, aerial, denmark, pooled, worth
from odc.geo.geobox import GeoBox

from hedgerow import registry
from hedgerow.config import RunConfig, find_config, resolve
from hedgerow.contracts import WindowReader
from hedgerow.edges.regions import RegionStore
from hedgerow.jobs.mapping import probability_path
from hedgerow.jobs.running import run
from hedgerow.jobs.tracing import Rules
from hedgerow.models.store import digest, read_card
from hedgerow.records import Regions
from hedgerow.stages.label import label_scene
from hedgerow.stages.trace import trace_scene
from hedgerow.writers._probability import ProbabilityFile

PRESET, CHOSEN = "preset", "chosen on the fold's training tiles"
CHOICES: Mapping[str, Sequence[Any]] = {
    "gsd_m": (1.0, 2.0), "max_field_seed_border": (0.06, 0.1, 0.15), "min_border": (0.0, 0.5),
    "min_width_m": (0.0, 20.0),
}  # fmt: skip
"""What is tried: metres at which the network looks, largest border probability of a field's seed, smallest mean one of
a border between two fields, narrowest field."""

Choice = tuple[tuple[str, Any], ...]
"""What is changed in the preset."""


@dataclass(frozen=True)
class Predictions:
    """A model's probability rasters of all scenes, made when they are first asked for, kept in `folder`."""

    model: Path
    folder: Path
    threads: int

    def regions(self, case: Case, preset: str, choices: Sequence[Choice]) -> Iterator[tuple[Choice, Regions]]:
        """Yield the regions of a scene's map with each of the changes."""
        configs = {choice: self._config(preset, choice) for choice in choices}
        for alike in _alike(configs):
            config = configs[alike[0]]
            pixels = ProbabilityFile(probability_path(self._predicted(case, config), case.name, "fp32"))
            tracer = registry.build("tracers", config.tracer)
            with tempfile.TemporaryDirectory() as work:
                found = label_scene(pixels, pixels.valid, tracer, Path(work), pixel_m=case.pixel_m)
                for choice in alike:
                    yield choice, merged(found, pixels, case.geobox, configs[choice])

    def _config(self, preset: str, choice: Choice) -> RunConfig:
        changes = dict(choice)
        name = "max_field_seed_border"
        sets = [f"tracer.{name}={seed}"] if (seed := changes.pop(name, None)) else []
        changes |= {"model": str(self.model), "arms": ("fp32",), "threads": self.threads, "workers": 1}
        return resolve(RunConfig, file=find_config(preset), changes=changes, sets=sets)

    def _predicted(self, case: Case, config: RunConfig) -> Path:
        """Return a run of this scene; what is traced in it on the way is not used."""
        out = self.folder / digest(str(self.model))[:12] / f"{config.gsd_m or 'own'}" / case.name
        if not (out / "run.json").is_file():
            run(config.model_copy(update={"inputs": (str(case.image),)}), out, overwrite=True)
        return out


def merged(store: RegionStore, pixels: WindowReader, geobox: GeoBox, config: RunConfig) -> Regions:
    """Return the regions after all that joins has joined, as a run does it."""
    return trace_scene(store, pixels, geobox, **asdict(Rules.of(config))).regions.regions()


def score_model(predictions: Predictions, fold: Fold, pictures: Path, *, tune: bool) -> list[dict[str, Any]]:
    """Return the scores of one fold's model: with the preset and, if asked for, with settings chosen for the fold."""
    cases, dane = {case.name: case for case in aerial()}, denmark()
    preset: Choice = ()
    tried = [preset, *itertools.starmap(_choice, itertools.product(*CHOICES.values()))] if tune else [preset]
    tables = {
        name: counted(cases[name], predictions, "aerial", tried)
        for name in (*fold.unseen, *(fold.known if tune else ()))
    }
    danish = next(predictions.regions(dane, "sentinel2-bgr", [preset]))[1]
    write_picture(dane, danish.labels, pictures / f"{dane.name}_{predictions.model.name}_fold{fold.number}.png")
    rows = []
    for tracing in (PRESET, CHOSEN) if tune else (PRESET,):
        known = [tables[name] for name in fold.known if tracing == CHOSEN]
        choice = max(tried, key=lambda one: worth(pooled(t[one] for t in known))) if known else preset
        for name in fold.unseen:
            labels = next(predictions.regions(cases[name], "aerial", [choice]))[1].labels
            write_picture(cases[name], labels, pictures / f"{name}_{predictions.model.name}_{tracing.split()[0]}.png")
        rows.append({
            "tracing": tracing, "fold": fold.number, "settings": dict(choice),
            "unseen": {name: tables[name][choice] for name in fold.unseen}, "denmark": dane.sums(danish),
            "steps": read_card(str(predictions.model)).training.get("steps"),
        })  # fmt: skip
    return rows


def counted(case: Case, predictions: Predictions, preset: str, choices: Sequence[Choice]) -> dict[Choice, Sums]:
    """Return what the metrics count in a scene's map with each of the choices, from a file if it is there."""
    path = predictions.folder / digest(str(predictions.model))[:12] / f"{case.name}.json"
    rows = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    table = {tuple(map(tuple, row["choice"])): row["sums"] for row in rows}
    missing = [choice for choice in choices if choice not in table]
    if missing:
        table |= {choice: case.sums(regions) for choice, regions in predictions.regions(case, preset, missing)}
        text = json.dumps([{"choice": choice, "sums": sums} for choice, sums in table.items()])
        path.with_suffix(".part").write_text(text, encoding="utf-8")
        path.with_suffix(".part").replace(path)
    return table


def _choice(*values: Any) -> Choice:
    return tuple(zip(CHOICES, values, strict=True))


def _alike(configs: Mapping[Choice, RunConfig]) -> Iterator[list[Choice]]:
    """Yield choices that need the same seeds and flood."""
    groups: dict[str, list[Choice]] = {}
    for choice, config in configs.items():
        groups.setdefault(json.dumps([config.gsd_m, dict(config.tracer)]), []).append(choice)
    yield from groups.values()
