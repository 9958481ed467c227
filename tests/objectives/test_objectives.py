import math

import pytest
import torch

from mise_hf.objectives.adversarial import critic_loss, generator_loss, gradient_penalty
from mise_hf.objectives.information import contrastive_information, variational_information


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


@pytest.mark.parametrize("bound", ["info_nce", "nwj", "smile"])
def test_the_bound_never_passes_the_entropy_of_the_condition(bound):
    """The best critic of two classes that are told apart for sure: I = H(c) = log 2, and no bound may say more."""
    labels = torch.arange(400) % 2
    best = torch.where(labels[:, None] == labels[None, :], math.log(2), -20.0)
    shift = 1.0 if bound == "nwj" else 0.0
    assert contrastive_information(best + shift, bound).item() == pytest.approx(math.log(2), abs=0.01)
    # SMILE's clipping makes it an estimate, no bound, for a critic that is too sure.
    for scale in (0.1, 3.0, 30.0) if bound != "smile" else ():
        assert contrastive_information(best * scale + shift, bound).item() <= math.log(2) + 0.01
