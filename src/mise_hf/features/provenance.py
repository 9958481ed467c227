"""What a checkpoint records of the rows that it was trained on."""

from collections.abc import Iterable
from typing import Any

from mise_hf.features.table import FeatureTable

UNSTATED = "unstated"


def corpus_record(name: str, licence: str, speakers: Iterable[str], utterances: int) -> dict[str, Any]:
    """What a checkpoint records of a corpus it has seen, so that a benchmark can refuse an overlap."""
    return {
        "name": name,
        "licence": licence,
        "speakers": sorted(set(map(str, speakers))),
        "utterances": utterances,
    }


def training_corpora(table: FeatureTable, licence: str) -> list[dict]:
    """The records of a table's rows."""
    return [corpus_record(table.corpus, licence, table.speakers, len(table))]


def heard_speakers(corpora: Iterable[dict], corpus: str, speakers: Iterable[str]) -> list[str]:
    """Those of the `speakers` of `corpus` that a checkpoint's records name, in order."""
    recorded = {
        str(speaker) for entry in corpora if entry.get("name") == corpus for speaker in entry.get("speakers") or ()
    }
    return sorted(recorded & set(map(str, speakers)))


def merged_corpora(corpora: list[dict]) -> list[dict]:
    """One entry a corpus and licence, with the speakers of all; a licence that is not stated joins one that is.

    Args:
        corpora: entries of `training_corpora`, of rows that were seen once each.
    """
    merged: list[dict] = []
    for corpus in sorted(corpora, key=lambda entry: entry.get("licence") == UNSTATED):
        wanted = corpus.get("licence")
        for entry in merged:
            if entry.get("name") == corpus.get("name") and wanted in (entry.get("licence"), UNSTATED):
                entry["speakers"] = sorted({*entry.get("speakers", ()), *corpus.get("speakers", ())})
                entry["utterances"] = entry.get("utterances", 0) + corpus.get("utterances", 0)
                break
        else:
            merged.append(dict(corpus))
    return merged
