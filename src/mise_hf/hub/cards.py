"""The cards of what we publish, rendered from templates; every number comes from `Results`, none is typed.

Imports `mise_hf.hub.results` and jinja2; knows configurations as mappings, not as classes.
"""

import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Literal, get_args

from huggingface_hub import DatasetCardData, EvalResult, ModelCardData

from mise_hf.hub.results import Results

Kind = Literal["aligner", "generator", "ser"]
Redistribution = Literal["yes", "non-commercial", "no"]

REDISTRIBUTION_TEXT = {
    "yes": "Whoever published this states that the licences above let weights and features derived from them be passed "
    "on.",
    "non-commercial": "Whoever published this states that the licences above let what is derived from them be passed "
    "on for non-commercial purposes only.",
    "no": "Whoever published this states that the licences above do not let what is derived from them be passed on: "
    "this repository is private and must stay so.",
}
SUMMARY = {
    "aligner": "Maps pooled states of a frozen speech encoder (and of a text encoder, where trained with one) to one "
    "space of emotion-bearing embeddings. An aligner of [mise_hf](https://arxiv.org/abs/2510.10078).",
    "generator": "Generates utterance-level speech features for a given emotion, to augment the training of speech "
    "emotion recognition: share the generator, not the speech. A generator of "
    "[mise_hf](https://arxiv.org/abs/2510.10078).",
    "ser": "Recognises emotion in speech from utterance-level features of a frozen encoder. A recogniser of "
    "[mise_hf](https://arxiv.org/abs/2510.10078).",
}
# Identifiers that the Hub knows as licences and that corpora of emotional speech come under.
KNOWN_LICENCES = (
    "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0", "odbl", "odc-by",
    "apache-2.0", "mit", "gpl-3.0",
)  # fmt: skip
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def weights_licence(corpora: Sequence[Mapping[str, Any]], given: str | None) -> str:
    """The licence of what is published: the one given, or the one that all corpora share.

    Raises:
        ValueError: where none is given and the corpora's licences are several, or not among those the Hub names.
    """
    if given:
        return given
    licences = {str(entry["licence"]).lower().replace(" ", "-") for entry in corpora}
    if len(licences) == 1 and (only := licences.pop()) in KNOWN_LICENCES:
        return only
    raise ValueError(
        f"the corpora's licences are {sorted(str(entry['licence']) for entry in corpora)}, which do not settle that of "
        "the weights; wanted --licence with one of the Hub's identifiers (e.g. cc-by-nc-4.0, or other)"
    )


def model_card(
    kind: Kind,
    repo: str,
    config: Mapping[str, Any],
    results: Results,
    *,
    redistribution: Redistribution,
    licence: str,
    base_model: str | None,
    takes_audio: bool,
) -> str:
    """The rendered card of a model.

    Args:
        kind: which of the three models.
        repo: its id on the Hub.
        config: its configuration, as in config.json.
        results: what was measured.
        redistribution: whether derived weights may be passed on.
        licence: the Hub's identifier of the weights' licence.
        base_model: the audio encoder's id on the Hub, if it has one.
        takes_audio: whether encoder and feature extractor are inside, so that the pipeline can run it.

    Raises:
        ValueError: for another redistribution, or a generator without corpora.
    """
    check_redistribution(redistribution)
    title = repo.rpartition("/")[2]
    metadata = ModelCardData(
        model_name=title if kind == "ser" and results.published_method else None,
        eval_results=_evaluations(results) if kind == "ser" and results.published_method else None,
        base_model=base_model,
        datasets=_dataset_names(results),
        language=_languages(results),
        library_name="transformers",
        license=licence,
        license_name="see-the-corpora-below" if licence == "other" else None,
        metrics=["recall"] if results.uar else None,
        pipeline_tag={"ser": "audio-classification", "aligner": "feature-extraction"}.get(kind)
        if takes_audio
        else None,
        tags=["mise_hf", "speech-emotion-recognition", "data-augmentation", *_memorised_tag(kind, results)],
    )
    usage, note = _usage(kind, repo, config, takes_audio)
    return _page(
        metadata.to_yaml(),
        "body.md",
        title=title,
        repo=repo,
        summary=SUMMARY[kind],
        labels=_labels(config["id2label"]),
        usage=usage,
        usage_note=note,
        fingerprint=describe_fingerprint(config.get("feature_fingerprint") or results.fingerprint),
        corpora=results.corpora,
        redistribution=redistribution,
        redistribution_text=REDISTRIBUTION_TEXT[redistribution],
        memorisation=_memorisation(results) if kind == "generator" else "",
        uar=results.uar,
        uar_note=plain(results.uar_note),
        mutual_information=results.mutual_information,
        carried_information=results.carried_information,
    )


def dataset_card(
    repo: str,
    rows: int,
    labels: Sequence[str],
    corpora: Sequence[dict[str, Any]],
    fingerprint: Mapping[str, Any],
    *,
    transcripts: bool,
    redistribution: Redistribution,
    licence: str,
) -> str:
    """The rendered card of a features dataset; arguments as in `model_card`, and whether its rows hold transcripts.

    Raises:
        ValueError: for another redistribution.
    """
    check_redistribution(redistribution)
    metadata = DatasetCardData(
        license=licence,
        license_name="see-the-corpora-below" if licence == "other" else None,
        language=_languages(Results(corpora=tuple(corpora))),
        task_categories=["audio-classification"],
        tags=["mise_hf", "speech-emotion-recognition", "features"],
        configs=[{"config_name": "default", "data_files": [{"split": "train", "path": "data/*.parquet"}]}],
    )
    usage = f'from datasets import load_dataset\n\nrows = load_dataset("{repo}", split="train")\nprint(rows.features)'
    return _page(
        metadata.to_yaml(),
        "dataset.md",
        repo=repo,
        title=repo.rpartition("/")[2],
        rows=rows,
        transcripts=transcripts,
        labels=_labels(dict(enumerate(labels))),
        usage=usage,
        fingerprint=describe_fingerprint(fingerprint),
        corpora=corpora,
        redistribution=redistribution,
        redistribution_text=REDISTRIBUTION_TEXT[redistribution],
    )


def check_redistribution(value: str | None) -> None:
    """Raise ValueError unless it is stated whether what is derived from the corpora may be passed on."""
    if value not in get_args(Redistribution):
        raise ValueError(
            f"redistribution is {value!r}; wanted --redistribution {' | '.join(get_args(Redistribution))}: read the "
            "corpora's licences and state whether weights and features derived from them may be passed on"
        )


def plain(value: Any) -> str:
    """Text of strangers (labels, corpus names) on one line, without meaning to Markdown, HTML or tables."""
    line = " ".join(str(value).split())
    return re.sub(r"([\\`*\[\]<>|{}#!])", lambda match: f"&#{ord(match[0])};", line)


def describe_fingerprint(fingerprint: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(part, value) of a fingerprint, for a table; encoders by id and the start of their weights' SHA-256."""
    described = []
    for name, value in fingerprint.items():
        if isinstance(value, Mapping):
            digest = str(value.get("weights_sha256") or "")[:12]
            value = f"{value.get('id', 'unnamed')}" + (f" (weights {digest})" if digest else "")
        elif isinstance(value, list | tuple):
            value = ", ".join(map(str, value))
        if value not in (None, ""):
            described.append((plain(name.replace("_", " ")), plain(value)))
    return described or [("fingerprint", "not stated")]


def _page(metadata: str, template: str, **variables: Any) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
    environment.filters["plain"] = plain
    text = (files("mise_hf.hub") / "templates" / template).read_text(encoding="utf-8")
    body = environment.from_string(text).render(**variables).strip()
    return f"---\n{metadata.strip()}\n---\n\n{body}\n"


def _labels(id2label: Mapping[Any, str]) -> list[str]:
    return [plain(label) for _, label in sorted(id2label.items(), key=lambda entry: int(entry[0]))]


def _dataset_names(results: Results) -> list[str]:
    return sorted({re.sub(r"[^a-z0-9]+", "-", str(entry["name"]).lower()).strip("-") for entry in results.corpora})


def _languages(results: Results) -> list[str] | None:
    named = {str(entry["language"]).lower() for entry in results.corpora if entry.get("language")}
    return sorted(name for name in named if re.fullmatch(r"[a-z]{2,3}", name)) or None


def _memorised_tag(kind: str, results: Results) -> list[str]:
    return ["memorised-training-rows"] if kind == "generator" and results.memorises else []


def _evaluations(results: Results) -> list[EvalResult]:
    method = results.published_method
    return [
        EvalResult(
            task_type="audio-classification",
            dataset_type="+".join(_dataset_names(results)),
            dataset_name=" + ".join(str(entry["name"]) for entry in results.corpora),
            metric_type="recall",
            metric_name=f"unweighted average recall, unseen speakers, {method}",
            metric_value=round(results.uar[method]["mean"], 4),
        )
    ]


def _memorisation(results: Results) -> str:
    if results.memorisation is None:
        return (
            "**Not measured.** Nobody checked whether this generator hands back rows of its training corpora; it was "
            "published with `--allow-memorised`."
        )
    share, null = results.memorisation["share"], results.memorisation["null_95"]
    measured = (
        f"{share:.1%} of the rows that this recipe generates, trained on a part of the rows, lie nearer to a training "
        "row than the withheld rows of the same speakers do; "
        f"without copying, at most {null:.1%} would (95 % of the null)."
    )
    if results.memorises:
        return (
            f"**This generator memorises.** {measured} Features of single training utterances may be recovered from "
            "it; it was published with `--allow-memorised`."
        )
    if share > null:
        measured += (
            f" Of the withheld rows the same holds ({results.memorisation['mirrored']:.1%}): the rows are nearer to "
            "the middle than speech is."
        )
    return f"{measured} No copying was found."


def _usage(kind: Kind, repo: str, config: Mapping[str, Any], takes_audio: bool) -> tuple[str, str]:
    """The first lines of code, and what to know about them."""
    note = (
        "With the package installed and `import mise_hf` no flag is needed. Without it, torch and transformers suffice "
        "with `trust_remote_code=True`: read the Python files here first, and pin `revision=` to what you read."
    )
    if kind == "generator":
        names = {int(index): str(name) for index, name in config["id2label"].items()}
        # A stranger's label must not end the block of code.
        label = names[0] if names[0].isprintable() and "`" not in names[0] else 0
        return (
            "import torch\nfrom transformers import AutoModel\n\n"
            f'generator = AutoModel.from_pretrained("{repo}", trust_remote_code=True)\n'
            f"made = generator.generate([{json.dumps(label)}] * 16, generator=torch.Generator().manual_seed(0))\n"
            "print(made.features.shape)"
        ), note
    if kind == "ser" and takes_audio:
        return (
            "from transformers import pipeline\n\n"
            f'recognise = pipeline("audio-classification", model="{repo}", trust_remote_code=True)\n'
            'print(recognise("speech.wav"))'
        ), f"{note} A path needs the `ffmpeg` program; an array (16 kHz, mono, float) needs nothing."
    auto = "AutoModelForAudioClassification" if kind == "ser" else "AutoModel"
    missing = "" if takes_audio else " It holds no encoder: give it pooled states, or attach one."
    loaded = f'model = {auto}.from_pretrained("{repo}", trust_remote_code=True)'
    return f"from transformers import {auto}\n\n{loaded}\nprint(model.config)", note + missing
