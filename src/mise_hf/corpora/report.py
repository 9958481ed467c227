"""What `mise-hf prepare` tells: labels and merges, what was dropped and why, what the guards found."""

from collections import defaultdict

from mise_hf.corpora.utterance import Corpus


def describe(corpus: Corpus) -> str:
    """`corpus` in a few lines."""
    merged: dict[str, list[str]] = defaultdict(list)
    for raw, name in corpus.label_map.items():
        merged[name].append(raw)
    hours = sum(seconds or 0.0 for seconds in corpus.durations) / 3600
    speakers = {row.speaker for row in corpus.utterances if row.speaker}
    lines = [f"{corpus.name}: {len(corpus)} utterances, {len(speakers)} speakers, {hours:.2f} h", "labels:"]
    lines += [
        f"  {name:<12} {count:>7}  from {' + '.join(sorted(merged[name]))}" for name, count in corpus.counts().items()
    ]
    lines.append(f"protocol: {corpus.protocol}")
    lines += [f"{name}: {value}" for name, value in corpus.details.items()]
    lines.append(f"dropped: {sum(corpus.dropped.values())}")
    lines += [f"  {count:>7}  {reason}" for reason, count in corpus.dropped.most_common()]
    lines += [f"note: {finding}" for finding in corpus.findings]
    if not speakers:
        lines.append("note: no utterance has a speaker, so none can be left out; name the column: --column speaker=WHO")
    return "\n".join(lines)
