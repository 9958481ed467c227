"""Every card that can be rendered holds what a reader needs, and nothing empty, unfilled or local."""

import json
import runpy
from pathlib import Path

import pytest
from huggingface_hub import DatasetCard, ModelCard
from loopback import Handler

from mise_hf.hub.cards import dataset_card, model_card, plain, weights_licence
from mise_hf.hub.checks import check_card
from mise_hf.hub.results import Results, read_results

CARDS = Path(__file__).parents[2] / "model_cards"
RENDER = runpy.run_path(str(CARDS / "render.py"))


@pytest.fixture(scope="module")
def results(run_folder):
    return read_results(run_folder / "results.json")


def card(kind, run_folder, results, takes_audio=False, **changes):
    config = json.loads((run_folder / kind / "config.json").read_text())
    options = {"redistribution": "yes", "licence": "cc0-1.0", "base_model": "openai/whisper-base"} | changes
    return model_card(kind, "org/name", config, results, takes_audio=takes_audio, **options)


def accepted_by_the_hub(text: str, repo_type: str = "model") -> bool:
    """The loopback Hub's verdict on the metadata."""
    answers = []
    handler = Handler.__new__(Handler)
    handler.body = json.dumps({"content": text, "repoType": repo_type}).encode()
    handler.answer = lambda status, body: answers.append(status)
    handler.validate()
    return answers == [200]


@pytest.mark.parametrize("takes_audio", [False, True])
@pytest.mark.parametrize("redistribution", ["yes", "non-commercial", "no"])
@pytest.mark.parametrize("kind", ["aligner", "generator", "ser"])
@pytest.mark.parametrize("measured", ["all", "nothing"])
def test_every_card_is_whole(run_folder, results, kind, redistribution, takes_audio, measured):
    if measured == "nothing":
        results = Results(corpora=results.corpora)
    text = card(kind, run_folder, results, takes_audio and kind != "generator", redistribution=redistribution)
    check_card(text)
    assert accepted_by_the_hub(text)
    data = ModelCard(text).data
    assert data.library_name == "transformers" and data.license == "cc0-1.0" and data.language == ["de"]
    assert data.base_model == "openai/whisper-base" and data.datasets == ["emodb"] and "mise_hf" in data.tags
    assert (data.pipeline_tag is not None) == (takes_audio and kind != "generator")
    code = "pipeline(" if kind == "ser" and takes_audio else "AutoModel"
    stated = f"derived from these corpora: **{redistribution}**"
    misuse = ("## Intended use and misuse", "forbids inferring emotions at work")
    for needed in ("| EmoDB | CC0-1.0 |", stated, "| audio encoder |", *misuse, "anger, boredom", "never", code):
        assert needed in text, needed
    if measured == "all":
        assert (
            "on speakers that no part of the training saw" in text
            and "Synthetic features entered training only" in text
        )
        for entry in results.mutual_information.values():
            assert f"{entry['value']:.3f} | {entry['null_95']:.3f}" in text
    else:
        assert "No accuracy was measured" in text
    assert ("## Memorisation" in text) == (kind == "generator")


def test_several_methods_make_no_model_index_until_one_is_named(run_folder, results):
    entry = {"mean": 0.5, "std": 0.1, "folds": 5, "seeds": 1}
    several = Results(corpora=results.corpora, uar={"LDA": entry, "MLP": entry}, uar_note="30 % of the training clips")
    text = card("ser", run_folder, several)
    assert ModelCard(text).data.eval_results is None and "Measured with: 30 % of the training clips." in text
    named = Results(corpora=results.corpora, uar=several.uar, published_method="MLP")
    assert [e.metric_name[-3:] for e in ModelCard(card("ser", run_folder, named)).data.eval_results] == ["MLP"]


def test_dataset_card_is_whole(results):
    for transcripts in (False, True):
        text = dataset_card("org/rows", 3, ["joy"], results.corpora, results.fingerprint, redistribution="yes",
                            licence="cc0-1.0", transcripts=transcripts)  # fmt: skip
        check_card(text)
        assert accepted_by_the_hub(text, "dataset")
        assert ("transcripts are in the column" in text) == transcripts
    assert DatasetCard(text).data.configs[0]["data_files"][0]["path"] == "data/*.parquet"


def test_strangers_names_mean_nothing_to_markdown_and_yaml(run_folder, results):
    evil = "x |\n| <script>alert(1)</script> [a](http://b) `c` {{ d }} {% e %} ---"
    config = json.loads((run_folder / "generator" / "config.json").read_text())
    config["id2label"] = {"0": evil, "1": "```\nimport os"}
    hostile = Results(corpora=({"name": evil, "licence": evil, "utterances": 1, "speakers": 1},),
                      uar={evil: {"mean": 0.5, "std": 0.1, "folds": 1, "seeds": 1}})  # fmt: skip
    text = model_card("generator", "org/name", config, hostile, redistribution="yes", licence="other",
                      base_model=None, takes_audio=False)  # fmt: skip
    check_card(text)
    assert accepted_by_the_hub(text)
    assert "<script>" not in text and "](http://b)" not in text and text.count("```") == 2
    assert "\n" not in plain(evil)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: text.replace("anger", "{{ labels }}"), "every variable"),
        (lambda text: text.replace("license: cc0-1.0", "license:  null"), "wanted a value"),
        (lambda text: text.replace("| EmoDB |", "|  |"), "empty cell"),
        (lambda text: text.replace("| EmoDB |", "| None |"), "empty cell"),
        (lambda text: text + "\nmade in /home/me/run", "local path"),
        (lambda text: text + "\nmade in C:\\Users\\me", "local path"),
        (lambda text: text + "\nhf_" + "a" * 34, "access token"),
        (lambda text: text.removeprefix("---\n"), "metadata between"),
    ],
)
def test_the_check_finds_what_it_looks_for(run_folder, results, spoil, said):
    with pytest.raises(ValueError, match=said):
        check_card(spoil(card("generator", run_folder, results)))


@pytest.mark.parametrize(
    ("licences", "given", "expected"),
    [(["CC0-1.0"], None, "cc0-1.0"), (["CC BY-NC-SA 4.0"] * 2, None, "cc-by-nc-sa-4.0"), (["x", "y"], "mit", "mit"),
     (["CC0-1.0", "MIT"], None, None), (["End User Licence"], None, None)],
)  # fmt: skip
def test_licence_of_the_weights(licences, given, expected):
    corpora = [{"name": "A", "licence": licence} for licence in licences]
    if expected is None:
        with pytest.raises(ValueError, match="wanted --licence"):
            weights_licence(corpora, given)
    else:
        assert weights_licence(corpora, given) == expected


def test_the_rendered_cards_in_the_repository_are_whole():
    cards = {path.stem: path for path in CARDS.glob("*.md") if path.stem != "README"}
    assert {"mise-aligner", "mise-generator", "mise-ser", "emodb-features"} <= set(cards)
    for path in cards.values():
        check_card(path.read_text(encoding="utf-8"))


def test_the_rendered_cards_are_what_lies_beside_them_makes_them():
    for name, text in RENDER["render"](CARDS / "measured").items():
        assert (CARDS / f"{name}.md").read_text(encoding="utf-8") == text, "run python model_cards/render.py"


def test_cards_of_a_run_are_rendered_by_the_command_with_its_numbers(run_folder, tmp_path, capsys):
    assert RENDER["main"]([str(run_folder), "--out", str(tmp_path)]) == 0
    assert {path.stem for path in tmp_path.glob("*.md")} == {
        "mise-aligner", "mise-generator", "mise-ser", "emodb-features"
    }  # fmt: skip
    measured = json.loads((run_folder / "results.json").read_text())
    text = (tmp_path / "mise-ser.md").read_text(encoding="utf-8")
    assert f"{measured['uar']['logistic regression']['mean']:.3f}" in text and "org/mise-ser" in text
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.md")}
    assert RENDER["main"](["--out", str(tmp_path)]) == 0
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.md")} == before
    assert RENDER["main"]([str(tmp_path / "nowhere"), "--out", str(tmp_path)]) == 1
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"corpora": []}, "corpora"),
        ({"corpora": "EmoDB"}, "corpora"),
        ({"uar": {"a": {"mean": 1}}}, r"uar.a .* wanted a mapping with mean, std"),
        ({"uar": {"a": {"mean": "1", "std": 0, "folds": 1, "seeds": 1}}}, r"uar.a.mean '1'"),
        ({"memorisation": {"share": 0.1}}, "share, null_95"),
        ({"memorisation": {"share": float("nan"), "null_95": 1}}, "wanted a finite number"),
        ({"mutual_information": [1]}, "wanted a mapping"),
        ({"published_method": "LDA"}, "wanted one of the methods of uar"),
    ],
)
def test_results_that_are_not_whole_are_refused(tmp_path, entries, said):
    whole = {"corpora": [{"name": "A", "licence": "mit", "utterances": 1, "speakers": 1}]}
    path = tmp_path / "results.json"
    path.write_text(json.dumps(whole))
    assert read_results(path).memorises is None
    path.write_text(json.dumps(whole | entries))
    with pytest.raises(ValueError, match=said):
        read_results(path)
