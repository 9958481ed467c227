import math

import numpy as np
import pytest
import torch

from mise_hf.models.loss_mise import (
    contrastive_loss,
    gaussian_bound,
    info_nce_bound,
    label_bound,
    mutual_information_bound,
    negative_mask,
    nwj_bound,
    smile_bound,
)

RHO, SIZE, ROWS = 0.6, 4, 4000
TRUE = -SIZE / 2 * math.log(1 - RHO**2)


def optimal_scores(shift: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """log p(y | x) / p(y) of correlated Gaussians for every pair: the critic at which the bounds are tight."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, SIZE))
    y = RHO * x + math.sqrt(1 - RHO**2) * rng.normal(size=(ROWS, SIZE))
    variance = 1 - RHO**2
    squared = ((y[None] - RHO * x[:, None]) ** 2).sum(-1)
    scores = -squared / (2 * variance) - SIZE / 2 * math.log(variance) + (y**2).sum(-1)[None] / 2
    return torch.from_numpy(scores) + shift, negative_mask(ROWS, torch.device("cpu"))


def test_bounds_reach_the_closed_form_at_the_optimal_critic():
    scores, negatives = optimal_scores()
    assert info_nce_bound(scores, negatives).item() == pytest.approx(TRUE, abs=0.05)
    assert smile_bound(scores, negatives).item() == pytest.approx(TRUE, abs=0.05)
    assert nwj_bound(scores + 1, negatives).item() == pytest.approx(TRUE, abs=0.05)


def test_bounds_are_zero_for_a_critic_that_sees_nothing():
    scores, negatives = torch.zeros(50, 50), negative_mask(50, torch.device("cpu"))
    assert info_nce_bound(scores, negatives).item() == pytest.approx(0, abs=1e-6)
    assert smile_bound(scores, negatives).item() == pytest.approx(0, abs=1e-6)
    assert nwj_bound(scores + 1, negatives).item() == pytest.approx(0, abs=1e-6)


def test_info_nce_never_passes_log_batch():
    scores = 1000 * torch.eye(8)
    assert info_nce_bound(scores, negative_mask(8, torch.device("cpu"))).item() == pytest.approx(math.log(8), abs=1e-4)


@pytest.mark.parametrize("bound", ["info_nce", "nwj", "smile"])
def test_bounds_have_a_gradient_that_raises_them(bound):
    scores = torch.randn(16, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
    negatives = negative_mask(16, torch.device("cpu"))
    before = mutual_information_bound(scores, negatives, bound)
    before.backward()
    after = mutual_information_bound((scores + 0.05 * scores.grad / scores.grad.norm()).detach(), negatives, bound)
    assert after > before.detach()


def test_contrastive_loss_agrees_with_a_loop():
    scores = torch.randn(6, 6, generator=torch.Generator().manual_seed(0)).double()
    text = torch.tensor([0, 0, 1, 2, 2, 3])
    negatives = negative_mask(6, torch.device("cpu"), text)
    total = 0.0
    for i in range(6):
        for row in (scores[i], scores[:, i]):
            kept = [row[j].item() for j in range(6) if i == j or text[i] != text[j]]
            total += math.log(sum(map(math.exp, kept))) - row[i].item()
    assert contrastive_loss(scores, negatives).item() == pytest.approx(total / 12, abs=1e-9)


def test_label_bound_is_entropy_for_a_sure_and_right_critic():
    prior = torch.tensor([0.5, 0.25, 0.25])
    labels = torch.tensor([0, 0, 1, 2])
    logits = torch.nn.functional.one_hot(labels, 3) * 100.0
    assert label_bound(logits, labels, prior).item() == pytest.approx(1.0397, abs=1e-4)
    assert label_bound(prior.log().expand(4, 3), labels, prior).item() == pytest.approx(0, abs=1e-6)


def test_gaussian_bound_agrees_with_torch_distributions():
    torch.manual_seed(0)
    mean, log_variance, target = torch.randn(5, 3), torch.randn(3), torch.randn(5, 3)
    reference = torch.distributions.Normal(mean, (log_variance / 2).exp()).log_prob(target).sum(1).mean()
    assert torch.isclose(gaussian_bound(mean, log_variance, target), reference)


def test_no_negatives_and_unknown_bounds_are_refused():
    same = torch.zeros(4, dtype=torch.int64)
    with pytest.raises(ValueError, match="at least one negative"):
        smile_bound(torch.zeros(4, 4), negative_mask(4, torch.device("cpu"), same))
    with pytest.raises(ValueError, match="wanted one of info_nce, nwj, smile"):
        mutual_information_bound(torch.zeros(4, 4), negative_mask(4, torch.device("cpu")), "mine")
