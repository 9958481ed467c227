"""MiseForAudioClassification: waveform (or pooled states, or features) -> emotion logits.

Travels to the Hub: imports torch, transformers and siblings of this folder, never `mise_hf`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoModel, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import SequenceClassifierOutput

from .checkpoint_mise import MisePreTrainedModel
from .configuration_mise import MiseAlignerConfig, MiseSerConfig
from .modeling_mise_aligner import MiseAligner, MiseTower, check_labels, load_encoder
from .pooling_mise import pooled_audio_states, take_encoder
from .space_mise import MiseFeatureSpace


class MiseForAudioClassification(MisePreTrainedModel):
    """SER head over utterance-level features, audio-only or audio+text.

    waveform -> encoder -> pooled states -> feature space (or an aligner) -> features h -> head -> logits.
    Any of the first steps may be left out: give `audio_states` or `features` instead.
    """

    config_class = MiseSerConfig
    base_model_prefix = "ser"
    main_input_name = "input_features"

    feature_mean: Tensor
    feature_scale: Tensor

    def __init__(self, config: MiseSerConfig):
        super().__init__(config)
        self.audio_encoder = self.aligner = self.space = None
        if config.space == "aligned":
            assert isinstance(config.aligner_config, MiseAlignerConfig)
            self.aligner = MiseAligner(config.aligner_config)
        else:
            self.space = MiseFeatureSpace(config.state_size, config.feature_size)
            if config.audio_config is not None:
                self.audio_encoder = take_encoder(AutoModel.from_config(config.audio_config))
        size = config.feature_size + config.text_size
        # Features differ in scale by component: fitted on the training rows, so one learning rate fits all.
        self.register_buffer("feature_mean", torch.zeros(size))
        self.register_buffer("feature_scale", torch.ones(size))
        self.dropout = nn.Dropout(config.dropout)
        self.hidden = nn.Linear(size, config.hidden_size) if config.head == "mlp" else None
        self.classifier = nn.Linear(config.hidden_size if config.head == "mlp" else size, config.num_labels)
        self.post_init()
        if self.audio_encoder is not None:
            self.audio_encoder.requires_grad_(False)

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            init.xavier_uniform_(module.weight)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, MiseTower | MiseAligner):
            MiseAligner._init_weights(self.aligner, module)
        elif isinstance(module, MiseFeatureSpace):
            module.initialise()
        elif isinstance(module, MiseForAudioClassification):
            init.zeros_(module.feature_mean)
            init.ones_(module.feature_scale)

    def attach_encoder(self, audio: str | PreTrainedModel) -> "MiseForAudioClassification":
        """Put an audio encoder (Hub id, folder or model) into a head trained on pooled states; returns itself."""
        if self.aligner is not None:
            self.aligner.attach_encoders(audio=audio)
            self.config.aligner_config = self.aligner.config
        else:
            self.audio_encoder = load_encoder(audio).requires_grad_(False)
            self.config.audio_config = self.audio_encoder.config
        return self

    def audio_features(
        self,
        input_values: Tensor | None = None,
        input_features: Tensor | None = None,
        attention_mask: Tensor | None = None,
        audio_states: Tensor | None = None,
    ) -> Tensor:
        """Raw audio, or pooled states (batch, state size), or (batch, layers, state size) in the aligned space -> h."""
        if self.aligner is not None:
            return self.aligner(input_values, input_features, attention_mask, audio_states=audio_states).audio_embeds
        if audio_states is None:
            if self.audio_encoder is None:
                raise ValueError("this checkpoint holds no audio encoder; attach one with attach_encoder(...)")
            inputs = input_features if input_values is None else input_values
            with torch.no_grad():
                pooled = pooled_audio_states(self.audio_encoder, inputs, attention_mask, self.config.state_layers)
            audio_states = pooled.flatten(1)
        if audio_states.dim() != 2 or audio_states.shape[1] != self.config.state_size:
            raise ValueError(
                f"audio_states have shape {tuple(audio_states.shape)}; wanted (batch, {self.config.state_size}) of "
                f"layers {list(self.config.state_layers)}"
            )
        return self.space.project(audio_states.float())

    def forward(
        self,
        input_values: Tensor | None = None,
        input_features: Tensor | None = None,
        attention_mask: Tensor | None = None,
        audio_states: Tensor | None = None,
        features: Tensor | None = None,
        text_features: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Emotion logits, and with labels the cross-entropy.

        Args:
            input_values: waveforms (batch, samples); or `input_features`: log-mel (batch, mel bins, frames).
            attention_mask: (batch, samples) or (batch, frames), non-zero on valid input.
            audio_states: pooled states (batch, state size), instead of raw audio.
            features: h, real or synthetic, (batch, feature size), instead of raw audio or states.
            text_features: t, (batch, text size), for an audio+text head.
            labels: emotion ids, int64 (batch,).

        Raises:
            ValueError: unless exactly one kind of audio input is given, or for shapes that do not fit.
        """
        given = [value for value in (input_values, input_features, audio_states, features) if value is not None]
        if len(given) != 1:
            raise ValueError(
                f"{len(given)} of input_values, input_features, audio_states and features given; wanted exactly one"
            )
        if features is None:
            features = self.audio_features(input_values, input_features, attention_mask, audio_states)
        if self.config.text_size:
            if text_features is None:
                raise ValueError(
                    f"no text_features; wanted (batch, {self.config.text_size}): this head hears and reads"
                )
            features = torch.cat([features, text_features], dim=1)
        logits = self.classify(features)
        loss = None
        if labels is not None:
            check_labels(labels, self.config.num_labels)
            loss = F.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def classify(self, inputs: Tensor) -> Tensor:
        """The head alone: features, with text features behind (batch, feature size + text size) -> (batch, labels)."""
        if inputs.dim() != 2 or inputs.shape[1] != len(self.feature_mean):
            raise ValueError(f"features have shape {tuple(inputs.shape)}; wanted (batch, {len(self.feature_mean)})")
        hidden = self.dropout((inputs - self.feature_mean) / self.feature_scale)
        if self.hidden is not None:
            hidden = self.dropout(F.silu(self.hidden(hidden)))
        return self.classifier(hidden)
