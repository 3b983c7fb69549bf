"""What are models worth on real scenes of which they saw none? To choose synthetic worlds, losses and schedules by.

    python tests/bench/transfer.py -o FOLDER MODEL...

Every model makes maps of the ten aerial tiles (preset `aerial`) and of the Danish scene (`sentinel2-bgr`), with nothing
tuned; a model that was trained on any of them is refused. The data lie beside a development checkout.
"""

import argparse
import sys
from pathlib import Path

from fold_models import Predictions, counted
from fold_plan import refuse_leak
from fold_scores import Case, Values, aerial, denmark, pooled
from fold_table import as_table


def main(arguments: list[str]) -> None:
    """Score the models and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL", help="folder of a model")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of predictions, made once")
    parser.add_argument("--threads", type=int, default=1, help="threads of the network")
    asked = parser.parse_args(arguments)
    if not aerial():
        raise SystemExit("the scenes are not there: they lie beside a development checkout (../shared/data)")
    for model in asked.models:
        refuse_leak(model)
    rows: list[tuple[list[str], Values]] = []
    for model in asked.models:
        predictions = Predictions(model, asked.out, asked.threads)
        for place, preset, cases in (("aerial", "aerial", aerial()), ("Denmark", "sentinel2-bgr", (denmark(),))):
            rows.append(([model.name, place], scores(predictions, preset, cases)))
    sys.stdout.write(as_table(["model", "scenes"], rows) + "\n")


def scores(predictions: Predictions, preset: str, cases: tuple[Case, ...]) -> Values:
    """Return the scores of all scenes together."""
    return pooled(counted(case, predictions, preset, [()])[()] for case in cases)


if __name__ == "__main__":
    main(sys.argv[1:])
