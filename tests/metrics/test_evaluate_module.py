import subprocess
import sys
import time
from pathlib import Path

import evaluate
import numpy as np
import pytest
from known_truths import emotions

from mise_hf.metrics.mise_quality.quality import quality

FOLDER = Path(__file__).parents[2] / "src" / "mise_hf" / "metrics" / "mise_quality"
RUN = """
import sys
sys.modules["mise_hf"] = None
import numpy as np, evaluate
rng = np.random.default_rng(0)
labels = rng.integers(3, size=90)
rows = rng.normal(size=(3, 8))[labels] * 2 + rng.normal(size=(90, 8))
metric = evaluate.load({folder!r})
fake = dict(predictions=rows[::-1] + 0.1, prediction_labels=labels[::-1])
found = metric.compute(**fake, references=rows, reference_labels=labels)
assert not any(name.split(".")[0] == "mise_hf" and module for name, module in sys.modules.items())
print(found["carried"], found["summary"])
"""


@pytest.fixture(scope="module")
def metric():
    return evaluate.load(str(FOLDER))


@pytest.fixture(scope="module")
def rows():
    labels, features, speakers = emotions(280, 12, seed=0)
    return {
        "predictions": features[:140],
        "prediction_labels": labels[:140],
        "references": features[140:],
        "reference_labels": labels[140:],
    }, speakers[140:]


def test_loads_from_an_empty_directory_without_mise_hf(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(folder=str(FOLDER))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Carries the emotion" in done.stdout


def test_every_sibling_is_named_in_the_script():
    script = (FOLDER / "mise_quality.py").read_text()
    siblings = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "mise_quality", "app"}
    assert {name for name in siblings if f"from .{name} import" not in script} == set()


def test_batches_and_arrays_and_the_function_agree(metric, rows):
    arrays, speakers = rows
    at_once = metric.compute(**arrays, groups=speakers, seed=3)
    for start in range(0, 140, 40):
        metric.add_batch(**{name: values[start : start + 40] for name, values in arrays.items()})
    assert metric.compute(groups=speakers, seed=3) == at_once
    plain = quality(
        arrays["predictions"], arrays["prediction_labels"], arrays["references"], arrays["reference_labels"],
        groups=speakers, seed=3,
    )  # fmt: skip
    assert plain == at_once
    assert all(isinstance(value, float) for name, value in at_once.items() if name != "summary")
    for words in ("emotion", "iverse", "aithful", "emorisation"):
        assert words in at_once["summary"]


def test_whole_number_labels_and_text(metric, rows):
    arrays, _ = rows
    _, codes = np.unique(np.concatenate([arrays["prediction_labels"], arrays["reference_labels"]]), return_inverse=True)
    numbered = {**arrays, "prediction_labels": codes[:140], "reference_labels": codes[140:]}
    text = np.random.default_rng(0).normal(size=(10, 16))[np.arange(140) % 10]
    found = metric.compute(**numbered, text=text, prediction_text=text)
    assert abs(found["text_information_real"]) < 0.2
    assert found["joint_information_real"] > 0.5
    for start in (0, 70):
        metric.add_batch(**{name: values[start : start + 70] for name, values in numbered.items()})
    assert metric.compute()["carried"] == found["carried"]


def test_training_rows_give_the_reference_and_memorisation(rows):
    arrays, speakers = rows
    labels, features, who = emotions(300, 12, seed=5)
    copied = quality(
        features[:140] + 1e-4, labels[:140], arrays["references"], arrays["reference_labels"], groups=speakers,
        training=features, training_labels=labels, training_groups=who,
    )  # fmt: skip
    assert copied["memorised"] > copied["memorised_null_95"]
    assert "MEMORISED" in copied["summary"]
    some = np.concatenate([features[:5], arrays["references"][5:] + 0.5])
    few = quality(
        some, labels[:140], arrays["references"], arrays["reference_labels"], training=features, training_labels=labels
    )
    assert few["identical_rows"] == 5 / 140 and "COPIED: 3.6%" in few["summary"]
    same = quality(arrays["references"], arrays["reference_labels"], arrays["references"], arrays["reference_labels"])
    assert "COPIED: 100.0%" in same["summary"]


def test_bad_calls_say_what_to_do(metric, rows):
    arrays, _ = rows
    with pytest.raises(ValueError, match=r"unknown options \['group'\]"):
        metric.compute(**arrays, group=[1] * 140)
    with pytest.raises(ValueError, match=r"missing inputs \['reference_labels'\]"):
        metric.compute(**{name: values for name, values in arrays.items() if name != "reference_labels"})
    with pytest.raises(ValueError, match=r"missing inputs \['prediction_labels', 'reference_labels'\]"):
        metric.add_batch(predictions=arrays["predictions"], references=arrays["references"])
    with pytest.raises(ValueError, match="nothing to score"):
        metric.compute()
    with pytest.raises(ValueError, match="NaN"):
        metric.compute(**{**arrays, "predictions": np.full((140, 12), np.nan)})


@pytest.mark.slow
def test_cost_against_the_plain_function(metric):
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=5000)
    means = rng.normal(size=(4, 768)) * 0.2
    real, fake = ((means[labels] + rng.normal(size=(5000, 768))).astype(np.float32) for _ in range(2))
    started = time.process_time()
    quality(fake, labels, real, labels)
    plain = time.process_time() - started
    started = time.process_time()
    metric.compute(predictions=fake, references=real, prediction_labels=labels, reference_labels=labels)
    at_once = time.process_time() - started
    started = time.process_time()
    for i in range(0, 5000, 500):
        part = slice(i, i + 500)
        metric.add_batch(
            predictions=fake[part], references=real[part], prediction_labels=labels[part], reference_labels=labels[part]
        )
    metric.compute()
    in_batches = time.process_time() - started
    assert at_once < 1.3 * plain
    assert in_batches < 1.3 * plain
