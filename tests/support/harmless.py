"""Mutants that no check can notice, because they change no answer; reason, exercise, and the changed line of each."""

HARMLESS: dict[str, dict[str, list[str]]] = {
    "The last axis has two names, -1 and its number.": {
        "01.2": ["scores = q @ np.swapaxes(k, -2, -1) / np.sqrt(q.shape[-1])"],
        "02.2": ["return total / mask.sum(axis=-1, keepdims=True)"],
        "02.3": [
            "user = user / np.linalg.norm(user, axis=1, keepdims=True)",
            "categories = categories / np.linalg.norm(categories, axis=1, keepdims=True)",
            "return powers / powers.sum(axis=1, keepdims=True)",
            "powers = np.exp(scores - scores.max(axis=1, keepdims=True))",
        ],
        "02.6": ["return tuple(np.percentile(draws.mean(axis=-1), [2.5, 97.5]))"],
        "03.4": ["return np.mean(np.logaddexp.reduce(logits, axis=-1) - np.diag(logits))"],
        "03.7": ["loss = np.mean(np.logaddexp(0, scaled) - y * scaled, axis=-1)"],
        "04.1": ["total = counts.sum(axis=-1, keepdims=True)"],
        "04.3": ["i, f, g, o = np.split(z, 4, axis=-1)"],
        "05.1": ["lengths = np.linalg.norm(contents, axis=-1) * np.linalg.norm(interest)"],
        "06.1": [
            "shares = powers / powers.sum(axis=-1, keepdims=True)",
            "powers = np.exp(logits - logits.max(axis=-1, keepdims=True))",
        ],
        "06.3": [
            "weights = powers / powers.sum(axis=-1, keepdims=True)",
            "powers = np.exp(scores - scores.max(axis=-1, keepdims=True))",
        ],
        "07.6": ["return (gain.mean(), *np.quantile(gain[draws].mean(axis=-1), [0.025, 0.975]))"],
        "08.1": ["return (each.sum(axis=-1), each)"],
        "08.2": ["return np.mean((reach > wanted[:, None]).sum(axis=-1) < n)"],
        "08.3": ["lengths = np.linalg.norm(texts, axis=-1) * np.linalg.norm(text)"],
    },
    "Broadcasting puts the axis in by itself.": {
        "01.3": [
            "causal = position <= position[:, None]",
            "real = position < lengths[:, None]",
            "return causal & real[:, None, :]",
        ]
    },
    "Both have this size.": {
        "01.2": ["scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(k.shape[-1])"],
        "02.1": [
            "free = length - len(segments)",
            "return (ids + [special['[PAD]']] * free, segments + [0] * free, [1] * len(segments) + [0] * free)",
        ],
        "03.2": ["d_logit = (strength - liked) / strength.size"],
        "03.4": [
            "copies = (items[:, None] == items) & ~np.eye(len(logits), dtype=bool)",
            "copies = (items[:, None] == items) & ~np.eye(len(probability), dtype=bool)",
            "copies = (items[:, None] == items) & ~np.eye(len(scores), dtype=bool)",
        ],
        "03.5": [
            "return np.abs(np.bincount(place, probability - liked)).sum() / len(place)",
            "return np.abs(np.bincount(place, probability - liked)).sum() / len(probability)",
        ],
        "05.1": ["return np.divide(contents @ interest, lengths, out=np.zeros(len(lengths)), where=lengths > 0)"],
        "05.3": ["small = epsilon * np.eye(target.shape[1])"],
        "05.5": [
            "drawn = rng.integers(len(baseline), size=(draws, len(transfer)))",
            "drawn = rng.integers(len(oracle), size=(draws, len(transfer)))",
            "drawn = rng.integers(len(transfer), size=(draws, len(baseline)))",
            "drawn = rng.integers(len(transfer), size=(draws, len(oracle)))",
        ],
        "06.3": ["scores = scenario_query @ expert_keys.T / np.sqrt(scenario_query.shape[1])"],
        "08.2": [
            "wanted = reach[np.arange(len(fast)), targets]",
            "wanted = reach[np.arange(len(reach)), targets]",
            "wanted = reach[np.arange(len(seen)), targets]",
        ],
        "08.3": [
            "cosine = np.divide(texts @ text, lengths, out=np.zeros(len(lengths)), where=lengths > 0)",
            "cosine = np.divide(texts @ text, lengths, out=np.zeros(len(vectors)), where=lengths > 0)",
        ],
    },
    "Both lines meet at the peak.": {"02.5": ["if step <= warmup:"]},
    "An array of two numbers, or a list, says the same as a tuple or an array.": {
        "02.6": ["return np.percentile(draws.mean(axis=1), [2.5, 97.5])"],
        "06.4": ["own = [auc(scores[scenario == s], labels[scenario == s]) for s in range(n_scenarios)]"],
    },
    "Each trap is written several times, always the same.": {
        "02.6": [
            "return {kind: ((predicted == truth)[trap == kind].mean(), (truth[trap == kind] == favourite).mean()) "
            "for kind in trap}"
        ]
    },
    "The absolute value takes the sign off.": {
        "03.5": ["return np.abs(np.bincount(place, liked - probability)).sum() / len(liked)"]
    },
    "Another grid that is as fine and holds the best temperature.": {
        "03.7": [
            "grid = np.geomspace(20.0, 0.05, 1001)",
            "grid = np.geomspace(0.1, 20.0, 1001)",
            "grid = np.geomspace(0.025, 20.0, 1001)",
            "grid = np.geomspace(0.05, 40.0, 1001)",
            "grid = np.geomspace(0.05, 20.0, 1002)",
            "grid = np.geomspace(0.05, 20.0, 1000)",
        ]
    },
    "The least sum has the least mean.": {"03.7": ["loss = np.sum(np.logaddexp(0, scaled) - y * scaled, axis=1)"]},
    "Ids written as floats, weights as booleans: the same numbers.": {
        "04.4": ["inputs = np.zeros((len(histories), length))", "return (inputs, targets, targets != 0)"]
    },
    "NumPy cuts the slice where the row ends.": {"04.4": ["pairs = len(history) - 1"]},
    "Inputs and targets are padded in the same places.": {
        "04.4": ["return (inputs, targets, (inputs != 0).astype(float))"]
    },
    "Checks always name epsilon, and twice or half of it changes nothing that can be seen.": {
        "05.3": ["def align(source, target, epsilon=2e-06):", "def align(source, target, epsilon=5e-07):"]
    },
    "A triangular matrix has an inverse, which is its pseudo-inverse.": {
        "05.3": ["whiten = np.linalg.pinv(np.linalg.cholesky(np.cov(source, rowvar=False) + small)).T"]
    },
    "The mean of no pairs is NaN already, with a warning that checks keep quiet.": {
        "06.4": [
            "return np.mean((gap > 0) + (gap == 0) / 2)",
            "return np.mean((gap > 0) + (gap == 0) / 2) if labels.size else np.nan",
            "return np.mean((gap > 0) + (gap == 0) / 2) if scenario.size else np.nan",
            "return np.mean((gap > 0) + (gap == 0) / 2) if scores.size else np.nan",
        ]
    },
    "Events too few to count, twice or half as many.": {
        "06.5": ["strength = max(strength, 2e-09)", "strength = max(strength, 5e-10)"]
    },
    "Only a warning is no longer hushed.": {"07.1": ["with np.errstate():"]},
    "Among the hits, labels and predictions are the same.": {
        "07.1": ["counted = (predicted[labels == predicted], labels, predicted)"]
    },
    "Rows and predictions are the same number in all.": {
        "07.1": [
            "micro = 2 * hits.sum() / (calls.sum() + calls.sum())",
            "micro = 2 * hits.sum() / (rows.sum() + rows.sum())",
        ]
    },
    "The hypergeometric law is the same if what is drawn and what is marked change places.": {
        "07.4": ["return hypergeom.cdf(k - 1, n_candidates - 1, negatives, ranks - 1).mean()"]
    },
    "Training rows keep their labels.": {
        "07.5": ["return (sums[groups] - known + damping * known[train].mean()) / (counts[groups] - train + damping)"]
    },
    "Checks hand out copies, so that answers may work in place.": {"08.2": ["reach = fast", "reach = fast (another)"]},
    "Scores are floats already.": {"08.2": ["reach = np.array(fast)", "reach = np.array(fast) (another)"]},
    "The target is unseen, so nothing was put in its place.": {
        "08.2": ["wanted = fast[np.arange(len(targets)), targets]"]
    },
    "The new text's own length, or any other factor, cancels when the weights are divided by their sum.": {
        "08.3": [
            "lengths = np.linalg.norm(texts, axis=1) / np.linalg.norm(text)",
            "lengths = np.linalg.norm(texts, axis=1)",
            "lengths = np.linalg.norm(texts, axis=1) * np.linalg.norm(neighbours)",
            "lengths = np.linalg.norm(texts, axis=1) * np.linalg.norm(texts)",
            "lengths = np.linalg.norm(texts, axis=1) * np.linalg.norm(vectors)",
        ]
    },
    "The form holds nothing from which the interval's width could be checked.": {
        "08.4": [
            "'gain': (0.005, -0.00324, 0.0132)",
            "'gain': (0.005, -0.00396, 0.0132)",
            "'gain': (0.005, -0.0036, 0.01188)",
            "'gain': (0.005, -0.0036, 0.014520000000000002)",
        ]
    },
}
