"""The peers, importable without what they only need to run language models.

SAELens and dictionary_learning import model hubs, plotting and logging packages at the top. None of that takes part in
training an autoencoder on given rows, so empty modules stand in for it. The two classes of transformer_lens that
SAELens derives from are passed through: a hook point returns its input, a root module is a module.
"""

import importlib.abc
import importlib.machinery
import sys
import types

import torch

STOOD_IN_FOR = {
    "babe", "circuitsvis", "datasets", "dotenv", "huggingface_hub", "matplotlib", "nltk", "nnsight", "packaging",
    "pandas", "plotly", "requests", "simple_parsing", "tenacity", "transformer_lens", "transformers", "wandb", "yaml",
}  # fmt: skip


class _Anything(type):
    """Classes of the stand-ins: any attribute is another one, and calling one as a decorator returns its argument."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything(name, (), {})

    def __call__(cls, *args, **kwargs):
        if len(args) == 1 and callable(args[0]) and not kwargs:
            return args[0]
        return super().__call__()


class _StandIn(types.ModuleType):
    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything(name, (), {})


class _HookPoint(torch.nn.Identity):
    pass


class _HookedRootModule(torch.nn.Module):
    def setup(self):
        pass


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in STOOD_IN_FOR:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        module = _StandIn(spec.name)
        module.HookPoint = _HookPoint
        module.HookedRootModule = _HookedRootModule
        return module

    def exec_module(self, module):
        pass


sys.meta_path.insert(0, _Finder())
