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
- two processes: `torchrun --nproc-per-node 2` against one process of the same command, by the slower process's clock.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch.nn import functional as F
from transformers import AutoModel, WhisperFeatureExtractor

from mise_hf.corpora import read_corpus, read_prepared, write_prepared
from mise_hf.features.audio import read_audio
from mise_hf.features.batches import bucket
from mise_hf.features.encoders import load_audio_encoder
from mise_hf.features.extraction import extract

LAYERS = (1, 2, 3, 4)
BATCH_SECONDS = 30.0
SHARD_ROWS = 64


def prepared_batches(rows, encoder):
    """Log-mel batches exactly as the extraction makes them, the padding waste, and the seconds that decoding took."""
    batches, decode = [], 0.0
    real = padded = 0
    for start in range(0, len(rows), SHARD_ROWS):
        shard = rows[start : start + SHARD_ROWS]
        for group in bucket([row["duration"] for row in shard], BATCH_SECONDS):
            begun = time.perf_counter()
            clips = [read_audio(shard[place]["audio"], sampling_rate=16000) for place in group]
            decode += time.perf_counter() - begun
            batch = encoder.extractor(clips, sampling_rate=16000)
            real += int(batch["attention_mask"].sum())
            padded += batch["attention_mask"].numel()
            batches.append(batch["input_features"])
    return batches, 1 - real / padded, decode


@torch.inference_mode()
def bare(encoder, batches):
    """Seconds of the encoder alone."""
    begun = time.perf_counter()
    for mel in batches:
        states = F.gelu(encoder.conv2(F.gelu(encoder.conv1(mel)))).transpose(1, 2)
        states = states + encoder.embed_positions.weight[: states.shape[1]]
        for block in encoder.layers[: max(LAYERS)]:
            states = block(states, None)
    return time.perf_counter() - begun


@torch.inference_mode()
def stock(encoder, clips):
    """Seconds of the path that the documentation of transformers shows, 8 clips a batch."""
    extractor = WhisperFeatureExtractor()
    begun = time.perf_counter()
    for start in range(0, len(clips), 8):
        waveforms = [read_audio(path, sampling_rate=16000) for path in clips[start : start + 8]]
        inputs = extractor(waveforms, sampling_rate=16000, return_tensors="pt")
        encoder(inputs["input_features"], output_hidden_states=True)
    return time.perf_counter() - begun


def command_seconds(prepared, out, encoder, processes):
    """Wall seconds of the slowest process, encoders' loading not counted."""
    launcher = (
        ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)] if processes > 1 else []
    )
    words = [
        prepared,
        "--audio-encoder",
        encoder,
        "--layers",
        "1-4",
        "--out",
        out,
        "--shard-rows",
        SHARD_ROWS,
        "--quiet",
    ]
    done = subprocess.run(
        [sys.executable, *launcher, "-m", "mise_hf.features.command", *map(str, words)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return max(float(seconds) for seconds in re.findall(r"of audio in ([\d.]+) s", done.stdout))


def measure(corpus, encoder_path, passes, every):
    """All figures, as a dictionary."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_prepared(read_corpus("emodb", corpus), folder / "prepared")
        prepared = read_prepared(folder / "prepared")
        rows = prepared.rows(0, len(prepared))
        audio_seconds = sum(row["duration"] for row in rows)
        encoder = load_audio_encoder(str(encoder_path), LAYERS)
        batches, waste, decode = prepared_batches(rows, encoder)
        bare_seconds, extract_seconds, bare_cpu, extract_cpu = [], [], [], []
        # In turns, so that a neighbour on the machine slows both.
        for number in range(passes):
            begun = time.process_time()
            bare_seconds.append(bare(encoder.model, batches))
            bare_cpu.append(time.process_time() - begun)
            begun = time.process_time()
            result = extract(
                folder / "prepared",
                folder / f"pass{number}",
                encoder,
                batch_seconds=BATCH_SECONDS,
                shard_rows=SHARD_ROWS,
                progress=False,
            )
            extract_cpu.append(time.process_time() - begun)
            extract_seconds.append(result.wall_seconds)
        clips = rows[::every]
        share = sum(row["duration"] for row in clips) / audio_seconds
        whole = AutoModel.from_pretrained(encoder_path, dtype=torch.float32).get_encoder().eval()
        stock_seconds = stock(whole, [row["audio"] for row in clips]) / share
        whole.layers = whole.layers[: max(LAYERS)]
        stock_cut_seconds = stock(whole, [row["audio"] for row in clips]) / share
        one = command_seconds(folder / "prepared", folder / "one", encoder_path, 1)
        two = command_seconds(folder / "prepared", folder / "two", encoder_path, 2)
    bare_median, extract_median = statistics.median(bare_seconds), statistics.median(extract_seconds)
    ratios = [alone / ours for alone, ours in zip(bare_seconds, extract_seconds, strict=True)]
    return {
        "rows": len(rows),
        "audio_seconds": round(audio_seconds, 1),
        "padding_waste": round(waste, 4),
        "decode_s": round(decode, 2),
        "bare_s": round(bare_median, 2),
        "extract_s": round(extract_median, 2),
        "extract_rows_per_s": round(len(rows) / extract_median, 1),
        "extract_audio_seconds_per_s": round(audio_seconds / extract_median, 1),
        "throughput_of_bare": round(statistics.median(ratios), 3),
        "throughput_of_bare_by_cpu_time": round(sum(bare_cpu) / sum(extract_cpu), 3),
        "stock_s": round(stock_seconds, 1),
        "times_stock": round(stock_seconds / extract_median, 2),
        "stock_cut_s": round(stock_cut_seconds, 1),
        "times_stock_cut": round(stock_cut_seconds / extract_median, 2),
        "one_process_s": one,
        "two_processes_s": two,
        "times_one_process": round(one / two, 2),
    }


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="EmoDB")
    parser.add_argument("--encoder", type=Path, required=True, help="Whisper")
    parser.add_argument("--passes", type=int, default=3, help="of bare and extract, in turns (default: 3)")
    parser.add_argument("--every", type=int, default=12, help="the stock path takes every n-th clip (default: 12)")
    args = parser.parse_args()
    print(json.dumps(measure(args.corpus, args.encoder, args.passes, args.every), indent=2))


if __name__ == "__main__":
    main()
