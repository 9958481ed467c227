"""Lines of a text corpus, paired with sound made for them."""

from dataclasses import replace

import numpy as np
import pytest
from toy_corpus import make_table

from mise_hf.benchmark.modality import as_modality
from mise_hf.benchmark.pairs import PairedLines, lines_of
from mise_hf.benchmark.place import encoder_place

NAMES = make_table().label_names


def paired_place(table):
    both = as_modality(table, "both")
    held = both.select(np.arange(4))
    return encoder_place(both, held, both.audio_layers, licence="cc0-1.0", seed=0, steps=5)


def test_a_pair_holds_the_line_and_a_sound_of_its_emotion():
    table = make_table()
    lines = table.text_states[:, -1].astype(np.float32) + 1
    recipe = PairedLines(lines, np.array(NAMES)[table.labels], table.audio_states.shape[2])
    place = paired_place(table)
    wanted = np.arange(60) % len(NAMES)
    draw = recipe(place)
    made = draw(wanted, 1)
    assert made.shape == (60, place.features.shape[1]) and np.isfinite(made).all()
    assert np.array_equal(made, draw(wanted, 1)) and not np.array_equal(made, draw(wanted, 2))
    # As the head sees it: rows of an emotion lie nearest to the real rows of that emotion.
    centres = np.stack([place.features[table.labels == label].mean(0) for label in range(len(NAMES))])
    found = np.stack([made[wanted == label].mean(0) for label in range(len(NAMES))])
    found -= found.mean(0) - centres.mean(0)
    nearest = ((found[:, None] - centres) ** 2).sum(2).argmin(1)
    assert nearest.tolist() == list(range(len(NAMES)))


def test_an_emotion_without_a_line_is_named():
    table = make_table()
    recipe = PairedLines(
        table.text_states[:, -1].astype(np.float32), np.full(len(table), NAMES[0]), table.audio_states.shape[2]
    )
    with pytest.raises(ValueError, match="no line of"):
        recipe(paired_place(table))(np.arange(6) % len(NAMES), 0)


def test_lines_of_another_encoder_or_without_text_are_refused(tmp_path, monkeypatch):
    table = make_table()
    folder = str(tmp_path)
    given = {
        "mute": make_table(text=False),
        "other": replace(table, fingerprint={**table.fingerprint, "pooling": "max"}),
    }
    for name, message in (("mute", "no text_states"), ("other", "features made in two ways")):
        monkeypatch.setattr("mise_hf.benchmark.pairs.FeatureTable.from_folder", lambda _, name=name: given[name])
        with pytest.raises(ValueError, match=message):
            lines_of(folder, table)
    monkeypatch.setattr("mise_hf.benchmark.pairs.FeatureTable.from_folder", lambda _: table)
    assert lines_of(folder, table).audio_size == table.audio_states.shape[2]
