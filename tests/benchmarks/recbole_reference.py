"""Our counting baselines beside RecBole's, on the same split: `.venv/bin/python tests/benchmarks/recbole_reference.py`.

Both rank all films that the user has not rated. RecBole counts without the validation film, and so do we here; where
scores tie, its order is that of `torch.topk`, ours gives the middle rank. The figures go into
docs/measured/recbole_reference.json, from which docs/results.md has its reference rows.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from recbole_speed import RECBOLE, ROOT, recbole_environment, use_two_cores, write_films

from course_tools.author.readme import REFERENCE, write_readme
from recsys_helpers.data.movielens import load_movielens
from recsys_helpers.data.splits import NextItemSplit, leave_one_out
from recsys_helpers.errors import CourseError
from recsys_helpers.evaluation.ranks import hit, ndcg, target_ranks
from recsys_helpers.files import write_json
from recsys_helpers.models.baselines import item_knn, popularity

OURS = {"Pop": popularity, "ItemKNN": item_knn}


def main(epochs: Annotated[int, typer.Option(help="Of BPR, at most; 0 leaves it out.")] = 100) -> None:
    """Measure, compare with ours, write."""
    use_two_cores()
    python = recbole_environment()
    data = load_movielens()
    split = leave_one_out(data.ratings, data.films["film_id"])
    folder, rows = write_films(split), []
    for name in ("Pop", "ItemKNN", "BPR") if epochs else OURS:
        for how, figures in recbole_figures(python, name, folder, epochs).items():
            rows.append({"model": name + how, "NDCG@10": figures["ndcg@10"], "HR@10": figures["hit@10"]})
        if name in OURS:
            scores = OURS[name](split.history("validation"), split.n_items)
            rows[-1] |= {f"ours {key}": value for key, value in measured(scores, split).items()}
            compare(name, rows[-1], measured(np.load(folder / f"{name}.npy"), split), scores, split)
        print(rows[-1], flush=True)
    write_json(REFERENCE, {"library": RECBOLE, "rows": rows})
    write_readme()


def measured(scores: np.ndarray, split: NextItemSplit, ties: str = "middle") -> dict[str, float]:
    ranks = target_ranks(scores, split.history(), split.target(), ties)
    return {"NDCG@10": round(float(ndcg(ranks).mean()), 6), "HR@10": round(float(hit(ranks).mean()), 6)}


def compare(name: str, row: dict, theirs: dict, scores: np.ndarray, split: NextItemSplit) -> None:
    """Fail unless our scores rank as RecBole's do, and its own figures lie where our ties can put them."""
    worst, best = (measured(scores, split, ties) for ties in ("worst", "best"))
    for key, value in theirs.items():
        if abs(row[f"ours {key}"] - value) > 1e-3 or not worst[key] - 1e-3 <= row[key] <= best[key] + 1e-3:
            raise CourseError(f"{name}: {key} is {row[key]}, from its scores {value}; ours {worst[key]} to {best[key]}")


def recbole_figures(python: Path, name: str, folder: Path, epochs: int) -> dict:
    """RecBole's HR@10 and NDCG@10 on the test films, for each way in which it was run."""
    script, log = Path(__file__).with_name("recbole_reference_side.py"), folder / f"{name}-reference.log"
    with open(log, "w") as errors:
        command = [python, "-W", "ignore", script, name, folder, str(epochs)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=errors)
    if done.returncode:
        raise CourseError(f"RecBole's {name} stopped: see {log}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    try:
        typer.run(main)
    except CourseError as error:
        sys.exit(str(error))
