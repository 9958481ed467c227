import json
import math
from xml.etree import ElementTree

import numpy as np
from known_truths import two_classes

from mise_hf.metrics import Information, label_information
from mise_hf.metrics.mise_quality.drawing import Scores, bar


def information(**changes) -> Information:
    values = {
        "value": 0.5, "raw": 0.5, "stderr": 0.02, "interval": (0.4, 0.7), "null_mean": math.nan, "null_95": math.nan,
        "method": "a < b & c", "entropy": 1.1, "n": 90, "seconds": 0.1,
    }  # fmt: skip
    return Information(**{**values, **changes})


def test_an_estimate_draws_itself():
    page = information(flags=("too <few> rows",), null_mean=0.0, null_95=0.05)._repr_html_()
    ElementTree.fromstring(page)
    for words in ("0.500 nats", "0.400 to 0.700", "a &lt; b &amp; c", "too &lt;few&gt; rows", "95 % below 0.050"):
        assert words in page
    assert "bits" in information(base=2)._repr_html_()
    assert "null" not in information(method="x")._repr_html_().replace("null, 95", "")


def test_a_real_estimate_and_an_unknown_ceiling_draw():
    labels, features, _ = two_classes(2.0, 3, 60, seed=0)
    ElementTree.fromstring(label_information(labels, features)._repr_html_())
    ElementTree.fromstring(information(entropy=math.nan)._repr_html_())


def test_the_bar_keeps_its_proportions():
    drawn = ElementTree.fromstring(bar(1.0, 2.0, 4.0, {"top": 8.0, "none": math.nan}))
    interval = next(line for line in drawn.iter("line") if line.get("stroke-width"))
    low, high = float(interval.get("x1")), float(interval.get("x2"))
    dot = float(next(drawn.iter("circle")).get("cx"))
    assert np.isclose((dot - low) / (high - low), 1 / 3, atol=0.01)
    ElementTree.fromstring(bar(0.0, 0.0, 0.0, {}))


def test_scores_stay_a_plain_dict_and_draw():
    scores = Scores(carried=0.4, carried_low=0.3, carried_high=0.5, recall=0.9, summary="Carries <it>.")
    assert json.loads(json.dumps(scores)) == dict(scores)
    page = scores._repr_html_()
    ElementTree.fromstring(page)
    assert page.count("<svg") == 1 and "Carries &lt;it&gt;." in page and "0.9000" in page
