"""What an aligner's training embeds: states pooled before, or recordings and transcripts that go through encoders."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from transformers import AutoTokenizer

from mise_hf.corpora.prepared import PreparedCorpus
from mise_hf.features import FeatureTable
from mise_hf.features.audio import read_audio
from mise_hf.models.feature_extraction_mise import MiseFeatureExtractor
from mise_hf.models.modeling_mise_aligner import MiseAligner, MiseAlignerOutput
from mise_hf.training.rows import audio_states, text_states

# Rows whose states the towers are standardised by, where each has to go through the encoders first.
SCALER_ROWS = 512
SCALER_BATCH = 16


class AlignerInputs(Protocol):
    """Rows to train an aligner on.

    Attributes:
        labels: int64 (rows,).
        text_ids: int64 (rows,), equal for equal transcripts; None without text.
    """

    labels: Tensor
    text_ids: Tensor | None

    def fit(self, aligner: MiseAligner) -> None:
        """Standardise the aligner's towers by these rows."""

    def embed(self, aligner: MiseAligner, chosen: Tensor) -> MiseAlignerOutput:
        """Embeddings and logits of the rows `chosen`, int64 (batch,)."""


class PooledInputs:
    """Rows of a feature table."""

    def __init__(self, table: FeatureTable, text: bool):
        self.labels = torch.from_numpy(table.labels)
        self.audio = audio_states(table)
        self.text = text_states(table) if text else None
        self.text_ids = None if self.text is None else self.text.flatten(1).unique(dim=0, return_inverse=True)[1]

    def fit(self, aligner: MiseAligner) -> None:
        """As in `AlignerInputs`."""
        aligner.audio_tower.fit_scaler(self.audio)
        if self.text is not None:
            aligner.text_tower.fit_scaler(self.text)

    def embed(self, aligner: MiseAligner, chosen: Tensor) -> MiseAlignerOutput:
        """As in `AlignerInputs`."""
        text = None if self.text is None else self.text[chosen].to(aligner.device)
        return aligner.embed(self.audio[chosen].to(aligner.device), text)


class RawInputs:
    """Rows of a prepared corpus, read and encoded whenever they are wanted.

    Args:
        corpus: prepared.
        exclude_speakers: whose rows are left out.
        audio_encoder, text_encoder: id or folder, for preprocessor and tokenizer; "" for no text.
        max_seconds: of a recording that are taken.

    Attributes:
        label_names, corpus, speakers: as in `FeatureTable`.
    """

    def __init__(
        self,
        corpus: PreparedCorpus,
        exclude_speakers: list[str],
        audio_encoder: str,
        text_encoder: str,
        max_seconds: float,
    ):
        rows = corpus.rows(0, len(corpus))
        absent = sorted(set(exclude_speakers) - {row["speaker"] for row in rows})
        if absent:
            raise ValueError(
                f"exclude_speakers has {absent}; wanted some of {sorted({row['speaker'] for row in rows})}"
            )
        self.rows = [row for row in rows if row["speaker"] not in exclude_speakers and row["audio"]]
        self.label_names, self.corpus = corpus.label_names, corpus.story["corpus"]
        self.speakers = np.array([row["speaker"] for row in self.rows])
        self.labels = torch.tensor([row["label"] for row in self.rows], dtype=torch.int64)
        self.extractor = MiseFeatureExtractor.for_encoder(audio_encoder)
        self.samples = int(
            min(max_seconds, self.extractor.maximum_seconds or max_seconds) * self.extractor.sampling_rate
        )
        self.tokenizer = AutoTokenizer.from_pretrained(text_encoder) if text_encoder else None
        self.text_ids = None
        if self.tokenizer is not None:
            texts = [row["text"] or "" for row in self.rows]
            self.text_ids = torch.from_numpy(np.unique(texts, return_inverse=True)[1].astype(np.int64))

    def __len__(self) -> int:
        return len(self.rows)

    @torch.no_grad()
    def fit(self, aligner: MiseAligner) -> None:
        """As in `AlignerInputs`, by `SCALER_ROWS` rows at most."""
        chosen = torch.linspace(0, len(self) - 1, min(SCALER_ROWS, len(self))).long()
        pieces = [self._states(aligner, part) for part in chosen.split(SCALER_BATCH)]
        aligner.audio_tower.fit_scaler(torch.cat([audio for audio, _ in pieces]))
        if self.tokenizer is not None:
            aligner.text_tower.fit_scaler(torch.cat([text for _, text in pieces]))

    def embed(self, aligner: MiseAligner, chosen: Tensor) -> MiseAlignerOutput:
        """As in `AlignerInputs`; gradient flows into the encoders' open weights."""
        return aligner.embed(*self._states(aligner, chosen))

    def _states(self, aligner: MiseAligner, chosen: Tensor) -> tuple[Tensor, Tensor | None]:
        """Pooled states of audio and text, (batch, layers, 2 * hidden) each."""
        rows = [self.rows[i] for i in chosen.tolist()]
        rate = self.extractor.sampling_rate
        waveforms = [read_audio(Path(row["audio"]), sampling_rate=rate)[: self.samples] for row in rows]
        inputs: Any = self.extractor(waveforms, sampling_rate=rate)
        device = aligner.device
        audio = aligner.pool_audio(inputs[self.extractor.input_name].to(device), inputs["attention_mask"].to(device))
        if self.tokenizer is None:
            return audio, None
        positions = getattr(aligner.text_encoder.config, "max_position_embeddings", None) or 514
        limit = min(self.tokenizer.model_max_length, positions - 2)
        texts = [row["text"] or self.tokenizer.unk_token or "." for row in rows]
        tokens: Any = self.tokenizer(texts, padding=True, truncation=True, max_length=limit, return_tensors="pt")
        return audio, aligner.pool_text(tokens["input_ids"].to(device), tokens["attention_mask"].to(device))
