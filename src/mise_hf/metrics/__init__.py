"""How much emotion features carry, and how good synthetic ones are. Imports its own folder only."""

from .mise_quality.carried import carried_information, pointwise_carried_information
from .mise_quality.information import (
    joint_information,
    label_information,
    pointwise_label_information,
    pointwise_vector_information,
    vector_information,
)
from .mise_quality.new_rows import pointwise_new_label_information
from .mise_quality.result import Information
from .mutual_information import mutual_information

__all__ = [
    "Information",
    "carried_information",
    "joint_information",
    "label_information",
    "mutual_information",
    "pointwise_carried_information",
    "pointwise_label_information",
    "pointwise_new_label_information",
    "pointwise_vector_information",
    "vector_information",
]
