"""What travels as remote code, read as a syntax tree: what it imports, and that it opens nothing."""

import ast
import sys
from pathlib import Path

import pytest

import mise_hf.models

FILES = sorted(Path(mise_hf.models.__file__).parent.glob("*_mise*.py"))
# Of the standard library, what computes and names; nothing that reaches files, processes or the network.
STANDARD = {"collections", "contextlib", "dataclasses", "math", "re", "typing"}
LIBRARIES = {"torch", "transformers"}
FORBIDDEN_CALLS = {"open", "eval", "exec", "compile", "__import__", "input", "breakpoint", "globals", "vars"}
FORBIDDEN_ATTRIBUTES = {
    "system", "popen", "open", "read_text", "write_text", "read_bytes", "write_bytes", "unlink", "mkdir", "rmdir",
    "load", "loads", "urlopen", "socket", "connect", "import_module", "hub", "__globals__", "__subclasses__",
    "__builtins__", "load_state_dict_from_url", "torch_load", "from_file",
}  # fmt: skip
# A user's explicit wish for an encoder by name; nothing of it runs when a checkpoint is loaded.
MAY_LOAD = {"load_encoder", "for_encoder", "from_pretrained"}


def problems(source: str) -> list[str]:
    """What in a file that travels would be more than computing."""
    tree = ast.parse(source)
    found = []
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            child.parent = node  # type: ignore[attr-defined]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [f"imports {a.name}" for a in node.names if a.name.split(".")[0] not in LIBRARIES | STANDARD]
        elif isinstance(node, ast.ImportFrom):
            if node.level > 1:
                found.append("imports from above its folder")
            root = (node.module or "").split(".")[0]
            names = {alias.name for alias in node.names}
            allowed = node.level == 1 or root in LIBRARIES | STANDARD or (root == "os" and names == {"PathLike"})
            if not allowed:
                found.append(f"imports {node.module}")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
            found.append(f"calls {node.func.id}")
        elif isinstance(node, ast.Attribute):
            if node.attr in FORBIDDEN_ATTRIBUTES:
                found.append(f"reaches .{node.attr}")
            if node.attr == "from_pretrained" and enclosing(node) not in MAY_LOAD:
                found.append(f"loads in {enclosing(node)}")
    return found


def enclosing(node: ast.AST) -> str:
    while not isinstance(node, ast.FunctionDef | ast.Module):
        node = node.parent  # type: ignore[attr-defined]
    return getattr(node, "name", "module")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_remote_code_only_computes(path):
    assert problems(path.read_text(encoding="utf-8")) == []


def test_all_files_that_travel_are_read(run_folder, hearing_run):
    travelled = {path.name for folder in (run_folder, hearing_run) for path in folder.rglob("*.py")}
    assert travelled and travelled <= {path.name for path in FILES}


@pytest.mark.parametrize(
    "source",
    ["import socket", "import os", "from os import system", "from subprocess import run", "import numpy",
     "from mise_hf import x", "from ..x import y", "open('x')", "torch.load('x')", "def f():\n  M.from_pretrained('x')",
     "import pickle", "torch.hub.load('x')", "p.write_text('x')", "eval('1')"],
)  # fmt: skip
def test_the_reader_finds_what_it_looks_for(source):
    assert problems(source)


def test_remote_code_loads_no_forbidden_module_when_it_runs():
    """No file of ours puts a module of files or sockets into its namespace."""
    for path in FILES:
        module = sys.modules.get(f"mise_hf.models.{path.stem}")
        assert module is not None
        assert not {"os", "socket", "subprocess", "pickle", "shutil", "pathlib", "io"} & set(vars(module))
