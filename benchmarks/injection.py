"""What `SyntheticFeatures` adds to a DataLoader: CPU seconds an epoch, with and without, in one run.

    python benchmarks/injection.py --rows 20000 --batch 128

Batches of a `datasets` dataset with a feature column, read through `with_transform` by the main process; without
augmentation the transform is `dict`. Half of the rows become synthetic. The share of a training step is what counts: a
head's step on the same batches stands beside it.
"""

import argparse
import platform
import time
from importlib.metadata import version

import numpy as np
import torch
from datasets import Dataset
from torch.utils.data import DataLoader

from mise_hf import MiseGenerator, MiseGeneratorConfig, SyntheticFeatures

CLASSES = 7


def make_generator(size: int) -> MiseGenerator:
    """An untrained generator of `size` dimensions, started from random rows: its cost does not depend on training."""
    torch.manual_seed(0)
    config = MiseGeneratorConfig(
        feature_size=size, noise_size=size, hidden_size=256, space="aligned", id2label=dict(enumerate("abcdefg"))
    )
    generator = MiseGenerator(config)
    generator.start_from(torch.randn(700, size), torch.arange(700) % CLASSES)
    return generator.eval()


def collate(batch: list[dict]) -> tuple[torch.Tensor, torch.Tensor]:
    """Features float32 (batch, size) and labels int64 (batch,)."""
    features = torch.from_numpy(np.stack([np.asarray(row["features"], dtype=np.float32) for row in batch]))
    return features, torch.tensor([row["label"] for row in batch])


def epoch_seconds(dataset: Dataset, batch: int) -> float:
    """CPU seconds of one pass."""
    start = time.process_time()
    for _ in DataLoader(dataset, batch_size=batch, collate_fn=collate):
        pass
    return time.process_time() - start


def step_seconds(size: int, batch: int, steps: int) -> float:
    """CPU seconds of as many steps of a small head."""
    torch.manual_seed(0)
    head = torch.nn.Sequential(torch.nn.Linear(size, 256), torch.nn.ReLU(), torch.nn.Linear(256, CLASSES))
    optimizer = torch.optim.AdamW(head.parameters())
    features, labels = torch.randn(batch, size), torch.randint(CLASSES, (batch,))
    start = time.process_time()
    for _ in range(steps):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(head(features), labels).backward()
        optimizer.step()
    return time.process_time() - start


def main() -> None:
    """Print one line a feature size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--repeats", type=int, default=3, help="the quickest pass counts (default: 3)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"{platform.machine()}, torch {version('torch')}, datasets {version('datasets')}: CPU ms a batch of "
        f"{args.batch}, one thread, quickest of {args.repeats} passes over {args.rows} rows"
    )
    print(f"{'features':>9}{'reading':>10}{'with half synthetic':>21}{'added':>8}{'a head step':>13}")
    rng = np.random.default_rng(0)
    for size in args.sizes:
        columns = {
            "id": [str(i) for i in range(args.rows)],
            "label": rng.integers(CLASSES, size=args.rows).tolist(),
            "features": rng.standard_normal((args.rows, size), dtype=np.float32),
        }
        dataset = Dataset.from_dict(columns).with_format("numpy")
        augmented = dataset.with_transform(SyntheticFeatures(make_generator(size), ratio=0.5, seed=0))
        plain = dataset.with_transform(dict)
        batches = -(-args.rows // args.batch)
        # In turn, so that a slow moment of the machine hits both.
        passes = [(epoch_seconds(plain, args.batch), epoch_seconds(augmented, args.batch)) for _ in range(args.repeats)]
        without, with_rows = (1000 * min(column) / batches for column in zip(*passes, strict=True))
        step = 1000 * step_seconds(size, args.batch, batches) / batches
        print(f"{size:9d}{without:10.2f}{with_rows:21.2f}{with_rows - without:8.2f}{step:13.2f}")


if __name__ == "__main__":
    main()
