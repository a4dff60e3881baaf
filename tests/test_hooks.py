"""Hooks that go for certain, by count and by weak reference; features, statistics, and a summary that touches nothing, beside PyTorch's counter."""
import copy, gc, math, os, random, signal, weakref
from functools import partial
import numpy, pytest, torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from lesson_nb import hooks, modules, nn as ours
from lesson_nb.containers import Sequential
from lesson_nb.data import TensorDataset, get_dls
from lesson_nb.hooks import ActivationStats, Hook, Hooks, SaveFeatures, leaves, on_gradient, summary
from lesson_nb.learner import Learner
from lesson_nb.optim import SGD
from lesson_nb.proof import assert_same, floats
from lesson_nb.runner import Callback, CancelBatchException

PLACES = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called")


def hanging(model): return sum(len(getattr(m, place, ())) for m in model.modules() for place in PLACES)
def nothing(hook, *given): return None
def network(): return torch.manual_seed(0) and nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))


@pytest.fixture(autouse=True)
def no_collector():
    "What is freed here is freed at once, and not by the collector of rings."
    gc.disable()
    yield
    gc.enable()


# removed for certain -----------------------------------------------------------------------------------------------------------
class Trouble(Exception): pass


@pytest.mark.parametrize("when", ["before", "after", "backward"])
def test_a_hook_goes_at_the_end_of_with_by_remove_and_with_itself(when):
    model, calls = network(), []
    def note(hook, module, *given): calls.append(len(given))
    def run(): model(torch.ones(2, 4, requires_grad=True)).sum().backward()
    with Hook(model[0], note, when) as hook:
        run()
        assert hanging(model) == 1 and hook.listens and calls == [2 if when == "after" else 1]
    run()
    assert hanging(model) == 0 and not hook.listens and len(calls) == 1
    with pytest.raises(Trouble), Hook(model[0], note, when): raise Trouble
    assert hanging(model) == 0
    hook = Hook(model[0], note, when)
    hook.remove(), hook.remove()
    assert hanging(model) == 0
    hook = Hook(model[0], note, when)
    assert hanging(model) == 1
    del hook
    assert hanging(model) == 0
    run()
    assert len(calls) == 1


@pytest.mark.parametrize("when", ["before", "after", "backward"])
@pytest.mark.parametrize("removed", [True, False])
def test_nothing_is_held(when, removed):
    "Neither the hook nor the module nor what the function refers to."
    class Thing: pass
    model, thing = network(), Thing()
    hook = Hook(model[0], lambda hook, *given, thing=thing: None, when)
    model(torch.ones(2, 4))
    if removed: hook.remove()
    witnesses = [weakref.ref(x) for x in (model, model[0], hook, thing)]
    del hook
    assert witnesses[2]() is None and hanging(model) == 0
    del model, thing
    assert [w() for w in witnesses] == [None] * 4


def test_the_hook_may_outlive_the_module():
    model = network()
    hook, witness = Hook(model[0], nothing), weakref.ref(model[0])
    del model
    assert witness() is None
    hook.remove()


def test_a_removed_hook_is_silent_in_a_backward_pass_it_has_heard_the_forward_of():
    model, calls = network(), []
    with Hook(model[0], lambda hook, module, grad: calls.append(grad), "backward") as hook: loss = model(torch.ones(2, 4)).sum()
    loss.backward()
    assert calls == [] and not hook.listens


def test_a_removed_hook_does_not_keep_its_function_alive_in_a_graph():
    class Thing: pass
    model, thing = network(), Thing()
    hook = Hook(model[0], lambda hook, *given, thing=thing: None, "backward")
    loss, witness = model(torch.ones(2, 4)).sum(), weakref.ref(hook)
    del hook
    assert witness() is None
    loss.backward()


def test_a_copy_of_a_hooked_module_does_not_call_a_removed_hook():
    model, calls = network(), []
    with Hook(model[0], lambda hook, module, given, output: calls.append(module)) as hook: twin = copy.deepcopy(model)
    twin(torch.ones(2, 4))
    assert calls == [] and not hook.listens


@pytest.mark.parametrize("base", [nn.Module, modules.Module])
def test_hooks_on_either_base(base):
    class Doubles(base):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.full((2,), 3.0))
        def forward(self, x): return x * self.weight
    layer, heard = Doubles(), []
    with Hook(layer, lambda hook, module, given, output: heard.append(output.tolist())), Hook(layer, lambda hook, module, grad: heard.append(grad.tolist()), "backward"), \
         Hook(layer, lambda hook, module, given: (given[0] + 1,), "before"): layer(torch.ones(2)).sum().backward()
    assert heard == [[6.0, 6.0], [1.0, 1.0]] and layer.weight.grad.tolist() == [2.0, 2.0]
    assert not layer._forward_hooks and not layer._forward_pre_hooks


def test_what_a_hook_returns_takes_the_place():
    model, x = network(), torch.randn(2, 4)
    with Hook(model[1], lambda hook, module, given, output: output * 0): torch.testing.assert_close(model(x), model[2].bias.expand(2, 3))
    with Hook(model[0], lambda hook, module, given: (given[0] * 0,), "before"): torch.testing.assert_close(model(x), model(x * 0))
    with Hook(model[0], lambda hook, module, grad: grad * 0, "backward"): model(x).sum().backward()
    assert not model[0].weight.grad.any() and model[2].weight.grad.any()


@pytest.mark.parametrize("inplace", [False, True])
def test_backward_hears_what_torchs_full_hook_hears_even_before_an_inplace_layer(inplace):
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Conv1d(2, 3, 2), nn.ReLU(inplace=inplace), nn.Flatten(), nn.Linear(9, 2)), torch.randn(5, 2, 4)
    found, plain = [], copy.deepcopy(model)
    plain[1].inplace = False
    with Hook(model[0], lambda hook, module, grad: found.append(grad), "backward"): model(x).square().sum().backward()
    with plain[0].register_full_backward_hook(lambda module, inputs, outputs: found.append(outputs[0])): plain(x.clone().requires_grad_()).square().sum().backward()
    torch.testing.assert_close(*found)


def test_backward_of_several_outputs_and_of_none():
    layer, calls = nn.GRU(3, 4), []
    with Hook(layer, lambda hook, module, grad: calls.append(tuple(grad.shape)), "backward"):
        output, state = layer(torch.randn(5, 2, 3))
        (output.sum() + state.sum()).backward()
        with torch.no_grad(): layer(torch.randn(5, 2, 3))
    assert sorted(calls) == [(1, 2, 4), (5, 2, 4)]


@pytest.mark.parametrize("action, error, said", [
    (lambda: Hook(nn.ReLU(), nothing, "behind"), ValueError, "'after', 'before' or 'backward', got 'behind'"), (lambda: Hook(nn.ReLU(), 3), TypeError, "expected a function"),
    (lambda: Hook("relu", nothing), TypeError, "expected a module, got 'relu'"), (lambda: Hooks(nn.ReLU(), nothing), TypeError, r"expected several modules, got ReLU; try \[module\]")])
def test_refusals(action, error, said):
    with pytest.raises(error, match=said): action()


def test_hooks_come_and_go_together():
    model = network()
    with Hooks(leaves(model).values(), nothing) as many: assert len(many) == 3 == hanging(model)
    assert hanging(model) == 0
    with Hooks(model, nothing): assert hanging(model) == 3
    many = Hooks(model, nothing)
    witness = weakref.ref(model[0])
    del many
    assert hanging(model) == 0
    del model
    assert witness() is None


def test_hooks_that_cannot_all_be_hung_up_are_taken_off():
    model = network()
    with pytest.raises(TypeError, match="expected a module") as caught: Hooks([model[0], model[1], "no module"], nothing)
    assert hanging(model) == 0 and caught.tb, "those that were there already are taken off, even while the traceback holds them"


def test_leaves():
    shared = nn.ReLU()
    assert leaves(nn.Sequential(nn.Sequential(nn.Linear(1, 1), shared), shared)).keys() == {"0.0", "0.1"} and list(leaves(shared)) == [""]


# on_gradient -------------------------------------------------------------------------------------------------------------------
def test_on_gradient_is_register_hook():
    for change in (lambda g: None, lambda g: g * 3, lambda g: g.clamp(-0.1, 0.1), lambda g: g * 0):
        def theirs(x):
            y = x * 1
            y.register_hook(change)
            return y
        assert_same(on_gradient(change), theirs, floats("n", 3))
        assert_same(on_gradient(change), theirs, floats("n", 2, 3, 2))


def test_on_gradient_knows_second_derivatives_and_does_nothing_without_gradients():
    assert torch.autograd.gradgradcheck(lambda x: on_gradient(lambda g: g * 2)(x**2), torch.randn(3, dtype=torch.float64, requires_grad=True))
    heard, x = [], torch.ones(2)
    assert torch.equal(on_gradient(heard.append)(x), x) and heard == []


# SaveFeatures ------------------------------------------------------------------------------------------------------------------
def test_save_features():
    model, x = network(), torch.randn(5, 4)
    with SaveFeatures(model[0], model[1]) as saved:
        with pytest.raises(RuntimeError, match="the Linear has not run yet"): saved.features
        output = model(x)
    torch.testing.assert_close(saved.features[0], model[0](x).detach())
    torch.testing.assert_close(saved.features[1], model[:2](x).detach())
    assert hanging(model) == 0 and not saved.features[0].requires_grad and output.requires_grad
    with SaveFeatures(model[0], detach=False) as saved: model(x)
    saved.features[0].sum().backward()
    assert model[0].weight.grad is not None and model[2].weight.grad is None


def test_save_features_of_tuples_dicts_and_named_tuples_and_no_leak():
    class Many(nn.Module):
        def forward(self, x): return {"a": x * 2, "b": (x, [x + 1, "text"]), "c": torch.max(x, 0)}
    module, x = Many(), torch.randn(3, requires_grad=True)
    with SaveFeatures(module) as saved: module(x)
    found = saved.features[0]
    assert not found["a"].requires_grad and not found["b"][1][0].requires_grad and found["b"][1][1] == "text" and not found["c"].values.requires_grad
    witness = weakref.ref(found["a"])
    del saved, found
    assert witness() is None


# ActivationStats ---------------------------------------------------------------------------------------------------------------
X, Y = torch.randn(120, 4, generator=torch.Generator().manual_seed(0)), torch.randint(0, 3, (120,), generator=torch.Generator().manual_seed(1))


def learner_for(model=None, cbs=()):
    torch.manual_seed(1)
    model = network() if model is None else model
    return Learner(model, get_dls(TensorDataset(X, Y), TensorDataset(X, Y), 20), nn.functional.cross_entropy, SGD, 0.1, cbs=cbs)


class Keeps(Callback):
    "Every output of a module in training, by hand."
    def __init__(self, layer): self.layer, self.outputs = layer, []
    def before_fit(self, learner): self.hook = self.layer.register_forward_hook(lambda m, i, o: self.outputs.append(o.detach()) if learner.training else None)
    def cleanup_fit(self, learner): self.hook.remove()


def test_stats_are_those_of_the_outputs_of_training_batches():
    model = network()
    with torch.no_grad(): model[0].bias[2] = -100
    stats, kept = ActivationStats(value_range=(-0.3, 0.3), bins=8), Keeps(model[1])
    learner_for(model, [stats, kept]).fit(2)
    assert stats.names == ["0", "1", "2"] and stats.means.shape == stats.deviations.shape == stats.silent.shape == (12, 3) and stats.histograms.shape == (12, 3, 8)
    assert len(kept.outputs) == 12 and stats.steps == list(range(12)) and hanging(model) == 0
    for i, x in enumerate(kept.outputs):
        torch.testing.assert_close(stats.means[i, 1], x.mean())
        torch.testing.assert_close(stats.deviations[i, 1], x.std(correction=0))
        torch.testing.assert_close(stats.silent[i, 1], (x <= 0).all(0).float().mean())
        torch.testing.assert_close(stats.histograms[i, 1], torch.histc(x.clamp(-0.3, 0.3), 8, -0.3, 0.3))
        assert stats.histograms[i, 1].sum() == x.numel() and stats.silent[i, 1] >= 1 / 6


@pytest.mark.parametrize("select, names", [(None, ["0", "1", "2"]), (nn.ReLU, ["1"]), ((nn.ReLU, nn.Linear), ["0", "1", "2"]), ([nn.ReLU], ["1"]), (lambda m: isinstance(m, nn.Linear), ["0", "2"])])
def test_select(select, names):
    stats = ActivationStats(select)
    learner_for(cbs=[stats]).fit(1)
    assert stats.names == names and stats.means.shape == (6, len(names))


def test_select_modules_themselves_every_so_often_and_backwards():
    model = network()
    stats, backward = ActivationStats([model[0], model[2]], every=4), ActivationStats(nn.Linear, when="backward")
    learner_for(model, [stats, backward]).fit(2)
    assert stats.names == ["0", "2"] and stats.steps == [0, 4, 8] and backward.means.shape == (12, 2) and backward.deviations.gt(0).all()
    assert hanging(model) == 0


def test_looking_changes_nothing():
    def weights(*cbs):
        learner = learner_for(cbs=cbs)
        learner.fit(2)
        return torch.cat([p.detach().flatten() for p in learner.model.parameters()])
    assert torch.equal(weights(), weights(ActivationStats(), ActivationStats(when="backward")))


class Raises(Callback):
    def __init__(self, error): self.error = error
    def after_backward(self, learner):
        if learner.step == 3: raise self.error


@pytest.mark.parametrize("error", [Trouble, KeyboardInterrupt, SystemExit])
def test_stats_are_taken_off_after_an_error(error):
    model, stats = network(), ActivationStats()
    try: learner_for(model, [stats, Raises(error)]).fit(1)
    except BaseException as raised: assert isinstance(raised, error)
    assert hanging(model) == 0 and len(stats.means) == 4


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_stats_are_taken_off_after_ctrl_c(capsys):
    class Presses(Callback):
        def after_loss(self, learner): learner.step == 2 and learner.training and os.kill(os.getpid(), signal.SIGINT)
    model, stats = network(), ActivationStats()
    learner_for(model, [stats, Presses()]).fit(3)
    assert hanging(model) == 0 and len(stats.means) == 3


def test_stats_of_nothing_of_tuples_of_nan_and_of_a_layer_that_does_not_run():
    with pytest.raises(ValueError, match="expected modules to look at, found none"): learner_for(cbs=[ActivationStats(nn.Conv2d)]).fit(1)

    class Sometimes(nn.Module):
        def __init__(self):
            super().__init__()
            self.gru, self.rare, self.last, self.runs = nn.GRU(1, 4, batch_first=True), nn.Identity(), nn.Linear(4, 3), 0
        def forward(self, x):
            h = self.gru(x[:, :, None])[0][:, -1]
            self.runs += 1
            if self.runs % 2 == 0: h = self.rare(h + math.nan if self.runs == 4 else h)
            return self.last(h.nan_to_num())
    stats = ActivationStats()
    learner_for(Sometimes(), [stats]).fit(1)
    assert stats.names == ["gru", "rare", "last"] and stats.means[:, 1].isnan().tolist() == [True, False, True, True, True, False] and stats.means[:, [0, 2]].isfinite().all()


def test_stats_of_a_cancelled_batch_and_of_a_second_fit():
    class Cancels(Callback):
        def after_pred(self, learner):
            if learner.training and learner.batch_index == 1: raise CancelBatchException
    stats, learner = ActivationStats(nn.ReLU), learner_for()
    learner.fit(1, cbs=[stats, Cancels()])
    assert len(stats.means) == 6
    learner.fit(1, cbs=[stats])
    assert len(stats.means) == 12 and stats.steps == list(range(12)), "a second fit goes on"


def test_plots():
    stats = ActivationStats(nn.ReLU)
    learner_for(cbs=[stats]).fit(1)
    assert len(stats.plot("title")) == 3 and stats.plot_histograms("title") is not None
    both = ActivationStats()
    learner_for(cbs=[both]).fit(1)
    assert len(both.plot_histograms()) == 3


# summary -----------------------------------------------------------------------------------------------------------------------
def counted(model, *args, **kwargs):
    with torch.no_grad(), FlopCounterMode(display=False) as mode: model(*args, **kwargs)
    return mode.get_total_flops()


def by_name(told): return {part.name: part for part in told.parts}


@pytest.mark.parametrize("make", [
    lambda k: k.Linear(7, 5), lambda k: k.Linear(7, 5, bias=False), lambda k: k.Sequential(k.Linear(7, 5), k.ReLU(), k.Linear(5, 2)), lambda k: k.Embedding(4, 6)], ids=["Linear", "no bias", "Sequential", "Embedding"])
@pytest.mark.parametrize("kind", [ours, nn], ids=["ours", "theirs"])
@pytest.mark.parametrize("batch", [(4,), (1,), (3, 6), (0,)])
def test_flops_of_rows(make, kind, batch):
    model = make(kind)
    x = torch.zeros(batch, dtype=torch.int64) if isinstance(model, kind.Embedding) else torch.randn(*batch, 7)
    told, rows = summary(model, x), math.prod(batch)
    formula = sum(2 * rows * m.in_features * m.out_features for m in model.modules() if isinstance(m, kind.Linear))
    assert told.flops == formula == counted(model, x) and told.parameters == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("settings", [{}, {"stride": 2, "padding": 1}, {"groups": 2}, {"dilation": 2, "bias": False}, {"kernel_size": (3, 1), "stride": (1, 2)}, {"kernel_size": 1}], ids=str)
@pytest.mark.parametrize("kind", [ours, nn], ids=["ours", "theirs"])
def test_flops_of_convolutions(kind, settings):
    layer, x = kind.Conv2d(4, 6, **{"kernel_size": 3, **settings}), torch.randn(3, 4, 11, 9)
    told, output = summary(layer, x), layer(x)
    assert told.flops == 2 * output.numel() * layer.weight[0].numel() == counted(layer, x) and told.parts[0].shape == tuple(output.shape)
    line = kind.Conv1d(4, 6, 3, stride=2)
    assert summary(line, x[:, :, 0]).flops == 2 * line(x[:, :, 0]).numel() * 12 == counted(line, x[:, :, 0])


@pytest.mark.parametrize("make", [
    lambda: (nn.ConvTranspose2d(3, 4, 3, stride=2, groups=1), torch.randn(2, 3, 5, 6)), lambda: (nn.ConvTranspose2d(4, 6, 2, groups=2), torch.randn(2, 4, 5, 6)), lambda: (nn.Conv3d(1, 2, 3), torch.randn(1, 1, 4, 5, 6)),
    lambda: (nn.GRU(3, 4), torch.randn(5, 2, 3)), lambda: (nn.MultiheadAttention(8, 2, batch_first=True), (torch.randn(2, 5, 8), torch.randn(2, 6, 8), torch.randn(2, 6, 8))),
    lambda: (nn.Bilinear(3, 4, 5), (torch.randn(6, 3), torch.randn(6, 4))), lambda: (nn.RNN(3, 4, bidirectional=True), torch.randn(5, 2, 3))],
    ids=["transposed", "transposed, groups", "3d", "GRU", "attention", "bilinear", "RNN"])
def test_flops_beside_torchs_counter(make):
    model, batch = make()
    assert summary(model, batch).flops == counted(model.eval(), *(batch if isinstance(batch, tuple) else (batch,)))


def test_flops_where_torchs_counter_sees_nothing():
    lstm = nn.LSTM(3, 4)
    assert summary(lstm, torch.randn(5, 2, 3)).flops == 5 * 2 * 2 * (16 * 3 + 16 * 4)
    class Attends(nn.Module):
        def forward(self, q, k, v): return nn.functional.scaled_dot_product_attention(q, k, v)
    q, k, v = torch.randn(2, 3, 5, 8), torch.randn(2, 3, 7, 8), torch.randn(2, 3, 7, 8)
    assert summary(Attends(), (q, k, v)).flops == 2 * 2 * 3 * 5 * 7 * (8 + 8)
    class Dots(nn.Module):
        def forward(self, m, x): return m.mv(x) * x[:3].dot(x[:3])
    assert summary(Dots(), (torch.randn(3, 5), torch.randn(5))).flops == 2 * 15 + 2 * 3


def test_transformer_layer_in_eval_mode_is_seen_inside():
    layer, x = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), torch.randn(2, 5, 8)
    told = by_name(summary(layer, x))
    assert told["linear1"].flops == 2 * 10 * 8 * 16 and told["linear1"].calls == 1 and sum(p.flops for p in told.values()) > 2 * 10 * (8 * 24 + 64 + 2 * 128)
    assert torch.backends.mha.get_fastpath_enabled()


class Inside(nn.Module):
    "Nested, shared twice over, tied weights, an unused module, two inputs, a product of its own."
    def __init__(self, kind=nn):
        super().__init__()
        self.block = kind.Sequential(kind.Linear(4, 4), kind.Sequential(kind.ReLU(), kind.Linear(4, 4)))
        self.again, self.unused, self.tied = self.block[0], kind.Linear(3, 3), kind.Linear(4, 4)
        self.tied.weight = self.block[0].weight
        self.tied.bias.requires_grad_(False)

    def forward(self, left, right): return self.again(self.block(left)) @ self.tied(right).mT


@pytest.mark.parametrize("kind", [ours, nn], ids=["ours", "theirs"])
def test_nested_shared_and_tied_modules_and_several_inputs(kind):
    model, inputs = Inside(kind), (torch.randn(3, 4), torch.randn(5, 4))
    told = summary(model, inputs)
    parts = by_name(told)
    assert list(parts) == ["", "block", "block.0", "block.1", "block.1.0", "block.1.1", "unused", "tied"]
    assert parts["block.0"].calls == 2 and parts["block.0"].flops == 2 * 2 * 3 * 16 and parts[""].flops == 2 * 3 * 5 * 4 and parts["block"].flops == 0
    assert parts["unused"].calls == 0 and parts["unused"].parameters == 12 and (parts["tied"].parameters, parts["tied"].trained) == (4, 0)
    assert told.parameters == sum(p.numel() for p in model.parameters()) and told.trained == told.parameters - 4 and told.weight_bytes == 4 * told.parameters
    assert told.flops == counted(model, *inputs) and parts[""].shape == (3, 5)
    text = str(told)
    assert "not called" in text and "x2" in text and all(name in text for name in parts)
    assert summary(model, {"left": inputs[0], "right": inputs[1]}).flops == summary(model, list(inputs)).flops == told.flops


def test_outputs_are_weighed_once():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(inplace=True), nn.Flatten(), nn.Unflatten(1, (2, 4)), nn.Identity(), nn.Linear(4, 2).double())
    model[5] = nn.Linear(4, 2)
    told = summary(model, torch.randn(10, 4))
    assert [part.nbytes for part in told.parts] == [0, 320, 0, 0, 0, 0, 160] and summary(nn.Identity(), torch.randn(5)).nbytes == 0
    many = summary(nn.Sequential(*(nn.Linear(64, 64) for _ in range(8))), torch.randn(16, 64))
    assert many.nbytes == 8 * 16 * 64 * 4, "memory that one output leaves and the next one takes counts for both"


def test_on_our_own_module():
    class Line(modules.Module):
        def __init__(self):
            super().__init__()
            self.weight = modules.Parameter(torch.randn(3, 4))
        def forward(self, x): return x @ self.weight.T
    told = summary(Sequential(Line(), nn.ReLU()), torch.randn(5, 4))
    assert told.flops == 2 * 5 * 4 * 3 and told.parameters == 12


class Busy(nn.Module):
    "Everything that a run could leave behind: statistics, a counter that moves in eval mode, a replaced buffer, random numbers of all kinds."
    def __init__(self):
        super().__init__()
        self.norm, self.drop, self.line = nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 3)
        self.register_buffer("count", torch.zeros(()))
        self.register_buffer("last", torch.zeros(2), persistent=False)

    def forward(self, x):
        self.count += 1
        self.last = torch.rand(2) + random.random() + numpy.random.rand()
        return self.line(self.drop(self.norm(x)))


def state_of(model):
    return [{k: (id(v), v.clone(), v._version) for k, v in [*model.named_parameters(), *model.named_buffers()] if k != "count"}, model.count.clone(), [m.training for m in model.modules()],
            [p.grad for p in model.parameters()], hanging(model), torch.get_rng_state(), random.getstate(), numpy.random.get_state()[1].tolist(), torch.is_grad_enabled()]


def same(a, b):
    if isinstance(a, torch.Tensor): return torch.equal(a, b)
    if isinstance(a, dict): return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)): return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.mark.parametrize("breaks", [False, True])
def test_summary_touches_nothing(breaks):
    model = Busy().train()
    model.norm.eval()
    before = state_of(model)
    if not breaks: told = summary(model, torch.randn(5, 4, generator=torch.Generator().manual_seed(0)))
    else:
        with pytest.raises(RuntimeError): summary(model, torch.ones(5, 3))
    assert [i for i, (a, b) in enumerate(zip(before, state_of(model))) if not same(a, b)] == []
    if not breaks: assert told.weight_bytes == sum(t.numel() * t.element_size() for t in [*model.parameters(), *model.buffers()])


def test_summary_does_not_disturb_a_pending_backward():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    loss = model(torch.randn(5, 4)).sum()
    summary(model, torch.randn(2, 4))
    loss.backward()


def test_summary_runs_in_eval_mode_without_gradients():
    seen = []
    class Looks(nn.Module):
        def forward(self, x):
            seen.append((self.training, torch.is_grad_enabled()))
            return x
    summary(nn.Sequential(Looks()), torch.ones(1))
    assert seen == [(False, False)]


def test_summary_holds_nothing():
    model = network()
    told, witness = summary(model, torch.randn(5, 4)), weakref.ref(model)
    assert hanging(model) == 0
    del model
    assert witness() is None and told.parameters == 51


def test_summary_refuses_what_is_not_settled():
    model = nn.Sequential(nn.LazyLinear(3), nn.ReLU())
    with pytest.raises(ValueError, match="expected a model whose shapes are settled, got 0, a LazyLinear"): summary(model, torch.ones(2, 2))
    assert isinstance(model[0], nn.LazyLinear)


def test_summary_of_dtypes_and_named_outputs():
    for dtype, size in ((torch.float64, 8), (torch.bfloat16, 2)):
        told = summary(nn.Linear(4, 3).to(dtype), torch.randn(5, 4, dtype=dtype))
        assert told.weight_bytes == 15 * size and told.nbytes == 15 * size and told.flops == 120
    assert summary(nn.LSTM(3, 4), torch.randn(5, 2, 3)).parts[0].shape == ((5, 2, 4), ((1, 2, 4), (1, 2, 4)))


def test_nothing_of_matplotlib_is_loaded_by_the_module():
    import subprocess, sys
    program = "import sys, torch; import lesson_nb.hooks, lesson_nb.schedules; print('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == "False"


def test_features_are_kept_before_somebody_changes_them_in_place():
    model, x = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True)), torch.randn(3, 4)
    with SaveFeatures(model[0]) as saved: model(x)
    assert torch.equal(saved.features[0], model[0](x)) and (saved.features[0] < 0).any()
