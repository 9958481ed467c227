"""The metric as a Space: what arrives, and `evaluate.load` of it where mise_hf is not installed."""

import json

import numpy as np
from huggingface_hub import ModelCard
from isolated import environment_with, python
from test_publish import files_of, publish

from mise_hf.metrics.mise_quality.quality import quality

ROWS = """
import numpy as np
rng = np.random.default_rng(0)
labels = np.arange(80) % 2
speakers = np.arange(80) // 10
real = rng.normal(size=(80, 4)) + 3 * labels[:, None]
made = rng.normal(size=(80, 4)) + 3 * labels[:, None]
"""


def test_the_metric_goes_up_as_a_space_and_evaluate_loads_it_without_the_package(client, tmp_path, capsys):
    assert publish("mise_quality", "--repo", "org/mise_quality") == 0
    files = files_of(client, "spaces/org/mise_quality")
    assert {"README.md", "app.py", "requirements.txt", "mise_quality.py", "mise_manifest.json"} <= set(files)
    assert not any(name.endswith(".pyc") for name in files)
    assert ModelCard(files["README.md"].decode()).data.to_dict()["sdk"] == "gradio"
    capsys.readouterr()
    assert publish("--verify", "spaces/org/mise_quality") == 0
    assert f"{len(files) - 2} files, each as its manifest says" in capsys.readouterr().out
    code = (
        ROWS
        + """
import importlib.util, json
import evaluate
assert importlib.util.find_spec("mise_hf") is None
metric = evaluate.load("org/mise_quality")
found = metric.compute(predictions=made, references=real, prediction_labels=labels, reference_labels=labels,
                       groups=speakers, n_permutations=0)
print(json.dumps(found))
"""
    )
    interpreter = environment_with(tmp_path / "venv", "torch", "evaluate", "scikit-learn", "scipy", "threadpoolctl")
    done = python(code, client.url, tmp_path / "home", interpreter=interpreter)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    names: dict = {}
    exec(ROWS, names)  # the same rows here
    labels = names["labels"]
    expected = quality(names["made"], labels, names["real"], labels, groups=names["speakers"], n_permutations=0)
    assert set(found) == set(expected) and found["summary"] == expected["summary"]
    for name, value in expected.items():
        if isinstance(value, float):
            np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
