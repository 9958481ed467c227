import pytest
from toy_encoders import save_whisper


@pytest.fixture(scope="session")
def small_whisper(tmp_path_factory):
    """A Whisper of a few thousand random weights, saved with its preprocessor."""
    return save_whisper(tmp_path_factory.mktemp("encoders") / "small-whisper", layers=2)
