"""Does augmentation help on this corpus? Folds, controls, paired statistics.

May import training, features, augmentation, models and metrics. Everything that learns sees training speakers only.
"""
