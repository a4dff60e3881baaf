"""The house: one notebook, one module; imports only from earlier files; exports equal the notebooks; no second homes."""
import ast, importlib, os, re, shutil, subprocess, sys
import pytest
sys.path.insert(0, str(__import__("pathlib").Path(__file__).parent.parent))
from judge import (NUMBERED, ROOT, imports_of, is_exported, marked_exports, module_of, two_homes, undocumented, write_notebook, wrong_homes,
                   wrong_imports)
from lesson_nb.ledger import code_cells, read_ledger
from tools.commands import EXPORT, export_differences

EXPORTING = [p for p in NUMBERED if any(is_exported(source) for _, source in code_cells(p))]
ORDER = [module_of(p) for p in NUMBERED]
FACADES = {"nn", "functional", "init", "optim"}
MODULES = [ROOT / "lesson_nb" / f"{module_of(p)}.py" for p in EXPORTING]
RUNTIME = {"torch", "numpy", "matplotlib", "tqdm", "pooch", "PIL", "pandas"}
HEAVY = ("matplotlib", "pandas", "PIL", "pooch", "tqdm", "IPython", "nbdev", "numba", "jupyter_client")


@pytest.mark.parametrize("notebook", NUMBERED, ids=lambda p: p.stem)
def test_notebook_keeps_house(notebook):
    assert wrong_homes(notebook) + wrong_imports(notebook, ORDER) + marked_exports(notebook) + undocumented(notebook) == []


def test_package_holds_the_modules_of_the_notebooks_and_nothing_else():
    found = {p.stem for p in (ROOT / "lesson_nb").glob("*.py")} - {"__init__", "_modidx"} - FACADES
    assert found == {p.stem for p in MODULES}
    assert len(set(ORDER)) == len(ORDER), "two notebooks for one module"


def test_no_public_name_has_two_homes(): assert two_homes(MODULES) == []


def test_exports_are_fresh():
    assert export_differences(python=sys.executable) == {}, "a notebook was edited after its export, or a module by hand: run nbdev_export"


@pytest.mark.parametrize("module", MODULES, ids=lambda p: p.stem)
def test_module_is_of_readable_size(module):
    lines = [line for line in module.read_text().splitlines() if line.strip()]
    assert len(lines) <= 250, f"{module.name}: {len(lines)} lines; split it by subject into two lessons"


@pytest.mark.parametrize("module", MODULES, ids=lambda p: p.stem)
def test_module_imports_only_what_is_installed_with_it(module):
    used = {name.partition(".")[0] for name, *_ in imports_of(ast.parse(module.read_text())) if not name.startswith(".")}
    guarded = {"IPython"}  # only inside functions that a running notebook calls
    assert used - set(sys.stdlib_module_names) - RUNTIME - {"lesson_nb"} <= guarded


def test_importing_a_module_loads_nothing_heavy():
    "One process for all: what a module needs only sometimes is imported where it is used."
    names = [f"lesson_nb.{p.stem}" for p in MODULES]
    program = f"import sys, torch\nbefore = set(sys.modules)\nimport importlib\nfor n in {names!r}: importlib.import_module(n)\n"
    program += f"print([h for h in {HEAVY!r} if h in sys.modules and h not in before])"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert out.stdout.strip() == "[]", out.stdout + out.stderr


def test_package_works_without_development_tools(tmp_path):
    "nbdev, IPython and the like are hidden; every module still imports."
    hidden = ("nbdev", "execnb", "fastcore", "IPython", "numba", "pytest", "hypothesis")
    for name in hidden: (tmp_path / f"{name}.py").write_text(f"raise ImportError('{name} is not installed for importers')")
    program = "import importlib\n" + "".join(f"importlib.import_module('lesson_nb.{p.stem}')\n" for p in MODULES) + "from lesson_nb.core import begin; begin('01_matmul')"
    out = subprocess.run([sys.executable, "-c", f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]\n{program}"], capture_output=True, text=True, cwd=tmp_path)
    assert out.returncode == 0, out.stderr


def test_each_unlocked_symbol_has_a_version_of_ours():
    ledger = read_ledger(ROOT / "nbs")
    for name, (lesson, _) in ledger.unlocked.items():
        dotted = ledger.symbols[name].ours
        assert dotted, f"{name}: ledger.toml does not say which version of ours was proven"
        module, _, attribute = dotted.rpartition(".")
        assert callable(getattr(importlib.import_module(module), attribute))
        assert module == f"lesson_nb.{re.sub(r'^[0-9]+[a-z]?_', '', lesson)}" or module.rpartition(".")[2] in FACADES


def test_facades_only_reexport():
    for name in FACADES:
        path = ROOT / "lesson_nb" / f"{name}.py"
        if not path.exists(): continue
        for node in ast.parse(path.read_text()).body:
            assert not isinstance(node, ast.ClassDef) and not (isinstance(node, ast.FunctionDef) and not node.name.startswith("__")), f"{name}.py line {node.lineno} defines something"


# each rule can say no
@pytest.mark.parametrize("cell, why", [
    ("#| default_exp matmull\n#| export\nx = 1", "expected `default_exp matmul`"),
    ("#| export\nx = 1", "expected `default_exp matmul`"),
    ("#| default_exp matmul\nfrom numpy import *", "import by name"),
    ("#| default_exp matmul\nfrom lesson_nb.backprop import linear", "does not come before"),
    ("#| default_exp matmul\nimport lesson_nb.backprop as b", "does not come before"),
    ("#| default_exp matmul\nfrom lesson_nb import backprop", "does not come before"),
    ("#| default_exp matmul\ndef f():\n    from lesson_nb.backprop import linear", "does not come before"),
    ("#| default_exp matmul\n#| export\nfrom lesson_nb.matmul import matmul", "does not come before"),
    ("#| default_exp matmul\nfrom .core import begin", "relative"),
    ("%%cuda\n#| export\n#| default_exp matmul\nx = 1", "breaks the export"),
    ("#| default_exp matmul\n#| export\n%%cuda\nx = 1", "breaks the export"),
    ("#| default_exp matmul\n#| export\ndef public(): return 1", "no docstring"),
])
def test_planted_offence_is_found(tmp_path, cell, why):
    path = write_notebook(tmp_path / "01_matmul.ipynb", cell)
    found = wrong_homes(path) + wrong_imports(path, ["core", "matmul", "backprop"]) + marked_exports(path) + undocumented(path)
    assert any(why in message for message in found), found


def test_earlier_import_passes(tmp_path):
    path = write_notebook(tmp_path / "02_backprop.ipynb", "#| default_exp backprop", "#| export\nfrom lesson_nb.matmul import matmul\nimport torch", "from lesson_nb import backprop")
    assert wrong_homes(path) + wrong_imports(path, ["core", "matmul", "backprop"]) == []


def test_second_home_is_found(tmp_path):
    for name in ("a", "b"): (tmp_path / f"{name}.py").write_text("__all__ = ['Linear']")
    assert two_homes([tmp_path / "a.py", tmp_path / "b.py"]) == ["Linear lives in a and b"]


def test_stale_export_is_found(tmp_path):
    for folder in ("lesson_nb", "nbs"): (tmp_path / folder).mkdir()
    shutil.copy(ROOT / "settings.ini", tmp_path)
    (tmp_path / "lesson_nb" / "__init__.py").write_text((ROOT / "lesson_nb" / "__init__.py").read_text())
    write_notebook(tmp_path / "nbs" / "01_matmul.ipynb", "#| default_exp matmul", "#| export\nx = 1")
    subprocess.run([sys.executable, "-c", EXPORT], cwd=tmp_path, check=True, env={k: v for k, v in os.environ.items() if k != "IN_TEST"})
    assert export_differences(tmp_path, sys.executable) == {}
    write_notebook(tmp_path / "nbs" / "01_matmul.ipynb", "#| default_exp matmul", "#| export\nx = 2")
    assert "matmul.py" in "".join(export_differences(tmp_path, sys.executable))
