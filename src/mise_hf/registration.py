"""Our models in the Auto classes of transformers, registered once transformers loads them: the import stays light.

The only place that registers. Imports the standard library only. A finder waits for transformers' Auto modules and for
our model files: whichever is imported first, the other follows, so `AutoModel` knows our classes in either order.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

MODELS, AUTO = "mise_hf.models.", "transformers.models.auto."
# A module of transformers, and which files of ours must be loaded once it is.
WANTED_BY = {
    f"{AUTO}configuration_auto": ("configuration_mise",),
    f"{AUTO}modeling_auto": ("modeling_mise_aligner", "modeling_mise_generator", "modeling_mise_ser"),
    f"{AUTO}feature_extraction_auto": ("feature_extraction_mise",),
}
OURS = {MODELS + name for names in WANTED_BY.values() for name in names}
AUTO_MODELS = {
    "modeling_mise_aligner": ("MiseAligner", "AutoModel"),
    "modeling_mise_generator": ("MiseGenerator", "AutoModel"),
    "modeling_mise_ser": ("MiseForAudioClassification", "AutoModelForAudioClassification"),
}


class RegisteringFinder(MetaPathFinder):
    """Finds the modules above as Python does, and registers our classes after each of them has run."""

    def __init__(self) -> None:
        # Files of ours that are half loaded, and those that wait for them: they import one another.
        self.loading: list[str] = []
        self.waiting: list[str] = []

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The ordinary spec, whose loader calls us back; None for all other modules."""
        if fullname not in WANTED_BY and fullname not in OURS:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                self.execute(execute, fullname, module)

            # On the instance: a loader of another class would lose `get_source`, which saving a model's code needs.
            setattr(spec.loader, "exec_module", exec_module)  # noqa: B010
        return spec

    def execute(self, execute: object, name: str, module: ModuleType) -> None:
        """Run the module, then register or load what follows from it."""
        if name in OURS:
            self.loading.append(name)
        try:
            execute(module)  # type: ignore[operator]
            if name in OURS:
                register(module)
        finally:
            if name in OURS:
                self.loading.remove(name)
        self.follow(name)

    def follow(self, name: str) -> None:
        """Load our files that `name` calls for, unless one of them is loading: then after it."""
        self.waiting += WANTED_BY.get(name, ())
        while self.waiting and not self.loading:
            importlib.import_module(MODELS + self.waiting.pop(0))


def register(module: ModuleType) -> None:
    """Register the classes of one of our model files."""
    name = module.__name__.removeprefix(MODELS)
    if name == "configuration_mise":
        from transformers import AutoConfig

        for config in (module.MiseAlignerConfig, module.MiseGeneratorConfig, module.MiseSerConfig):
            AutoConfig.register(config.model_type, config, exist_ok=True)
            config.register_for_auto_class()
        return
    if name == "feature_extraction_mise":
        from transformers import AutoFeatureExtractor

        from mise_hf.models.configuration_mise import MiseSerConfig

        AutoFeatureExtractor.register(MiseSerConfig, module.MiseFeatureExtractor, exist_ok=True)
        return
    import transformers

    class_name, auto_name = AUTO_MODELS[name]
    model = getattr(module, class_name)
    getattr(transformers, auto_name).register(model.config_class, model, exist_ok=True)
    model.register_for_auto_class(auto_name)


def install() -> None:
    """Wait for transformers; where it is there already, register now."""
    if any(isinstance(finder, RegisteringFinder) for finder in sys.meta_path):
        return
    finder = RegisteringFinder()
    sys.meta_path.insert(0, finder)
    for name in WANTED_BY:
        if name in sys.modules:
            finder.follow(name)
