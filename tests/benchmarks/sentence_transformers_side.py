"""sentence-transformers' half of the encoders' race: encodes whenever a line of JSON asks for it.

Runs in an environment of its own. A request {"texts": file, "batch": 32} is answered by {"seconds", "cpu"}; with
{"vectors": file} the vectors go there, and the pieces of every text stand in the answer as "ids".

    python sentence_transformers_side.py FOLDER
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer, models


def main(folder: str) -> None:
    words = models.Transformer(folder)
    mean = models.Pooling(words.get_embedding_dimension(), pooling_mode="mean")
    model = SentenceTransformer(modules=[words, mean, models.Normalize()], device="cpu")
    for line in sys.stdin:
        request = json.loads(line)
        texts = json.loads(Path(request["texts"]).read_text(encoding="utf-8"))
        start, cpu = time.perf_counter(), time.process_time()
        with torch.inference_mode():
            vectors = model.encode(texts, batch_size=request["batch"])
        answer = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}
        if "vectors" in request:
            np.save(request["vectors"], vectors)
            answer["ids"] = model.tokenizer(texts, truncation=True)["input_ids"]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
