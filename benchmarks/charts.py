"""The charts of README.md and docs/performance.md, from results of solution.py.

    python benchmarks/solution.py --json benchmarks/results/solution.json
    python benchmarks/charts.py

Needs matplotlib and pillow.
"""

import io
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from fastgmm import GaussianMixture
from fastgmm.datasets import load_old_faithful
from fastgmm.plotting import plot_components

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks/results/solution.json"
IMAGES = ROOT / "docs/images"
LABELS = {
    "default": "fastgmm",
    "opt-ins": "fastgmm, sample start + L-BFGS",
    "scikit-learn": "scikit-learn",
    "oneDAL": "oneDAL",
}
COLORS = {"default": "#0072B2", "opt-ins": "#56B4E9", "scikit-learn": "#D55E00", "oneDAL": "#999999"}
SAME_SCORE = 0.02  # nats of a held-out row
# The cases of the picture in README.md.
README_CASES = ("size 1,000,000 x 8, full 8", "pixels 546,560 x 3, full 8", "size 100,000 x 64, full 16")


def main() -> None:
    cases = json.loads(RESULTS.read_text(encoding="utf-8"))["cases"]
    plt.rcParams |= {"savefig.facecolor": "white", "axes.spines.top": False, "axes.spines.right": False}
    draw_readme({name: cases[name] for name in README_CASES}, IMAGES / "readme.png")
    draw_solution(cases, IMAGES / "time_to_solution.png")


def draw_readme(cases: dict[str, dict], file: Path) -> None:
    """Components of a mixture beside the times of three fits."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.4), layout="constrained")
    X = load_old_faithful()
    plot_components(GaussianMixture(2, random_state=0).fit(X), X, ax=left)
    left.set(xlabel="eruption, minutes", ylabel="waiting time, minutes", title="Two kinds of eruptions of Old Faithful")
    draw_bars(right, cases, ("scikit-learn", "default"))
    right.set_xlim(0, 1.4 * right.get_xlim()[1])
    right.set(title="Time to fit a mixture", xlabel="seconds")
    right.legend(frameon=False, loc="lower right")
    save(figure, file)


def draw_solution(cases: dict[str, dict], file: Path) -> None:
    """The times of all cases and contestants."""
    figure, ax = plt.subplots(figsize=(8.0, 0.55 * len(cases) + 0.8), layout="constrained")
    draw_bars(ax, cases, ("oneDAL", "scikit-learn", "default", "opt-ins"))
    ax.set_xscale("log")
    ax.set_xlim(right=4 * ax.get_xlim()[1])
    ax.set_xlabel("seconds from array to fitted model (logarithmic)")
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=4, fontsize="small")
    save(figure, file)


def draw_bars(ax: Axes, cases: dict[str, dict], contestants: tuple[str, ...]) -> None:
    """A group of bars for each case, from the top down."""
    height = 0.8 / len(contestants)
    positions = -np.arange(len(cases), dtype=float)
    for i, who in enumerate(contestants):
        seconds = np.array([case[who].get("seconds", np.nan) for case in cases.values()])
        bars = ax.barh(positions - (i - (len(contestants) - 1) / 2) * height, seconds, height, color=COLORS[who])
        bars.set_label(LABELS[who])
        texts = [label(case, who) for case in cases.values()]
        ax.bar_label(bars, texts, padding=2, fontsize="x-small")
    ax.set_yticks(positions, [in_words(name) for name in cases])
    ax.margins(y=0.01)
    ax.tick_params(axis="y", length=0)


def save(figure: Figure, file: Path) -> None:
    """Save and close the figure, with 128 colors to keep the file small."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160)
    plt.close(figure)
    Image.open(buffer).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(file, optimize=True)


def label(case: dict[str, dict], who: str) -> str:
    """The seconds, with a star if the model is not as likely as scikit-learn's on held-out rows."""
    if "seconds" not in case[who]:
        return ""
    seconds = case[who]["seconds"]
    digits = f"{1e3 * seconds:.2g} ms" if seconds < 0.0995 else f"{seconds:.2g} s"
    text = f"{seconds:.0f} s" if seconds > 9.5 else digits
    is_same = abs(case[who]["score"] - case["scikit-learn"]["score"]) <= SAME_SCORE
    return text if is_same else f"{text} *"


def in_words(name: str) -> str:
    """'size 100,000 x 64, full 16' as '100,000 x 64, full, K = 16'."""
    rows, components = name.removeprefix("size ").rsplit(" ", 1)
    return f"{rows}, K = {components}".replace(" x ", " \N{MULTIPLICATION SIGN} ")


if __name__ == "__main__":
    main()
