"""Why an item stands where it stands in a list of the recommender."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from recsys_helpers.models.base import Request
from recsys_helpers.recommender.ranker import candidate_features, context_of


@dataclass(frozen=True)
class Explanation:
    """Why an item stands where it stands.

    Attributes:
        score: the sum of the contributions.
        parts: one row a part: contribution; weight in this request and the usual one; `above`, how far the part puts
            the item above the mean of the candidates, in its usual spread.
        because: the items of the history that speak most for it: title, and how alike they are by who took them
            (`neighbours`) and by what they say (`text`).
    """

    score: float
    parts: pd.DataFrame
    because: pd.DataFrame


def explain(recommender, request: Request, item: int, reasons: int) -> Explanation:
    """The terms of an item's score, and the items of the history that speak for it; see `Recommender.explain`."""
    scores, gate, taken = recommender.part_scores([request]), recommender.gate, request.history - 1
    first, _, _ = candidate_features(scores, [request])
    centre = np.take_along_axis(scores, first[:, None], axis=2).mean(axis=2)
    kept = [recommender.parts.index(name) for name in gate.parts]
    above = (scores[0, kept, item - 1] - centre[0, kept]) / gate.scale
    weights, usual = gate.weights(context_of([request], len(recommender.scenarios)))[0], np.exp(gate.bias)
    columns = {"contribution": weights * above, "weight": weights, "usual weight": usual, "above": above}
    table = pd.DataFrame(columns, index=pd.Index(gate.parts, name="part"))
    alike = recommender.models["recent neighbours"].weights_[taken, item - 1]
    vectors = recommender.models["text profile"].vectors_
    text = vectors[taken] @ vectors[item - 1]
    columns = {"item": taken + 1, "title": recommender.items["title"].iloc[taken], "neighbours": alike, "text": text}
    because = pd.DataFrame(columns).assign(both=alike + text).nlargest(reasons, "both").drop(columns="both")
    return Explanation(float(table["contribution"].sum()), table, because.reset_index(drop=True))
