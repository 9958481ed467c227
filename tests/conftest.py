import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Corpora and encoders beside the repository. Without them a test skips, except in CI, where they must be there."""
    path = REPOSITORY.parent / "shared"
    if not path.is_dir():
        reason = "../shared, with the corpora and encoders, is not beside the repository"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@pytest.fixture(scope="session")
def clips_dir() -> Path:
    """Twenty clips of EmoDB that the repository carries."""
    return Path(__file__).parent / "data" / "emodb"
