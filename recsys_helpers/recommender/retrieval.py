"""Stage 1 of the capstone: of all items, the candidates that the ranker looks at."""

import numpy as np

from recsys_helpers.models.base import Request

CANDIDATES = 250


def candidates(first: np.ndarray, second: np.ndarray, requests: list[Request], size: int = CANDIDATES) -> np.ndarray:
    """Positions of the items that the ranker looks at, shape (requests, size), best first; seen items come last.

    The best by the first scores, and half as many of the best by the second; both have the shape (requests, items).
    """
    ranks = np.minimum(_ranks(first), 2 * _ranks(second) + 1)
    for row, request in zip(ranks, requests, strict=True):
        row[request.history - 1] = ranks.shape[1] * 3
    size = min(size, ranks.shape[1])
    return np.argsort(ranks, axis=1, kind="stable")[:, :size]


def _ranks(scores: np.ndarray) -> np.ndarray:
    order, places = np.argsort(-scores, axis=1, kind="stable"), np.empty(scores.shape, int)
    np.put_along_axis(places, order, np.arange(scores.shape[1])[None], axis=1)
    return places


# Large catalogues -----------------------------------------------------------------------------------------------------


def approximate_index(vectors: np.ndarray, probes: int = 16):
    """An index that finds the largest dot products without looking at all vectors (faiss).

    The vectors are sorted into about sqrt(items) cells (k-means); a search looks into the `probes` nearest ones.

    Args:
        vectors: shape (items, width), with at least a few hundred items.

    Source: Jegou et al., Product Quantization for Nearest Neighbor Search, IEEE TPAMI 2011, section 4 (without codes).
    """
    import faiss  # here, so that a recommender can be used without it

    cells, vectors = int(len(vectors) ** 0.5), np.ascontiguousarray(vectors, "float32")
    index = faiss.index_factory(vectors.shape[1], f"IVF{cells},Flat", faiss.METRIC_INNER_PRODUCT)
    index.train(np.random.default_rng(0).permutation(vectors)[: 40 * cells])
    index.add(vectors)
    index.nprobe = probes
    return index


def recall_of(index, vectors: np.ndarray, queries: np.ndarray, k: int = 200) -> float:
    """Share of the k vectors with the largest dot product that the index finds, mean over the queries."""
    exact = np.argpartition(-(queries @ vectors.T), k - 1, axis=1)[:, :k]
    _, found = index.search(np.ascontiguousarray(queries, "float32"), k)
    return float(np.mean([np.isin(right, got).mean() for right, got in zip(exact, found, strict=True)]))
