"""`mise-hf publish` and `push_to_hub` through the real client: what arrives, and what is refused."""

import argparse
import json
import re
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import HfApi, ModelCard
from isolated import CLIPS, mise_hf, python
from loopback import WRITER

from mise_hf import MiseAligner, MiseForAudioClassification, MiseGenerator
from mise_hf.corpora import read_corpus, write_prepared
from mise_hf.features.encoders import load_audio_encoder
from mise_hf.features.extraction import extract
from mise_hf.hub.checks import check_card, verify_repo
from mise_hf.hub.command import add_arguments, run

EVERYWHERE = {"config.json", "model.safetensors", "README.md", "results.json", "training_config.json",
              "mise_manifest.json", "configuration_mise.py"}  # fmt: skip


def publish(*arguments: str) -> int:
    """The command in this process; the `client` fixture says which Hub."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args([str(argument) for argument in arguments]))


def files_of(hub, name: str, revision: str = "main") -> dict[str, bytes]:
    return hub.repos[name].files(revision)[1]


def change_results(source, target, **entries):
    """A copy of the run with other results."""
    shutil.copytree(source, target)
    results = json.loads((target / "results.json").read_text())
    (target / "results.json").write_text(json.dumps(results | entries))
    return target


def test_a_run_arrives_whole_and_no_token_leaks(hub, run_folder, tmp_path):
    out = tmp_path / "kept"
    done = mise_hf(
        [str(run_folder), "--repo", "org/mise", "--redistribution", "yes", "--out", str(out)],
        hub.url, tmp_path / "home", WRITER, HF_DEBUG="1", HF_HUB_VERBOSITY="debug", TRANSFORMERS_VERBOSITY="debug",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    token = WRITER.encode()
    assert token not in done.stdout.encode() + done.stderr.encode()
    for kind, code in (("aligner", "modeling_mise_aligner"), ("generator", "space_mise"), ("ser", "pooling_mise")):
        files = files_of(hub, f"models/org/mise-{kind}")
        assert set(files) >= EVERYWHERE | {f"{code}.py"}
        assert not any(token in data for data in files.values())
        assert files["model.safetensors"] == (out / kind / "model.safetensors").read_bytes()
        check_card(files["README.md"].decode())
    assert any(method == "PUT" and path.startswith("/lfs/") for method, path in hub.requests)
    measured = json.loads((run_folder / "results.json").read_text())
    card = files_of(hub, "models/org/mise-ser")["README.md"].decode()
    assert f"{measured['uar']['logistic regression']['mean']:.3f}" in card
    assert f"{measured['mutual_information']['synthetic']['value']:.3f}" in card
    data = ModelCard(card).data
    assert data.eval_results[0].metric_value == pytest.approx(measured["uar"]["logistic regression"]["mean"], abs=1e-4)
    assert data.pipeline_tag is None


def test_publishing_again_replaces_what_is_there_and_nothing_changes_without_a_change(client, run_folder):
    arguments = [run_folder / "generator", "--repo", "org/gen", "--redistribution", "yes"]
    assert publish(*arguments) == 0
    api = HfApi(endpoint=client.url)
    api.upload_file(path_or_fileobj=b"stale", path_in_repo="stale.txt", repo_id="org/gen")
    before = client.repos["models/org/gen"].branches["main"]
    assert publish(*arguments) == 0
    after = client.repos["models/org/gen"].branches["main"]
    assert after != before and "stale.txt" not in files_of(client, "models/org/gen")
    assert publish(*arguments) == 0
    assert client.repos["models/org/gen"].branches["main"] == after
    assert verify_repo("org/gen") == len(files_of(client, "models/org/gen")) - 2


def test_branch_private_and_dry_run(client, run_folder, capsys):
    arguments = [run_folder / "ser", "--repo", "org/ser", "--redistribution", "non-commercial"]
    assert publish(*arguments, "--dry-run") == 0
    assert "nothing was sent" in capsys.readouterr().out and not client.requests
    assert publish(*arguments, "--private", "--revision", "v2") == 0
    repo = client.repos["models/org/ser"]
    assert repo.private and set(files_of(client, "models/org/ser")) == {".gitattributes"}
    assert set(files_of(client, "models/org/ser", "v2")) >= EVERYWHERE
    assert "non-commercial purposes only" in files_of(client, "models/org/ser", "v2")["README.md"].decode()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "wanted --redistribution yes | non-commercial | no"),
        (["--redistribution", "maybe"], "redistribution is 'maybe'"),
        (["--redistribution", "no"], "wanted --private"),
        (["--redistribution", "yes", "--repo", "nameless"], "wanted ORG/NAME"),
        (["--redistribution", "yes", "--repo", "org/../../etc"], "wanted ORG/NAME"),
        (["--redistribution", "yes", "--audio-encoder", "x/y"], "--audio-encoder is given for a generator"),
        (["--redistribution", "yes", "--text-encoder", "x/y"], "--text-encoder is given for generator"),
    ],
)
def test_refused_before_the_network(client, run_folder, flags, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        publish(run_folder / "generator", "--repo", "org/gen", *flags)
    assert not client.requests


@pytest.mark.parametrize(
    ("entries", "said", "card"),
    [
        (
            {"memorisation": {"share": 0.4, "null_95": 0.1}},
            "this generator memorises: 40.0%",
            "generator memorises.** 40",
        ),
        ({"memorisation": None}, "holds no memorisation", "**Not measured.**"),
    ],
)
def test_a_generator_that_memorises_is_refused_unless_allowed(client, run_folder, tmp_path, entries, said, card):
    run = change_results(run_folder, tmp_path / "run", **entries)
    arguments = [run / "generator", "--repo", "org/gen", "--redistribution", "yes"]
    with pytest.raises(ValueError, match=said):
        publish(*arguments)
    assert not client.requests
    assert publish(*arguments, "--allow-memorised") == 0
    made = files_of(client, "models/org/gen")["README.md"].decode()
    assert card in made
    assert ("memorised-training-rows" in ModelCard(made).data.tags) == (entries["memorisation"] is not None)


def test_corpora_must_be_named_and_their_licences_settle_that_of_the_weights(client, run_folder, tmp_path):
    def arguments(run):
        return [run / "ser", "--repo", "org/ser", "--redistribution", "yes"]

    two = [
        {"name": "A", "licence": "CC0-1.0", "utterances": 1, "speakers": 1},
        {"name": "B", "licence": "End User Licence", "utterances": 1, "speakers": 1},
    ]
    for index, (corpora, said) in enumerate(
        ((two, "do not settle"), ([], "one entry for each corpus"), ([{"name": "A"}], "a mapping with name, licence"))
    ):
        run = change_results(run_folder, tmp_path / f"run{index}", corpora=corpora)
        with pytest.raises(ValueError, match=said):
            publish(*arguments(run))
    assert publish(*arguments(tmp_path / "run0"), "--licence", "other") == 0
    assert ModelCard(files_of(client, "models/org/ser")["README.md"].decode()).data.license_name
    bare = tmp_path / "bare" / "ser"
    shutil.copytree(run_folder / "ser", bare)
    with pytest.raises(ValueError, match="wanted a finished run, or push_to_hub"):
        publish(bare, "--repo", "org/bare", "--redistribution", "yes")


def test_what_must_not_travel_is_refused(client, run_folder, tmp_path):
    run = change_results(run_folder, tmp_path / "run", training={"data": str(tmp_path / "corpus")})
    with pytest.raises(ValueError, match=r"training_config.json holds the local path"):
        publish(run / "ser", "--repo", "org/ser", "--redistribution", "yes")
    run = change_results(run_folder, tmp_path / "run2", training={"token": WRITER})
    with pytest.raises(ValueError, match="access token") as caught:
        publish(run / "ser", "--repo", "org/ser", "--redistribution", "yes")
    assert WRITER not in str(caught.value)
    assert not client.requests


MODELS = {"generator": MiseGenerator, "ser": MiseForAudioClassification, "aligner": MiseAligner}


@pytest.mark.parametrize("kind", list(MODELS))
def test_push_to_hub_alone_is_marked_unmeasured_even_over_a_measured_card(client, run_folder, kind):
    assert publish(run_folder / kind, "--repo", "org/measured", "--redistribution", "yes") == 0
    assert "unmeasured" not in files_of(client, "models/org/measured")["README.md"].decode()
    model = MODELS[kind].from_pretrained(run_folder / kind)
    model.push_to_hub("org/measured")
    model.push_to_hub("org/new", private=True)
    for name in ("models/org/measured", "models/org/new"):
        files = files_of(client, name)
        card = files["README.md"].decode()
        assert "unmeasured, source licence not stated" in card
        assert "unmeasured" in ModelCard(card).data.tags and ModelCard(card).data.license == "unknown"
        check_card(card)
        assert {"config.json", "model.safetensors", f"modeling_mise_{kind}.py"} <= set(files)
    with pytest.raises(ValueError, match=r"README.md has another SHA-256"):
        verify_repo("org/measured")


def test_features_dataset_goes_up_and_comes_back_equal(hub, tmp_path):
    done = mise_hf(
        ["emodb", "--repo", "org/emodb-features", "--redistribution", "yes"], hub.url, tmp_path / "up", WRITER
    )
    assert done.returncode == 0, done.stderr
    card = files_of(hub, "datasets/org/emodb-features")["README.md"].decode()
    check_card(card)
    assert "| EmoDB | cc0-1.0 | 535 | 10 |" in card
    code = """
import numpy as np
from datasets import load_dataset
from mise_hf.features.embedded import load_embedded
from mise_hf.features.table import FeatureTable
there = FeatureTable.from_dataset(load_dataset("org/emodb-features", split="train"))
here = load_embedded("emodb")
for name in ("audio_states", "text_states", "labels", "speakers", "ids", "texts"):
    assert np.array_equal(getattr(there, name), getattr(here, name)), name
assert there.fingerprint == here.fingerprint and there.label_names == here.label_names
print("equal")
"""
    done = python(code, hub.url, tmp_path / "down")
    assert done.stdout.endswith("equal\n"), done.stderr[-2000:]


def test_an_extracted_feature_folder_goes_up_without_traces_of_this_machine(client, tiny_encoder, tmp_path):
    corpus = tmp_path / "corpus"
    shutil.copytree(CLIPS, corpus)
    (corpus / "13a07Wa.flac").write_bytes(b"no audio")
    write_prepared(read_corpus("emodb", corpus), tmp_path / "prepared")
    features = tmp_path / "features"
    result = extract(tmp_path / "prepared", features, load_audio_encoder(str(tiny_encoder), [1]), None, progress=False)
    assert len(result.rejected) == 1
    arguments = [features, "--repo", "org/rows", "--redistribution", "yes"]
    with pytest.raises(ValueError, match="--corpus-licence is missing"):
        publish(*arguments)
    assert publish(*arguments, "--corpus-licence", "cc0-1.0") == 0
    files = files_of(client, "datasets/org/rows")
    assert not any(str(tmp_path).encode() in data for data in files.values())
    assert {name.split("/")[0] for name in files} == {".gitattributes", "README.md", "data", "mise_manifest.json"}
    rows = pq.read_table(pa.BufferReader(next(data for name, data in files.items() if name.endswith(".parquet"))))
    assert rows.num_rows == 20
