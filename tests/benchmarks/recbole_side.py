"""RecBole's half of `make bench-recbole`: trains one model and prints a line of JSON after each epoch.

Runs in RecBole's own environment. The split and the metric are the course's, the rest is RecBole's: its data loader,
its model, its loss over the whole catalogue, its trainer.

    python recbole_side.py SASRec FOLDER SECONDS
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed

from recsys_helpers.data.splits import leave_one_out, pad_right
from recsys_helpers.evaluation.ranks import ndcg, target_ranks

LENGTH = 50
SHAPE = {  # and dropout: as in the course's models
    "SASRec": {
        "hidden_size": 64,
        "inner_size": 64,
        "n_layers": 1,
        "n_heads": 2,
        "hidden_dropout_prob": 0.2,
        "attn_dropout_prob": 0.2,
    },
    "GRU4Rec": {"embedding_size": 64, "hidden_size": 128, "num_layers": 1, "dropout_prob": 0.3},
}
SETTINGS = {
    "USER_ID_FIELD": "user_id",
    "ITEM_ID_FIELD": "item_id",
    "TIME_FIELD": "time",
    "load_col": {"inter": ["user_id", "item_id", "time"]},
    "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
    "MAX_ITEM_LIST_LENGTH": LENGTH,
    "loss_type": "CE",
    # the best of what was tried here: RecBole's defaults, 2048 and 1e-3, need several times as long for the same NDCG
    "train_batch_size": 256,
    "learning_rate": 3e-3,
    "train_neg_sample_args": None,
    "use_gpu": False,
    "state": "WARNING",
}


def main(name: str, folder: Path, budget: float) -> None:
    table = pd.read_csv(folder / "films" / "films.inter", sep="\t").rename(columns=lambda column: column.split(":")[0])
    split = leave_one_out(table, range(1, table["item_id"].max() + 1), item="item_id")
    sys.argv = sys.argv[:1]  # Config would read them
    config = Config(model=name, dataset="films", config_dict=SETTINGS | SHAPE[name] | {"data_path": str(folder)})
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    train, validation, _ = data_preparation(config, dataset)
    model = get_model(name)(config, train.dataset)
    trainer = get_trainer(config["MODEL_TYPE"], name)(config, model)

    rows = validation.dataset.inter_feat  # one a user
    users = np.argsort(dataset.id2token("user_id", rows["user_id"].numpy()).astype(int))  # into the course's order
    items = dataset.token2id("item_id", [str(number) for number in range(1, split.n_items + 1)])
    history, target = split.history("validation"), split.target("validation")
    assert np.array_equal(rows["item_id"].numpy()[users], items[target - 1]), "other targets than the course's"
    known = pad_right([items[past - 1] for past in history], LENGTH)
    assert np.array_equal(rows["item_id_list"].numpy()[users], known), "other histories than the course's"

    seconds, busy, epoch = 0.0, 0.0, 0
    while seconds < budget:
        start, cpu = time.perf_counter(), time.process_time()
        trainer._train_epoch(train, epoch)
        seconds, busy = seconds + time.perf_counter() - start, busy + time.process_time() - cpu
        epoch += 1
        model.eval()
        with torch.no_grad():
            scores = model.full_sort_predict(rows).numpy()[users][:, items]
        gain = float(ndcg(target_ranks(scores, history, target)).mean())
        print(json.dumps({"epoch": epoch, "seconds": seconds, "cpu": busy, "NDCG@10": gain}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]))
