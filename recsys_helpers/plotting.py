"""The course's pictures: one look, labelled axes, units, and words for those who cannot see them."""

import os
import re
from collections.abc import Callable
from html import escape

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython import get_ipython
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.image import AxesImage

from recsys_helpers.errors import CourseError

# Chosen by search: apart for each kind of colour blindness, apart in lightness for print, dark enough for white paper.
PALETTE = BLUE, ORANGE, GREEN, PURPLE, RED, INK = "#3a5ea0", "#e8722b", "#014a22", "#af51fc", "#c3275b", "#1a202c"
GREY, NOTE = "#718096", "#4a5568"  # reference lines, and words beside them
# No meaning hangs on colour alone: lines differ by dash and marker too, areas and bars by hatching.
DASHES = ("-", "--", "-.", ":", (0, (7, 2)), (0, (3, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "D", "^", "v", "P")
HATCHES = ("", "///", "...", "\\\\\\", "xx", "--")
ALT_LENGTH = 40, 300  # characters, at least and at most


def use_style() -> None:
    """Quiet axes and one size of letters for every figure of the course, which a notebook shows in any surroundings."""
    shell = get_ipython()
    if hasattr(shell, "kernel") and not os.environ.get("MPLBACKEND", "").startswith("module:"):
        shell.enable_matplotlib("inline")  # clusters and containers set MPLBACKEND=agg, which shows nothing
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
            "axes.prop_cycle": plt.cycler(color=PALETTE, linestyle=DASHES, marker=MARKERS),
            "lines.markersize": 5,
            "legend.frameon": False,
            "legend.handlelength": 3,  # or a dash looks like a line
        }
    )


use_style()


def show(alt: str) -> None:
    """Show the current figure with its text alternative, and close it.

    `alt` tells a reader who cannot see the figure what it shows: its kind, its axes, the shape, in 40 to 300
    characters. It is stored as the picture's alt text, which the slides and nbconvert's classic pages carry. JupyterLab
    drops that, so the same words also stand folded up below the picture.
    Raises CourseError for an alt that says too little or too much, and if there is no figure.
    """
    alt = " ".join(alt.split())
    least, most = ALT_LENGTH
    if not least <= len(alt) <= most or re.match(r"(an? |the )?(plot|graph|figure|image|picture) of\b", alt, re.I):
        raise CourseError(
            f"alt has {len(alt)} characters; say in {least} to {most} what is seen: the kind of figure, its axes, "
            "its shape, and not 'plot of ...'"
        )
    if not plt.get_fignums():
        raise CourseError("there is no figure to show; draw one in the same cell, above show(...)")
    figure = plt.gcf()
    display(figure, metadata={"image/png": {"alt": alt}})
    words = f"<details><summary>The picture in words</summary>{escape(alt)}</details>"
    display({"text/html": words, "text/plain": alt}, raw=True)
    plt.close(figure)


def hatch(ax: Axes) -> None:
    """Give each group of bars a hatching beside its colour. Call it before `ax.legend()`."""
    for bars, pattern in zip(ax.containers, HATCHES, strict=False):
        for bar in bars:
            bar.set(hatch=pattern, edgecolor="white", linewidth=0)


def ink_on(colour) -> str:
    """Black or white, whichever can be read on the colour: a contrast of 4.5 at least, by the formula of WCAG 2.1."""
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return "black" if np.dot(linear, [0.2126, 0.7152, 0.0722]) > 0.179 else "white"


def write_numbers(image: AxesImage, form: Callable[[float], str]) -> None:
    """Write the number of each cell into a map, so that nobody has to judge a shade."""
    colours = image.to_rgba(image.get_array())
    for (row, column), value in np.ndenumerate(image.get_array()):
        ink = ink_on(colours[row, column])
        image.axes.text(column, row, form(value), ha="center", va="center", fontsize=8, color=ink)


def attention_map(
    weights: np.ndarray, queries: list[str], keys: list[str], title: str = "", ax: Axes | None = None
) -> Axes:
    """Weights of shape (queries, keys) as a grid of shades with the numbers written in; each row sums to 1."""
    ax = ax or plt.subplots(figsize=(1.6 + 0.75 * len(keys), 1.2 + 0.45 * len(queries)))[1]
    image = ax.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    ax.set_xticks(range(len(keys)), [short(key) for key in keys], rotation=35, ha="right")
    ax.set_yticks(range(len(queries)), [short(query) for query in queries])
    ax.set(xlabel="key: the film looked at", ylabel="query: the film that looks", title=title)
    ax.grid(False)
    write_numbers(image, lambda weight: f"{weight:.2f}" if weight else "")  # a masked key stays blank
    return ax


def signed_map(values: np.ndarray, rows: list[str], columns: list[str], title: str, ax: Axes) -> Axes:
    """Values of shape (rows, columns) around 0 as orange (less) and purple (more), with the numbers written in."""
    end = np.abs(values).max()
    image = ax.imshow(values, cmap="PuOr", vmin=-max(end, 1), vmax=max(end, 1), aspect="auto")
    ax.set_xticks(range(len(columns)), columns, rotation=35, ha="right")
    ax.set_yticks(range(len(rows)), rows)
    ax.set_title(title)
    ax.grid(False)
    write_numbers(image, "{:+z.1f}".format)
    return ax


def bars_with_interval(
    table: pd.DataFrame, value: str, low: str, high: str, label: str, ax: Axes | None = None
) -> Axes:
    """One horizontal bar a row of `table`, its interval as a whisker; `label` names the value axis with its unit."""
    ax = ax or plt.subplots(figsize=(7.5, 0.9 + 0.42 * len(table)))[1]
    error = np.abs(table[[low, high]].to_numpy(dtype=float).T - table[value].to_numpy(dtype=float))
    ax.barh(table.index.astype(str), table[value], xerr=error, color=BLUE, ecolor=INK, capsize=3, height=0.6)
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
            arrowprops={"arrowstyle": "-|>", "color": NOTE},
        )
    ax.set(xlim=(-0.5, columns - 0.5), ylim=(-0.45, 1.45))
    ax.axis("off")
    return ax
