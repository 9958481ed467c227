"""`mise-hf quality` on tables in memory: what it refuses and what it scores. The arithmetic is tested elsewhere."""

import argparse
import json

import numpy as np
import pytest
from known_truths import emotions

from mise_hf import MiseAligner, MiseAlignerConfig, MiseGenerator, MiseGeneratorConfig
from mise_hf.features import FeatureTable
from mise_hf.metrics import command

COLUMNS = 8


def table_of(rows: int, seed: int, corpus: str = "toy") -> FeatureTable:
    names, features, speakers = emotions(rows, COLUMNS, seed)
    emotion, codes = np.unique(names, return_inverse=True)
    blank = np.array([""] * rows)
    return FeatureTable(
        audio_states=features[:, None], text_states=None, labels=codes.astype(np.int64), label_names=tuple(emotion),
        speakers=speakers, ids=np.array([f"{seed}-{i}" for i in range(rows)]), texts=blank, sessions=blank,
        corpus=corpus, audio_layers=(3,),
    )  # fmt: skip


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Feature folders `real` and `made`; `generator(...)` saves one that has heard the speakers given."""
    tables = {"real": table_of(240, 0), "made": table_of(150, 1)}
    for name in tables:
        (tmp_path / name).mkdir()
    monkeypatch.setattr(FeatureTable, "from_folder", classmethod(lambda cls, path: tables[str(path).split("/")[-1]]))
    names = dict(enumerate(tables["real"].label_names))

    def generator(speakers, state_size=COLUMNS):
        heard = None if speakers is None else [{"name": "toy", "licence": "x", "speakers": speakers, "utterances": 9}]
        config = MiseGeneratorConfig(
            feature_size=COLUMNS, noise_size=COLUMNS, state_size=state_size, state_layers=(3,) if state_size else None,
            space="encoder" if state_size else "aligned", id2label=names, training_corpora=heard,
        )  # fmt: skip
        MiseGenerator(config).save_pretrained(tmp_path / "generator")
        aligner = MiseAlignerConfig(
            audio_state_size=COLUMNS, text_state_size=0, audio_layers=(3,), projection_size=COLUMNS, id2label=names,
            training_corpora=heard,
        )  # fmt: skip
        MiseAligner(aligner).save_pretrained(tmp_path / "aligner")
        return tmp_path / "generator"

    return tmp_path, generator


def quality(*argv) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(word) for word in argv]))


def test_features_by_class_of_two_speakers(folders, capsys):
    folder, _ = folders
    real, made = folder / "real", folder / "made"
    assert quality("--real", real, "--synthetic", made, "--speakers", "s0,s1", "--by-class", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["speakers_held_out"] == 0.0
    assert 0 < found["carried"] < found["label_entropy"]
    assert np.isfinite(found["information_real"]) and found["information_real"] > -0.5
    assert set(found["by_class"]) <= set(table_of(9, 0).label_names) | {"anger", "fear", "sadness", "disgust"}


def test_a_generator_that_has_heard_the_real_speakers_is_refused(folders, capsys):
    folder, generator = folders
    real = folder / "real"
    made = generator(["s0", "s1", "s2"])
    with pytest.raises(ValueError, match=r"has heard the speakers \['s0', 's1', 's2'\] of toy; keep to s3,s4,"):
        quality("--real", real, "--synthetic", made)
    with pytest.raises(ValueError, match=r"has heard the speakers \['s1'\]"):
        quality("--real", real, "--synthetic", made, "--speakers", "s1,s5")
    with pytest.raises(ValueError, match=r"--speakers names \['s77'\], whom --real does not have"):
        quality("--real", real, "--synthetic", made, "--speakers", "s3,s77")
    assert quality("--real", real, "--synthetic", made, "--speakers", "s3,s4,s5,s6,s7,s8,s9") == 0
    assert "carried" in capsys.readouterr().out


def test_a_generator_that_does_not_say_whom_it_has_heard(folders, capsys):
    folder, generator = folders
    made = generator(None)
    with pytest.raises(ValueError, match="does not state its training corpora; name speakers"):
        quality("--real", folder / "real", "--synthetic", made)
    assert quality("--real", folder / "real", "--synthetic", made, "--speakers", "s3,s4,s5") == 0
    assert "rows_real" in capsys.readouterr().out


def test_embedded_features_by_name(capsys):
    words = ["--real", "emodb", "--speakers", "14,16", "--synthetic", "emodb", "--layer", "2", "--json"]
    assert quality(*words) == 0
    assert json.loads(capsys.readouterr().out)["rows_real"] == 140.0


def test_the_aligned_space_needs_its_aligner(folders, capsys):
    folder, generator = folders
    made, real = generator(["elsewhere"], state_size=0), folder / "real"
    with pytest.raises(ValueError, match="give the aligner with --aligner"):
        quality("--real", real, "--synthetic", made)
    assert quality("--real", real, "--synthetic", made, "--aligner", folder / "aligner", "--json") == 0
    assert json.loads(capsys.readouterr().out)["rows_real"] == 240.0
    with pytest.raises(ValueError, match="needs no --aligner"):
        quality("--real", real, "--synthetic", generator(["elsewhere"]), "--aligner", folder / "aligner")
    with pytest.raises(ValueError, match="goes with a generator"):
        quality("--real", real, "--synthetic", folder / "made", "--aligner", folder / "aligner")
    with pytest.raises(ValueError, match="is no folder"):
        quality("--real", folder / "nowhere", "--synthetic", made)
