"""PyTorch's side of gpu.py: the same models written plainly, compiled, trained and timed.

Run as `python torch_side.py speed '{"case": ..., ...}'`; the last line that it prints is JSON, see `speed`. Widths,
masks, epsilons, tied output weights and loss are those of the course's models; precision is bfloat16 by autocast on a
GPU and float32 on a CPU, as in `on_device`; Adam is fused.
"""

import json
import resource
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Multi-head self-attention, (batch, length, width) -> the same; the projections of all three in one matrix."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x, mask):
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=mask is None)
        return self.out(x.transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    """Causal with the norm before each part, as the course's; or over what `mask` shows with the norm after, BERT's.

    Layers are made in the order in which Keras keeps their weights, for `copy`.
    """

    def __init__(self, width: int, heads: int, inner: int, dropout: float, causal: bool):
        super().__init__()
        epsilon = 1e-3 if causal else 1e-12
        self.causal = causal
        if causal:
            self.norm_1 = nn.LayerNorm(width, epsilon)
        self.attention = Attention(width, heads, dropout)
        if not causal:
            self.norm_1 = nn.LayerNorm(width, epsilon)
        self.norm_2 = nn.LayerNorm(width, epsilon)
        self.mlp_in, self.mlp_out = nn.Linear(width, inner), nn.Linear(inner, width)
        self.dropout = nn.Dropout(dropout)

    def mlp(self, x):
        return self.dropout(self.mlp_out(F.gelu(self.mlp_in(x), approximate="none" if self.causal else "tanh")))

    def forward(self, x, mask=None):
        if self.causal:
            x = x + self.dropout(self.attention(self.norm_1(x), mask))
            return x + self.mlp(self.norm_2(x))
        x = self.norm_1(x + self.dropout(self.attention(x, mask)))
        return self.norm_2(x + self.mlp(x))


class Bert(nn.Module):
    """`bert.fine_tuning_model`: token_ids, segment_ids and padding_mask, all (batch, length) -> (batch, classes)."""

    def __init__(self, vocabulary: int, width: int, heads: int, blocks: int, inner: int, classes: int, dropout: float):
        super().__init__()
        self.tokens, self.positions, self.segments = (nn.Embedding(n, width) for n in (vocabulary, 512, 2))
        self.norm = nn.LayerNorm(width, 1e-12)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, inner, dropout, causal=False) for _ in range(blocks))
        self.classes = nn.Linear(width, classes)

    def forward(self, token_ids, segment_ids, padding_mask):
        places = self.positions.weight[: token_ids.shape[1]]
        x = self.dropout(self.norm(self.tokens(token_ids) + places + self.segments(segment_ids)))
        for block in self.blocks:
            x = block(x, mask=padding_mask.bool()[:, None, None, :])
        real = padding_mask[..., None].to(x.dtype)
        return self.classes(self.dropout((x * real).sum(1) / real.sum(1)))

    def loss(self, token_ids, segment_ids, padding_mask, target):
        return F.cross_entropy(self(token_ids, segment_ids, padding_mask).float(), target)


class NextItem(nn.Module):
    """(batch, length) item numbers -> logits (batch, length, items + 1), the output tied to the item embedding."""

    def __init__(self, items: int, width: int, dropout: float):
        super().__init__()
        self.items, self.dropout = nn.Embedding(items + 1, width), nn.Dropout(dropout)
        nn.init.normal_(self.items.weight, std=width**-0.5)
        self.scale = width**0.5 / 2

    def forward(self, items):
        return F.linear(self.norm(self.states(self.items(items) * self.scale)), self.items.weight)

    def loss(self, items, target):
        return F.cross_entropy(self(items).float().flatten(0, 1), target.flatten(), ignore_index=0)


class Transformer(NextItem):
    """`self_attention.next_item_transformer`."""

    def __init__(self, items: int, length: int, width: int, blocks: int, heads: int, dropout: float):
        super().__init__(items, width, dropout)
        self.positions = nn.Embedding(length, width)
        self.blocks = nn.Sequential(*[Block(width, heads, width, dropout, causal=True) for _ in range(blocks)])
        self.norm = nn.LayerNorm(width, 1e-3)

    def states(self, x):
        return self.blocks(self.dropout(x + self.positions.weight[: x.shape[1]]))


class Recurrent(NextItem):
    """`recurrent.next_item_rnn`; of PyTorch's two biases of an LSTM, Keras has their sum: the second stays 0."""

    def __init__(self, items: int, width: int, units: int, cell: str, dropout: float):
        super().__init__(items, width, dropout)
        self.cell = getattr(nn, cell)(width, units, batch_first=True)
        if cell == "LSTM":
            self.cell.bias_hh_l0.requires_grad_(False).zero_()
        self.narrow = nn.Linear(units, width)
        self.norm = nn.LayerNorm(width, 1e-3)

    def states(self, x):
        return self.narrow(self.dropout(self.cell(self.dropout(x))[0]))


def build(case: str, size: dict, dropout: float | None = None) -> nn.Module:
    """The model of this case; `size` as in gpu.py, dropout as in the course unless it is given."""

    def rate(usual):
        return usual if dropout is None else dropout

    if case == "BERT":
        shape = (size[name] for name in ("items", "width", "heads", "blocks", "inner", "classes"))
        return Bert(*shape, dropout=rate(0.1))
    if case == "self-attention":
        shape = (size[name] for name in ("items", "length", "width", "blocks", "heads"))
        return Transformer(*shape, dropout=rate(0.2))
    return Recurrent(size["items"], size["width"], size["units"], case, rate(0.3))


def parameters(model: nn.Module) -> int:
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


@torch.no_grad()
def copy(model: nn.Module, weights: list[np.ndarray]) -> None:
    """Give the model the weights of its Keras twin, in Keras' order."""
    rest = (torch.from_numpy(np.array(weight)) for weight in weights)

    def fill(linear, parts=1):  # Keras keeps (inputs, outputs), with the outputs or inputs divided among heads
        kernels, biases = zip(*[(next(rest), next(rest)) for _ in range(parts)], strict=True)
        rows = [kernel.reshape(linear.in_features, -1).T for kernel in kernels]
        linear.weight.copy_(torch.cat(rows))
        linear.bias.copy_(torch.cat([bias.flatten() for bias in biases]))

    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding):
            module.weight.copy_(next(rest))
        elif isinstance(module, nn.LayerNorm):
            module.weight.copy_(next(rest))
            module.bias.copy_(next(rest))
        elif isinstance(module, nn.RNNBase):
            order = [1, 0, 2] if isinstance(module, nn.GRU) else [0, 1, 2, 3]  # Keras' GRU updates, then resets
            into, around, bias = (next(rest) for _ in range(3))
            gates = [torch.cat([x.chunk(len(order), -1)[i] for i in order], -1) for x in (into, around, bias)]
            module.weight_ih_l0.copy_(gates[0].T)
            module.weight_hh_l0.copy_(gates[1].T)
            for kept, given in zip((module.bias_ih_l0, module.bias_hh_l0), torch.atleast_2d(gates[2]), strict=False):
                kept.copy_(given)
        elif isinstance(module, nn.Linear):
            fill(module, parts=3 if name.endswith("qkv") else 1)
    if next(rest, None) is not None:
        raise ValueError("Keras' model has more weights than this one")


def speed(case: str, size: dict, batch: int, steps: int, rounds: int, compile: bool = True) -> dict:
    """Train on random windows; the first round compiles and is not timed.

    Returns: windows per second of each round, parameters, peak memory in MB (of the GPU if there is one), the version.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_float32_matmul_precision("high")
    torch.manual_seed(7)
    model = build(case, size).to(device).train()
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.Adam(trained, 1e-3, eps=1e-7, fused=True)
    loss = torch.compile(model.loss) if compile else model.loss
    arrays = [torch.from_numpy(array) for array in random_batch(case, size, batch)]

    def finish():
        if device == "cuda":
            torch.cuda.synchronize()

    speeds = []
    for _ in range(rounds + 1):
        start, total = time.perf_counter(), torch.zeros((), device=device)
        for _ in range(steps):
            inputs = [array.to(device, non_blocking=True) for array in arrays]
            with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                value = loss(*inputs)
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()
            total += value.detach()
        finish()
        speeds.append(batch * steps / (time.perf_counter() - start))
    if not torch.isfinite(total):
        raise FloatingPointError("PyTorch's loss is not finite")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if device == "cuda":
        peak = torch.cuda.max_memory_allocated()
    found = {"windows per second": speeds[1:], "parameters": parameters(model), "MB": peak / 1e6}
    return found | {"version": torch.__version__}


def random_batch(case: str, size: dict, batch: int) -> list[np.ndarray]:
    """Inputs and target without padding, int64: what PyTorch's embeddings and losses take."""
    draw = np.random.default_rng(7).integers
    items = draw(1, size["items"], (batch, size["length"]))
    if case == "BERT":
        return [items, np.zeros_like(items), np.ones_like(items), draw(0, size["classes"], batch)]
    return [items, draw(1, size["items"] + 1, items.shape)]


if __name__ == "__main__":
    try:
        print(json.dumps({"speed": speed}[sys.argv[1]](**json.loads(sys.argv[2]))))
    except torch.cuda.OutOfMemoryError:
        print(json.dumps({"out of memory": True}))
