"""Does the shipped model's recipe hold on scenes that it never saw, and is it better than simpler ways?

    python tests/bench/folds.py -o FOLDER --init PRETRAINED --unet-init PRETRAINED_UNET   everything, stage by stage
    python tests/bench/folds.py prepare train -o FOLDER ...                  some of it; nothing is done twice
    python tests/bench/folds.py score table -o FOLDER --methods classical    without any training

What the trainings start from has seen synthetic scenes alone, and is made by

    hedgerow train pretrain -o PRETRAINED
    hedgerow train pretrain -o PRETRAINED_UNET --set 'backbone={kind: unet}'

Ten aerial tiles in folds, and a Danish scene that no fold trains on. Rows of the table: Canny + watershed tuned on the
same folds, a plain U-Net of the same size with the same data and steps, and `hedgerow-tiny`. `prepare` writes a
training per fold, `train` runs them (stopped ones go on), `score` predicts, traces and counts, `table` writes
FOLDER/table.md and table.json. The data lie beside a development checkout.
"""

import argparse
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fold_classical import score_classical
from fold_models import CHOSEN, PRESET, Predictions, score_model
from fold_plan import MODELS, Fold, split, write_configs
from fold_scores import ROOT, aerial
from fold_table import table_rows, write_table

from hedgerow.config import resolve
from hedgerow.jobs.training import train
from hedgerow.models.store import CARD, read_card
from hedgerow.training.plan import TrainConfig, completed
from hedgerow.training.state import FREE, STATE

METHODS = ("classical", *MODELS)


def main(arguments: Sequence[str]) -> None:
    """Run the stages that were asked for, in their order."""
    asked = _parser().parse_args(arguments)
    logging.basicConfig(format="%(message)s")
    logging.getLogger("hedgerow.training").setLevel(logging.INFO)  # a line per evaluation
    names = [case.name for case in aerial()]
    if not names:
        raise SystemExit("the aerial tiles are not there: they lie beside a development checkout (../shared/data)")
    folds = split(names, asked.folds, inner=asked.inner)
    for stage, work in STAGES.items():
        if stage in (asked.stages or STAGES):
            work(asked, folds)


def prepare(asked: argparse.Namespace, folds: Sequence[Fold]) -> None:
    """Write the settings of every training."""
    starts = {"hedgerow-tiny": asked.init, "unet": asked.unet_init}
    for model in (name for name, start in starts.items() if start is None and name in asked.methods):
        _say(f"{model} starts from random weights: give --init and --unet-init where the recipe starts from a model")
    for path in write_configs(asked.config, folds, asked.out, unet_folds=asked.unet_folds, starts=starts):
        _say(f"{path} written")


def train_all(asked: argparse.Namespace, folds: Sequence[Fold]) -> None:
    """Run the trainings that are not finished."""
    sets = [f"{name}={value}" for name in ("steps", "threads") if (value := getattr(asked, name)) is not None]
    sets += asked.set
    for model, fold in _trainings(asked, folds):
        folder = _model(asked, model, fold)
        unfinished = (folder / STATE).is_file()
        if (folder / CARD).is_file() and not unfinished:
            _refuse_other(folder, sets)
            _say(f"{folder} is there")
            continue
        _say(f"{folder}: training {'goes on' if unfinished else 'begins'}")
        train(_config(folder), folder, sets=sets, resume=unfinished, overwrite=not unfinished)


def score(asked: argparse.Namespace, folds: Sequence[Fold]) -> None:
    """Count what every method finds in every scene, into `scores_METHOD.json`."""
    if "classical" in asked.methods:
        _keep(score_classical(folds, asked.out), "classical", asked)
    for model in MODELS:
        found: dict[str, list[dict[str, Any]]] = {PRESET: [], CHOSEN: []}
        for fold in [fold for name, fold in _trainings(asked, folds) if name == model]:
            _say(f"{model}, fold {fold.number}")
            predictions = Predictions(_model(asked, model, fold), asked.out / "maps", asked.threads or 1)
            for row in score_model(predictions, fold, asked.out / "overlays", tune=asked.tune):
                found[row["tracing"]].append(row)
        methods = [{"method": model, "tracing": name, "folds": rows} for name, rows in found.items() if rows]
        if methods:
            _keep(methods, model, asked)


def table(asked: argparse.Namespace, folds: Sequence[Fold]) -> None:
    """Write and print the table of what has been scored."""
    files = [path for method in METHODS if (path := _scores(asked, method)).is_file()]
    methods = [method for path in files for method in json.loads(path.read_text(encoding="utf-8"))]
    told = {
        "folds": len(folds), "tiles": sum(len(fold.unseen) for fold in folds),
        "unseen": {fold.number: fold.unseen for fold in folds},
        "chooses_checkpoint": {fold.number: fold.inner for fold in folds},
    }  # fmt: skip
    _say(write_table(table_rows(methods), told, asked.out))


STAGES: Mapping[str, Callable[[argparse.Namespace, Sequence[Fold]], None]] = {
    "prepare": prepare, "train": train_all, "score": score, "table": table,
}  # fmt: skip


def _trainings(asked: argparse.Namespace, folds: Sequence[Fold]) -> list[tuple[str, Fold]]:
    """Return every model and fold that has been prepared and is asked for."""
    pairs = [(model, fold) for model in MODELS if model in asked.methods for fold in folds]
    return [(model, fold) for model, fold in pairs if _config(_model(asked, model, fold)).is_file()]


def _model(asked: argparse.Namespace, model: str, fold: Fold) -> Path:
    return Path(asked.out / f"fold{fold.number}" / model)


def _config(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.yaml")


def _refuse_other(folder: Path, sets: Sequence[str]) -> None:
    """Raise SystemExit when a finished model was trained with other settings than those that are asked for."""
    asked = resolve(TrainConfig, file=_config(folder), changes={}, sets=sets).model_dump(mode="json")
    done = completed(read_card(str(folder)).training["config"])
    if changed := [name for name, value in asked.items() if name not in FREE and done.get(name) != value]:
        raise SystemExit(f"{folder}: was trained with another {changed[0]}; remove it, or give another --out")


def _scores(asked: argparse.Namespace, method: str) -> Path:
    return Path(asked.out / f"scores_{method}.json")


def _keep(methods: Sequence[Mapping[str, Any]], method: str, asked: argparse.Namespace) -> None:
    _scores(asked, method).write_text(json.dumps(methods, indent=1), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add(
        "stages",
        nargs="*",
        metavar="STAGE",
        choices=[*STAGES, []],
        help="prepare, train, score, table; none: all of them",
    )
    add("-o", "--out", type=Path, required=True, help="folder of all files; one per number of folds")
    add("--folds", type=int, default=2, help="how many folds the tiles make (default 2)")
    add("--methods", nargs="+", choices=METHODS, default=METHODS, help="which to train and score (default all)")
    add("--config", type=Path, default=ROOT / "configs/train/hedgerow-tiny.yaml", help="training the folds vary")
    add("--init", type=Path, help="model that every fold starts from; it must have seen none of the scenes")
    add("--unet-init", type=Path, help="the same for the U-Net")
    add("--unet-folds", type=int, default=1, help="in how many folds the U-Net is trained (default 1)")
    add("--inner", type=int, default=0, help="training tiles kept back to help choose the checkpoint (default 0)")
    add("--steps", type=int, help="steps of every training, instead of the config's")
    add("--threads", type=int, help="threads of the network")
    add("--set", action="append", default=[], metavar="A.B=C", help="change any setting of the trainings")
    add("--tune", action=argparse.BooleanOptionalAction, default=True, help="also choose tracing settings per fold")
    return parser


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
