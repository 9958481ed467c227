"""The tables of augmentation: a generator of one corpus in another, and in-corpus augmentation. Hours; resumable.

`python benchmarks/augmentation.py --emodb FEATURES --ravdess FEATURES --out DIR [--only NAME ...]` with feature folders
of `mise-hf extract --layers 1-4`. Writes `benchmarks/results/augmentation-NAME.md` for each study; then
`python benchmarks/targets.py --out DIR` makes one table of them.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from mise_hf.benchmark.adapted import WITH_PLAIN
from mise_hf.benchmark.figure import draw_study
from mise_hf.benchmark.foreign import GAUSSIAN, REAL, foreign_rows
from mise_hf.benchmark.plain import BEST, MEAN
from mise_hf.benchmark.re_estimated import OWN, OWN_GAUSSIAN
from mise_hf.benchmark.sharing import ROWS_OF_A_CLASS, shared_arguments, start_shared, train_shared
from mise_hf.benchmark.study import Plan, run_study
from mise_hf.benchmark.tables import as_markdown, chosen_ratios, contrast, foretelling, recall_of, study_table
from mise_hf.benchmark.unlabelled import SELF_TRAINED, WITH_UNLABELLED
from mise_hf.features import FeatureTable
from mise_hf.models.modeling_mise_generator import MiseGenerator

RESULTS = Path(__file__).parent / "results"
LICENCES = {"emodb": "CC0-1.0", "ravdess": "CC BY-NC-SA 4.0"}
LAYERS = (1, 2, 3, 4)
STEPS = 500
# MI weights of the generators; 0 is the same GAN without the term.
WEIGHTS = (0.1, 0.0, 0.3)
ADAPTED_GAUSSIAN = "source's Gaussian, adapted"


@dataclass(frozen=True)
class Study:
    """One table: target, shares, and the source whose generators are tried (None for in-corpus)."""

    target: str
    shares: tuple[float, ...]
    source: str | None = None
    minority: tuple[str, ...] = ()
    unlabelled: bool = False


STUDIES = {
    "emodb-from-ravdess": Study("emodb", (0.1, 0.3, 1.0), "ravdess"),
    "ravdess-from-emodb": Study("ravdess", (0.05,), "emodb"),
    "emodb": Study("emodb", (0.3, 1.0)),
    "ravdess": Study("ravdess", (0.2, 1.0)),
    "emodb-unlabelled": Study("emodb", (0.1, 0.3), "ravdess", unlabelled=True),
    "ravdess-unlabelled": Study("ravdess", (0.05, 0.2), "emodb", unlabelled=True),
    "emodb-rare-fear": Study("emodb", (1.0,), minority=("fear",)),
    "emodb-rare-fear-transfer": Study("emodb", (1.0,), "ravdess", minority=("fear",), unlabelled=True),
}


def main() -> None:
    """Run the studies asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--emodb", type=Path, required=True)
    parser.add_argument("--ravdess", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="cells of the studies")
    parser.add_argument("--only", nargs="+", choices=tuple(STUDIES), default=tuple(STUDIES))
    parser.add_argument("--shares", nargs="+", type=float, help="these shares only")
    parser.add_argument("--draws", type=int, default=3, help="draws of the training clips")
    parser.add_argument("--generators", type=int, default=10, help="generator seeds for each MI weight")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    tables = {name: FeatureTable.from_folder(getattr(args, name)) for name in LICENCES}
    for name in args.only:
        study = STUDIES[name]
        if args.shares:
            study = replace(study, shares=tuple(args.shares))
        text = run(name, study, tables, args)
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"augmentation-{name}.md").write_text(text, encoding="utf-8")
        print(text, flush=True)


def run(name: str, study: Study, tables: dict[str, FeatureTable], args: argparse.Namespace) -> str:
    """Run one study; returns its page."""
    target = tables[study.target]
    generators, controls = {}, []
    if study.source is not None:
        generators = source_generators(study.source, tables[study.source], args)
        controls = foreign_rows(tables[study.source], generators[ADAPTED_GAUSSIAN], ROWS_OF_A_CLASS, seed=0)
    if study.unlabelled:
        generators = {
            name: generators[name] for name in (ADAPTED_GAUSSIAN, *(generator_name(w, 0) for w in WEIGHTS[:2]))
        }
        controls = []
    plan = Plan(
        shares=study.shares,
        seeds=tuple(range(args.draws)),
        in_corpus=study.source is None,
        steps=STEPS,
        minority=study.minority,
        licence=LICENCES[study.target],
        unlabelled=study.unlabelled,
        # The pages give the measures of transferred generators alone: the others' would cost most of the time.
        measure=False,
    )
    frame, records = run_study(
        target, plan, args.out / name, generators=generators, controls=controls, workers=args.workers
    )
    lines = [
        f"# {name}",
        "",
        f"Target {study.target}, speaker-independent folds (5), draws of the training clips: {args.draws}. Command:",
        f"`python benchmarks/augmentation.py --emodb FEATURES --ravdess FEATURES --out DIR --only {name} --shares "
        f"{' '.join(f'{share:g}' for share in study.shares)} --draws {args.draws} --generators {args.generators}`",
        "",
        "Best plain: shrinkage LDA, logistic regression or MLP, and the encoder layers, chosen inside by log loss.",
        "p: predictions swapped speaker by speaker, all draws and generator seeds together. Holm: over the table.",
    ]
    drawn: dict[str, pd.DataFrame] = {}
    for share in study.shares:
        part = frame[frame["share"] == share]
        said = [record for record in records if record["share"] == share]
        lines += ["", f"## {share:.0%} of the training clips", ""]
        foreign = study.source is not None and not study.unlabelled
        drawn[f"{share:g}"] = study_table(repeated(part, args.generators) if foreign else part, BEST)
        lines += [as_markdown(drawn[f"{share:g}"]), ""]
        if study.unlabelled:
            lines += unlabelled_contrasts(part)
        else:
            lines += contrasts(part, said, args.generators) if foreign else own_contrasts(part) + chosen_ratios(said)
        for emotion in study.minority:
            label = target.label_names.index(emotion)
            lines += ["", f"Recall of {emotion}, cut to {plan.minority_share:.0%}:", ""]
            lines += [
                f"- {method}: {100 * recall_of(part, method, label):.1f}" for method in dict.fromkeys(part["method"])
            ]
    RESULTS.mkdir(exist_ok=True)
    draw_study(drawn, BEST, f"{name}: {study.target}, speaker folds", RESULTS, f"augmentation-{name}")
    return "\n".join(lines) + "\n"


def unlabelled_contrasts(frame: pd.DataFrame) -> list[str]:
    """Each method with unlabelled clips against itself without, and against self-training."""
    lines = []
    for method in dict.fromkeys(frame["method"]):
        if method.endswith(WITH_UNLABELLED):
            for other in (method.removesuffix(WITH_UNLABELLED), SELF_TRAINED):
                found = contrast(frame, [method], [other])
                lines.append(f"- {method}, less {other}: {100 * found['difference']:+.2f}, p = {found['p']:.2g}")
    return lines


def own_contrasts(frame: pd.DataFrame) -> list[str]:
    """The re-estimated generator, alone and beside the best plain classifier, against what it must beat."""
    lines = []
    for first in (OWN, OWN + WITH_PLAIN):
        for second in (MEAN, "SMOTE", "mixup", "class Gaussian", first.replace(OWN, OWN_GAUSSIAN)):
            found = contrast(frame, [first], [second])
            lines.append(f"- {first}, less {second}: {100 * found['difference']:+.2f}, p = {found['p']:.2g}")
    return lines


def generator_name(weight: float, seed: int) -> str:
    """Of the method."""
    return f"MISE (MI {weight:g}), seed {seed}"


def source_generators(name: str, table: FeatureTable, args: argparse.Namespace) -> dict[str, MiseGenerator]:
    """The source's Gaussian as an untrained generator, and trained ones; kept in the folder of the studies."""
    start = start_shared(table, shared_arguments(LAYERS, seed=0, steps=STEPS), licence=LICENCES[name])
    found = {ADAPTED_GAUSSIAN: start}
    for weight in WEIGHTS:
        for seed in range(args.generators):
            folder = args.out / "generators" / f"{name}-mi{weight:g}-seed{seed}"
            if not (folder / "model.safetensors").is_file():
                chosen = shared_arguments(LAYERS, seed=seed, steps=STEPS, mi_weight=weight)
                train_shared(table, chosen, licence=LICENCES[name]).save_pretrained(folder)
            found[generator_name(weight, seed)] = MiseGenerator.from_pretrained(folder)
    return found


def generator_groups(seeds: int) -> dict[float, list[str]]:
    """MI weight -> the names of its generators."""
    return {weight: [generator_name(weight, seed) for seed in range(seeds)] for weight in WEIGHTS}


def repeated(frame: pd.DataFrame, seeds: int) -> pd.DataFrame:
    """Predictions with the generators of one MI weight as one method, their seeds as draws."""
    groups = generator_groups(seeds)
    names, number = {}, {}
    for suffix in ("", WITH_PLAIN):
        for weight, methods in groups.items():
            for place, method in enumerate(methods):
                # A generator seed is a further draw: (draw, generator seed) numbers the repetitions of one method.
                number[method + suffix] = place
                names[method + suffix] = f"MISE (MI {weight:g}), adapted{suffix}"
    trained = frame["method"].isin(list(names))
    renamed = frame.copy()
    renamed["seed"] = frame["seed"] * seeds + frame["method"].map(number).fillna(0).astype(int)
    renamed["method"] = frame["method"].map(names).fillna(frame["method"])
    others = [renamed[~trained].assign(seed=frame.loc[~trained, "seed"] * seeds + place) for place in range(seeds)]
    return pd.concat([*others, renamed[trained]], ignore_index=True)


def contrasts(frame: pd.DataFrame, records: list[dict], seeds: int) -> list[str]:
    """The generators against what they must beat, and what foretells a generator's UAR."""
    groups, lines = generator_groups(seeds), []
    main_group = groups[WEIGHTS[0]]
    for title, second in [
        (ADAPTED_GAUSSIAN, [ADAPTED_GAUSSIAN]),
        (GAUSSIAN + " beside the target's rows", [GAUSSIAN]),
        (REAL + " beside the target's rows", [REAL]),
        ("the same GAN with MI weight 0, adapted", groups[0.0]),
        (MEAN, [MEAN]),
    ]:
        found = contrast(frame, main_group, second)
        lines.append(
            f"- MISE (MI {WEIGHTS[0]:g}), adapted, less {title}: {100 * found['difference']:+.2f}, "
            f"p = {found['p']:.2g} ({seeds} generator seeds, conditional on the folds)"
        )
    for measure, found in foretelling(frame, records, [name for group in groups.values() for name in group]).items():
        lines.append(
            f"- {measure.replace('_', ' ')} of the adapted rows against UAR over {found['generators']} generators: "
            f"rho {found['rho']:+.2f}, p = {found['p']:.2g}"
        )
    chosen = [str(record["choices"][BEST]) for record in records]
    best = max(set(chosen), key=chosen.count)
    lines.append(f"- best plain, chosen most often: {best} ({chosen.count(best)} of {len(chosen)} cells)")
    return lines


if __name__ == "__main__":
    main()
