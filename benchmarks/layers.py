"""Unweighted average recall of a linear classifier on each layer, on speakers that it has not heard.

    python benchmarks/layers.py features/emodb --layers 3
    python benchmarks/layers.py emodb

Logistic regression (C = 0.01) on standardised states, five folds of speakers (scikit-learn's GroupKFold), all
predictions scored together: the figure that tells whether features carry the emotion, and which layer to take.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mise_hf.features import FeatureTable, load_embedded
from mise_hf.features.command import parse_layers
from mise_hf.features.embedded import EMBEDDED

FOLDS = 5


def grouped_uar(table: FeatureTable, layer: int) -> float:
    """Unweighted average recall, 0 to 1, on unseen speakers.

    Raises:
        ValueError: for a layer that is not in the table, or fewer speakers than folds.
    """
    speakers = len(np.unique(table.speakers))
    if speakers < FOLDS:
        raise ValueError(f"{table.corpus} has {speakers} speakers; wanted at least {FOLDS}, one for each fold")
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    states = table.layer(layer)
    predicted = cross_val_predict(classifier, states, table.labels, groups=table.speakers, cv=GroupKFold(FOLDS))
    return float(balanced_accuracy_score(table.labels, predicted))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", help=f"a folder of `mise-hf extract`, or {', '.join(EMBEDDED)} (embedded)")
    parser.add_argument("--layers", help="e.g. 3 or 1-4 (default: all of them)")
    args = parser.parse_args()
    try:
        named = args.features in EMBEDDED and not Path(args.features).exists()
        table = load_embedded(args.features) if named else FeatureTable.from_folder(args.features)
        print(f"{table.corpus}: {len(table)} utterances, {len(np.unique(table.speakers))} speakers")
        print("layer    UAR")
        for layer in parse_layers(args.layers) or table.audio_layers:
            print(f"{layer:>5}  {grouped_uar(table, layer):.4f}", flush=True)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
