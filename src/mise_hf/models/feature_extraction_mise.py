"""Waveform to what the encoder wants, with the true length and its mask; owns the sampling rate.

Travels to the Hub with the models: imports torch, transformers and siblings of this folder, never `mise_hf`.
"""

from os import PathLike
from typing import Any, Literal, cast

import torch
from transformers import AutoFeatureExtractor, BatchFeature, FeatureExtractionMixin, WhisperFeatureExtractor
from transformers.utils import TensorType

from .bounds_mise import check_flag, check_integer, check_number

KINDS = ("log_mel", "waveform")
# Peak to peak of a recording that holds nothing: far below the smallest step of 16-bit audio, 3e-5.
SILENCE = 1e-6
# What transformers itself passes through the keywords beside the settings.
_TRANSFORMERS_KEYS = {
    "auto_map",
    "feature_extractor_type",
    "name_or_path",
    "processor_class",
    "trust_remote_code",
    "_commit_hash",
    "_name_or_path",
}


class MiseFeatureExtractor(FeatureExtractionMixin):
    """Mono float waveforms to a padded batch of encoder input with its attention mask.

    `kind="log_mel"` (Whisper) gives `input_features` (batch, mel bins, frames) at the clips' true length, not padded to
    30 s; `kind="waveform"` (wav2vec2, HuBERT, WavLM, data2vec-audio) gives `input_values` (batch, samples). Both come
    with `attention_mask`, (batch, frames) or (batch, samples).

    Args:
        kind: "log_mel" or "waveform".
        sampling_rate: that the encoder wants, in Hz.
        feature_size: mel bins ("log_mel" only).
        hop_length: samples from one mel frame to the next ("log_mel" only).
        n_fft: samples of one Fourier transform ("log_mel" only).
        do_normalize: whether each clip is brought to zero mean and unit variance ("waveform" only).
        maximum_seconds: longest clip that the encoder takes, None for no limit; longer audio is cut by the caller.

    Raises:
        ValueError: for another kind, or a size that is not positive.
    """

    model_input_names = ["input_features", "input_values", "attention_mask"]

    def __init__(
        self,
        kind: Literal["log_mel", "waveform"] = "log_mel",
        sampling_rate: int = 16000,
        feature_size: int = 80,
        hop_length: int = 160,
        n_fft: int = 400,
        do_normalize: bool = True,
        maximum_seconds: float | None = None,
        **kwargs: Any,
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f"kind is {kind!r}; wanted one of {', '.join(KINDS)}")
        check_integer("sampling_rate", sampling_rate, 1, 1_000_000)
        check_integer("feature_size", feature_size, 1, 1024)
        check_integer("n_fft", n_fft, 1, 8192)
        check_integer("hop_length", hop_length, 1, 8192)
        check_flag("do_normalize", do_normalize)
        if maximum_seconds is not None:
            check_number("maximum_seconds", maximum_seconds, 0, 86_400)
        unknown = sorted(key for key in kwargs if key not in _TRANSFORMERS_KEYS)
        if unknown:
            raise ValueError(f"unknown keys {', '.join(unknown)}; wanted some of {', '.join(self._settings)}")
        super().__init__(**kwargs)
        self.kind = kind
        self.sampling_rate = sampling_rate
        self.feature_size = feature_size
        self.hop_length = hop_length
        self.n_fft = n_fft
        self.do_normalize = do_normalize
        self.maximum_seconds = maximum_seconds
        self._log_mel = None
        if kind == "log_mel":
            self._log_mel = WhisperFeatureExtractor(
                feature_size=feature_size, sampling_rate=sampling_rate, hop_length=hop_length, n_fft=n_fft
            )

    @classmethod
    def for_encoder(cls, encoder: str | PathLike[str], **kwargs: Any) -> "MiseFeatureExtractor":
        """The extractor that matches the encoder's own preprocessor configuration.

        Args:
            encoder: its id on the Hub, or its folder.
            **kwargs: passed to `AutoFeatureExtractor.from_pretrained` (revision, token, ...).

        Raises:
            ValueError: where the encoder's preprocessor makes neither log-mel spectrograms as Whisper's nor waveforms.
        """
        theirs = AutoFeatureExtractor.from_pretrained(encoder, **kwargs)
        if isinstance(theirs, MiseFeatureExtractor):
            return cls(**{name: getattr(theirs, name) for name in cls._settings})
        name = type(theirs).__name__
        if name == "WhisperFeatureExtractor":
            return cls(
                kind="log_mel",
                sampling_rate=theirs.sampling_rate,
                feature_size=theirs.feature_size,
                hop_length=theirs.hop_length,
                n_fft=theirs.n_fft,
                maximum_seconds=float(theirs.chunk_length),
            )
        if name == "Wav2Vec2FeatureExtractor":
            return cls(kind="waveform", sampling_rate=theirs.sampling_rate, do_normalize=bool(theirs.do_normalize))
        raise ValueError(
            f"the preprocessor of {str(encoder)!r} is {name}; wanted WhisperFeatureExtractor or "
            "Wav2Vec2FeatureExtractor"
        )

    _settings = ("kind", "sampling_rate", "feature_size", "hop_length", "n_fft", "do_normalize", "maximum_seconds")

    def to_dict(self) -> dict[str, Any]:
        """What `save_pretrained` writes."""
        output = super().to_dict()
        output.pop("_log_mel", None)
        return output

    @property
    def input_name(self) -> str:
        """Name of the encoder input in what a call returns."""
        return "input_features" if self.kind == "log_mel" else "input_values"

    @property
    def minimum_samples(self) -> int:
        """Shortest clip, in samples: one Fourier transform or 25 ms, whichever the kind needs for a first frame."""
        return self.n_fft if self.kind == "log_mel" else self.sampling_rate // 40

    def __call__(
        self,
        raw_speech: Any,
        *,
        sampling_rate: int | None = None,
        return_tensors: str | TensorType | None = "pt",
        **kwargs: Any,
    ) -> BatchFeature:
        """Encoder input of one waveform or several.

        Args:
            raw_speech: array, tensor or list (samples,), or a sequence of such; mono, float, any length from
                `minimum_samples` on.
            sampling_rate: of `raw_speech` in Hz; required, and it must be the extractor's own.
            return_tensors: "pt" (the default) or "np".
            **kwargs: padding options of other extractors (`padding`, `return_attention_mask`) are accepted where they
                ask for what is done anyway.

        Returns:
            `input_features` (batch, mel bins, frames) or `input_values` (batch, samples), float32, and
            `attention_mask` (batch, frames or samples), int64.

        Raises:
            ValueError: for a missing or other sampling rate, stereo, empty, too short, too long, silent or NaN audio,
                or an option that asks for something else.
        """
        if sampling_rate != self.sampling_rate:
            raise ValueError(
                f"sampling_rate is {sampling_rate} Hz; wanted sampling_rate={self.sampling_rate}: resample the audio "
                "first (torchaudio.functional.resample)"
            )
        for name, allowed in (("padding", (True, "longest")), ("return_attention_mask", (True,))):
            if name in kwargs and kwargs.pop(name) not in allowed:
                raise ValueError(f"{name} must be one of {allowed}: clips are padded to the longest, with a mask")
        if kwargs:
            raise ValueError(f"unknown options {sorted(kwargs)}; wanted sampling_rate and return_tensors")
        if str(getattr(return_tensors, "value", return_tensors)) not in ("pt", "np", "None"):
            raise ValueError(f"return_tensors is {return_tensors!r}; wanted 'pt' or 'np'")
        waveforms = [self.check(row, index) for index, row in enumerate(_rows(raw_speech))]
        if not waveforms:
            raise ValueError("got no waveform; wanted at least 1")
        rows = [self._log_mel_frames(row) if self.kind == "log_mel" else self._normalised(row) for row in waveforms]
        longest = max(row.shape[-1] for row in rows)
        batch = torch.zeros((len(rows), *rows[0].shape[:-1], longest))
        mask = torch.zeros((len(rows), longest), dtype=torch.int64)
        for index, row in enumerate(rows):
            batch[index, ..., : row.shape[-1]] = row
            mask[index, : row.shape[-1]] = 1
        made: dict[str, Any] = {self.input_name: batch, "attention_mask": mask}
        if str(getattr(return_tensors, "value", return_tensors)) != "pt":
            made = {name: value.numpy() for name, value in made.items()}
        return BatchFeature(made, tensor_type=return_tensors)

    def check(self, row: Any, index: int = 0) -> torch.Tensor:
        """Waveform `index` as float32 (samples,), on the CPU.

        Raises:
            ValueError: for stereo, empty, too short, too long, silent or NaN audio, or whole numbers.
        """
        try:
            waveform = row.detach().cpu() if isinstance(row, torch.Tensor) else torch.tensor(row)
        except (TypeError, RuntimeError) as error:
            raise ValueError(
                f"waveform {index} is a {type(row).__name__} that holds no numbers; wanted floats"
            ) from error
        if waveform.dim() != 1:
            raise ValueError(
                f"waveform {index} has shape {tuple(waveform.shape)}; wanted (samples,): average the channels first"
            )
        if waveform.numel() == 0:
            raise ValueError(f"waveform {index} is empty; wanted at least {self.minimum_samples} samples")
        if not waveform.is_floating_point():
            raise ValueError(f"waveform {index} has type {waveform.dtype}; wanted floats in -1 to 1")
        waveform = waveform.float()
        if not bool(waveform.isfinite().all()):
            raise ValueError(f"waveform {index} holds NaN or infinity; wanted finite samples")
        if waveform.numel() < self.minimum_samples:
            raise ValueError(
                f"waveform {index} has {waveform.numel()} samples; wanted at least {self.minimum_samples} "
                f"({self.minimum_samples / self.sampling_rate:.3f} s)"
            )
        if self.maximum_seconds is not None and waveform.numel() > self.maximum_seconds * self.sampling_rate:
            raise ValueError(
                f"waveform {index} lasts {waveform.numel() / self.sampling_rate:.1f} s; wanted at most "
                f"{self.maximum_seconds:g} s: cut it into windows"
            )
        spread = float(waveform.max() - waveform.min())
        if spread <= SILENCE:
            raise ValueError(f"waveform {index} is silent (peak to peak {spread:.1e}); wanted speech")
        return waveform

    def _log_mel_frames(self, waveform: torch.Tensor) -> torch.Tensor:
        """(mel bins, frames), one frame every `hop_length` samples."""
        extractor = cast(WhisperFeatureExtractor, self._log_mel)
        output = extractor(
            waveform.numpy(),
            sampling_rate=self.sampling_rate,
            padding="do_not_pad",
            truncation=False,
            return_tensors="np",
        )
        return torch.from_numpy(output["input_features"][0])

    def _normalised(self, waveform: torch.Tensor) -> torch.Tensor:
        if not self.do_normalize:
            return waveform
        # The epsilon of Wav2Vec2FeatureExtractor, so that the values are its values.
        return (waveform - waveform.mean()) / (waveform.var(correction=0) + 1e-7).sqrt()


def _rows(raw_speech: Any) -> list[Any]:
    """`raw_speech` as a list of waveforms."""
    if hasattr(raw_speech, "ndim"):
        return [raw_speech] if raw_speech.ndim == 1 else list(raw_speech)
    if len(raw_speech) > 0 and isinstance(raw_speech[0], int | float):
        return [raw_speech]
    return list(raw_speech)


MiseFeatureExtractor.register_for_auto_class("AutoFeatureExtractor")
