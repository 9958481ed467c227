"""A learnt critic between two vectors and the lower bound that it gives on rows it has not seen. Imports siblings only.

InfoNCE (van den Oord et al. 2018, eq. 4) with all rows of the scored part as candidates, over both directions. The
critic is an inner product of two small networks, so all pairs cost one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from .adamw import AdamW, dropped
from .posteriors import Squash
from .preparation import one_hot

HIDDEN, EMBEDDED = 64, 16
BATCH = 256
RATE, DECAY = 8e-3, 1e-2
DROPPED = 0.3
PATIENCE = 6
MOST_STEPS = 1500
# Weight of a step in the running mean of the parameters, which is what is kept: single steps wander.
NEWEST = 0.02
VALID_SHARE = 5
MOST_TRAINING_ROWS = 8192
# Candidates a row is told apart from: log of this is the most that the bound can say.
MOST_CANDIDATES = 2048
TEMPERATURES = np.linspace(0.0, 2.0, 41)
FOLDS = 4
# A side with more columns than this would have too many products for its rows.
PRODUCT_COLUMNS = 8
# Fewer rows than this teach a network nothing that the copulas miss.
LEAST_ROWS = 400


class Critic:
    """log-ratio (up to a constant) of matched over independent pairs, trained on `x` (rows, X) and `y` (rows, Y).

    Candidates are rows of the same class in `codes` (rows,) only.
    """

    def __init__(self, x: torch.Tensor, y: torch.Tensor, codes: torch.Tensor, rng: np.random.Generator):
        self.draw = torch.Generator().manual_seed(int(rng.integers(2**31)))
        self.parameters: list[torch.Tensor] = []
        for columns in (x.shape[1], y.shape[1]):
            for fan_in, fan_out in ((columns, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, EMBEDDED + 1)):
                matrix = torch.empty(fan_in, fan_out).normal_(std=fan_in**-0.5, generator=self.draw)
                self.parameters += [matrix, torch.zeros(fan_out)]
        # Says nothing at first, so that training starts from a bound of 0.
        self.parameters[4].zero_()
        self.temperature = 0.0
        order = torch.randperm(len(x), generator=self.draw)
        check, train = order[: len(x) // VALID_SHARE], order[len(x) // VALID_SHARE :]
        self.train(x, y, codes, train[:MOST_TRAINING_ROWS], check[:MOST_CANDIDATES])

    def embedded(self, rows: torch.Tensor, side: int, draw: torch.Generator | None) -> torch.Tensor:
        """Embedding (rows, EMBEDDED + 1) of side 0 (x) or 1 (y); the last column is added to every pair."""
        first, first_bias, second, second_bias, last, last_bias = self.parameters[6 * side : 6 * side + 6]
        hidden = dropped(torch.nn.functional.silu(rows @ first + first_bias), DROPPED, draw)
        hidden = dropped(torch.nn.functional.silu(hidden @ second + second_bias), DROPPED, draw)
        return hidden @ last + last_bias

    def pairs(self, x: torch.Tensor, y: torch.Tensor, draw: torch.Generator | None = None) -> torch.Tensor:
        """Log-ratio of every row of x with every row of y (rows, rows)."""
        of_x, of_y = self.embedded(x, 0, draw), self.embedded(y, 1, draw)
        return of_x[:, :-1] @ of_y[:, :-1].T + of_x[:, -1:] + of_y[:, -1]

    def train(
        self, x: torch.Tensor, y: torch.Tensor, codes: torch.Tensor, train: torch.Tensor, check: torch.Tensor
    ) -> None:
        """Ascends the bound until that of the rows `check` stops rising; sets the temperature on them."""
        optimiser = AdamW(self.parameters, RATE, DECAY)
        walking = self.parameters
        running = optimiser.values()
        batch = int(np.clip(len(train) // 6, 32, BATCH))
        best, kept, bad = 0.0, optimiser.values(), 0
        while bad < PATIENCE and optimiser.steps < MOST_STEPS:
            self.parameters = walking
            for rows in train[torch.randperm(len(train), generator=self.draw)].split(batch):
                if len(rows) < batch // 2:
                    continue
                optimiser.step(-contrast(self.pairs(x[rows], y[rows], self.draw), codes[rows]).mean())
                for mean, p in zip(running, walking, strict=True):
                    mean.lerp_(p.detach(), max(NEWEST, 1 / optimiser.steps))
            self.parameters = running
            with torch.no_grad():
                value = float(contrast(self.pairs(x[check], y[check]), codes[check]).mean())
            if value > best + 1e-3:
                best, kept, bad = value, [p.clone() for p in running], 0
            else:
                bad += 1
        self.parameters = kept
        with torch.no_grad():
            pairs = self.pairs(x[check], y[check])
            self.temperature = float(max(TEMPERATURES, key=lambda t: float(contrast(t * pairs, codes[check]).mean())))

    def scores(self, x: torch.Tensor, y: torch.Tensor, codes: torch.Tensor) -> np.ndarray:
        """Each row's share (rows,) of the bound in nats, rows scored in parts of at most MOST_CANDIDATES."""
        parts = np.array_split(np.arange(len(x)), -(-len(x) // MOST_CANDIDATES))
        with torch.no_grad():
            out = [contrast(self.temperature * self.pairs(x[part], y[part]), codes[part]) for part in parts]
        return torch.cat(out).double().numpy()


def contrast(pairs: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """log of the matched pair's weight over the mean weight of the candidates (rows,), mean of both directions."""
    matched = pairs.diagonal()
    same = codes[:, None] == codes
    allowed = pairs.masked_fill(~same, -torch.inf)
    both = (matched - allowed.logsumexp(1)) + (matched - allowed.logsumexp(0))
    return 0.5 * both + same.sum(1).log()


@dataclass(frozen=True)
class Bound:
    """Each row's share (rows,) of the bound, with the `correction` (nats) for the finite training set given back."""

    shares: np.ndarray
    correction: float


def critic_bound(
    x: np.ndarray,
    y: np.ndarray,
    codes: np.ndarray,
    rng: np.random.Generator,
    wanted: Callable[[np.ndarray, np.ndarray], bool],
) -> Bound | None:
    """The cross-fitted bound on I(x; y | c), or None where a pilot says that it is not needed.

    Args:
        x: (rows, X) and y: (rows, Y).
        codes: (rows,), c; all equal for I(x; y).
        rng: of the folds and the networks.
        wanted: called with the pilot's rows (indices) and shares; a critic trained on one half scores the other.
    """
    if len(x) < LEAST_ROWS:
        return None
    # Rows come sorted by content, and the candidates of a row must be independent of it.
    mixed = rng.permutation(len(x))
    pilot, rest = mixed[: len(x) // 2], mixed[len(x) // 2 :]
    forms = (False, True) if max(x.shape[1], y.shape[1]) <= PRODUCT_COLUMNS else (False,)
    tried = [scored(x, y, codes, rest, pilot, rng, products=form) for form in forms]
    # The figure itself comes from critics trained anew, so the better pilot may be picked.
    best = int(np.argmax([shares.mean() for shares in tried]))
    half = tried[best]
    if not wanted(pilot, half):
        return None
    shares = np.empty(len(x))
    mixed = rng.permutation(len(x))
    for test in np.array_split(mixed, FOLDS):
        shares[test] = scored(x, y, codes, np.setdiff1d(mixed, test), test, rng, products=forms[best])
    # Errors of order 1 / rows would give back twice what three quarters brought over a half; once is on the safe side.
    correction = max(float(shares[pilot].mean() - half.mean()), 0.0)
    return Bound(shares + correction, correction)


def with_products(z: np.ndarray) -> np.ndarray:
    """`z` (rows, columns) and all products of two columns: a small network learns these late or never."""
    i, j = np.triu_indices(z.shape[1])
    return np.concatenate([z, z[:, i] * z[:, j]], axis=1)


def scored(
    x: np.ndarray,
    y: np.ndarray,
    codes: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    rng: np.random.Generator,
    *,
    products: bool,
) -> np.ndarray:
    """Shares (test rows,) of the bound by a critic trained on the rows `train`; both sides are told the class.

    With `products` it is shown those of the columns as well.
    """
    known = one_hot(codes) if codes.max() else np.empty((len(codes), 0))
    sides = []
    for side in (x, y):
        squash = Squash(side[train])
        for rows in (train, test):
            seen = with_products(squash(side[rows])) if products else squash(side[rows])
            sides.append(torch.from_numpy(np.c_[seen, known[rows]]).float())
    x_train, x_test, y_train, y_test = sides
    of_train, of_test = torch.from_numpy(codes[train]), torch.from_numpy(codes[test])
    return Critic(x_train, y_train, of_train, rng).scores(x_test, y_test, of_test)
