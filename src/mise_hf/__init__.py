"""mise_hf: speech-emotion data augmentation that provably carries emotion.

`import mise_hf` takes a moment and imports no torch; names are loaded when first used. From then on the Auto classes
of transformers know our models, so that `AutoModel.from_pretrained("org/mise-generator")` needs no flag, whichever of
the two is imported first (`mise_hf.registration`).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mise_hf import registration

if TYPE_CHECKING:
    from mise_hf.augmentation import SyntheticFeatures
    from mise_hf.metrics import mutual_information
    from mise_hf.models.configuration_mise import MiseAlignerConfig, MiseGeneratorConfig, MiseSerConfig
    from mise_hf.models.feature_extraction_mise import MiseFeatureExtractor
    from mise_hf.models.modeling_mise_aligner import MiseAligner
    from mise_hf.models.modeling_mise_generator import MiseGenerator
    from mise_hf.models.modeling_mise_ser import MiseForAudioClassification

__version__ = "0.1.0"

__all__ = [
    "MiseAligner",
    "MiseAlignerConfig",
    "MiseFeatureExtractor",
    "MiseForAudioClassification",
    "MiseGenerator",
    "MiseGeneratorConfig",
    "MiseSerConfig",
    "SyntheticFeatures",
    "mutual_information",
]

# Where each public name is defined.
_HOMES = {
    "MiseAligner": "mise_hf.models.modeling_mise_aligner",
    "MiseAlignerConfig": "mise_hf.models.configuration_mise",
    "MiseFeatureExtractor": "mise_hf.models.feature_extraction_mise",
    "MiseForAudioClassification": "mise_hf.models.modeling_mise_ser",
    "MiseGenerator": "mise_hf.models.modeling_mise_generator",
    "MiseGeneratorConfig": "mise_hf.models.configuration_mise",
    "MiseSerConfig": "mise_hf.models.configuration_mise",
    "SyntheticFeatures": "mise_hf.augmentation",
    "mutual_information": "mise_hf.metrics",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mise_hf' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


registration.install()
