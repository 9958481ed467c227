from pathlib import Path

import pytest

from mise_hf.corpora.guards import SHOWN, find_duplicates, find_shared_texts, require_disjoint
from mise_hf.corpora.utterance import Utterance


def utterance(name, audio=None, **fields):
    return Utterance(id=name, audio=audio, raw_label=fields.pop("raw_label", "x"), **fields)


def test_a_speaker_or_session_in_two_partitions_raises():
    rows = [utterance("1", speaker="ann", partition="train"), utterance("2", speaker="ann", partition="test")]
    with pytest.raises(ValueError, match=r"ann in test and train.*each speaker in one partition"):
        require_disjoint("c", rows)
    assert "not speaker-independent" in require_disjoint("c", rows, speakers_may_overlap=True)[0]
    rows = [utterance("1", session="d1", partition="train"), utterance("2", session="d1", partition="test")]
    with pytest.raises(ValueError, match=r"d1 in test and train.*each session"):
        require_disjoint("c", rows, speakers_may_overlap=True)


def test_unknown_speakers_and_rows_without_partition_are_no_leak():
    rows = [
        utterance("1", speaker="Unknown", partition="train"),
        utterance("2", speaker="Unknown", partition="test"),
        utterance("3", partition="train"),
        utterance("4", partition="test"),
        utterance("5", speaker="ann"),
        utterance("6", speaker="ann", partition="test"),
    ]
    assert require_disjoint("c", rows) == []


def files(folder: Path, **contents: bytes) -> dict[str, Path]:
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in contents}


def test_identical_audio_across_a_split_stays_on_one_side(tmp_path):
    paths = files(tmp_path, a=b"1234", b=b"1234", c=b"1234", d=b"4321")
    rows = [
        utterance("a", paths["a"], speaker="ann", partition="train"),
        utterance("b", paths["b"], speaker="bob", partition="test", raw_label="y"),
        utterance("c", paths["c"], speaker="ann", partition="train"),
        utterance("d", paths["d"], speaker="bob", partition="test"),
    ]
    found = find_duplicates(rows)
    assert found.redundant == {"b"}
    assert len(found.findings) == 2
    assert "b is byte-identical to a, and yet one is labelled 'x' and the other 'y'; it is dropped" in found.findings[0]
    assert "c is byte-identical to a; both are kept" in found.findings[1]


def test_many_duplicates_are_told_briefly(tmp_path):
    paths = files(tmp_path, **{f"f{place}": b"same" for place in range(SHOWN + 10)})
    found = find_duplicates([utterance(name, path, speaker=name) for name, path in paths.items()])
    assert len(found.redundant) == SHOWN + 9 and len(found.findings) == SHOWN + 1
    assert "and 9 more" in found.findings[-1]


def test_sentences_on_two_sides_are_counted():
    rows = [
        utterance("1", text="Kids are talking", fold="1"),
        utterance("2", text="kids are talking ", fold="2"),
        utterance("3", text="Dogs", fold="1"),
        utterance("4", text="", fold="2"),
    ]
    assert find_shared_texts(rows)[0].startswith("1 of 2 distinct sentences")
    assert find_shared_texts(rows[2:]) == []
