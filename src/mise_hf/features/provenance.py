"""What a checkpoint records of the rows that it was trained on."""

from mise_hf.features.table import FeatureTable


def training_corpora(table: FeatureTable, licence: str) -> list[dict]:
    """What a checkpoint records of the rows it has seen, so that a benchmark can refuse an overlap."""
    return [
        {
            "name": table.corpus,
            "licence": licence,
            "speakers": sorted(map(str, set(table.speakers))),
            "utterances": len(table),
        }
    ]
