"""mise_hf: speech-emotion data augmentation that provably carries emotion.

Importing the package registers its models with the Auto classes of transformers, so that
`AutoModel.from_pretrained("org/mise-generator")` needs no flag. This is the only place that registers.
"""

from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification

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

for _config, _auto, _model in (
    (MiseAlignerConfig, AutoModel, MiseAligner),
    (MiseGeneratorConfig, AutoModel, MiseGenerator),
    (MiseSerConfig, AutoModelForAudioClassification, MiseForAudioClassification),
):
    AutoConfig.register(_config.model_type, _config, exist_ok=True)
    _auto.register(_config, _model, exist_ok=True)
    _config.register_for_auto_class()
    _model.register_for_auto_class(_auto.__name__)
AutoFeatureExtractor.register(MiseSerConfig, MiseFeatureExtractor, exist_ok=True)
