"""assert_same and unlock: what is equal passes, and each planted fault is found."""
import copy, sys
import pytest, torch
import torch.nn.functional as F
from torch import nn
from lesson_nb import core
from lesson_nb.ledger import LedgerError, read_ledger
from lesson_nb.proof import CASES, arrange, assert_same, evaluate, floats, integers, labels, make_arguments, masks, unlock, what_it_calls
from judge import ROOT


@pytest.fixture(autouse=True)
def no_lesson():
    before = dict(core.state)
    core.state.update(lesson=None, allowed=set(), proven=None, mark=None, ledger=read_ledger(ROOT / "nbs"))
    yield
    core.state.update(before)


def product(a, b): return (a[..., :, :, None] * b[..., None, :, :]).sum(-2)
def relu(x): return x.clamp_min(0)


def test_equal_functions_pass(capsys):
    assert_same(product, torch.matmul, floats("n", "k"), floats("k", "m"))
    assert_same(relu, F.relu, floats("n", 4))
    assert_same(lambda t, i: t[i], lambda t, i: F.embedding(i, t), floats(9, 3), integers("n", high=9))
    assert "same as torch.matmul: 6 cases" in capsys.readouterr().out


def backward(forward, gradient):
    "A function whose gradient is given by hand."
    class ByHand(torch.autograd.Function):
        @staticmethod
        def forward(context, x): context.save_for_backward(x); return forward(x)
        @staticmethod
        def backward(context, grad): return gradient(context.saved_tensors[0], grad)
    return ByHand.apply


FAULTS = {
    "wrong output": (lambda x: x.clamp_min(1e-9), "output"),
    "wrong shape": (lambda x: x.clamp_min(0)[None], "shape"),
    "wrong dtype": (lambda x: x.clamp_min(0).float(), "dtype"),
    "wrong structure": (lambda x: (x.clamp_min(0),), "expected \\['output'"),
    "wrong in the last digits of float32": (lambda x: (x.clamp_min(0) * (1 + 2e-6)).to(x) if x.dtype == torch.float32 else x.clamp_min(0), "float32"),
    "float32 inside": (lambda x: x.float().clamp_min(0).to(x), "float64"),
    "gradient off by 1e-4": (backward(lambda x: x.clamp_min(0), lambda x, g: g * (x > 0) * 1.0001), "gradient"),
    "gradient of zero": (backward(lambda x: x.clamp_min(0), lambda x, g: g * 0), "gradient"),
    "gradient missing": (lambda x: x.detach().clamp_min(0), "no gradient"),
    "gradient reads contiguous memory": (backward(lambda x: x.clamp_min(0), lambda x, g: g.as_strided(g.shape, torch.empty(g.shape).stride()) * (x > 0)), "gradient|raises"),
    "NaN for large values": (lambda x: torch.where(x > 1e3, x - x + float("nan"), x.clamp_min(0)), "extreme"),
    "a batch of one squeezed": (lambda x: x.clamp_min(0).squeeze(0), "one"),
    "no empty batch": (lambda x: x.clamp_min(0) + 0 * x.detach().max(), "empty"),
    "storage order": (lambda x: x.as_strided(x.shape, torch.empty(x.shape).stride()).clamp_min(0), "non-contiguous"),
    "input overwritten": (lambda x: x.detach().clamp_(min=0) + 0 * x, "after the call"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_fault_is_found(fault):
    function, said = FAULTS[fault]
    with pytest.raises(AssertionError, match=said): assert_same(function, F.relu, floats("n", 4))


def test_leftover_gradient_cannot_hide_a_dead_backward():
    "Both sides get fresh leaves: a gradient from an earlier backward is not there to be compared."
    x = torch.ones(3, requires_grad=True)
    F.relu(x).sum().backward()
    with pytest.raises(AssertionError, match="no gradient"): assert_same(lambda y: (x * 0).sum() + y.detach().clamp_min(0), F.relu, floats("n", 4))


class Normalize(nn.Module):
    "BatchNorm1d rebuilt from axioms, with a place for each fault."
    def __init__(self, features, fault=None):
        super().__init__()
        self.fault, self.eps, self.momentum = fault, 1e-5, 0.1
        self.weight, self.bias = nn.Parameter(torch.ones(features)), nn.Parameter(torch.zeros(features))
        for name, value in ("running_mean", torch.zeros(features)), ("running_var", torch.ones(features)), ("num_batches_tracked", torch.tensor(0)):
            self.register_buffer(name, value)

    def forward(self, x):
        if not self.training and self.fault != "training statistics at inference": mean, var = self.running_mean, self.running_var
        else:
            if self.training and self.fault != "uncounted": self.num_batches_tracked += 1  # PyTorch counts even a batch it then refuses
            if len(x) == 1: raise ValueError("a batch of one has no spread")
            mean = x.mean(0)
            var = ((x - mean) ** 2).mean(0)
            if self.training:
                with torch.no_grad():
                    momentum = 0.1001 if self.fault == "momentum" else self.momentum
                    if self.fault != "frozen mean": self.running_mean.lerp_(mean, momentum)
                    self.running_var.lerp_(var * (1 if self.fault == "biased variance" else len(x) / (len(x) - 1)), momentum)
        if self.fault == "dead weight": return (x - mean) / (var + self.eps).sqrt() * self.weight.detach() + self.bias
        return (x - mean) / (var + self.eps).sqrt() * self.weight + self.bias


NO_EMPTY = {"empty": "a mean over no rows is NaN with different messages", "extreme": "autograd through mean and variance rounds worse than PyTorch's formula"}


def test_equal_modules_pass(): assert_same(Normalize(4), nn.BatchNorm1d(4), floats("n", 4), skip=NO_EMPTY)


@pytest.mark.parametrize("fault, said", [("frozen mean", "buffer running_mean"), ("momentum", "buffer running_"), ("biased variance", "buffer running_var"),
                                         ("uncounted", "buffer num_batches"), ("dead weight", "gradient of weight"), ("training statistics at inference", "output|one")])
def test_planted_fault_in_a_module_is_found(fault, said):
    with pytest.raises(AssertionError, match=said): assert_same(Normalize(4, fault), nn.BatchNorm1d(4), floats("n", 4), skip=NO_EMPTY)


def test_module_with_other_state_is_refused():
    class Renamed(nn.Module):
        def __init__(self): super().__init__(); self.w = nn.Parameter(torch.ones(3, 4))
    with pytest.raises(AssertionError, match="expected the state"): assert_same(Renamed(), nn.Linear(4, 3, bias=False), floats("n", 4))


def test_proof_leaves_both_modules_as_they_were():
    ours, theirs = Normalize(4), nn.BatchNorm1d(4)
    before = copy.deepcopy(ours.state_dict()), copy.deepcopy(theirs.state_dict())
    assert_same(ours, theirs, floats("n", 4), skip=NO_EMPTY)
    for module, state in zip((ours, theirs), before):
        assert module.training and all(torch.equal(v, state[k]) for k, v in module.state_dict().items())


@pytest.mark.parametrize("fault", [lambda a, b: torch.mm(a, b), lambda a, b: a @ b, lambda a, b: torch.einsum("nk,km->nm", a, b),
                                   lambda a, b: F.linear(a, b.T), lambda a, b: torch.addmm(torch.zeros((), dtype=a.dtype), a, b), lambda a, b: torch.tensordot(a, b, 1),
                                   lambda a, b: torch.bmm(a[None], b[None])[0], lambda a, b: torch.stack([torch.mv(a, c) for c in b.T], 1)])
def test_delegation_is_found(fault):
    with pytest.raises(AssertionError, match="not rebuilt"): assert_same(fault, torch.matmul, floats("n", "k"), floats("k", "m"), skip={"empty": "not what this is about", "one": "not what this is about"})


def test_delegation_in_the_backward_is_found():
    class HalfHonest(torch.autograd.Function):
        @staticmethod
        def forward(context, a, b): context.save_for_backward(a, b); return product(a, b)
        @staticmethod
        def backward(context, grad): a, b = context.saved_tensors; return grad @ b.T, a.T @ grad
    with pytest.raises(AssertionError, match="not rebuilt.*mm"): assert_same(HalfHonest.apply, torch.matmul, floats("n", "k"), floats("k", "m"))


def test_earlier_pieces_may_be_used_later_ones_not():
    def linear(x, weight, bias): return x @ weight.T + bias
    arguments = floats("n", "k"), floats("m", "k"), floats("m")
    core.state.update(lesson="02_backprop", allowed={"matmul"})
    assert_same(linear, F.linear, *arguments)
    core.state.update(lesson="01_matmul", allowed=set())
    with pytest.raises(AssertionError, match="not rebuilt"): assert_same(linear, F.linear, *arguments)


def test_what_it_calls_sees_forward_and_backward():
    kernels, _ = what_it_calls(F.relu, [floats("n", 4)])
    assert {"relu", "threshold_backward"} <= kernels


@pytest.mark.parametrize("skip", [{"extreme": ""}, {"extreme": "no"}, {"often": "it is not a case"}, {"typical": "it would be too hard"}])
def test_skip_needs_a_known_case_and_a_reason(skip):
    with pytest.raises(ValueError): assert_same(relu, F.relu, floats("n", 4), skip=skip)


def test_skip_is_said(capsys):
    assert_same(relu, F.relu, floats("n", 4), skip={"extreme": "tried in another test"})
    assert "'extreme' left out: tried in another test" in capsys.readouterr().out


def test_refusals_are_compared():
    def picky(x): return relu(x) if len(x) != 1 else 1 / 0
    with pytest.raises(AssertionError, match="ours raises"): assert_same(picky, F.relu, floats("n", 4))
    with pytest.raises(AssertionError, match="PyTorch itself refuses the typical case"): assert_same(lambda a, b: a, torch.mm, floats("n", 3), floats("n", 3))


def test_nothing_is_compared_with_itself():
    with pytest.raises(AssertionError, match="with itself"): assert_same(torch.add, torch.add, floats("n", 3), floats("n", 3))


def test_strategies():
    sizes = [tuple(a.shape) for a in make_arguments([floats("n", "k", 2), masks("k"), labels("n", classes=3)], "typical")]
    assert sizes == [(7, 5, 2), (5,), (7,)]
    one, same = make_arguments([floats("n", 2)], "typical", 1), make_arguments([floats("n", 2)], "typical", 1)
    assert torch.equal(one[0], same[0]) and not torch.equal(one[0], make_arguments([floats("n", 2)], "typical", 2)[0])
    bounded = make_arguments([floats(1000, low=0.25, high=0.5)], "extreme")[0]
    assert 0.25 <= bounded.min() and bounded.max() <= 0.5
    extreme = make_arguments([floats(1000)], "extreme")[0].abs()
    assert extreme.max() / extreme.min() > 1e6
    for case in CASES:
        for shape in ((), (1,), (4,), (0, 3), (2, 3), (2, 3, 4, 5)):
            values = torch.randn(shape)
            assert torch.equal(arrange(values, case), values)
    assert not arrange(torch.randn(3, 4), "non-contiguous").is_contiguous() and not arrange(torch.randn(3, 4), "strided").is_contiguous()


def test_evaluate_gives_gradients_of_parameters_too():
    layer = nn.Linear(3, 2)
    seen = evaluate(layer, [torch.randn(4, 3)], {}, "typical")
    assert set(seen) == {"output", "gradient of argument 0", "gradient of weight", "gradient of bias"}


def prove(): assert_same(relu, F.relu, floats("n", 4))


def test_unlock_wants_its_proof_in_the_same_cell():
    with pytest.raises(LedgerError, match="found none"): unlock("F.relu")
    prove()
    unlock("F.relu")
    assert "relu" in core.state["allowed"]
    elsewhere = compile("unlock('F.relu')", "<another cell>", "exec")
    with pytest.raises(LedgerError, match="found none"): exec(elsewhere, {"unlock": unlock})


def test_unlock_refuses_another_symbol_a_typo_and_a_marked_cell():
    prove()
    with pytest.raises(LedgerError, match="compares with F.relu"): unlock("torch.matmul")
    with pytest.raises(LedgerError, match="not in nbs/ledger.toml"): unlock("F.rleu")
    core.state["mark"] = True
    with pytest.raises(LedgerError, match="may be skipped"): unlock("F.relu")


def test_failed_proof_does_not_unlock():
    with pytest.raises(AssertionError): assert_same(lambda x: x.clamp_min(1e-3), F.relu, floats("n", 4))
    with pytest.raises(LedgerError): unlock("F.relu")


def test_functions_that_write_in_place_get_copies():
    x = torch.tensor([1.0, 2.0])
    for _ in range(2): assert evaluate(lambda x: x.mul_(3), [x], {}, "typical", grad=False)["argument 0 after the call"].tolist() == [3, 6]
    assert_same(lambda x: x.add_(1), lambda x: x.copy_(x + 1), floats(3, 4), grad=False)
    with pytest.raises(AssertionError, match="output"): assert_same(lambda x: x.add_(2), lambda x: x.copy_(x + 1), floats(3, 4), grad=False)
    labels_given = torch.tensor([1, 2])
    evaluate(lambda x: x.add_(1), [labels_given], {}, "typical", grad=False)
    assert labels_given.tolist() == [1, 2]


def test_functions_that_draw_get_the_same_numbers():
    def half(x): return x * (torch.rand(x.shape, dtype=x.dtype) < 0.5)
    def other_half(x): return x * (torch.rand(x.shape, dtype=x.dtype) >= 0.5)
    before = torch.get_rng_state()
    assert_same(lambda x: half(x), half, floats("n", 9))
    assert torch.equal(torch.get_rng_state(), before), "a proof draws nothing from the lesson's own random numbers"
    with pytest.raises(AssertionError): assert_same(other_half, half, floats("n", 9))
