"""What training costs: `python benchmarks/train.py` prints the table, on one thread and in CPU time where it can.

Ratios compare loops of one run, taken in turns. `--rows 1000000` is the full size of the stream and of the last point
of the line; `--only NAME` runs one part.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from accelerate import Accelerator
from datasets import load_dataset
from torch import Tensor, nn
from torch.nn import functional as F

from mise_hf.augmentation import SyntheticFeatures
from mise_hf.features import load_embedded
from mise_hf.features.shards import feature_columns, shard_path, shard_ranges, write_shard
from mise_hf.models.configuration_mise import MiseGeneratorConfig
from mise_hf.models.modeling_mise_generator import MiseGenerator
from mise_hf.training.aligner import train_aligner
from mise_hf.training.arguments import AlignerArguments, GeneratorArguments
from mise_hf.training.generator import GeneratorTraining, make_generator, train_generator
from mise_hf.training.rows import TrainingRows
from mise_hf.training.sampling import step_generator

LABELS = tuple("abcdefg")
SIZE = WIDTH = 256
BATCH = 128


def in_turns(*functions: Callable[[], object], rounds: int = 15) -> list[float]:
    """Least CPU seconds of each function, called in turns: what else the machine does slows all of them alike."""
    best = [float("inf")] * len(functions)
    for _ in range(rounds):
        for number, function in enumerate(functions):
            # What one leaves to be collected is not the next one's cost.
            gc.collect()
            start = time.process_time()
            function()
            best[number] = min(best[number], time.process_time() - start)
    return best


def make_rows(count: int, size: int = SIZE, seed: int = 0) -> TrainingRows:
    """Random rows with class means."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % len(LABELS)
    means = 2 * torch.randn(len(LABELS), size, generator=rng)
    return TrainingRows(torch.randn(count, size, generator=rng) + means[labels], labels, None, None, None)


class BareLoop:
    """The generator's training written out by hand, for these sizes only: same draws, same math, plain Adam."""

    def __init__(self, rows: TrainingRows, arguments: GeneratorArguments):
        made = make_generator(rows, arguments, label_names=LABELS)
        training = GeneratorTraining(made, rows, arguments, Accelerator(cpu=True))
        self.generator, self.averaged, self.critic = training.generator, training.averaged, training.critic
        self.made_information, self.real_information = training.synthetic_information, training.real_information
        self.rows, self.labels = rows.features, rows.labels
        self.of_label = [(rows.labels == label).nonzero().flatten() for label in range(len(LABELS))]
        self.unit, self.blur = self.rows.std(), self.rows.std(0)
        rate = arguments.learning_rate
        self.optimizers = [
            torch.optim.Adam(self.generator.parameters(), lr=rate, betas=(0.0, 0.99)),
            torch.optim.Adam(self.critic.parameters(), lr=rate, betas=(0.0, 0.99)),
            torch.optim.Adam([*self.made_information.parameters(), *self.real_information.parameters()], lr=5 * rate),
        ]
        self.arguments = arguments

    def batch(self, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Real rows, labels, noise, two instance noises."""
        labels = torch.randint(len(LABELS), (BATCH,), generator=rng)
        place = torch.rand(BATCH, generator=rng, dtype=torch.float64)
        chosen = torch.stack(
            [self.of_label[label][int(p * len(self.of_label[label]))] for label, p in zip(labels, place, strict=True)]
        )
        noise = torch.randn(BATCH, SIZE, generator=rng)
        blur = torch.randn(2, BATCH, SIZE, generator=rng) * self.blur
        return self.rows[chosen], labels, noise, blur[0], blur[1]

    def step(self, step: int) -> dict[str, float]:
        """One step of all four networks."""
        rng = step_generator(0, step)
        generator_optimizer, critic_optimizer, information_optimizer = self.optimizers
        real, labels, noise, real_blur, made_blur = self.batch(rng)
        with torch.no_grad():
            made = self.generator(noise, labels).features
        penalise = step % 4 == 0
        real = ((real + real_blur) / self.unit).requires_grad_(penalise)
        made = ((made + made_blur) / self.unit).requires_grad_(penalise)
        real_scores, made_scores = self.critic(real, labels), self.critic(made, labels)
        loss = F.softplus(made_scores - real_scores).mean()
        critic_loss = loss.detach()
        if penalise:
            for scores, inputs in ((real_scores, real), (made_scores, made)):
                (gradient,) = torch.autograd.grad(scores.sum(), inputs, create_graph=True)
                loss = loss + 20 * gradient.square().sum(1).mean() / self.unit**2
        critic_optimizer.zero_grad()
        loss.backward()
        critic_optimizer.step()
        real, made = real.detach(), made.detach()
        information = F.cross_entropy(self.made_information(made)[0], labels) + F.cross_entropy(
            self.real_information(real)[0], labels
        )
        information_optimizer.zero_grad()
        information.backward()
        information_optimizer.step()

        real, labels, noise, real_blur, made_blur = self.batch(rng)
        for module in (self.critic, self.made_information, self.real_information):
            module.requires_grad_(False)
        rows = (self.generator(noise, labels).features + made_blur) / self.unit
        real_scores = self.critic((real + real_blur) / self.unit, labels)
        generator_loss = F.softplus(real_scores - self.critic(rows, labels)).mean()
        loss = generator_loss - 0.1 * (
            F.cross_entropy(self.made_information(rows)[0], labels)
            - F.cross_entropy(self.real_information(rows)[0], labels)
        )
        generator_optimizer.zero_grad()
        loss.backward()
        generator_optimizer.step()
        for module in (self.critic, self.made_information, self.real_information):
            module.requires_grad_(True)
        with torch.no_grad():
            for kept, new in zip(self.averaged.parameters(), self.generator.parameters(), strict=True):
                kept.lerp_(new, 1 - min(0.99, (step + 1) / (step + 10)))
        return {"critic_loss": critic_loss.item(), "generator_loss": generator_loss.item()}


def steps() -> dict:
    """A step of the generator's training against the bare loop, and what of it is loading data."""
    rows = make_rows(400)
    arguments = GeneratorArguments(hidden_size=WIDTH, feature_size=SIZE, batch_size=BATCH)
    made = make_generator(rows, arguments, label_names=LABELS)
    training = GeneratorTraining(made, rows, arguments, Accelerator(cpu=True))
    bare = BareLoop(rows, arguments)
    for number in range(4):
        here, there = training.step(number), bare.step(number)
        if any(abs(here[name] - value) > 1e-3 for name, value in there.items()):
            raise ValueError(f"step {number} gives {here} and by hand {there}; wanted the same math")
    # Four steps: one of them with penalties.
    ours, theirs, draws = in_turns(
        lambda: [training.step(number) for number in range(4)],
        lambda: [bare.step(number) for number in range(4)],
        lambda: [[training._batches(0, rng), training._batches(1, rng)] for rng in map(training_rng, range(4))],
    )
    part = slice(0, BATCH)
    loading = in_turns(
        lambda: [[training.source.batch(i, rng)(part) for i in range(2)] for rng in map(training_rng, range(4))]
    )[0]
    return {
        "step, ms": round(250 * ours, 2),
        "bare loop's step, ms": round(250 * theirs, 2),
        "step / bare": round(ours / theirs, 2),
        "choosing and reading rows, share of a step": round(loading / ours, 3),
        "with noise drawn, share of a step": round(draws / ours, 3),
    }


def training_rng(step: int) -> torch.Generator:
    """As in training."""
    return step_generator(0, step)


def generation(rows: int) -> dict:
    """`generate` at batch 4096 against the same math by hand, and against the least that any generator of these sizes
    does: draw noise and take its matrix products. A million features."""
    torch.manual_seed(0)
    config = MiseGeneratorConfig(
        feature_size=SIZE, noise_size=SIZE, hidden_size=WIDTH, id2label=dict(enumerate(LABELS))
    )
    model = MiseGenerator(config).eval()
    labels = torch.arange(4096) % len(LABELS)
    rng = torch.Generator().manual_seed(0)
    layers: list[nn.Linear] = [layer.linear for layer in model.layers]

    @torch.no_grad()
    def by_hand() -> Tensor:
        noise = torch.randn(4096, SIZE, generator=rng)
        hidden = model.input(torch.cat([noise, model.label_embedding.weight[labels]], 1))
        for layer in layers:
            hidden = hidden + layer(F.silu(hidden))
        return model.class_means.weight[labels] + model.noise_factor(noise) + model.output(F.silu(hidden))

    inputs = torch.randn(4096, config.noise_size + config.label_embedding_size)

    @torch.no_grad()
    def products(noise: Tensor) -> Tensor:
        hidden = inputs @ model.input.weight.t()
        for layer in layers:
            hidden = hidden @ layer.weight.t()
        return hidden @ model.output.weight.t() + noise @ model.noise_factor.weight.t()

    drawn = torch.randn(4096, SIZE, generator=rng)
    ours, hand, least, bare = in_turns(
        lambda: model.generate(labels, generator=rng),
        by_hand,
        lambda: products(torch.randn(4096, SIZE, generator=rng)),
        lambda: products(drawn),
        rounds=40,
    )
    start = time.process_time()
    model.generate(torch.arange(rows) % len(LABELS), generator=rng)
    return {
        "generate at 4096 rows, ms": round(1e3 * ours, 1),
        "throughput against the math by hand": round(hand / ours, 2),
        "throughput against noise and its matrix products alone": round(least / ours, 2),
        "throughput against the matrix products without the noise": round(bare / ours, 2),
        f"{rows} features on one core, CPU s": round(time.process_time() - start, 1),
    }


def trained() -> dict:
    """Time to a trained generator of EmoDB's size (400 x 256) and to an aligner, with the default steps."""
    arguments = GeneratorArguments(hidden_size=WIDTH, feature_size=SIZE)
    start = time.process_time()
    train_generator(make_rows(400), arguments, label_names=LABELS)
    generator = time.process_time() - start
    table = load_embedded("emodb")
    start = time.process_time()
    train_aligner(table, AlignerArguments())
    return {
        f"generator, 400 x 256, {arguments.steps} steps, CPU s": round(generator, 1),
        f"aligner, {len(table)} rows, {AlignerArguments().steps} steps, CPU s": round(time.process_time() - start, 1),
    }


def line(most: int, plot: str | None) -> dict:
    """CPU seconds of one pass of a generator's training over 10^3 ... `most` rows, batch 1000, 64-d; and a figure."""
    found = {}
    for count in (10**power for power in range(3, 7)):
        if count > most:
            break
        rows = make_rows(count, 64)
        arguments = GeneratorArguments(batch_size=1000, steps=count // 1000, hidden_size=64, feature_size=64)
        made = make_generator(rows, arguments, label_names=LABELS)
        training = GeneratorTraining(made, rows, arguments, Accelerator(cpu=True))
        start = time.process_time()
        for step in range(arguments.steps):
            training.step(step)
        found[count] = time.process_time() - start
    if plot is not None:
        axes = plt.figure(figsize=(5, 4)).subplots()
        axes.loglog(list(found), list(found.values()), "o-", label="measured")
        last = max(found)
        axes.loglog(list(found), [found[last] * count / last for count in found], "--", label="linear")
        axes.set(xlabel="rows", ylabel="CPU seconds of one pass")
        axes.legend()
        axes.figure.savefig(plot, bbox_inches="tight")
    counts, seconds = np.log(list(found)), np.log(list(found.values()))
    # The first points are of one and of ten steps, of which start-up is a part.
    slope = float(np.polyfit(counts[-2:], seconds[-2:], 1)[0])
    return {
        **{f"one pass over {count} rows, CPU s": round(value, 2) for count, value in found.items()},
        "slope in log-log of the last two (1 is linear)": round(slope, 2),
    }


def write_features(folder: Path, rows: int, block: int) -> None:
    """A feature folder of random states of 256 numbers, one layer, in shards of `block` rows."""
    columns = feature_columns(LABELS, (1, SIZE), None)
    fingerprint = {"pooling": "mean+std", "audio_layers": [3], "sampling_rate": 16000}
    rng = np.random.default_rng(0)
    means = rng.normal(size=(len(LABELS), SIZE)).astype(np.float32)
    empty = dict.fromkeys(columns)
    for index, (start, stop) in enumerate(shard_ranges(rows, block)):
        labels = rng.integers(len(LABELS), size=stop - start)
        states = (means[labels] + rng.standard_normal((stop - start, SIZE), dtype=np.float32)).astype(np.float16)
        described = [
            {**empty, "id": str(start + i), "label": int(label), "speaker": f"s{i % 100}", "corpus": "random"}
            for i, label in enumerate(labels)
        ]
        path = shard_path(folder, index, -(-rows // block))
        write_shard(path, columns, described, {"audio_states": states[:, None]}, fingerprint, [])
    (folder / "fingerprint.json").write_text(json.dumps(fingerprint), encoding="utf-8")


STREAM = """
import json, pathlib, sys, time
from mise_hf.training import generator
folder, out, steps = sys.argv[1:]
start = time.process_time()
generator.main(["--features", folder, "--stream", "true", "--output_dir", out, "--steps", steps, "--batch_size", "1000",
    "--feature_size", "256", "--hidden_size", "64", "--save_every", "1000000"])
# Not getrusage: its maximum begins at that of the process that started this one.
status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
megabytes = int(status["VmHWM"].split()[0]) / 1024
print(json.dumps([time.process_time() - start, megabytes]))
"""


def stream(rows: int) -> dict:
    """Memory and CPU time of one epoch of a generator over `rows` rows of 256 numbers in many shards, and a tenth."""
    found: dict = {}
    with tempfile.TemporaryDirectory() as home:
        for count in (rows // 10, rows):
            folder = Path(home) / str(count)
            folder.mkdir()
            write_features(folder, count, min(10_000, count // 20))
            # A step takes a batch for the critic and one for the generator.
            command = [sys.executable, "-c", STREAM, str(folder), str(folder / "run"), str(count // 2000)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise ValueError(f"the stream of {count} rows failed: {done.stderr}")
            seconds, megabytes = json.loads(done.stdout.splitlines()[-1])
            found[f"stream of {count} rows, one epoch, peak memory, MB"] = round(megabytes)
            found[f"stream of {count} rows, one epoch, CPU s"] = round(seconds, 1)
        found |= streaming_map(Path(home) / str(rows // 10))
    return found


def streaming_map(folder: Path) -> dict:
    """Rows a second of `datasets` streaming a feature folder with `SyntheticFeatures` and without."""
    torch.manual_seed(0)
    model = MiseGenerator(MiseGeneratorConfig(feature_size=SIZE, noise_size=SIZE, id2label=dict(enumerate(LABELS))))
    files = sorted(map(str, folder.glob("shard-*.parquet")))[:4]

    def flat(batch: dict) -> dict:
        states = np.asarray(batch["audio_states"], dtype=np.float32)
        return {"id": batch["id"], "label": batch["label"], "features": states.reshape(len(states), -1)}

    def rows(synthetic: SyntheticFeatures | None) -> Callable[[], None]:
        def read() -> None:
            dataset = load_dataset("parquet", data_files=files, split="train", streaming=True)

            def change(batch: dict) -> dict:
                return flat(batch) if synthetic is None else synthetic(flat(batch))

            dataset = dataset.map(change, batched=True, remove_columns=dataset.column_names)
            for _ in dataset.iter(batch_size=1000):
                pass

        return read

    plain, mixed = rows(None), rows(SyntheticFeatures(model, ratio=0.5, seed=0))
    # The median of neighbours: a read takes long enough for the machine's speed to change between the two minima.
    ratios = [without / with_it for without, with_it in (in_turns(plain, mixed, rounds=1) for _ in range(20))]
    return {
        "datasets stream with SyntheticFeatures, throughput of plain": round(float(np.median(ratios)), 2),
    }


TWO = """
import json, sys, time, torch
sys.path.insert(0, {here!r})
from train import LABELS, make_rows
from accelerate import Accelerator
from mise_hf.training.arguments import GeneratorArguments
from mise_hf.training.generator import GeneratorTraining, make_generator
torch.set_num_threads(1)
accelerator = Accelerator(cpu=True)
rows = make_rows(4000)
arguments = GeneratorArguments(hidden_size=256, feature_size=256, batch_size={batch})
training = GeneratorTraining(make_generator(rows, arguments, label_names=LABELS), rows, arguments, accelerator)
for step in range(4):
    training.step(step)
accelerator.wait_for_everyone()
start = time.perf_counter()
for step in range(24):
    training.step(step)
if accelerator.is_main_process:
    print(json.dumps(time.perf_counter() - start))
"""


def two_processes(batch: int = 1024) -> dict:
    """Seconds of 24 steps by one process with one thread and by two: by the clock, so the machine must be idle."""
    code = TWO.format(here=str(Path(__file__).parent), batch=batch)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "two.py"
        script.write_text(code, encoding="utf-8")
        seconds = []
        for count in (1, 2):
            command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={count}"]
            done = subprocess.run([*command, str(script)], capture_output=True, text=True)
            if done.returncode:
                raise ValueError(f"{count} processes failed: {done.stderr}")
            seconds.append(float(json.loads(done.stdout.splitlines()[-1])))
    return {
        f"one process, 24 steps of batch {batch}, s": round(seconds[0], 2),
        "two processes, s": round(seconds[1], 2),
        "two against one (load average at the end)": f"{seconds[0] / seconds[1]:.2f} ({os.getloadavg()[0]:.1f})",
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10**6)
    parser.add_argument("--only", choices=["steps", "generation", "trained", "line", "stream", "two"])
    parser.add_argument("--plot", help="file for the figure of cost against rows")
    args = parser.parse_args()
    torch.set_num_threads(1)
    parts: dict[str, Callable[[], dict]] = {
        "steps": steps,
        "generation": lambda: generation(args.rows),
        "trained": trained,
        "line": lambda: line(args.rows, args.plot),
        "stream": lambda: stream(args.rows),
        "two": two_processes,
    }
    for name, part in parts.items():
        if args.only in (None, name):
            for what, value in part().items():
                print(f"{what:62} {value}", flush=True)


if __name__ == "__main__":
    main()
