"""Results: what a lesson measured, shown as a table and carried along for the course's own table."""

import numpy as np
import pandas as pd

from recsys_helpers.evaluation.bootstrap import bootstrap_interval
from recsys_helpers.evaluation.ranks import hit, ndcg

CEILINGS = ("the optimum", "true strength", "oracle")  # what models are measured against: they know what is hidden
VARIANTS = ("small network",)  # another form of the lesson's own model, so not what it is compared with
LOWER_IS_BETTER = ("RMSE", "log loss", "calibration error")
MIME = "application/vnd.recsys.results+json"
KEY = ["lesson", "dataset", "protocol", "model", "metric"]  # what a figure is of
COLUMNS = [*KEY, "value", "low", "high", "seconds"]


class Results:
    """The measured rows of one lesson. Shown at the end of a cell it is a table, which the runner reads.

    Args:
        lesson: the notebook's name, such as "01_self_attention".
        dataset, protocol: what all rows share, unless `add` names another.
    """

    def __init__(self, lesson: str, dataset: str, protocol: str):
        self.shared = {"lesson": lesson, "dataset": dataset, "protocol": protocol}
        self.rows: list[dict] = []

    def add(self, model: str, metric: str, value: float, low=None, high=None, seconds=None, **shared) -> None:
        """Add one figure with its interval (same unit as the value) and the seconds that it took to get it.

        A figure of the same model, metric, data set and protocol takes the place of the earlier one, so that a cell can
        be run again.
        """
        row = self.shared | shared | {"model": model, "metric": metric, "value": float(value)}
        extra = {"low": low, "high": high, "seconds": seconds}
        row |= {name: None if x is None else round(float(x), 4) for name, x in extra.items()}
        row = {column: row[column] for column in COLUMNS}
        same = (place for place, old in enumerate(self.rows) if all(old[name] == row[name] for name in KEY))
        place = next(same, len(self.rows))
        self.rows[place : place + 1] = [row]

    def add_mean(self, model: str, metric: str, values: np.ndarray, seconds=None, **shared) -> None:
        """Add the mean of one value a user (or a comment), with its 95% bootstrap interval."""
        self.add(model, metric, *bootstrap_interval(values), seconds=seconds, **shared)

    def add_ranking(self, model: str, ranks: np.ndarray, seconds=None, **shared) -> None:
        """Add HR@10 and NDCG@10 of the targets' ranks, shape (n_users,), or (seeds, n_users) for the mean of seeds."""
        ranks = np.atleast_2d(ranks)
        self.add_mean(model, "HR@10", hit(ranks).mean(axis=0), seconds, **shared)
        self.add_mean(model, "NDCG@10", ndcg(ranks).mean(axis=0), seconds, **shared)

    def value(self, model: str, metric: str, **shared) -> float:
        """One figure, for a checkpoint; KeyError if it was not added."""
        wanted = {"model": model, "metric": metric} | shared
        for row in self.rows:
            if all(row[name] == value for name, value in wanted.items()):
                return row["value"]
        raise KeyError(f"no result for {wanted}")

    def table(self) -> pd.DataFrame:
        """One row a model (and data set, where there are several), one column a metric: value and 95% interval."""
        rows = pd.DataFrame(self.rows)
        keys = [key for key in ("dataset", "protocol") if rows[key].nunique() > 1] + ["model"]
        rows["text"] = [_figure(row) for row in self.rows]
        table = rows.pivot(index=keys, columns="metric", values="text")
        table = table.loc[
            rows[keys].drop_duplicates().pipe(pd.MultiIndex.from_frame) if len(keys) > 1 else rows["model"].unique()
        ]
        table = table[rows["metric"].unique()].fillna("")
        table.columns.name = None
        return table

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        table = self.table()
        return {"text/html": table.to_html(), "text/plain": table.to_string(), MIME: self.rows}


def as_text(figure: tuple[float, float, float], sign: str = "") -> str:
    """(value, low, high) as "value [low, high]"; `sign="+"` writes the sign of gains."""
    return "{:{s}.3f} [{:{s}.3f}, {:{s}.3f}]".format(*figure, s=sign)


def _figure(row: dict) -> str:
    return f"{row['value']:.3f}" if row["low"] is None else as_text((row["value"], row["low"], row["high"]))


def read_results(notebook) -> list[dict]:
    """The rows that an executed notebook carries in its outputs; an empty list where it has none."""
    rows = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {}).get(MIME, [])
            rows.extend({column: row[column] for column in COLUMNS} for row in data)
    return rows
