"""Rows from many Parquet shards that do not fit into memory, in an order that is a function of (seed, batch number).

The row groups of all shards are blocks. In each epoch they are shuffled and dealt to lanes; a lane reads blocks until
its buffer is full, shuffles it, hands its rows out, and reads on. A batch has equally many rows of every lane. Lanes
are dealt to processes, so that each reads its own blocks only, and the batch is the same however many there are.
Nothing has to be saved for a resume: what batch number n holds follows from n.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mise_hf.training.stream_index import Block, StreamIndex


@dataclass(frozen=True)
class StateRows:
    """Pooled states as they lie in a shard.

    Attributes:
        audio_states: float16 (rows, layers, 2 * hidden).
        text_states: the same of the transcripts; None where not asked for.
        labels: int64 (rows,).
    """

    audio_states: np.ndarray
    text_states: np.ndarray | None
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray | slice) -> "StateRows":
        """Those rows, in that order."""
        text = None if self.text_states is None else self.text_states[rows]
        return StateRows(self.audio_states[rows], text, self.labels[rows])

    @staticmethod
    def join(parts: Sequence["StateRows"]) -> "StateRows":
        """Rows behind each other."""
        if len(parts) == 1:
            return parts[0]
        text = None
        if parts[0].text_states is not None:
            text = np.concatenate([part.text_states for part in parts])
        return StateRows(
            np.concatenate([part.audio_states for part in parts]),
            text,
            np.concatenate([part.labels for part in parts]),
        )


@dataclass
class _Lane:
    """What a lane holds: its buffers of one epoch as lists of blocks, and the rows of the buffer that was read last."""

    epoch: int = -1
    buffers: list[list[Block]] = field(default_factory=list)
    starts: np.ndarray = field(default_factory=lambda: np.zeros(1, dtype=np.int64))
    read: int = -1
    rows: StateRows | None = None


class FeatureStream:
    """Batches of a feature folder by their number, with two buffers' memory at most for each lane.

    Args:
        index: of the folder.
        batch_size: rows of a batch, over all processes.
        buffer_rows: rows among which are shuffled, over all lanes of all processes.
        lanes: see above; a divisor of the batch size, and a multiple of the number of processes.
        seed: of the order.
        text: read the transcripts' states too.
        rank, world: which process this is, of how many.

    Raises:
        ValueError: for lanes that do not fit.
    """

    def __init__(
        self,
        index: StreamIndex,
        *,
        batch_size: int,
        buffer_rows: int,
        lanes: int = 8,
        seed: int = 0,
        text: bool = False,
        rank: int = 0,
        world: int = 1,
    ):
        self.index, self.blocks = index, index.blocks
        if lanes < 1 or len(self.blocks) < lanes:
            raise ValueError(f"stream_lanes is {lanes}; wanted 1 to {len(self.blocks)}, the row groups of the shards")
        if batch_size % lanes or lanes % world:
            raise ValueError(
                f"stream_lanes is {lanes}; wanted a divisor of the batch size {batch_size} and a multiple of the "
                f"{world} processes"
            )
        self.batch_size, self.seed, self.text = batch_size, seed, text
        self.lane_rows, self.lane_buffer = batch_size // lanes, max(1, buffer_rows // lanes)
        self.lanes = lanes
        mine = lanes // world
        self.mine = range(rank * mine, (rank + 1) * mine)
        self._state = {lane: _Lane() for lane in self.mine}
        self._ends: list[int] = []

    def batch(self, number: int) -> StateRows:
        """This process's rows of batch `number`: those of its lanes behind each other."""
        epoch, place = self._epoch_of(number)
        start = place * self.lane_rows
        return StateRows.join([self._rows(lane, epoch, start, start + self.lane_rows) for lane in self.mine])

    def sweep(self, rank: int = 0, world: int = 1) -> Iterator[StateRows]:
        """Every `world`-th block in the order of the shards, once, beginning with number `rank`: for statistics."""
        for block in self.blocks[rank::world]:
            yield self._read(block)

    def _epoch_of(self, number: int) -> tuple[int, int]:
        """The epoch that batch `number` lies in, and its place there."""
        while not self._ends or self._ends[-1] <= number:
            dealt = self._dealt(len(self._ends))
            batches = min(sum(block.rows for block in blocks) for blocks in dealt) // self.lane_rows
            if not batches:
                raise ValueError(
                    f"a lane has fewer rows than its {self.lane_rows} of a batch; wanted fewer lanes or a smaller batch"
                )
            self._ends.append((self._ends[-1] if self._ends else 0) + batches)
        epoch = int(np.searchsorted(self._ends, number, side="right"))
        return epoch, number - (self._ends[epoch - 1] if epoch else 0)

    def _dealt(self, epoch: int) -> list[list[Block]]:
        """The blocks of each lane in that epoch."""
        order = self._source(epoch, 0, 0).permutation(len(self.blocks))
        return [[self.blocks[i] for i in order[lane :: self.lanes]] for lane in range(self.lanes)]

    def _rows(self, lane: int, epoch: int, start: int, stop: int) -> StateRows:
        state = self._state[lane]
        if state.epoch != epoch:
            buffers = _grouped(self._dealt(epoch)[lane], self.lane_buffer)
            starts = np.cumsum([0, *(sum(block.rows for block in blocks) for blocks in buffers)])
            state = self._state[lane] = _Lane(epoch, buffers, starts)
        parts = []
        while start < stop:
            index = int(np.searchsorted(state.starts, start, side="right")) - 1
            if state.read != index:
                rows = StateRows.join([self._read(block) for block in state.buffers[index]])
                state.rows = rows.take(self._source(epoch, 1 + lane, index).permutation(len(rows)))
                state.read = index
            first = start - int(state.starts[index])
            last = min(stop - int(state.starts[index]), len(state.rows))
            parts.append(state.rows.take(slice(first, last)))
            start += last - first
        return StateRows.join(parts)

    def _source(self, epoch: int, lane: int, index: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, epoch, lane, index])

    def _read(self, block: Block) -> StateRows:
        names = ["audio_states", "label", "speaker", *(["text_states"] if self.text else [])]
        with pq.ParquetFile(block.path) as file:
            absent = sorted(set(names) - set(file.schema_arrow.names))
            if absent:
                raise ValueError(f"{block.path.name} lacks the columns {absent}; wanted features with all of {names}")
            table = file.read_row_group(block.group, columns=names)
        rows = StateRows(
            _states(table, "audio_states"),
            _states(table, "text_states") if self.text else None,
            table["label"].to_numpy().astype(np.int64),
        )
        if block.rows == len(rows):
            return rows
        excluded = pa.array(self.index.exclude_speakers, pa.string())
        return rows.take(~pc.is_in(table["speaker"], value_set=excluded).to_numpy(zero_copy_only=False))


def _grouped(blocks: list[Block], rows: int) -> list[list[Block]]:
    """Blocks in groups of at least `rows` rows; the last may have fewer."""
    groups: list[list[Block]] = [[]]
    count = 0
    for block in blocks:
        if count >= rows:
            groups.append([])
            count = 0
        groups[-1].append(block)
        count += block.rows
    return groups


def _states(table: pa.Table, name: str) -> np.ndarray:
    """(rows, layers, 2 * hidden) of a column of nested lists, without a Python object for each number."""
    column = table[name].combine_chunks()
    column = column.storage if isinstance(column, pa.ExtensionArray) else column
    layers = column.flatten()
    values = layers.flatten().to_numpy(zero_copy_only=False)
    return values.reshape(table.num_rows, len(layers) // table.num_rows, -1)
