"""A generator of another corpus, moved to the rows of a target: what it believes, what few rows make of it.

May import features and models. `adaptation` and `unlabelled` are functions of arrays, `space` places one corpus's
states in another's space, `choice` picks the settings inside, `own` makes a generator of the target's own rows again
for that, `checkpoint` ties them to a generator and back, and `alone` warns where the rows alone do as well.
"""

from mise_hf.transfer.checkpoint import Transfer, adapt, fit_transfer, prior_of

__all__ = ["Transfer", "adapt", "fit_transfer", "prior_of"]
