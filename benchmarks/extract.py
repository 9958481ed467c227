"""Speed of `mise-hf extract` against the bare encoder, the stock 30 s path, and itself in two processes.

    python benchmarks/extract.py --corpus ../shared/corpora/emodb --encoder ../shared/encoders/whisper-base-encoder

Everything in one run, one thread a process, on EmoDB and Whisper layers 1 to 4:
- decode: reading, averaging channels and resampling alone, without log-mel and encoder.
- bare: the encoder's convolutions and blocks up to layer 4 on the very batches of the extraction, held in memory, no
  mask, no pooling; the median of the passes.
- extract: the whole of `mise_hf.features.extraction.extract`, from files to shards; the median of the passes.
  bare and extract also by the CPU time of the process, which neighbours on the machine disturb less.
- stock: WhisperFeatureExtractor padding to 30 s and the encoder's own forward, on every n-th clip; once as
  it is (all 6 blocks), once with its blocks cut behind layer 4 for a comparison of the padding alone.
- two processes: under torchrun, against one process of the same code, by the slower process's time.
- memory: the highest of the one process, less what it held when the encoder was loaded.

Every ratio stands there twice: by the clock, which is right on a machine with nothing else to do, and by CPU time,
which neighbours disturb less. The goals are 0.85, 3 and 1.6, and 1500 MB.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import torch
from torch.nn import functional as F
from transformers import AutoModel, WhisperFeatureExtractor

from mise_hf.corpora import read_corpus, read_prepared, write_prepared
from mise_hf.features.audio import read_audio
from mise_hf.features.batches import bucket
from mise_hf.features.encoders import load_audio_encoder
from mise_hf.features.extraction import extract
from mise_hf.features.launch import join_launch

LAYERS = (1, 2, 3, 4)
BATCH_SECONDS = 30.0
SHARD_ROWS = 64


class Timed:
    """Seconds of the clock and of this process's CPU that a block took."""

    def __enter__(self):
        self.clock, self.cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_):
        self.clock, self.cpu = time.perf_counter() - self.clock, time.process_time() - self.cpu


def prepared_batches(rows, encoder):
    """Log-mel batches exactly as the extraction makes them, the padding waste, and the CPU seconds of decoding."""
    batches, decode = [], 0.0
    real = padded = 0
    for start in range(0, len(rows), SHARD_ROWS):
        shard = rows[start : start + SHARD_ROWS]
        for group in bucket([row["duration"] for row in shard], BATCH_SECONDS):
            with Timed() as timed:
                clips = [read_audio(shard[place]["audio"], sampling_rate=16000) for place in group]
            decode += timed.cpu
            batch = encoder.extractor(clips, sampling_rate=16000)
            real += int(batch["attention_mask"].sum())
            padded += batch["attention_mask"].numel()
            batches.append(batch["input_features"])
    return batches, 1 - real / padded, decode


@torch.inference_mode()
def bare(encoder, batches):
    """The encoder alone."""
    with Timed() as timed:
        for mel in batches:
            states = F.gelu(encoder.conv2(F.gelu(encoder.conv1(mel)))).transpose(1, 2)
            states = states + encoder.embed_positions.weight[: states.shape[1]]
            for block in encoder.layers[: max(LAYERS)]:
                states = block(states, None)
    return timed


@torch.inference_mode()
def stock(encoder, clips, share):
    """The path that the documentation of transformers shows, 8 clips a batch; `clips` are that `share` of the audio."""
    extractor = WhisperFeatureExtractor()
    with Timed() as timed:
        for start in range(0, len(clips), 8):
            waveforms = [read_audio(path, sampling_rate=16000) for path in clips[start : start + 8]]
            inputs = extractor(waveforms, sampling_rate=16000, return_tensors="pt")
            encoder(inputs["input_features"], output_hidden_states=True)
    timed.clock, timed.cpu = timed.clock / share, timed.cpu / share
    return timed


def whole(encoder, prepared, out, launch=None):
    """The extraction, from files to shards; its clock starts when all processes are ready."""
    shared = {} if launch is None else {"rank": launch.rank, "processes": launch.processes, "wait": launch.wait}
    with Timed() as timed:
        result = extract(
            prepared, out, encoder, batch_seconds=BATCH_SECONDS, shard_rows=SHARD_ROWS, progress=False, **shared
        )
    timed.clock = result.wall_seconds
    return timed


def rank(prepared, out, encoder_path):
    """One process of a launch: the extraction of its shards, and its memory, as a line of JSON."""
    torch.set_num_threads(1)
    launch = join_launch()
    encoder = load_audio_encoder(encoder_path, LAYERS)
    before = psutil.Process().memory_info().rss
    timed = whole(encoder, prepared, out, launch)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    # In one piece with its line end, or the lines of two processes can mix.
    sys.stdout.write(json.dumps([timed.clock, timed.cpu, (peak - before) / 2**20]) + "\n")


def launched(prepared, out, encoder_path, processes):
    """Of `processes` processes: clock and CPU seconds of the slowest, and MB of the largest."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "--no-python"]
    words = [sys.executable, __file__, "--rank", str(prepared), str(out), str(encoder_path)]
    done = subprocess.run(
        [sys.executable, *launcher, *words],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    timed = Timed()
    timed.clock, timed.cpu, timed.megabytes = (max(column) for column in zip(*told, strict=True))
    return timed


def ratios(name, ours, theirs):
    """`theirs` / `ours` by the clock and by CPU time, the medians over passes."""
    return {
        name: round(statistics.median(t.clock / o.clock for o, t in zip(ours, theirs, strict=True)), 3),
        f"{name}_by_cpu_time": round(statistics.median(t.cpu / o.cpu for o, t in zip(ours, theirs, strict=True)), 3),
    }


def measure(corpus, encoder_path, passes, every):
    """All figures, as a dictionary."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        prepared = folder / "prepared"
        write_prepared(read_corpus("emodb", corpus), prepared)
        rows = read_prepared(prepared).rows(0, sys.maxsize)
        audio_seconds = sum(row["duration"] for row in rows)
        encoder = load_audio_encoder(str(encoder_path), LAYERS)
        batches, waste, decode = prepared_batches(rows, encoder)
        alone, ours = [], []
        # In turns, so that a neighbour on the machine slows both.
        for number in range(passes):
            alone.append(bare(encoder.model, batches))
            ours.append(whole(encoder, prepared, folder / f"pass{number}"))
        clips = [row["audio"] for row in rows[::every]]
        share = sum(row["duration"] for row in rows[::every]) / audio_seconds
        padded = AutoModel.from_pretrained(encoder_path, dtype=torch.float32).get_encoder().eval()
        padding = stock(padded, clips, share)
        padded.layers = padded.layers[: max(LAYERS)]
        padding_cut = stock(padded, clips, share)
        one, two = (launched(prepared, folder / f"of{number}", encoder_path, number) for number in (1, 2))
    middle = sorted(ours, key=lambda timed: timed.clock)[passes // 2]
    return {
        "rows": len(rows),
        "audio_seconds": round(audio_seconds, 1),
        "padding_waste": round(waste, 4),
        "decode_cpu_s": round(decode, 2),
        "extract_s": round(middle.clock, 2),
        "extract_cpu_s": round(middle.cpu, 2),
        "rows_per_s": round(len(rows) / middle.clock, 1),
        "audio_seconds_per_s": round(audio_seconds / middle.clock, 1),
        **ratios("throughput_of_bare", ours, alone),
        **ratios("times_stock", [middle], [padding]),
        **ratios("times_stock_cut", [middle], [padding_cut]),
        **ratios("times_one_process", [two], [one]),
        "megabytes_above_encoder": round(one.megabytes),
    }


def main():
    """Measure and print."""
    if sys.argv[1:2] == ["--rank"]:
        return rank(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="EmoDB")
    parser.add_argument("--encoder", type=Path, required=True, help="Whisper")
    parser.add_argument("--passes", type=int, default=3, help="of bare and extract, in turns (default: 3)")
    parser.add_argument("--every", type=int, default=12, help="the stock path takes every n-th clip (default: 12)")
    args = parser.parse_args()
    print(json.dumps(measure(args.corpus, args.encoder, args.passes, args.every), indent=2))


if __name__ == "__main__":
    main()
