import pytest
import soundfile
from noise_clips import noise
from toy_encoders import save_bert, save_whisper

from mise_hf.corpora import read_corpus, write_prepared


@pytest.fixture(scope="session")
def whisper_dir(tmp_path_factory):
    """A Whisper of a few thousand random weights, saved with its preprocessor."""
    return save_whisper(tmp_path_factory.mktemp("encoders") / "tiny-whisper", layers=3)


@pytest.fixture(scope="session")
def bert_dir(tmp_path_factory):
    """A BERT of a few thousand random weights, saved with a tokenizer that knows a few letters."""
    return save_bert(tmp_path_factory.mktemp("encoders") / "tiny-bert", "abcde", seed=0)


@pytest.fixture
def make_corpus(tmp_path):
    """A function that prepares a manifest corpus of noise clips with the given durations, in seconds."""

    def make(durations, texts=True, audio=True, name="noise"):
        root = tmp_path / name
        root.mkdir()
        lines = ["id,path,label,speaker,text" if audio else "id,label,speaker,text"]
        for place, seconds in enumerate(durations):
            label, speaker = "xy"[place % 2], f"s{place % 3}"
            text = " ".join("abcde"[place % 5 : place % 5 + 1 + place % 3]) if texts else ""
            if audio:
                soundfile.write(root / f"{place:03d}.wav", noise(seconds, seed=place), 16000)
                lines.append(f"{place:03d},{place:03d}.wav,{label},{speaker},{text}")
            else:
                lines.append(f"{place:03d},{label},{speaker},{text}")
        (root / "list.csv").write_text("\n".join(lines) + "\n")
        write_prepared(read_corpus("manifest", root / "list.csv"), root / "prepared")
        return root / "prepared"

    return make
