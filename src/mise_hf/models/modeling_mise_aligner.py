"""MiseAligner: audio and text encoders -> pooled states -> one space of audio_embeds h and text_embeds t.

Travels to the Hub: imports torch, transformers and siblings of this folder, never `mise_hf`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoModel, PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput

from .checkpoint_mise import MisePreTrainedModel
from .configuration_mise import MiseAlignerConfig
from .loss_mise import contrastive_loss, mutual_information_bound, negative_mask
from .pooling_mise import encoder_hidden_size, pooled_audio_states, pooled_text_states, take_encoder


@dataclass
class MiseAlignerOutput(ModelOutput):
    """What an aligner gives; the loss and its terms only with labels or text.

    Attributes:
        loss: weighted sum of the terms (scalar).
        emotion_loss: cross-entropy of both classifiers, in nats (scalar).
        contrastive_loss: symmetric InfoNCE loss, in nats (scalar).
        mi_bound: lower bound on I(h; t) over all negatives of the batch, in nats (scalar).
        audio_embeds: h, float32 (batch, projection size).
        text_embeds: t, float32 (batch, projection size).
        audio_logits, text_logits: (batch, labels).
    """

    loss: Tensor | None = None
    emotion_loss: Tensor | None = None
    contrastive_loss: Tensor | None = None
    mi_bound: Tensor | None = None
    audio_embeds: Tensor | None = None
    text_embeds: Tensor | None = None
    audio_logits: Tensor | None = None
    text_logits: Tensor | None = None


class MiseTower(nn.Module):
    """Pooled states (batch, layers, state size) -> embeddings (batch, projection size); holds a classifier."""

    mean: Tensor
    scale: Tensor

    def __init__(self, config: MiseAlignerConfig, layers: int, state_size: int):
        super().__init__()
        self.layer_weights = nn.Parameter(torch.zeros(layers))
        self.register_buffer("mean", torch.zeros(layers, state_size))
        self.register_buffer("scale", torch.ones(layers, state_size))
        self.dropout = nn.Dropout(config.dropout)
        self.hidden = nn.Linear(state_size, config.hidden_size) if config.hidden_size else None
        self.projection = nn.Linear(config.hidden_size or state_size, config.projection_size)
        self.classifier = nn.Linear(config.projection_size, config.num_labels)

    @torch.no_grad()
    def fit_scaler(self, states: Tensor) -> None:
        """Standardise by the training rows `states` (utterances, layers, state size)."""
        scale = states.double().std(0, correction=0)
        self.mean.copy_(states.double().mean(0))
        self.scale.copy_(torch.where(scale > 1e-6 * scale.max().clamp_min(1e-30), scale, torch.ones_like(scale)))

    def forward(self, states: Tensor) -> Tensor:
        """States (batch, layers, state size) -> embeddings (batch, projection size)."""
        if states.shape[1:] != self.mean.shape:
            raise ValueError(
                f"pooled states have shape {tuple(states.shape)}; wanted (batch, layers, 2 * hidden) = "
                f"(batch, {self.mean.shape[0]}, {self.mean.shape[1]})"
            )
        standard = (states.float() - self.mean) / self.scale
        mixed = torch.einsum("l,bls->bs", self.layer_weights.softmax(0), standard)
        mixed = self.dropout(mixed)
        if self.hidden is not None:
            mixed = self.dropout(F.silu(self.hidden(mixed)))
        return self.projection(mixed)


class MiseAligner(MisePreTrainedModel):
    """Learns one space for audio and text with emotion, contrastive and mutual-information objectives.

    Takes raw inputs (with encoders inside) or states pooled before (`audio_states`, `text_states`). Without text it is
    an emotion-supervised projection of the audio states.
    """

    config_class = MiseAlignerConfig
    base_model_prefix = "aligner"
    main_input_name = "audio_states"

    def __init__(self, config: MiseAlignerConfig):
        super().__init__(config)
        self.audio_encoder = self.text_encoder = None
        if config.audio_config is not None:
            self.audio_encoder = take_encoder(AutoModel.from_config(config.audio_config))
        if config.text_config is not None:
            self.text_encoder = take_encoder(AutoModel.from_config(config.text_config))
        self.audio_tower = MiseTower(config, len(config.audio_layers), config.audio_state_size)
        self.text_tower = self.critic = self.log_temperature = None
        if config.text_state_size:
            self.text_tower = MiseTower(config, len(config.text_layers), config.text_state_size)
            # Bilinear critic of the MI bound; apart from the cosine that the contrastive term shapes.
            self.critic = nn.Linear(config.projection_size, config.projection_size, bias=False)
            self.log_temperature = nn.Parameter(torch.tensor(0.0))
        self.post_init()
        self._freeze_encoders()

    def _freeze_encoders(self) -> None:
        for encoder in (self.audio_encoder, self.text_encoder):
            if encoder is not None:
                encoder.requires_grad_(self.config.train_encoders)

    def train(self, mode: bool = True) -> "MiseAligner":
        """Training mode for all but a frozen encoder, whose dropout would only add noise."""
        super().train(mode)
        if not self.config.train_encoders:
            for encoder in (self.audio_encoder, self.text_encoder):
                if encoder is not None:
                    encoder.eval()
        return self

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            init.xavier_uniform_(module.weight)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, MiseTower):
            init.zeros_(module.layer_weights)
            init.zeros_(module.mean)
            init.ones_(module.scale)
        elif isinstance(module, MiseAligner) and module.log_temperature is not None:
            init.constant_(module.log_temperature, torch.tensor(module.config.temperature).log().item())

    @classmethod
    def from_encoders(
        cls,
        audio: str | PreTrainedModel,
        text: str | PreTrainedModel | None = None,
        *,
        labels: Sequence[str],
        audio_layers: Sequence[int],
        text_layers: Sequence[int] | None = None,
        **config,
    ) -> "MiseAligner":
        """A new aligner around pretrained encoders.

        Args:
            audio: Hub id or folder of an audio encoder (wav2vec2, HuBERT, WavLM, data2vec-audio, Whisper), or a model.
            text: likewise a text encoder (BERT, RoBERTa, DistilBERT, MiniLM); None for an aligner without text.
            labels: emotion names.
            audio_layers, text_layers: layers whose pooled states are mixed (0 is the input embedding); the text
                encoder's last layer by default.
            config: further fields of `MiseAlignerConfig`.
        """
        audio_encoder = load_encoder(audio)
        text_encoder = None if text is None else load_encoder(text)
        if text_encoder is not None and text_layers is None:
            text_layers = [text_encoder.config.num_hidden_layers]
        made = MiseAlignerConfig(
            audio_config=audio_encoder.config,
            text_config=None if text_encoder is None else text_encoder.config,
            audio_state_size=2 * encoder_hidden_size(audio_encoder.config),
            text_state_size=0 if text_encoder is None else 2 * encoder_hidden_size(text_encoder.config),
            audio_layers=list(audio_layers),
            text_layers=list(text_layers or [0]),
            id2label=dict(enumerate(labels)),
            **config,
        )
        model = cls(made)
        model.audio_encoder.load_state_dict(audio_encoder.state_dict())
        if text_encoder is not None:
            model.text_encoder.load_state_dict(text_encoder.state_dict())
        return model

    def attach_encoders(
        self, audio: str | PreTrainedModel | None = None, text: str | PreTrainedModel | None = None
    ) -> "MiseAligner":
        """Put encoders into an aligner that was trained on pooled states; returns itself."""
        if audio is not None:
            self.audio_encoder = load_encoder(audio)
            self.config.audio_config = self.audio_encoder.config
        if text is not None:
            self.text_encoder = load_encoder(text)
            self.config.text_config = self.text_encoder.config
        self._freeze_encoders()
        return self.train(self.training)

    def pool_audio(self, inputs: Tensor, attention_mask: Tensor | None) -> Tensor:
        """Encoder input -> pooled states (batch, layers, 2 * hidden)."""
        if self.audio_encoder is None:
            raise ValueError("this checkpoint holds no audio encoder; attach one with attach_encoders(audio=...)")
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.config.train_encoders):
            return pooled_audio_states(self.audio_encoder, inputs, attention_mask, self.config.audio_layers)

    def pool_text(self, input_ids: Tensor, attention_mask: Tensor | None) -> Tensor:
        """Token ids (batch, tokens) -> pooled states (batch, layers, 2 * hidden)."""
        if self.text_encoder is None:
            raise ValueError("this checkpoint holds no text encoder; attach one with attach_encoders(text=...)")
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.config.train_encoders):
            return pooled_text_states(self.text_encoder, input_ids, attention_mask, self.config.text_layers)

    def forward(
        self,
        input_values: Tensor | None = None,
        input_features: Tensor | None = None,
        attention_mask: Tensor | None = None,
        input_ids: Tensor | None = None,
        text_attention_mask: Tensor | None = None,
        audio_states: Tensor | None = None,
        text_states: Tensor | None = None,
        labels: Tensor | None = None,
        text_ids: Tensor | None = None,
    ) -> MiseAlignerOutput:
        """Embed audio and, where given, text; with labels or text also the loss and its terms.

        Args:
            input_values: waveforms (batch, samples); or `input_features`: log-mel (batch, mel bins, frames).
            attention_mask: (batch, samples) or (batch, frames), non-zero on valid input.
            input_ids, text_attention_mask: (batch, tokens).
            audio_states: (batch, layers, 2 * hidden), instead of raw audio.
            text_states: (batch, layers, 2 * hidden), instead of tokens.
            labels: emotion ids, int64 (batch,).
            text_ids: int64 (batch,), equal for equal transcripts; found from the text states where not given.

        Raises:
            ValueError: for no audio, for raw input without an encoder, or text given to an aligner without text.
        """
        audio = [value for value in (input_values, input_features, audio_states) if value is not None]
        if len(audio) != 1:
            raise ValueError(f"{len(audio)} of input_values, input_features and audio_states given; wanted exactly one")
        if audio_states is None:
            audio_states = self.pool_audio(audio[0], attention_mask)
        if text_states is None and input_ids is not None:
            text_states = self.pool_text(input_ids, text_attention_mask)
        out = self.embed(audio_states, text_states)
        if labels is not None or (text_states is not None and self.training):
            if text_ids is None and text_states is not None:
                text_ids = text_states.flatten(1).unique(dim=0, return_inverse=True)[1]
            self.add_loss(out, labels, text_ids)
        return out

    def embed(self, audio_states: Tensor, text_states: Tensor | None = None) -> MiseAlignerOutput:
        """Pooled states (batch, layers, 2 * hidden) -> embeddings and logits, no loss."""
        if text_states is not None and self.text_tower is None:
            raise ValueError("text given; wanted none: this aligner was made without text (text_state_size is 0)")
        out = MiseAlignerOutput(audio_embeds=self.audio_tower(audio_states))
        out.audio_logits = self.audio_tower.classifier(out.audio_embeds)
        if text_states is not None:
            out.text_embeds = self.text_tower(text_states)
            out.text_logits = self.text_tower.classifier(out.text_embeds)
        return out

    def add_loss(self, out: MiseAlignerOutput, labels: Tensor | None, text_ids: Tensor | None) -> None:
        """Fill in the terms that embeddings, labels (batch,) and text ids (batch,) allow, and their weighted sum."""
        if labels is not None:
            check_labels(labels, self.config.num_labels)
            out.emotion_loss = F.cross_entropy(out.audio_logits, labels)
            if out.text_logits is not None:
                out.emotion_loss = out.emotion_loss + F.cross_entropy(out.text_logits, labels)
        if out.text_embeds is not None and text_ids is not None:
            self.add_alignment_terms(out, text_ids, labels)
        terms = [
            (self.config.emotion_weight, out.emotion_loss),
            (self.config.contrastive_weight, out.contrastive_loss),
            (-self.config.mi_weight, out.mi_bound),
        ]
        present = [weight * term for weight, term in terms if term is not None]
        if present:
            out.loss = torch.stack(present).sum()

    def add_alignment_terms(self, out: MiseAlignerOutput, text_ids: Tensor, labels: Tensor | None) -> None:
        """Fill in the contrastive and MI terms of a batch of pairs."""
        same_text = text_ids if self.config.mask_same_text else None
        same_label = labels if self.config.mask_same_label else None
        negatives = negative_mask(len(text_ids), text_ids.device, same_text, same_label)
        if not bool(negatives.any()):
            return
        audio, text = out.audio_embeds, out.text_embeds
        cosine = F.normalize(audio, dim=1) @ F.normalize(text, dim=1).t()
        out.contrastive_loss = contrastive_loss(cosine / self.log_temperature.exp(), negatives)
        # Scaled to unit size, or the bound grows with the embeddings instead of with what they share.
        scores = (
            self.critic(F.normalize(audio, dim=1)) @ F.normalize(text, dim=1).t() * self.config.projection_size**0.5
        )
        # The bound needs draws of the marginal: without the rows of the same text it would pass H(t).
        everyone = negative_mask(len(text_ids), text_ids.device)
        out.mi_bound = mutual_information_bound(scores, everyone, self.config.mi_bound)


def load_encoder(encoder: str | PreTrainedModel) -> PreTrainedModel:
    """A pretrained encoder in float32: from a Hub id or folder, or the one given."""
    model = AutoModel.from_pretrained(encoder, dtype=torch.float32) if isinstance(encoder, str) else encoder
    return take_encoder(model)


def check_labels(labels: Tensor, num_labels: int) -> None:
    """Raise ValueError for an emotion id outside 0 .. num_labels - 1, before an index error on a GPU does."""
    if len(labels) and not (int(labels.min()) >= 0 and int(labels.max()) < num_labels):
        raise ValueError(f"labels run from {int(labels.min())} to {int(labels.max())}; wanted 0 to {num_labels - 1}")
