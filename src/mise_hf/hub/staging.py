"""A folder that holds exactly what will be published: weights, configuration, code, preprocessor, card, manifest.

Imports models (heavy, inside the functions), cards and manifest. Everything is checked here, before the network.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from mise_hf.hub.cards import HUB_ID, Redistribution, check_redistribution, dataset_card, model_card, weights_licence
from mise_hf.hub.checks import check_folder
from mise_hf.hub.manifest import write_manifest
from mise_hf.hub.results import FILE as RESULTS
from mise_hf.hub.results import Results, read_corpora

ModelKind = Literal["aligner", "generator", "ser"]
KINDS: dict[str, ModelKind] = {"mise_aligner": "aligner", "mise_generator": "generator", "mise_ser": "ser"}
TRAINING = "training_config.json"
TOKENIZER = "tokenizer.json"
PREPROCESSOR = "preprocessor_config.json"


@dataclass(frozen=True)
class Statement:
    """What whoever publishes states and allows.

    Attributes:
        redistribution: whether weights and features derived from the corpora may be passed on.
        licence: the Hub's identifier of the licence; None for the one that the corpora share.
        allow_memorised: publish a generator that memorises, or that nobody measured, and say so on its card.
        private: whether the repository will be private.
    """

    redistribution: Redistribution | None
    licence: str | None = None
    allow_memorised: bool = False
    private: bool = False

    def check(self) -> Redistribution:
        """The redistribution.

        Raises:
            ValueError: where it is not stated, or forbids what is about to be done.
        """
        check_redistribution(self.redistribution)
        if self.redistribution == "no" and not self.private:
            raise ValueError(
                "redistribution is 'no' and the repository would be public; wanted --private, or licences that allow it"
            )
        return self.redistribution  # type: ignore[return-value]


def model_kind(folder: Path) -> ModelKind:
    """Which of our models `folder` holds.

    Raises:
        ValueError: where it holds none.
    """
    config = folder / "config.json"
    if not config.is_file():
        raise ValueError(f"{folder.name!r} holds no config.json; wanted a folder that save_pretrained wrote")
    try:
        found = json.loads(config.read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{folder.name}/config.json is no JSON mapping ({error})") from error
    if found not in KINDS:
        raise ValueError(f"{folder.name!r} holds a model of type {found!r}; wanted one of {', '.join(KINDS)}")
    return KINDS[found]


def stage_model(
    source: Path,
    out: Path,
    repo: str,
    results: Results,
    statement: Statement,
    *,
    audio_encoder: str | None = None,
    text_encoder: str | None = None,
) -> ModelKind:
    """Write what will be published of the model in `source` to the empty folder `out`; returns the kind.

    Args:
        source: a folder that save_pretrained wrote.
        out: an empty folder.
        repo: the id on the Hub, for the card.
        results: what was measured.
        statement: what the publisher states.
        audio_encoder: id or folder of an encoder to put inside, with its feature extractor.
        text_encoder: likewise for an aligner's text encoder, with its tokenizer.

    Raises:
        ValueError: for weights that do not fit their configuration, an encoder that the model cannot take, a generator
            that memorises, a statement that is missing, or a file that must not be published.
    """
    kind = model_kind(source)
    redistribution = statement.check()
    if kind == "generator":
        results = _with_own_corpora(source, results)
    licence = weights_licence(results.corpora, statement.licence)
    if kind == "generator":
        _refuse_memorised(results, statement.allow_memorised)
    model = _load(kind, source)
    _embed(model, kind, source, out, audio_encoder, text_encoder)
    model.save_pretrained(out)
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    card = model_card(
        kind,
        repo,
        config,
        results,
        redistribution=redistribution,
        licence=licence,
        base_model=_base_model(audio_encoder, config.get("feature_fingerprint") or results.fingerprint),
        takes_audio=(out / PREPROCESSOR).is_file() and not config.get("text_size"),
    )
    (out / "README.md").write_text(card, encoding="utf-8")
    _write_json(out / TRAINING, results.training)
    _write_json(out / RESULTS, {name: value for name, value in asdict(results).items() if name != "training"})
    _finish(out, kind)
    return kind


def stage_dataset(source: Path, out: Path, repo: str, corpora: list[dict[str, Any]], statement: Statement) -> None:
    """Write a features dataset (Parquet and card) to the empty folder `out`.

    Args:
        source: a feature folder of `mise-hf extract`, or the embedded features' folder.
        out: an empty folder.
        repo: the id on the Hub, for the card.
        corpora: name and licence of each corpus; utterances and speakers are counted where they are missing.
        statement: what the publisher states.

    Raises:
        ValueError: for a folder without finished features, or a statement that is missing.
    """
    from mise_hf.features.embedded import STATES, read_compact
    from mise_hf.features.table import FeatureTable

    redistribution = statement.check()
    licence = weights_licence(corpora, statement.licence)
    embedded = (source / STATES).is_file()
    table = read_compact(source) if embedded else FeatureTable.from_folder(source)
    (out / "data").mkdir(parents=True)
    if embedded:
        _write_parquet(table, out / "data" / "train-00000-of-00001.parquet")
    else:
        for shard in sorted(source.glob("shard-*.parquet")):
            _copy_shard(shard, out / "data" / shard.name)
    counts = {"utterances": len(table), "speakers": len(set(table.speakers.tolist()))}
    card = dataset_card(
        repo,
        len(table),
        table.label_names,
        [{**counts, **entry} for entry in corpora],
        table.fingerprint,
        transcripts=any(table.texts.tolist()),
        redistribution=redistribution,
        licence=licence,
    )
    (out / "README.md").write_text(card, encoding="utf-8")
    _finish(out, "dataset")


def stage_metric(out: Path) -> None:
    """Write the metric's folder as a Space to the empty folder `out`.

    Raises:
        ValueError: where the folder lacks what a Space needs.
    """
    import mise_hf.metrics.mise_quality as metric

    source = Path(str(metric.__file__)).parent
    for name in ("README.md", "app.py", "requirements.txt", "mise_quality.py"):
        if not (source / name).is_file():
            raise ValueError(f"the metric's folder lacks {name}; wanted the metric as mise_hf ships it")
    for path in sorted(source.iterdir()):
        if path.is_file() and path.suffix in (".py", ".md", ".txt"):
            shutil.copyfile(path, out / path.name)
    _finish(out, "metric")


def _finish(out: Path, kind: str) -> None:
    about = {"kind": kind, "mise_hf": version("mise-hf"), "transformers": version("transformers")}
    write_manifest(out, about)
    check_folder(out)


def _load(kind: ModelKind, source: Path) -> Any:
    from mise_hf import MiseAligner, MiseForAudioClassification, MiseGenerator

    classes: dict[str, Any] = {"aligner": MiseAligner, "generator": MiseGenerator, "ser": MiseForAudioClassification}
    return classes[kind].from_pretrained(source, local_files_only=True)


def _embed(
    model: Any, kind: ModelKind, source: Path, out: Path, audio_encoder: str | None, text_encoder: str | None
) -> None:
    """Put encoders with their preprocessors into the model and the folder; those already inside are kept."""
    from transformers import AutoTokenizer

    from mise_hf.models.feature_extraction_mise import MiseFeatureExtractor

    if audio_encoder is not None:
        if kind == "generator":
            raise ValueError("--audio-encoder is given for a generator; wanted an aligner or a recogniser")
        _refuse_other_encoder(model.config, "audio", audio_encoder)
        attach = model.attach_encoders if kind == "aligner" else model.attach_encoder
        attach(audio=audio_encoder)
        MiseFeatureExtractor.for_encoder(audio_encoder).save_pretrained(out)
    elif (source / PREPROCESSOR).is_file():
        MiseFeatureExtractor.from_pretrained(source).save_pretrained(out)
    if text_encoder is not None:
        if kind != "aligner" or model.text_tower is None:
            raise ValueError(f"--text-encoder is given for {kind}; wanted an aligner that was trained with text")
        _refuse_other_encoder(model.config, "text", text_encoder)
        model.attach_encoders(text=text_encoder)
        AutoTokenizer.from_pretrained(text_encoder).save_pretrained(out)
    elif (source / TOKENIZER).is_file():
        AutoTokenizer.from_pretrained(source).save_pretrained(out)


def _refuse_other_encoder(config: Any, modality: Literal["audio", "text"], encoder: str) -> None:
    """Raise ValueError where the model was trained on the states of another encoder than `encoder`."""
    from mise_hf.features.encoders import load_audio_encoder, load_text_encoder

    trained = (config.feature_fingerprint or {}).get(f"{modality}_encoder") or {}
    load = load_audio_encoder if modality == "audio" else load_text_encoder
    digest = load(encoder, None).identity.get("weights_sha256")
    if trained.get("weights_sha256") not in (None, digest):
        raise ValueError(
            f"--{modality}-encoder has the weights {str(digest)[:12]}; wanted those the model was trained on: "
            f"{trained.get('id')} with {str(trained.get('weights_sha256'))[:12]}"
        )


def _with_own_corpora(source: Path, results: Results) -> Results:
    """`results` with the corpora that the generator's own configuration names, where it names any."""
    path = source / "config.json"
    named = json.loads(path.read_text(encoding="utf-8")).get("training_corpora")
    return replace(results, corpora=read_corpora(path, named)) if named else results


def _refuse_memorised(results: Results, allowed: bool) -> None:
    if allowed or results.memorises is False:
        return
    if results.memorisation is None:
        raise ValueError(
            f"{RESULTS} holds no memorisation of this generator; wanted it measured before the generator is shared "
            "(mise-hf measure RUN), or --allow-memorised, which the card will say"
        )
    share, null = results.memorisation["share"], results.memorisation["null_95"]
    raise ValueError(
        f"this generator memorises: {share:.1%} of its rows lie nearer to a training row than withheld rows do, and "
        f"{null:.1%} is the null; wanted at most the null: train it again, or --allow-memorised, which the card "
        "will say"
    )


def _base_model(audio_encoder: str | None, fingerprint: Mapping[str, Any]) -> str | None:
    trained = fingerprint.get("audio_encoder") or {}
    for name in (audio_encoder, trained.get("id")):
        if isinstance(name, str) and HUB_ID.fullmatch(name) and not Path(name).exists():
            return name
    return None


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _copy_shard(source: Path, target: Path) -> None:
    """A shard without the list of files that were left out, which names folders of this machine."""
    import pyarrow.parquet as pq

    from mise_hf.features.shards import REJECTED

    rows = pq.read_table(source)
    metadata = {key: value for key, value in (rows.schema.metadata or {}).items() if key != REJECTED}
    pq.write_table(rows.replace_schema_metadata(metadata), target)


def _write_parquet(table: Any, path: Path) -> None:
    """A `FeatureTable` as the Parquet that `mise-hf extract` would have written."""
    from mise_hf.features.shards import feature_columns, write_shard

    states = {name: getattr(table, name) for name in ("audio_states", "text_states")}
    states = {name: value.astype("float16") for name, value in states.items() if value is not None}
    shapes = [states[name].shape[1:] if name in states else None for name in ("audio_states", "text_states")]
    columns = feature_columns(table.label_names, *shapes)
    strings = {"id": table.ids, "speaker": table.speakers, "text": table.texts, "session": table.sessions}
    rows = [
        dict.fromkeys(columns)
        | {name: str(values[row]) or None for name, values in strings.items()}
        | {"label": int(table.labels[row]), "corpus": table.corpus}
        for row in range(len(table))
    ]
    write_shard(path, columns, rows, states, table.fingerprint, [])
