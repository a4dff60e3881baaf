"""The ledger: nothing of PyTorch's is used before its proof, and the judge that says so can say no."""
import pytest, torch
import torch.nn.functional as F
from judge import NUMBERED, locked_uses, unproven_unlocks, vacuous_checks, write_notebook, module_of, public_names, ROOT
from lesson_nb.ledger import LedgerError, Watch, complaint, read_ledger, spelling_of

LESSONS = [p for p in NUMBERED if not p.name.startswith("00")]  # the tool chest is the machine itself
ledger = read_ledger(ROOT / "nbs")


@pytest.mark.parametrize("notebook", LESSONS, ids=lambda p: p.stem)
def test_lesson_uses_only_what_is_open(notebook): assert locked_uses(notebook, ledger) == []


@pytest.mark.parametrize("notebook", LESSONS, ids=lambda p: p.stem)
def test_lesson_proves_what_it_unlocks(notebook):
    module = ROOT / "lesson_nb" / f"{module_of(notebook)}.py"
    assert unproven_unlocks(notebook, ledger, public_names(module) if module.exists() else None) == []


@pytest.mark.parametrize("notebook", NUMBERED, ids=lambda p: p.stem)
def test_no_check_is_vacuous(notebook): assert vacuous_checks(notebook) == []


def test_course_unlocks_something_and_knows_its_lessons():
    assert {"matmul", "einsum"} <= set(ledger.unlocked)
    for symbol in ledger.symbols.values():
        assert symbol.planned, f"{symbol.name}: say in which lesson it is proven (planned)"
        if symbol.name in ledger.unlocked: assert symbol.planned == ledger.unlocked[symbol.name][0]


def test_spellings_exist_in_torch():
    "A misspelt entry would lock nothing and unlock nothing."
    from torch import nn, utils, optim  # noqa: F401
    import torch.utils.data
    places = {"F": F, "nn": nn, "x": torch.Tensor, "torch": torch}
    for symbol in ledger.symbols.values():
        for spelling in symbol.spellings:
            if spelling == "@": continue
            head, *rest = spelling.split(".")
            there = places[head]
            for part in rest: there = getattr(there, part)


@pytest.mark.parametrize("cells", [
    ["import torch\na = torch.randn(2, 2)\ntorch.matmul(a, a)"],
    ["import torch\na = torch.randn(2, 2)", "b = a @ a"],
    ["import torch\na = torch.randn(2, 2)", "a @= a"],
    ["import torch\na = torch.randn(2, 2)", "a.matmul(a)"],
    ["import torch\na = torch.randn(2, 2)", "a.mm(a).sum()"],
    ["import torch\na = torch.randn(2, 2)", "multiply = a.matmul"],
    ["import torch\na = torch.randn(2, 2)", "a.__matmul__(a)"],
    ["from torch import nn as n", "n.Conv2d(1, 2, 3)"],
    ["import torch.nn.functional as f", "f.softmax(1)"],
    ["from torch.nn.functional import softmax as s", "s(1)"],
    ["from torch import matmul", "matmul(1, 2)"],
    ["import torch as t", "t.einsum('ij,jk->ik', 1, 2)"],
    ["import torch", "t = torch", "t.bmm(1, 2)"],
    ["import torch", "product = torch.matmul"],
    ["import torch", "getattr(torch, 'matmul')(1, 2)"],
    ["import torch", "getattr(torch, 'mat' + 'mul')(1, 2)"],
    ["import importlib", "importlib.import_module('torch').mm(1, 2)"],
    ["import torch", "torch.Tensor.matmul(1, 2)"],
    ["import torch", "[row.softmax(0) for row in torch.randn(2, 3)]"],
    ["import torch", "torch.zeros(3).softmax(0)"],
    ["import operator", "operator.matmul(1, 2)"],
    ["import torch", "torch.linalg.norm(1)"],
    ["import torch", "torch.ops.aten.mm(1, 2)"],
    ["import torch", "def f(a, b): return a @ b"],
    ["import torch", "%%cuda\na = torch.randn(2, 2).cuda()\na @ a"],
    ["import torch", "assert_same(torch.matmul, torch.matmul, floats('n', 3))"],
    ["from torch import *"],
    ["from torch.optim import SGD", "SGD([], 0.1)"],
    ["import torch", "torch.utils.data.DataLoader([])"],
    ["import torch", "torch.nn.utils.clip_grad_norm_([], 1.0)"],
    ["from torch.nn import utils", "utils.clip_grad_value_([], 1.0)"],
], ids=lambda cells: cells[-1][:40])
def test_judge_finds_a_locked_use(tmp_path, cells):
    assert locked_uses(write_notebook(tmp_path / "01_matmul.ipynb", *cells), ledger)


@pytest.mark.parametrize("cells", [
    ["import torch\na = torch.randn(2, 2)", "(a[:, :, None] * a).sum(1).max().item()"],
    ["import torch", "assert_same(ours, torch.matmul, floats('n', 3))"],
    ["import torch", "assert_same(ours, lambda a, b: a @ b, floats('n', 3))\nunlock('torch.matmul')", "a @ b; torch.mm(a, b); a.dot(b)"],
    ["import numpy as np", "np.matmul(1, 2); np.linalg.norm(3)"],
    ["'a b'.split(); [].sort(); {}.get(1)"],
    ["class Layer:\n    def backward(self): pass", "Layer().backward()"],
    ["import torch", "torch.float32; torch.zeros(3, dtype=torch.long, device=torch.device('cpu'))"],
], ids=lambda cells: cells[-1][:40])
def test_judge_lets_honest_code_pass(tmp_path, cells):
    assert locked_uses(write_notebook(tmp_path / "01_matmul.ipynb", *cells), ledger) == []


def test_a_symbol_opens_from_its_cell_on(tmp_path):
    proof = "assert_same(matmul, torch.matmul, floats('n', 3), floats(3, 2))\nunlock('torch.matmul')"
    before = locked_uses(write_notebook(tmp_path / "01_matmul.ipynb", "import torch", "a @ b", proof), ledger)
    after = locked_uses(write_notebook(tmp_path / "01_matmul.ipynb", "import torch", proof, "a @ b"), ledger)
    assert len(before) == 1 and "until then" in before[0] and after == []


def test_locked_message_names_lesson_and_way_out():
    said = complaint(ledger, "nn.Conv2d", "02_backprop", set())
    assert "02_backprop: nn.Conv2d is unlocked in 06_convolution" in said
    assert "lesson_nb.matmul.matmul" in complaint(ledger, "torch.matmul", "01_matmul", set())


@pytest.mark.parametrize("cell, why", [
    ("unlock('torch.matmul')", "without an assert_same"),
    ("unlock('torch.matmul')\nassert_same(matmul, torch.matmul, floats(2, 2))", "without an assert_same"),
    ("assert_same(matmul, torch.einsum, floats(2, 2))\nunlock('torch.matmul')", "without an assert_same"),
    ("try: assert_same(matmul, torch.matmul)\nexcept AssertionError: pass\nunlock('torch.matmul')", "without an assert_same"),
    ("%%slow\nassert_same(matmul, torch.matmul, floats(2, 2))\nunlock('torch.matmul')", "may be skipped"),
    ("assert_same(matmul, torch.matmul)\nif True: unlock('torch.matmul')", "stand alone"),
    ("assert_same(matmul, torch.matmul)\nunlock('torch.mutmal')", "does not list"),
    ("assert_same(draft, torch.matmul)\nunlock('torch.matmul')", "does not export"),
])
def test_unproven_unlock_is_found(tmp_path, cell, why):
    found = unproven_unlocks(write_notebook(tmp_path / "01_matmul.ipynb", "import torch", cell), ledger, ["matmul"])
    assert any(why in message for message in found), found


def test_proven_unlock_passes(tmp_path):
    cell = "assert_same(matmul, lambda a, b: a @ b, floats(2, 2))\nunlock('torch.mm')"
    assert unproven_unlocks(write_notebook(tmp_path / "01_matmul.ipynb", "import torch", cell), ledger, ["matmul"]) == []


@pytest.mark.parametrize("cell", [
    "assert True", "assert 1", "assert (x == y, 'message')", "assert x.shape == x.shape", "assert a == b == b", "assert wrong or True",
    "torch.testing.assert_close(a, a)", "assert torch.equal(x + 1, x + 1)", "try: f()\nexcept ValueError as error: print(error)"])
def test_vacuous_check_is_found(tmp_path, cell): assert vacuous_checks(write_notebook(tmp_path / "n.ipynb", cell))


@pytest.mark.parametrize("cell", ["assert x.shape == y.shape", "try: f()\nexcept ValueError as error: message = str(error)\nassert 'expected' in message", "try: f()\nexcept ValueError as error: print(error)\nelse: raise AssertionError('no error')"])
def test_honest_check_passes(tmp_path, cell): assert vacuous_checks(write_notebook(tmp_path / "n.ipynb", cell)) == []


# the watch, which judges while a lesson runs
def watched(code, allowed=frozenset(), **names):
    namespace = {"torch": torch, "F": F, "x": torch.randn(3, 3), **names}
    with Watch(ledger, "01_matmul", set(allowed), namespace): exec(compile(code, "<cell>", "exec"), namespace)


@pytest.mark.parametrize("code", ["x @ x", "x.matmul(x)", "torch.mm(x, x)", "F.relu(x)", "x.softmax(0)", "torch.nn.Linear(3, 2)(x)", "getattr(x, 'mat' + 'mul')(x)",
                                  "for row in x: row.dot(row)", "import operator; operator.matmul(x, x)", "x.std()", "x.requires_grad_().sum().backward()",
                                  "f = lambda: x.relu_()\nf()"])
def test_watch_stops_a_locked_call(code):
    with pytest.raises(LedgerError): watched(code)


@pytest.mark.parametrize("code", ["(x[:, :, None] * x).sum(1)", "x.T.contiguous().view(-1).tolist()", "repr(x); len(x); list(x); bool(x.sum() > 0)",
                                  "x[0] = 1; x += 1; x.mul_(2); -x; abs(x); x ** 2; 2 ** x; 1 - x; 1 / x; x // 2; x % 2; ~(x > 0); (x > 0) & (x < 1)",
                                  "torch.testing.assert_close(x, x.clone())", "x.numpy().dot(x.numpy())", "import copy; copy.deepcopy(x)", "f'{x.sum():.2f}'"])
def test_watch_lets_axioms_pass(code): watched(code)


def test_watch_looks_only_at_the_notebook():
    watched("f(x)", f=lambda x: x @ x)               # a function of this file, as a finished module's would be
    watched("x @ x", allowed={"matmul"})


def test_watch_remembers_what_is_free_and_nothing_else():
    namespace, allowed = {"x": torch.randn(2, 2), "f": lambda x: x @ x}, set()
    with Watch(ledger, "01_matmul", allowed, namespace):
        exec("f(x)", namespace)                      # a module may; that frees it for no cell
        with pytest.raises(LedgerError): exec("x @ x", namespace)
        exec("x.sum()", namespace)
        with pytest.raises(LedgerError): exec("x.std()", namespace)
        allowed.add("matmul")                        # as `unlock` does
        exec("x @ x", namespace)


def test_watch_lets_torchs_optimizers_call_their_profiler():
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    watched("optimizer.step(); optimizer.zero_grad()", optimizer=torch.optim.SGD([weight], 0.1))
    assert torch.allclose(weight, torch.tensor([0.9, 0.9])) and weight.grad is None


def test_watch_pauses_and_resumes():
    namespace = {"x": torch.randn(2, 2)}
    with Watch(ledger, "01_matmul", set(), namespace) as watch:
        with watch.paused(): exec("x @ x", namespace)
        with pytest.raises(LedgerError): exec("x @ x", namespace)


def test_spelling_of_inplace_and_properties():
    assert spelling_of("torch.Tensor.relu_") == "x.relu_" and ledger.find("x.relu_").name == "relu"
    assert spelling_of("torch.Tensor.__rmatmul__") == "x.rmatmul" and complaint(ledger, "x.rmatmul", "01_matmul", set())
