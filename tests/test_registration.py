"""In fresh processes: `import mise_hf` is light, and the Auto classes know our models whichever import comes first."""

import subprocess
import sys

import pytest

LOADS = """
model = AutoModel.from_pretrained(sys.argv[1])
assert type(model) is mise_hf.MiseGenerator, type(model)
assert model.config.feature_size == 6
assert mise_hf.MiseSerConfig in AutoModelForAudioClassification._model_mapping
assert type(AutoConfig.for_model("mise_aligner")) is mise_hf.MiseAlignerConfig
"""
ORDERS = {
    "ours first": """
import sys, mise_hf
heavy = {"torch", "transformers", "numpy", "datasets"} & set(sys.modules)
assert not heavy, heavy
from transformers import AutoConfig, AutoModel, AutoModelForAudioClassification
""",
    "transformers first": """
import sys
from transformers import AutoConfig, AutoModel, AutoModelForAudioClassification
import mise_hf
""",
    "one of our files first": """
import sys
import mise_hf.models.modeling_mise_ser
import mise_hf
from transformers import AutoConfig, AutoModel, AutoModelForAudioClassification
""",
}


@pytest.mark.parametrize("order", ORDERS)
def test_auto_classes_know_our_models(order, tiny_generator, tmp_path):
    tiny_generator.save_pretrained(tmp_path)
    code = ORDERS[order] + LOADS
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    # The code goes along, so that the checkpoint loads without this package too.
    assert (tmp_path / "modeling_mise_generator.py").is_file()


def test_public_names_are_there_and_others_are_not():
    import mise_hf

    assert set(mise_hf.__all__) <= set(dir(mise_hf))
    assert all(getattr(mise_hf, name) is not None for name in mise_hf.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = mise_hf.nothing
