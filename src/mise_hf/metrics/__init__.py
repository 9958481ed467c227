"""How much emotion features carry, and how good synthetic ones are. Imports its own folder only."""

from .mise_quality.information import carried_information, joint_information, label_information, vector_information
from .mise_quality.result import Information

__all__ = ["Information", "carried_information", "joint_information", "label_information", "vector_information"]
