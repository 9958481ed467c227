"""A matplotlib figure as inline SVG whose colours are those of the page, light or dark."""

import html
import io
import re
from collections.abc import Callable
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

# Okabe and Ito's eight hues, told apart by colour-blind readers; markers and labels differ as well. What is drawn in
# the n-th of these becomes `var(--hue-n)`, which the page sets darker on light paper and brighter on dark.
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#f0e442", "#787878")
MARKERS = "osD^vP*X"
# Axes and text: becomes `currentColor`.
INK = "#010203"
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "mise_hf",
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}


def render(name: str, label: str, draw: Callable[[], Figure]) -> str:
    """What `draw` draws, as one `<svg>` element.

    Args:
        name: unique on the page: begins every id inside.
        label: what a screen reader says in place of the picture.
        draw: makes the figure, in the style above.
    """
    with plt.rc_context(STYLE):
        figure = draw()
        out = io.StringIO()
        figure.savefig(out, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
        plt.close(figure)
    text = out.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'xlink:href="#', f'href="#{name}-', text).replace("url(#", f"url(#{name}-")
    text = re.sub(r'\s(xmlns(:\w+)?|version)="[^"]*"', "", text)
    text = text.replace(INK, "currentColor")
    for place, colour in enumerate(PALETTE):
        text = text.replace(colour, f"var(--hue-{place})")
    # A picture is one thing to a screen reader, not its hundred labels.
    return text.replace("<svg", f'<svg role="img" aria-label="{html.escape(label, quote=True)}"', 1).strip()
