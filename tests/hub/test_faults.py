"""Faults on the way up: nothing is half-published, and the message says what to do."""

import pytest
from loopback import READER, WRITER, Fault
from test_publish import files_of

from mise_hf.hub.publish import TRIES, PublishError, publish
from mise_hf.hub.results import read_results
from mise_hf.hub.staging import Statement, stage_model

NAME = "models/org/gen"


@pytest.fixture(scope="module")
def staged(run_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("staged")
    results = read_results(run_folder / "results.json")
    stage_model(run_folder / "generator", out, "org/gen", results, Statement("yes"))
    return out


@pytest.fixture
def published(client, staged):
    """A revision that is there already, of other content."""
    publish(staged, "org/gen", wait_seconds=0.01)
    repo = client.repos[NAME]
    files = dict(files_of(client, NAME))
    files["training_config.json"] = b"{}\n"
    repo.commit("main", files)
    client.requests.clear()
    return client


def assert_untouched(hub, before):
    assert hub.repos[NAME].branches["main"] == before


@pytest.mark.parametrize(
    ("token", "said"),
    [("hf_" + "x" * 34, r"knows no such token \(401\).*hf auth login"), (READER, r"403.*write access")],
)
def test_a_token_that_is_wrong_or_may_not_write(published, staged, monkeypatch, token, said):
    before = published.repos[NAME].branches["main"]
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(PublishError, match=said) as caught:
        publish(staged, "org/gen", wait_seconds=0.01)
    assert token not in str(caught.value) and caught.value.__cause__ is None
    assert "what was there before is whole" in str(caught.value)
    assert_untouched(published, before)


def test_an_organisation_that_one_does_not_belong_to(client, staged):
    with pytest.raises(PublishError, match=r"403.*'stranger'"):
        publish(staged, "stranger/gen", wait_seconds=0.01)
    assert not client.repos


@pytest.mark.parametrize("theirs", [{"config.json": b'{"model_type": "bert"}'}, {"weights.bin": b"1"},
                                    {"config.json": b'{"model_type": "mise_ser"}'}])  # fmt: skip
def test_a_name_taken_by_something_else_is_left_alone(published, staged, theirs):
    before = published.repos[NAME].commit("main", theirs)
    with pytest.raises(ValueError, match="the name org/gen is taken"):
        publish(staged, "org/gen", wait_seconds=0.01)
    assert_untouched(published, before)


def test_a_private_wish_is_not_met_by_a_public_repository(published, staged):
    before = published.repos[NAME].branches["main"]
    with pytest.raises(ValueError, match="exists and is public"):
        publish(staged, "org/gen", private=True, wait_seconds=0.01)
    assert_untouched(published, before)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("POST", "/commit/", 429, times=2),
        Fault("POST", "/commit/", 503, times=2),
        Fault("POST", "/commit/", "drop"),
        Fault("POST", "/commit/", "drop after"),
        Fault("POST", "/repos/create", 503),
        Fault("POST", "/preupload/", "drop"),
        Fault("PUT", "/lfs/", "drop"),
        Fault("PUT", "/lfs/", 503),
    ],
    ids=lambda fault: f"{fault.path.strip('/')} {fault.action}",
)
def test_a_passing_fault_is_tried_again_and_commits_once(published, staged, fault):
    commits = len(published.repos[NAME].commits)
    published.blobs.clear()
    published.faults.append(fault)
    url = publish(staged, "org/gen", wait_seconds=0.01)
    assert fault.times == 0
    assert len(published.repos[NAME].commits) == commits + 1
    assert url.endswith(published.repos[NAME].branches["main"])
    files = files_of(published, NAME)
    assert {name: files[name] for name in files if name != ".gitattributes"} == {
        path.name: path.read_bytes() for path in staged.iterdir()
    }


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (503, f"answered 503 to {TRIES} tries"),
        ("drop", "connection broke"),
        (404, r"has no org/gen that this token may see \(404\).*Check the name"),
        (409, r"name org/gen is taken \(409\).*another --repo"),
        (413, "answered 413 when asked to commit to org/gen; nothing was published"),
    ],
)
def test_a_lasting_fault_leaves_the_previous_revision_whole(published, staged, action, said):
    before = published.repos[NAME].branches["main"]
    files = dict(files_of(published, NAME))
    published.faults.append(Fault("POST", "/commit/", action, times=99))
    with pytest.raises(PublishError, match=said) as caught:
        publish(staged, "org/gen", wait_seconds=0.01)
    assert WRITER not in str(caught.value)
    assert_untouched(published, before)
    assert files_of(published, NAME) == files
    published.faults.clear()
    publish(staged, "org/gen", wait_seconds=0.01)
    assert files_of(published, NAME)["training_config.json"] == (staged / "training_config.json").read_bytes()


def test_somebody_elses_push_meanwhile_is_not_overwritten(published, staged):
    """Theirs lands between our look and our commit: the first answer of the commit is held back, theirs goes in."""
    repo = published.repos[NAME]
    real = repo.commit

    def interfering(branch, files):
        raise AssertionError("a commit with an old parent must not be made")

    looked = published.fault_for

    def theirs_first(method, path):
        if "/commit/" in path and "theirs.txt" not in repo.files("main")[1]:
            real("main", repo.files("main")[1] | {"theirs.txt": b"theirs"})
        return looked(method, path)

    published.fault_for = theirs_first
    repo.commit = interfering
    with pytest.raises(PublishError, match=r"somebody pushed to org/gen meanwhile \(412\)"):
        publish(staged, "org/gen", wait_seconds=0.01)
    assert "theirs.txt" in files_of(published, NAME)
