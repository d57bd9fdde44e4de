"""RecBole's half of `recbole_reference.py`: trains Pop, ItemKNN or BPR as RecBole does, and leaves its test scores.

Runs in RecBole's own environment. Data loader, model, trainer and metrics are RecBole's; the split is the course's.

    python recbole_reference_side.py Pop FOLDER EPOCHS
"""

import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed
from recbole_side import SETTINGS

from recsys_helpers.data.splits import leave_one_out

DEFAULTS = {  # but the metrics, which are given with more digits
    "train_neg_sample_args": {"distribution": "uniform", "sample_num": 1, "dynamic": False, "candidate_num": 0},
    "train_batch_size": 2048,
    "learning_rate": 1e-3,
    "metrics": ["Hit", "NDCG"],
    "topk": 10,
    "valid_metric": "NDCG@10",
    "metric_decimal_place": 6,
    "show_progress": False,
}


def main(name: str, folder: Path, epochs: int) -> None:
    table = pd.read_csv(folder / "films" / "films.inter", sep="\t").rename(columns=lambda column: column.split(":")[0])
    split = leave_one_out(table, range(1, table["item_id"].max() + 1), item="item_id")
    sys.argv = sys.argv[:1]  # Config would read them
    settings = SETTINGS | DEFAULTS | {"data_path": str(folder), "epochs": epochs, "stopping_step": 10}
    config = Config(model=name, dataset="films", config_dict=settings)
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    train, validation, test = data_preparation(config, dataset)
    model = get_model(name)(config, train.dataset)
    trainer = get_trainer(config["MODEL_TYPE"], name)(config, model)
    torch.load = partial(torch.load, weights_only=False)  # PyTorch has changed its default since RecBole 1.2.1
    trainer.fit(train, validation, saved=True, show_progress=False)
    figures = {"": trainer.evaluate(test, load_best_model=name == "BPR")}
    if name == "Pop":  # its count adds 1 a batch, however often the film is in it, and counts drawn negatives, too
        model.item_cnt[:] = 0
        for film in train.dataset.inter_feat["item_id"]:
            model.calculate_loss({"item_id": film[None]})
        figures[", counted one by one"] = trainer.evaluate(test, load_best_model=False)

    rows = test.dataset.inter_feat  # one a user
    users = np.argsort(dataset.id2token("user_id", rows["user_id"].numpy()).astype(int))  # into the course's order
    items = dataset.token2id("item_id", [str(number) for number in range(1, split.n_items + 1)])
    assert np.array_equal(rows["item_id"].numpy()[users], items[split.target() - 1]), "other targets than the course's"
    with torch.no_grad():
        scores = model.full_sort_predict(rows).reshape(len(rows), -1).numpy()[users][:, items]
    np.save(folder / f"{name}.npy", scores)
    print(json.dumps({how: {key: float(value) for key, value in found.items()} for how, found in figures.items()}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
