"""The course's pictures: one look, labelled axes, units."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

BLUE, ORANGE, GREEN, GREY = "#2b6cb0", "#dd6b20", "#2f855a", "#a0aec0"


def use_style() -> None:
    """Quiet axes and one size of letters for every figure of the course."""
    plt.rcParams.update(
        {
            "figure.figsize": (7.5, 3.6),
            "figure.dpi": 90,
            "figure.constrained_layout.use": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": "#e2e8f0",
            "axes.titlelocation": "left",
            "axes.titlesize": 11,
            "axes.prop_cycle": plt.cycler(color=[BLUE, ORANGE, GREEN, "#805ad5", "#d53f8c", "#718096"]),
            "legend.frameon": False,
        }
    )


use_style()


def attention_map(
    weights: np.ndarray, queries: list[str], keys: list[str], title: str = "", ax: Axes | None = None
) -> Axes:
    """Weights of shape (queries, keys) as a grid of shades with the numbers written in; each row sums to 1."""
    ax = ax or plt.subplots(figsize=(1.6 + 0.75 * len(keys), 1.2 + 0.45 * len(queries)))[1]
    ax.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    ax.set_xticks(range(len(keys)), [short(key) for key in keys], rotation=35, ha="right")
    ax.set_yticks(range(len(queries)), [short(query) for query in queries])
    ax.set(xlabel="key: the film looked at", ylabel="query: the film that looks", title=title)
    ax.grid(False)
    for row, column in np.ndindex(*weights.shape):
        value = weights[row, column]
        ax.text(
            column,
            row,
            f"{value:.2f}" if value else "",  # a masked key stays blank
            ha="center",
            va="center",
            fontsize=8,
            color="white" if value > 0.6 else "#1a202c",
        )
    return ax


def signed_map(values: np.ndarray, rows: list[str], columns: list[str], title: str, ax: Axes) -> Axes:
    """Values of shape (rows, columns) around 0 as orange (less) and purple (more), with the numbers written in."""
    end = np.abs(values).max()
    ax.imshow(values, cmap="PuOr", vmin=-max(end, 1), vmax=max(end, 1), aspect="auto")
    ax.set_xticks(range(len(columns)), columns, rotation=35, ha="right")
    ax.set_yticks(range(len(rows)), rows)
    ax.set_title(title)
    ax.grid(False)
    for row, column in np.ndindex(*values.shape):
        value = values[row, column]
        colour = "white" if abs(value) > 0.6 * max(end, 1) else "#1a202c"
        ax.text(column, row, f"{value:+.1f}", ha="center", va="center", fontsize=8, color=colour)
    return ax


def bars_with_interval(
    table: pd.DataFrame, value: str, low: str, high: str, label: str, ax: Axes | None = None
) -> Axes:
    """One horizontal bar a row of `table`, its interval as a whisker; `label` names the value axis with its unit."""
    ax = ax or plt.subplots(figsize=(7.5, 0.9 + 0.42 * len(table)))[1]
    error = np.abs(table[[low, high]].to_numpy(dtype=float).T - table[value].to_numpy(dtype=float))
    ax.barh(table.index.astype(str), table[value], xerr=error, color=BLUE, ecolor="#1a202c", capsize=3, height=0.6)
    ax.invert_yaxis()
    ax.set_xlabel(label)
    ax.grid(axis="y", visible=False)
    return ax


def told_and_true(table: pd.DataFrame, label: str, ax: Axes | None = None) -> Axes:
    """One line a row of `table`, from the figure that is true (dot) to the one that was told (diamond)."""
    ax = ax or plt.subplots(figsize=(7.5, 0.9 + 0.34 * len(table)))[1]
    rows = range(len(table))
    ax.hlines(rows, table["true"], table["told"], color=GREY, linewidth=3)
    ax.scatter(table["true"], rows, color=BLUE, zorder=3, label="true")
    ax.scatter(table["told"], rows, color=ORANGE, zorder=3, label="told", marker="D")
    ax.set_yticks(rows, table.index)
    ax.invert_yaxis()
    ax.set_xlabel(label)
    ax.grid(axis="y", visible=False)
    ax.legend()
    return ax


def short(title: str, letters: int = 22) -> str:
    """A title cut to fit under an axis."""
    return title if len(title) <= letters else title[: letters - 1].rstrip() + "…"


def flow(boxes: dict[str, tuple[str, float, float]], arrows: list[tuple[str, str]]) -> Axes:
    """Boxes joined by arrows: each box has a text, a column and a row; each arrow names two boxes."""
    columns = max(column for _, column, _ in boxes.values()) + 1
    ax = plt.subplots(figsize=(2.5 * columns, 2.6))[1]
    for text, column, row in boxes.values():
        box = {"boxstyle": "round,pad=0.9", "facecolor": "#ebf4ff", "edgecolor": BLUE}
        ax.text(column, row, text, ha="center", va="center", fontsize=9, bbox=box)
    for start, end in arrows:
        (_, x0, y0), (_, x1, y1) = boxes[start], boxes[end]
        ax.annotate(
            "",
            xy=(x1 - 0.42, y1),
            xytext=(x0 + 0.42, y0),
            arrowprops={"arrowstyle": "-|>", "color": "#4a5568"},
        )
    ax.set(xlim=(-0.5, columns - 0.5), ylim=(-0.45, 1.45))
    ax.axis("off")
    return ax
