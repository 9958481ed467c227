"""`mise-hf publish --verify` of models, features and the metric: what is whole, changed, missing, or not ours."""

import pytest
from loopback import Repo
from test_publish import publish

from mise_hf.cli import main

PUBLISHED = {
    "org/ser": "models/org/ser",
    "datasets/org/rows": "datasets/org/rows",
    "spaces/org/metric": "spaces/org/metric",
}


@pytest.fixture
def published(client, run_folder):
    assert publish(run_folder / "ser", "--repo", "org/ser", "--redistribution", "yes", "--revision", "v1") == 0
    assert publish(run_folder / "ser", "--repo", "org/ser", "--redistribution", "yes") == 0
    assert publish("emodb", "--repo", "org/rows", "--redistribution", "yes") == 0
    assert publish("mise_quality", "--repo", "org/metric") == 0
    return client


def test_what_is_whole_is_said_to_be_and_what_is_not_is_named(published, capsys):
    capsys.readouterr()
    for name, place in PUBLISHED.items():
        repo = published.repos[place]
        files = dict(repo.files("main")[1])
        assert main(["publish", "--verify", name]) == 0
        assert f"{name}: {len(files) - 2} files, each as its manifest says" in capsys.readouterr().out
        spoilt = next(file for file in sorted(files) if file.endswith((".safetensors", ".parquet", "app.py")))
        for changed, said in (
            (files | {spoilt: files[spoilt] + b" "}, f"{spoilt} has another SHA-256"),
            ({file: data for file, data in files.items() if file != spoilt}, f"{spoilt} is missing"),
            (files | {"evil.py": b""}, "evil.py is not listed"),
        ):
            repo.commit("main", changed)
            assert main(["publish", "--verify", name]) == 1
            assert said in capsys.readouterr().err
    assert main(["publish", "--verify", "models/org/ser", "--revision", "v1"]) == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [("org/nowhere", "org/nowhere"), ("spaces/org/ser", "org/ser"), ("things/org/ser", "wanted ORG/NAME"),
     ("datasets/nameless", "wanted ORG/NAME")],
)  # fmt: skip
def test_what_is_not_there_is_said_in_one_line(client, run_folder, capsys, name, said):
    assert publish(run_folder / "ser", "--repo", "org/ser", "--redistribution", "yes") == 0
    assert main(["publish", "--verify", name]) == 1
    assert said in capsys.readouterr().err


def test_a_repository_without_manifest_is_nobodys_word(client, capsys):
    client.repos["models/org/other"] = repo = Repo(private=False)
    repo.commit("main", {"config.json": b"{}"})
    assert main(["publish", "--verify", "org/other"]) == 1
    assert "wanted a revision that `mise-hf publish` made" in capsys.readouterr().err
