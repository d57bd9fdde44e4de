"""Why an item stands where it stands in a list of the recommender."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Explanation:
    """Why an item stands where it stands.

    Attributes:
        score: the sum of the contributions.
        parts: one row a part: contribution; weight in this request and the usual one; `above`, how far the part puts
            the item above the mean of the candidates, in its usual spread.
        because: the items of the history that speak most for it: title, and similarity by company and by text.
    """

    score: float
    parts: pd.DataFrame
    because: pd.DataFrame
