import math

import pytest
import torch

from mise_hf.objectives.adversarial import critic_loss, generator_loss, gradient_penalty
from mise_hf.objectives.information import contrastive_information, text_identity, variational_information


def test_relativistic_losses_are_log_two_for_a_blind_critic_and_mirror_each_other():
    zero = torch.zeros(5)
    assert critic_loss(zero, zero).item() == pytest.approx(math.log(2))
    real, made = torch.randn(5), torch.randn(5)
    assert torch.isclose(critic_loss(real, made), generator_loss(made, real))


def test_the_gradient_penalty_of_a_linear_critic_is_its_squared_norm():
    weight = torch.tensor([3.0, 4.0])
    inputs = torch.randn(7, 2, requires_grad=True)
    assert gradient_penalty(inputs @ weight, inputs).item() == pytest.approx(25.0)


def test_variational_information_adds_the_text_per_dimension():
    logits, labels, prior = torch.zeros(4, 2), torch.tensor([0, 1, 0, 1]), torch.tensor([0.5, 0.5])
    text = torch.randn(4, 3)
    alone = variational_information(logits, labels, prior)
    assert alone.item() == pytest.approx(0, abs=1e-6)
    both = variational_information(logits, labels, prior, text, torch.zeros(3), text)
    assert (both - alone).item() == pytest.approx(-0.5 * math.log(2 * math.pi), abs=1e-5)


def test_pairs_of_the_same_condition_are_no_negatives():
    """Scores that only tell conditions apart reach log of their number, not log of the batch."""
    labels, texts = torch.tensor([0, 0, 1, 1] * 4), torch.tensor([0, 1] * 8)
    condition = labels * 2 + texts
    scores = 100.0 * (condition[:, None] == condition[None, :])
    bound = contrastive_information(scores, labels, texts, "info_nce")
    assert bound.item() == pytest.approx(math.log(13), abs=1e-4)
    assert contrastive_information(scores, labels, None, "info_nce").item() == pytest.approx(math.log(9), abs=1e-4)


def test_text_identity_numbers_equal_rows_alike():
    rows = torch.tensor([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]])
    ids = text_identity(rows)
    assert ids[0] == ids[2] != ids[1]
