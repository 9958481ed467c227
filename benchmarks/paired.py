"""Audio and text: what do lines of a text corpus add to a head that hears and reads? On semi-synthetic pairs. Hours.

`python benchmarks/paired.py --features FEATURES --lines TEXT_FEATURES --out DIR [--shares 0.1 0.3] [--draws 2]`

SEMI-SYNTHETIC: each real clip gets a real line of another corpus with the same emotion, no line twice, so lines are
split as speakers are. Given the emotion, sound and words are independent: I(h; t | c) = 0 by construction (the page
says what is estimated), and text can add nothing to the sound but the emotion. It is the mechanism that is measured,
not what real speech would give. Emotions without lines are dropped. Lines that no clip got are the text corpus. On a
corpus with real pairs, `mise-hf benchmark FEATURES --modality both [--lines TEXT_FEATURES]` asks the same of its own
transcripts.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from mise_hf.benchmark.pairs import PAIRED, PairedLines
from mise_hf.benchmark.plain import BEST
from mise_hf.benchmark.study import Plan, run_study
from mise_hf.benchmark.tables import as_markdown, contrast, study_table
from mise_hf.features import FeatureTable
from mise_hf.metrics.mise_quality.information import joint_information, label_information

RESULTS = Path(__file__).parent / "results"
METHODS = ("class Gaussian", "SMOTE", "mixup", "MISE in the encoder space")
# Principal components in the check that text adds nothing.
CHECKED = 16


def pair(table: FeatureTable, lines: FeatureTable, seed: int) -> tuple[FeatureTable, FeatureTable]:
    """The clips of emotions that have lines, each with a line; and the lines that are left."""
    shared = [name for name in table.label_names if name in lines.label_names]
    rng = np.random.default_rng(seed)
    _, first = np.unique(lines.texts, return_index=True)
    free = np.zeros(len(lines), dtype=bool)
    free[first] = True
    rows, chosen = [], []
    for name in shared:
        clips = np.flatnonzero(table.labels == table.label_names.index(name))
        pool = np.flatnonzero(free & (lines.labels == lines.label_names.index(name)))
        picked = rng.permutation(pool)[: len(clips)]
        if len(picked) < len(clips):
            raise ValueError(f"{len(pool)} lines of {name} for {len(clips)} clips; wanted one for each clip")
        free[picked] = False
        rows.append(clips)
        chosen.append(picked)
    kept, of_lines = np.concatenate(rows), np.concatenate(chosen)
    numbers = {table.label_names.index(name): place for place, name in enumerate(shared)}
    clips = table.select(kept)
    paired = replace(
        clips,
        labels=np.array([numbers[label] for label in clips.labels], dtype=np.int64),
        label_names=tuple(shared),
        text_states=lines.text_states[of_lines],
        text_layers=lines.text_layers,
        texts=lines.texts[of_lines],
        corpus=f"{table.corpus} with lines of {lines.corpus} (semi-synthetic)",
    )
    order = np.argsort(kept)
    return paired.select(order), lines.select(free)


def added_by_text(table: FeatureTable, seed: int) -> float:
    """I(h; t | c) = I((c, t); h) - I(c; h) of leading components, nats; 0 by construction."""
    states, words = table.layer(table.audio_layers[-1]), table.text_states[:, -1].astype(np.float32)
    sound, text = (components(values) for values in (states, words))
    both = joint_information(table.labels, text, sound, seed=seed).raw
    return both - label_information(table.labels, sound, seed=seed).raw


def components(values: np.ndarray) -> np.ndarray:
    """The leading principal components of standardised rows."""
    standard = (values - values.mean(0)) / values.std(0).clip(1e-6)
    return standard @ np.linalg.svd(standard, full_matrices=False)[2][:CHECKED].T


def main() -> None:
    """Run the three modalities and print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--lines", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shares", nargs="+", type=float, default=[0.1, 0.3])
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    table, left = pair(FeatureTable.from_folder(args.features), FeatureTable.from_folder(args.lines), seed=0)
    emotions = np.array(left.label_names)[left.labels]
    recipe = PairedLines(left.text_states[:, -1].astype(np.float32), emotions, table.audio_states.shape[2])
    lines = [f"# {table.corpus}", "", f"{len(table)} pairs, {len(left)} further lines; I(h; t | c) estimated: "]
    lines[-1] += f"{added_by_text(table, 0):+.3f} nats (0 by construction)."
    given = {"shares": tuple(args.shares), "seeds": tuple(range(args.draws)), "steps": args.steps, "measure": False}
    frames = {}
    for modality in ("audio", "text", "both"):
        # Alone, a modality is there to compare with: its plain classifier says what it knows.
        plan = Plan(modality=modality, methods=METHODS if modality == "both" else METHODS[:1], **given)
        planted = {PAIRED: recipe} if modality == "both" else None
        source = replace(table, text_states=None, text_layers=()) if modality == "audio" else table
        frames[modality], _ = run_study(source, plan, args.out / modality, workers=args.workers, planted=planted)
    for share in args.shares:
        for modality, frame in frames.items():
            part = frame[frame["share"] == share]
            lines += ["", f"## {share:.0%} of the training clips, {modality}", "", as_markdown(study_table(part, BEST))]
            for control in METHODS[:3] if modality == "both" else ():
                found = contrast(part, [PAIRED], [control])
                lines.append(f"- paired less {control}: {100 * found['difference']:+.2f}, p = {found['p']:.2g}")
    text = "\n".join(lines) + "\n"
    (RESULTS / f"paired-{table.corpus.split(' ')[0]}.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
