"""A generator's real rows from a stream of shards: in its space, with the statistics that it starts from."""

from collections.abc import Callable

import torch
from accelerate import Accelerator
from torch.nn import functional as F

from mise_hf.models.modeling_mise_aligner import MiseAligner
from mise_hf.models.modeling_mise_generator import MiseGenerator
from mise_hf.models.space_mise import MiseFeatureSpace
from mise_hf.training.arguments import GeneratorArguments
from mise_hf.training.moments import SumsOfRows
from mise_hf.training.sources import PROBE_ROWS, RealRows
from mise_hf.training.stream import FeatureStream, StateRows
from mise_hf.training.stream_index import StreamIndex


class StreamedRows:
    """Rows of a stream in the encoder space or an aligner's; stands where `TrainingRows` do.

    Args:
        index: of the feature folder.
        arguments: of the generator's training.
        accelerator: the passes over all rows that statistics need are shared among its processes.
        aligner: whose space the rows are to be in; None for the encoder space, which is fitted here.

    Attributes:
        space, layers: as in `TrainingRows`.
        feature_size, text_size: dimensions of a row's features and text (0 without).
    """

    def __init__(
        self,
        index: StreamIndex,
        arguments: GeneratorArguments,
        accelerator: Accelerator,
        aligner: MiseAligner | None = None,
    ):
        self.index, self.accelerator = index, accelerator
        self.aligner = None if aligner is None else aligner.eval()
        self.wants_text = arguments.text or arguments.paired
        self.stream = FeatureStream(
            index,
            batch_size=arguments.batch_size,
            buffer_rows=arguments.buffer_rows,
            lanes=arguments.stream_lanes,
            seed=arguments.seed,
            text=self.wants_text,
            rank=accelerator.process_index,
            world=accelerator.num_processes,
        )
        self.space = self.layers = None
        if aligner is None:
            held = list(index.fingerprint["audio_layers"])
            absent = [layer for layer in arguments.layers if layer not in held]
            if absent:
                raise ValueError(f"layers {absent} are not in the features; they hold audio layers {held}")
            self.layers, self._places = tuple(arguments.layers), [held.index(layer) for layer in arguments.layers]
            self.space = self._fit_space(arguments.feature_size)
        first = self.real_rows(next(self.stream.sweep()).take(slice(2)))
        self.feature_size, self.text_size = first.target.shape[1], 0 if first.text is None else first.text.shape[1]

    def _fit_space(self, feature_size: int) -> MiseFeatureSpace:
        sums = None
        for rows in self._sweep():
            states = self._states(rows)
            sums = sums or SumsOfRows(len(self.index.label_names), states.shape[1])
            sums.add(states, torch.from_numpy(rows.labels))
        moments = sums.moments(self.accelerator)
        size = min(feature_size, len(moments.mean), len(self.index) - 1)
        return MiseFeatureSpace(len(moments.mean), size).fit_moments(moments.mean, moments.covariance)

    def _states(self, rows: StateRows) -> torch.Tensor:
        """Those of the chosen layers side by side, float32 (rows, layers * 2 * hidden)."""
        return torch.from_numpy(rows.audio_states[:, self._places].astype("float32")).flatten(1)

    def _sweep(self):
        return self.stream.sweep(self.accelerator.process_index, self.accelerator.num_processes)

    @torch.no_grad()
    def real_rows(self, rows: StateRows) -> RealRows:
        """Pooled states -> features as target, labels, and text where the training wants it."""
        labels = torch.from_numpy(rows.labels)
        text = None if rows.text_states is None else torch.from_numpy(rows.text_states.astype("float32"))
        if self.aligner is not None:
            out = self.aligner.embed(torch.from_numpy(rows.audio_states.astype("float32")), text)
            return RealRows(out.audio_embeds, labels, out.text_embeds)
        states = self._states(rows)
        if text is not None:
            # As `rows.sentence_embeddings`: the mean over tokens of the last layer.
            text = F.normalize(text[:, -1, : text.shape[2] // 2], dim=1)
        return RealRows(self.space.project(states), labels, text)


class StreamSource:
    """Rows of a stream as they come: every row once an epoch, labels as often as the corpus has them.

    Args:
        rows: the stream.
        paired: the target is features and text behind each other.
        text: give the text too.
    """

    def __init__(self, rows: StreamedRows, *, paired: bool, text: bool):
        self.rows, self.paired, self.text = rows, paired, text
        accelerator = rows.accelerator
        sums = None
        for piece in rows._sweep():
            made = self._of(piece)
            sums = sums or SumsOfRows(len(rows.index.label_names), made.target.shape[1])
            sums.add(made.target, made.labels)
        self.moments = sums.moments(accelerator)
        total = self.moments.counts.sum()
        self.prior = (self.moments.counts / total).float()
        self.scale = self.moments.covariance.diagonal().clamp_min(0).sqrt().float()
        spread = self.moments.covariance.diagonal().mean() + self.moments.mean.var(correction=0)
        self.unit = spread.clamp_min(0).sqrt().float()
        self.probe = self._probe()
        stream = rows.stream
        per_process = stream.batch_size // accelerator.num_processes
        self.first = accelerator.process_index * per_process

    def start(self, generator: MiseGenerator) -> None:
        """As in `Source`."""
        generator.start_from_moments(
            self.moments.means, self.moments.within, self.moments.mean, self.moments.covariance.diagonal().sqrt()
        )

    def batch(self, number: int, rng: torch.Generator) -> Callable[[slice], RealRows]:
        """As in `Source`; nothing is drawn, the order follows from the number."""
        rows = self._of(self.rows.stream.batch(number))
        return lambda part: rows.take(slice(part.start - self.first, part.stop - self.first))

    def _of(self, states: StateRows) -> RealRows:
        rows = self.rows.real_rows(states)
        target = torch.cat([rows.target, rows.text], dim=1) if self.paired else rows.target
        return RealRows(target, rows.labels, rows.text if self.text else None)

    def _probe(self) -> RealRows:
        """The first rows: as many blocks as that takes."""
        pieces: list[StateRows] = []
        for piece in self.rows.stream.sweep():
            pieces.append(piece)
            if sum(map(len, pieces)) >= PROBE_ROWS:
                break
        return self._of(StateRows.join(pieces).take(slice(PROBE_ROWS)))
