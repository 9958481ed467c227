"""What the three models share with the Hub: refusing weights that do not fit, and the card of a bare push.

Travels to the Hub with the models: imports torch, transformers and siblings of this folder, never `mise_hf`.
"""

import re
from typing import Any

from transformers import PreTrainedModel
from transformers.utils.hub import ModelCard, ModelCardData

UNMEASURED = "unmeasured, source licence not stated"


class MisePreTrainedModel(PreTrainedModel):
    """A model that loads from safetensors only, whole or not at all, and marks its card when pushed bare."""

    @classmethod
    def from_pretrained(cls, *args: Any, output_loading_info: bool = False, **kwargs: Any) -> Any:
        """As in transformers, but never unpickles, and raises where weights are missing, left over or of other shapes.

        Raises:
            ValueError: for a checkpoint that does not fit its configuration, or for `use_safetensors=False`.
        """
        if kwargs.pop("use_safetensors", None) is False:
            raise ValueError("use_safetensors is False; wanted True or nothing: pickled weights are never loaded")
        try:
            loaded: Any = super().from_pretrained(*args, output_loading_info=True, use_safetensors=True, **kwargs)
        except Exception as error:
            # safetensors' own class, which may not be imported here; it says what is wrong and not what to do.
            if type(error).__name__ != "SafetensorError":
                raise
            raise ValueError(
                f"the weights are no whole safetensors file ({error}); wanted the file as published: download it again "
                "with force_download=True"
            ) from error
        model, info = loaded
        keys = {kind: info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")}
        _require_whole(cls.__name__, allow_mismatched=bool(kwargs.get("ignore_mismatched_sizes")), **keys)
        return (model, info) if output_loading_info else model

    @staticmethod
    def _load_pretrained_model(model, state_dict, checkpoint_files, load_config, *args, **kwargs):
        """Refuse files that an index names outside its own folder, or that would be unpickled."""
        for name in (load_config.sharded_metadata or {}).get("weight_map", {}).values():
            if not isinstance(name, str) or not re.fullmatch(r"[\w-]+(\.[\w-]+)*\.safetensors", name):
                raise ValueError(
                    f"the index of the weights names the file {name!r:.80}; wanted safetensors files beside it: use "
                    "the checkpoint as published"
                )
        for path in checkpoint_files or ():
            if not str(path).endswith(".safetensors"):
                raise ValueError(f"the weights are in {str(path)!r:.80}; wanted safetensors: nothing is unpickled")
        return PreTrainedModel._load_pretrained_model(model, state_dict, checkpoint_files, load_config, *args, **kwargs)

    @staticmethod
    def _finalize_model_loading(model, load_config, loading_info):
        """Refuse before transformers allocates what is missing: a hostile configuration decides how much that is."""
        _require_whole(
            type(model).__name__,
            missing_keys=set(loading_info.missing_keys) - set(model.all_tied_weights_keys),
            unexpected_keys=loading_info.unexpected_keys,
            mismatched_keys=loading_info.mismatched_keys,
            allow_mismatched=load_config.ignore_mismatched_sizes,
        )
        return PreTrainedModel._finalize_model_loading(model, load_config, loading_info)

    def _upload_modified_files(self, working_dir: Any, *args: Any, **kwargs: Any) -> Any:
        """The last step of `push_to_hub`: the card goes up in the same commit as the weights that nobody measured."""
        unmeasured_card(self).save(f"{working_dir}/README.md")
        return super()._upload_modified_files(working_dir, *args, **kwargs)


def unmeasured_card(model: PreTrainedModel) -> ModelCard:
    """The card of a model pushed with `push_to_hub` alone, which knows neither corpora nor measurements."""
    data = ModelCardData(
        library_name="transformers",
        license="unknown",
        tags=["mise_hf", "speech-emotion-recognition", "unmeasured"],
    )
    labels = ", ".join(str(label) for label in (model.config.id2label or {}).values())
    return ModelCard(
        f"---\n{data.to_yaml()}\n---\n\n# {type(model).__name__}: {UNMEASURED}\n\n"
        f"Pushed with `push_to_hub` alone: {UNMEASURED}. Nobody stated which corpora these weights come from or "
        "whether they may be passed on, and no accuracy, carried information or memorisation was measured for them. "
        "Files such as `results.json` or `mise_manifest.json` here, if any, belong to an earlier revision.\n\n"
        f"Labels: {labels}.\n\nWith `mise-hf publish` the same model gets its measured card.\n\n"
        "Speech emotion recognition infers inner states of people from their voices and errs often. Do not use it to "
        "decide about anyone; the law forbids it in places (in the European Union at work and in education).\n"
    )


def _require_whole(
    model: str, missing_keys: Any, unexpected_keys: Any, mismatched_keys: Any, allow_mismatched: bool
) -> None:
    """Raise ValueError unless the checkpoint holds exactly the tensors of the model."""
    mismatched = set() if allow_mismatched else {entry[0] for entry in mismatched_keys}
    replaced = {entry[0] for entry in mismatched_keys}
    problems = [
        f"{len(names)} {kind} (such as {min(names):.80})"
        for kind, names in (
            ("are missing", set(missing_keys) - replaced),
            ("do not belong to it", set(unexpected_keys)),
            ("have another shape than its configuration says", mismatched),
        )
        if names
    ]
    if problems:
        raise ValueError(
            f"the checkpoint does not fit {model}: of its tensors {', '.join(problems)}; wanted exactly the tensors of "
            "its configuration: take config.json and model.safetensors of one revision, as published"
        )
