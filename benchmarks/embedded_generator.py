"""The generator of EmoDB that the package carries: trained, measured, written to `src/mise_hf/data/emodb_generator`.

`python benchmarks/embedded_generator.py` (a minute on one core). Carried information and memorisation are measured on a
generator made in the same way without two speakers and without a quarter of the other rows.
"""

import json
from pathlib import Path

import numpy as np
import torch

from mise_hf.benchmark.measures import measure_memorisation
from mise_hf.benchmark.plain import project
from mise_hf.benchmark.sharing import train_shared
from mise_hf.features import FeatureTable, load_embedded
from mise_hf.features.provenance import training_corpora
from mise_hf.metrics.mise_quality.carried import carried_information
from mise_hf.pretrained import DATA, EMODB_GENERATOR
from mise_hf.training.arguments import GeneratorArguments
from mise_hf.training.rows import rows_in_encoder_space

# Three layers and 192 components: the whole file stays under 4 MB.
ARGUMENTS = GeneratorArguments(
    layers=[2, 3, 4], feature_size=192, speaker_noise_size=48, hidden_size=128, steps=500, licence="CC0-1.0"
)
UNHEARD = ("11", "13")


def measures(table: FeatureTable) -> dict:
    """Of the recipe, on rows that it has not seen."""
    unheard = np.isin(table.speakers, UNHEARD)
    heard, test = table.select(~unheard), table.select(unheard)
    kept = np.zeros(len(heard), dtype=bool)
    kept[np.random.default_rng(0).permutation(len(heard))[: 3 * len(heard) // 4]] = True
    train, withheld = heard.select(kept), heard.select(~kept)
    generator = train_shared(train, ARGUMENTS, licence=ARGUMENTS.licence)
    rows = rows_in_encoder_space(train, ARGUMENTS.layers, ARGUMENTS.feature_size)
    labels = np.arange(len(train)) % len(train.label_names)
    source = torch.Generator().manual_seed(0)
    made = generator.generate(torch.from_numpy(labels), generator=source).features.numpy()
    test_rows = project(rows, test.layer(ARGUMENTS.layers))
    reference = project(rows, withheld.layer(ARGUMENTS.layers))
    real = rows.features.numpy()
    arguments = (test_rows, test.labels, test.speakers)
    return {
        "carried_information": {
            "real": carried_information(real, train.labels, *arguments, seed=0).raw,
            "synthetic": carried_information(made, labels, *arguments, seed=0).raw,
        },
        "memorisation": measure_memorisation(made, real, train, reference, withheld),
    }


def main() -> None:
    """Train, measure, write."""
    table = load_embedded("emodb")
    generator = train_shared(table, ARGUMENTS, licence=ARGUMENTS.licence)
    out: Path = DATA / EMODB_GENERATOR
    generator.save_pretrained(out)
    for code in out.glob("*.py"):
        code.unlink()
    found = measures(table)
    found |= {
        "note": "measured on the same recipe without two speakers and a quarter of the other rows",
        "corpora": [{**corpus, "language": "de"} for corpus in training_corpora(table, ARGUMENTS.licence)],
        "training": {"steps": ARGUMENTS.steps, "seed": ARGUMENTS.seed},
    }
    (out / "results.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found["carried_information"]), json.dumps(found["memorisation"]))


if __name__ == "__main__":
    main()
