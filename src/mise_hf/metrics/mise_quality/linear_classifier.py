"""Calibrated ridge classifier whose left-out scores have a closed form. Imports numpy only.

The ridge strength and the temperature are both chosen on scores of rows left out, so the posterior is honest about
new rows although every row is used for the fit, and one eigendecomposition serves all strengths.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# In units of the mean eigenvalue: from nearly none to nearly only the class means.
STRENGTHS = 10.0 ** np.arange(-4.0, 2.51, 0.5)
MAX_TEMPERATURE = 2.0
CALIBRATION_PARTS = 4
# Within-class spread of the scores is never taken below this share of their total spread: a class collapsed to one
# point would otherwise divide by zero.
SPREAD_FLOOR = 1e-3


@dataclass(frozen=True)
class LinearClassifier:
    """log q(c | h) = log p(c) + temperature * (linear score) + constant, smoothed by one row's worth of the prior."""

    mean: np.ndarray
    weight: np.ndarray
    offset: np.ndarray
    prior: np.ndarray
    smoothing: float
    held_out: np.ndarray
    strength: int

    def log_proba(self, features: np.ndarray) -> np.ndarray:
        """Log-probabilities (rows, classes) in nats for `features` (rows, columns)."""
        logits = (features - self.mean) @ self.weight + self.offset
        return smoothed(log_softmax(logits), self.prior, self.smoothing)


def smoothed(log_proba: np.ndarray, prior: np.ndarray, weight: float) -> np.ndarray:
    """log((1 - w) q + w p(c)): a model that has seen n rows may not be surer than about one in n."""
    return np.logaddexp(log_proba + np.log1p(-weight), np.log(prior) + np.log(weight))


def fit_linear(
    features: np.ndarray,
    codes: np.ndarray,
    classes: int,
    groups: np.ndarray | None = None,
    near: int | None = None,
) -> LinearClassifier:
    """Fits on `features` (rows, columns) and `codes` (rows,); with `groups`, tuned on left-out groups.

    Columns are standardised; where they are too many for the rows (fewer than 4 rows a column), their own scale is
    tried too, since principal components carry their weight in it. A class without rows gets the prior of half a row.
    `near`: where in STRENGTHS to start the search (a like fit's `strength`); the rows decide where it ends.
    """
    rows, columns = features.shape
    counts = np.bincount(codes, minlength=classes)
    prior = np.maximum(counts, 0.5) / np.maximum(counts, 0.5).sum()
    mean = features.mean(axis=0, dtype=np.float64)
    deviation = features.std(axis=0, dtype=np.float64)
    deviation[deviation <= 1e-12 * np.abs(mean)] = np.inf
    scales = [deviation]
    if rows < 4 * columns:
        common = np.sqrt(np.mean(np.where(np.isfinite(deviation), deviation, 0.0) ** 2))
        scales.append(np.where(np.isfinite(deviation), common, np.inf))
    blocks = balanced_blocks(codes) if groups is None else groups
    order, sizes = by_block(blocks)
    ordered, codes = features[order], codes[order]
    parts = np.unique(blocks[order], return_inverse=True)[1] % CALIBRATION_PARTS
    fits: list[RidgeFit] = []
    for scale in scales:
        fits.append(best_ridge((ordered - mean) / scale, codes, prior, parts, sizes, near))
        near = fits[-1].strength
    best = min(range(len(fits)), key=lambda i: fits[i].loss)
    fit = fits[best]
    direction, offset = discriminant(fit.left_out, codes, prior)
    smoothing = 1.0 / (rows + classes)
    weight = fit.temperature * (fit.coefficients @ direction) / scales[best][:, None]
    held_out = np.empty((rows, classes))
    held_out[order] = smoothed(log_softmax(np.log(prior) + fit.temperature * fit.logits), prior, smoothing)
    return LinearClassifier(
        mean, weight, np.log(prior) + fit.temperature * offset, prior, smoothing, held_out, fit.strength
    )


@dataclass(frozen=True)
class RidgeFit:
    """The ridge strength with the lowest left-out cross-entropy (`loss`, nats), and what was found with it."""

    loss: float
    coefficients: np.ndarray
    left_out: np.ndarray
    logits: np.ndarray
    temperature: float
    strength: int


def best_ridge(
    z: np.ndarray, codes: np.ndarray, prior: np.ndarray, parts: np.ndarray, sizes: np.ndarray, near: int | None
) -> RidgeFit:
    """Ridge regression of the class indicators on `z` (rows, columns), left out block by block.

    Rows come block after block, `sizes` (blocks,) rows each; `parts` (rows,) are what the calibration leaves out.
    """
    eigenvalues, basis = principal_axes(z)
    scores = z @ basis
    target = np.eye(len(prior))[codes]
    target = target - target.mean(axis=0)
    projected = scores.T @ target
    strengths = STRENGTHS * max(float(eigenvalues.sum()) / z.shape[1], 1e-300)
    tried: dict[int, RidgeFit] = {}

    def loss(i: int) -> float:
        if i not in tried:
            shrink = 1.0 / (eigenvalues + strengths[i])
            coefficients = projected * shrink[:, None]
            held_out = left_out(scores @ coefficients, target, scores * np.sqrt(shrink), sizes)
            logits = cross_fitted_logits(held_out, codes, prior, parts)
            temperature, value = best_temperature(logits, codes, prior)
            tried[i] = RidgeFit(value, basis @ coefficients, held_out, logits, temperature, i)
        return tried[i].loss

    # The loss has one valley in the strength, nearly always: a coarse walk, or a like fit, says where to descend.
    low = min(range(1, len(strengths), 3), key=loss) if near is None else near
    while True:
        lowest = min({max(low - 1, 0), low, min(low + 1, len(strengths) - 1)}, key=loss)
        if lowest == low:
            return tried[low]
        low = lowest


def balanced_blocks(codes: np.ndarray) -> np.ndarray:
    """Block (rows,) of each row: small blocks of about the same class counts.

    Leaving out single rows instead would lower the left-out row's own class in what remains, and a calibrator would
    read that shift backwards as information where there is none.
    """
    classes = int(codes.max()) + 1
    blocks = max(len(codes) // max(2 * classes, 10), 4)
    order = np.argsort(codes, kind="stable")
    out = np.empty(len(codes), dtype=np.int64)
    out[order] = np.arange(len(codes)) % blocks
    return out


def by_block(blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Order (rows,) that puts the rows block after block, small blocks first, and the blocks' sizes in that order.

    Blocks of one size then lie side by side: hundreds of tiny systems are solved at once, without a copy.
    """
    sizes = np.bincount(blocks)
    return np.lexsort([blocks, sizes[blocks]]), np.sort(sizes[sizes > 0])


def principal_axes(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (rank,) of z'z and its axes (columns, rank), from whichever of the two Gram matrices is smaller."""
    rows, columns = z.shape
    if rows > columns:
        eigenvalues, basis = np.linalg.eigh(z.T @ z)
    else:
        eigenvalues, left = np.linalg.eigh(z @ z.T)
        basis = z.T @ left / np.sqrt(np.maximum(eigenvalues, 1e-300))
    keep = eigenvalues > 1e-9 * max(float(eigenvalues[-1]), 1e-300)
    return eigenvalues[keep], basis[:, keep]


def left_out(fitted: np.ndarray, target: np.ndarray, half: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Ridge scores (rows, classes) for each row by the fit without its block, the left-out intercept taken away.

    Residual of the left-out fit = (1 - H_BB)^-1 residual, with H_BB = half_B half_B' + 1 / rows the hat matrix's block.
    """
    rows = len(target)
    out = np.empty_like(fitted)
    start = 0
    for size, count in zip(*np.unique(sizes, return_counts=True), strict=True):
        here, shape = slice(start, start + size * count), (count, size, -1)
        start += size * count
        wanted, residual = target[here].reshape(shape), (target[here] - fitted[here]).reshape(shape)
        part = half[here].reshape(shape)
        gap = (1 + 1e-9) * np.eye(size) - part @ part.transpose(0, 2, 1) - 1.0 / rows
        left = wanted - np.linalg.solve(gap, residual) + wanted.sum(axis=1, keepdims=True) / (rows - size)
        out[here] = left.reshape(-1, fitted.shape[1])
    return out


def cross_fitted_logits(scores: np.ndarray, codes: np.ndarray, prior: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Log-ratios (rows, classes), each row's from the discriminant of the other parts' rows."""
    logits = np.empty_like(scores)
    for part in np.unique(parts):
        here = parts == part
        direction, offset = discriminant(scores[~here], codes[~here], prior)
        logits[here] = scores[here] @ direction + offset
    return logits


def discriminant(scores: np.ndarray, codes: np.ndarray, prior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian discriminant with shared covariance on held-out scores: direction (classes, classes) and offset."""
    classes = len(prior)
    counts = np.bincount(codes, minlength=classes)
    indicator = np.eye(classes)[codes]
    means = indicator.T @ scores / np.maximum(counts, 1)[:, None]
    within = scores - means[codes]
    covariance = within.T @ within / len(scores)
    total = scores - scores.mean(axis=0)
    floor = SPREAD_FLOOR * float((total**2).sum()) / (len(scores) * classes)
    covariance[np.diag_indices(classes)] += floor + 1e-12
    direction = np.linalg.solve(covariance, means.T)
    return direction, -0.5 * np.einsum("kj,jk->k", means, direction)


def best_temperature(logits: np.ndarray, codes: np.ndarray, prior: np.ndarray) -> tuple[float, float]:
    """Temperature in [0, MAX_TEMPERATURE] and cross-entropy (nats) of prior * exp(temperature * logits).

    The loss is convex in the temperature, so a guarded Newton search finds its minimum.
    """
    rows = np.arange(len(codes))
    log_prior = np.log(prior)
    low, high, temperature = 0.0, MAX_TEMPERATURE, 1.0
    for _ in range(12):
        proba = np.exp(log_softmax(log_prior + temperature * logits))
        expected = (proba * logits).sum(axis=1)
        slope = float(np.mean(expected - logits[rows, codes]))
        curvature = float(np.mean((proba * logits**2).sum(axis=1) - expected**2))
        low, high = (temperature, high) if slope < 0 else (low, temperature)
        step = temperature - slope / max(curvature, 1e-12)
        updated = step if low < step < high else 0.5 * (low + high)
        if abs(updated - temperature) < 1e-4:
            break
        temperature = updated
    loss = float(-np.mean(log_softmax(log_prior + temperature * logits)[rows, codes]))
    chance = float(-np.mean(log_prior[codes]))
    return (temperature, loss) if loss < chance else (0.0, chance)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Row-wise logits - log sum exp."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
