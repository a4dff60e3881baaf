"""Steps by loop, by lists and in flat memory: all as torch.optim steps, through moves, copies, checkpoints and missing gradients."""
import copy, importlib.util, inspect, io, pickle, sys, threading
import pytest, torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from following import CASES, FLAT, MODES, SETTINGS, SHAPES, assert_equal_params, assert_equal_state, give, id_of, pair, parameters, train
from lesson_nb import optim, optimizers, stepping
from lesson_nb.stepping import SGD, Many, Stepper, each

each_case = pytest.mark.parametrize("name, settings", CASES, ids=id_of)
each_mode = pytest.mark.parametrize("mode", MODES, ids=id_of)
devices = ["cpu"] + ["cuda"] * torch.cuda.is_available()


# ---- beside torch.optim

@each_case
@each_mode
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("device", devices)
def test_follows_torch_over_many_steps(name, settings, mode, dtype, device):
    if name == "Muon" and mode: pytest.skip("Muon has neither foreach nor flat")
    ours, theirs = pair(name, settings, dtype, mode, device)
    if name == "Muon": return assert_equal_params(train(ours), train(theirs), dtype, 0, 5e-3)   # both compute in bfloat16, and round a little differently
    assert_equal_params(train(ours, 40), train(theirs, 40), dtype)
    given, expected = ours.state_dict(), theirs.state_dict()
    for group in given["param_groups"]: group["foreach"] = None
    assert_equal_state(given, expected, *((1e-9, 1e-12) if dtype == torch.float64 else (1e-4, 1e-6)))


@pytest.mark.parametrize("name", SETTINGS)
def test_signature_defaults_and_text_are_torchs(name):
    ours, theirs = inspect.signature(getattr(optim, name)), inspect.signature(getattr(torch.optim, name))
    extra = {"flat"} if name in FLAT else set()
    assert {k: (p.default, p.kind) for k, p in ours.parameters.items() if k not in extra} == {k: (p.default, p.kind) for k, p in theirs.parameters.items()}
    assert [k for k in ours.parameters if k not in extra] == list(theirs.parameters)
    shapes = [(2, 3)]
    a, b = getattr(optim, name)(parameters(shapes=shapes)), getattr(torch.optim, name)(parameters(shapes=shapes))
    assert repr(a) == repr(b) and a.defaults == b.defaults and isinstance(a, torch.optim.Optimizer)
    assert_equal_state(a.state_dict(), b.state_dict())
    assert getattr(optim, name).__doc__ and "flat" not in a.param_groups[0]


@each_case
@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("way", ["from torch", "to torch", "to ours"])
def test_checkpoint_goes_both_ways(name, settings, flat, way):
    if name == "Muon" and flat: pytest.skip("Muon has no flat")
    mode = {"flat": True} if flat else {}
    ours, theirs = pair(name, settings, mode=mode)
    reference = pair(name, settings)[1]
    train(reference, 7)
    source = {"from torch": theirs, "to torch": ours, "to ours": ours}[way]
    target = pair(name, settings)[1] if way == "to torch" else pair(name, settings, mode=mode)[0]
    train(source, 7)
    file = io.BytesIO()
    torch.save(source.state_dict(), file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    source_params, target_params = ([p for g in o.param_groups for p in g["params"]] for o in (source, target))
    with torch.no_grad():
        for p, q in zip(target_params, source_params): p.copy_(q)
    train(target, 3, first=70)          # a state of its own, and laid down flat, before it is loaded over
    with torch.no_grad():
        for p, q in zip(target_params, source_params): p.copy_(q)
    target.load_state_dict(saved)
    assert [set(group) for group in target.state_dict()["param_groups"]] == [set(group) for group in theirs.state_dict()["param_groups"]]
    # mu_product: once loaded, torch keeps it in the parameter's dtype
    assert_equal_params(train(target, 8, first=7), train(reference, 8, first=7), rtol=1e-6 if name == "NAdam" else 1e-11, atol=1e-8 if name == "NAdam" else 1e-12)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("schedule", ["StepLR", "CosineAnnealingWarmRestarts", "OneCycleLR", "ExponentialLR", "ReduceLROnPlateau"])
def test_schedulers_of_torch_attach(name, flat, schedule):
    if name == "Muon" and flat: pytest.skip("Muon has no flat")
    settings = {"momentum": 0.9} if name == "SGD" else {}
    found = []
    for optimizer in pair(name, settings, mode={"flat": True} if flat else {}):
        options = {"StepLR": dict(step_size=3), "CosineAnnealingWarmRestarts": dict(T_0=4), "ExponentialLR": dict(gamma=0.8), "ReduceLROnPlateau": dict(patience=1),
                   "OneCycleLR": dict(max_lr=0.1, total_steps=30, cycle_momentum=name in ("SGD", "Adam", "AdamW"))}[schedule]
        scheduler = getattr(torch.optim.lr_scheduler, schedule)(optimizer, **options)
        rates = []
        for step in range(12):
            params = train(optimizer, 1, first=step)
            scheduler.step(*([1.0] if schedule == "ReduceLROnPlateau" else []))
            rates.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0].get("momentum"), optimizer.param_groups[0].get("betas")))
        found.append((params, rates))
    assert found[0][1] == found[1][1]
    assert_equal_params(found[0][0], found[1][0], rtol=1e-10, atol=1e-11)


# ---- groups, frozen and late parameters

@pytest.mark.parametrize("name", SETTINGS)
@each_mode
def test_groups_with_their_own_settings_and_a_late_one(name, mode):
    if name == "Muon" and mode: pytest.skip("Muon has neither")
    shapes = [(4, 3), (3, 4), (2, 2), (3, 3)] if name == "Muon" else [(4, 3), (5,), (), (7,)]
    found = []
    for place, extra in ((optim, mode), (torch.optim, {})):
        params = parameters(shapes=shapes)
        optimizer = getattr(place, name)([{"params": params[:1], "lr": 0.2}, {"params": params[1:3], "weight_decay": 0.3}], lr=0.01, **extra)
        train(optimizer, 4, missing=lambda step: ())
        optimizer.add_param_group({"params": params[3:], "lr": 0.05})
        train(optimizer, 4, first=4, missing=lambda step: (0,) if step == 5 else ())
        optimizer.param_groups[0]["lr"] = 0.5
        found.append(train(optimizer, 2, first=8, missing=lambda step: ()))
    assert_equal_params(*found, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("name", FLAT)
@each_mode
def test_frozen_then_unfrozen(name, mode):
    found = []
    for place, extra in ((optim, mode), (torch.optim, {})):
        optimizer = getattr(place, name)(parameters(), lr=0.05, **extra)
        train(optimizer, 3, missing=lambda step: (0, 1, 4))
        train(optimizer, 3, first=3, missing=lambda step: (1,))
        train(optimizer, 2, first=6, missing=lambda step: range(7))
        found.append(train(optimizer, 3, first=8, missing=lambda step: ()))
    assert_equal_params(*found)


def test_without_any_gradient_nothing_moves_and_nothing_is_laid():
    for mode in MODES:
        optimizer = optim.Adam(parameters(), **mode)
        before = [p.detach().clone() for p in optimizer.param_groups[0]["params"]]
        optimizer.step()
        assert all(map(torch.equal, before, optimizer.param_groups[0]["params"])) and not optimizer.state


# ---- flat memory: each of these goes wrong silently if it is tried carelessly

def flat_pair(name="Adam", settings=None, steps=4, dtype=torch.float64):
    ours, theirs = pair(name, settings or {}, dtype, {"flat": True})
    train(ours, steps), train(theirs, steps)
    return ours, theirs


@pytest.mark.parametrize("name", FLAT)
def test_after_a_missing_gradient_those_alike_are_laid_together_again(name, monkeypatch):
    ours, theirs = pair(name, {"momentum": 0.9} if name == "SGD" else {}, torch.float64, {"flat": True})
    calls, rule = [], type(ours).rule
    monkeypatch.setattr(type(ours), "rule", lambda self, *args: (calls.append(1), rule(self, *args))[1])
    made = []
    for step in range(7):
        calls.clear()
        for optimizer in (ours, theirs): train(optimizer, 1, first=step, missing=lambda step: (1,) if step == 2 else ())
        made.append(len(calls))
    assert_equal_params(params_of(ours), params_of(theirs))
    assert made[0] == made[1] < made[2] and made[3] > made[1] and made[1] < made[4] == made[5] == made[6] <= made[1] + 2   # with one apart


def params_of(optimizer): return [p for group in optimizer.param_groups for p in group["params"]]


def test_flat_lays_parameters_and_states_into_one_memory():
    ours, _ = pair("Adam", {}, torch.float64, {"flat": True})
    train(ours, 4, missing=lambda step: ())
    params = [p for p in params_of(ours) if p.numel()]
    assert len({p.untyped_storage().data_ptr() for p in params}) == 1
    assert len({ours.state[p]["exp_avg"].untyped_storage().data_ptr() for p in params}) == 1


@pytest.mark.parametrize("move", ["double", "data", "half way", "channels_last", "load_state_dict of the model", "load, assign"])
@pytest.mark.parametrize("name", FLAT)
def test_flat_after_the_parameters_have_moved(name, move):
    found = []
    for place, extra in ((optim, {"flat": True}), (torch.optim, {})):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(3, 4)).double()
        optimizer = getattr(place, name)(net.parameters(), lr=0.05, **extra)
        train(optimizer, 3, missing=lambda step: ())
        if move == "double": net.to(torch.float64)
        if move == "data":
            for p in net.parameters(): p.data = p.data.clone()
        if move == "half way": net[0].bias.data = net[0].bias.data * 2
        if move == "channels_last": net.to(memory_format=torch.channels_last)
        if move.startswith("load"):
            other = {k: v + 1 for k, v in net.state_dict().items()}
            if move == "load_state_dict of the model": net.load_state_dict(other)
            else:
                for p, v in zip(net.parameters(), other.values()): p.data = v
        train(optimizer, 3, first=3, missing=lambda step: ())
        found.append(list(net.parameters()))
        x = torch.ones(1, 2, 3, 3, dtype=torch.float64)
        found.append([net(x)])
    assert_equal_params(found[0], found[2]), assert_equal_params(found[1], found[3])


@pytest.mark.parametrize("name", FLAT)
def test_flat_after_the_model_has_changed_its_dtype(name):
    "torch.optim fails there, or mixes dtypes; in flat memory the states come along."
    net = nn.Linear(5, 3)
    optimizer = getattr(optim, name)(net.parameters(), lr=0.05, flat=True)
    train(optimizer, 3, missing=lambda step: ())
    net.double()
    before = [p.detach().clone() for p in net.parameters()]
    train(optimizer, 3, first=3, missing=lambda step: ())
    assert all(p.dtype == torch.float64 and not torch.equal(p, b) for p, b in zip(net.parameters(), before))
    assert all(v.dtype == torch.float64 for s in optimizer.state.values() for k, v in s.items() if isinstance(v, torch.Tensor))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", FLAT)
def test_flat_after_the_model_has_changed_its_device(name):
    found = []
    for device in ("cpu", "cuda"):
        net = nn.Linear(5, 3).double()
        with torch.no_grad(): net.weight.fill_(0.5), net.bias.fill_(0.25)
        optimizer = getattr(optim, name)(net.parameters(), lr=0.05, flat=True)
        train(optimizer, 3, missing=lambda step: ())
        net.to(device)
        train(optimizer, 3, first=3, missing=lambda step: ())
        found.append([p.detach().cpu() for p in net.parameters()])
    assert_equal_params(*found)


@pytest.mark.parametrize("name", FLAT)
@pytest.mark.parametrize("how", ["deepcopy", "pickle", "torch.save"])
def test_flat_under_copies(name, how):
    ours, theirs = flat_pair(name, {"momentum": 0.9} if name == "SGD" else {})
    before = [p.detach().clone() for p in params_of(ours)]
    if how == "deepcopy": twin = copy.deepcopy(ours)
    elif how == "pickle": twin = pickle.loads(pickle.dumps(ours))
    else:
        torch.save(ours, file := io.BytesIO())
        file.seek(0)
        twin = torch.load(file, weights_only=False)
    assert twin.flat and not twin._laid
    train(twin, 3, first=4)
    assert all(map(torch.equal, before, params_of(ours))), "the twin's steps moved the original"
    assert_equal_params(train(ours, 3, first=4), train(theirs, 3, first=4))
    assert_equal_params(params_of(twin), params_of(ours))


def test_flat_deepcopy_of_model_and_optimizer_together_and_of_the_model_alone():
    net = nn.Linear(4, 3).double()
    optimizer = optim.Adam(net.parameters(), flat=True)
    train(optimizer, 3, missing=lambda step: ())
    twin, twin_optimizer = copy.deepcopy((net, optimizer))
    alone = copy.deepcopy(net)
    kept = [p.detach().clone() for p in alone.parameters()]
    train(twin_optimizer, 3, first=3, missing=lambda step: ())
    train(optimizer, 3, first=3, missing=lambda step: ())
    assert_equal_params(net.parameters(), twin.parameters())
    assert list(map(id, params_of(twin_optimizer))) == list(map(id, twin.parameters()))
    assert all(map(torch.equal, kept, alone.parameters())) and not torch.equal(kept[0], net.weight)


@pytest.mark.parametrize("surgery", ["tensor in a state", "whole state", "all states", "clear", "step", "group's list", "in place"])
def test_flat_sees_what_others_do_to_its_books(surgery):
    found = []
    for place, extra in ((optim, {"flat": True}), (torch.optim, {})):
        optimizer = place.Adam(parameters(), lr=0.05, **extra)
        train(optimizer, 4, missing=lambda step: ())
        first = params_of(optimizer)[0]
        if surgery == "tensor in a state": optimizer.state[first]["exp_avg"] = torch.ones_like(first)
        if surgery == "whole state": optimizer.state[first] = {k: v + 1 for k, v in optimizer.state[first].items()}
        if surgery == "all states": optimizer.state = type(optimizer.state)(dict)
        if surgery == "clear": optimizer.state.clear()
        if surgery == "step": optimizer.state[first]["step"] += 5
        if surgery == "group's list": optimizer.param_groups[0]["params"].pop(1)
        if surgery == "in place": optimizer.state[first]["exp_avg"].zero_()
        found.append(train(optimizer, 4, first=4, missing=lambda step: ()))
    assert_equal_params(*found)


def test_flat_and_settings_that_change_the_states():
    found = []
    for place, extra in ((optim, {"flat": True}), (torch.optim, {})):
        optimizer = place.SGD(parameters(), lr=0.05, **extra)
        train(optimizer, 3)
        optimizer.param_groups[0]["momentum"] = 0.9
        train(optimizer, 3, first=3)
        optimizer.param_groups[0]["momentum"] = 0
        train(optimizer, 3, first=6)
        optimizer.param_groups[0].update(momentum=0.5, nesterov=True)
        found.append(train(optimizer, 3, first=9))
    assert_equal_params(*found)


def test_two_flat_optimizers_on_the_same_parameters():
    params, twins = parameters(), parameters()
    ours = [optim.Adam(params, lr=0.05, flat=True), optim.SGD(params, lr=0.1, momentum=0.9, flat=True)]
    theirs = [torch.optim.Adam(twins, lr=0.05), torch.optim.SGD(twins, lr=0.1, momentum=0.9)]
    for step in range(6): train(ours[step % 2], 1, first=step), train(theirs[step % 2], 1, first=step)
    assert_equal_params(params, twins)


def test_flat_with_mixed_dtypes_large_tensors_and_layouts(monkeypatch):
    "Large ones are worked off in chunks; channels_last, transposed and gappy ones keep their values."
    monkeypatch.setattr(stepping, "STRETCH", 2000)
    def make():
        generator = torch.Generator().manual_seed(0)
        draw = lambda *s, dtype=torch.float64: torch.randn(s, generator=generator, dtype=torch.float64).to(dtype)
        odd = [draw(3, 4, 5, 5).to(memory_format=torch.channels_last), draw(6, 4).T, draw(10, 8)[:, ::2], draw(1).expand(1), draw(3)[None].mT]
        return [nn.Parameter(t) for t in [draw(300, 301), *odd, draw(40, dtype=torch.float32), draw(200, 200, dtype=torch.float32), draw(7), draw(), draw(0, 3)]]
    found = []
    for place, extra in ((optim, {"flat": True}), (torch.optim, {})):
        params = make()
        optimizer = place.Adam(params, lr=0.05, **extra)
        train(optimizer, 6, missing=lambda step: (2,) if step == 3 else ())
        found.append(params)
    for a, b in zip(*found): torch.testing.assert_close(a, b, rtol=1e-5 if a.dtype == torch.float32 else 1e-12, atol=1e-6 if a.dtype == torch.float32 else 1e-13)
    ours = found[0]
    assert ours[1].is_contiguous(memory_format=torch.channels_last) and ours[2].stride() == (1, 4), "dense layouts are kept"
    together = [p for i, p in enumerate(ours) if i != 2 and p.dtype == torch.float64 and 0 < p.numel() < 1000]   # the third is a step behind
    assert len({p.untyped_storage().data_ptr() for p in together}) == 1 and ours[2].untyped_storage().data_ptr() != together[0].untyped_storage().data_ptr()


def test_flat_takes_gradients_of_any_layout(monkeypatch):
    monkeypatch.setattr(stepping, "STRETCH", 500)   # else what is large depends on the number of cores
    found = []
    for place, extra in ((optim, {"flat": True}), (torch.optim, {})):
        params = parameters(shapes=[(4, 6), (4, 6), (3, 2, 5, 5), (300, 200)])
        optimizer = place.Adam(params, lr=0.05, **extra)
        for step in range(4):
            give(params, step)
            params[0].grad = params[0].grad.T.contiguous().T
            params[1].grad = torch.ones((), dtype=torch.float64).expand(4, 6)
            params[2].grad = params[2].grad.to(memory_format=torch.channels_last)
            params[3].grad = params[3].grad.T.contiguous().T
            optimizer.step()
        found.append(params)
    assert_equal_params(*found)


def test_flat_keeps_accumulated_and_zeroed_gradients():
    "zero_grad(set_to_none=False) leaves zeros, with which momentum goes on; two backward passes add up."
    found = []
    for place, extra in ((optim, {"flat": True}), (torch.optim, {})):
        torch.manual_seed(0)
        net = nn.Linear(4, 3).double()
        optimizer, x = place.SGD(net.parameters(), lr=0.1, momentum=0.9, **extra), torch.ones(2, 4, dtype=torch.float64)
        for step in range(4):
            for _ in range(2): net(x).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=step % 2 == 0)
            if step == 1: optimizer.step()
        found.append(list(net.parameters()))
    assert_equal_params(*found)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sixteen_bits(dtype):
    for name in FLAT:
        found = [train(o, 5, missing=lambda step: ()) for o in pair(name, {}, dtype)] + [train(pair(name, {}, dtype, {"flat": True})[0], 5, missing=lambda step: ())]
        for a, b, c in zip(*found):
            torch.testing.assert_close(a, b, rtol=0.05, atol=0.05), torch.testing.assert_close(c, b, rtol=0.05, atol=0.05)


# ---- refusals

def test_refuses_to_move_what_would_part():
    base = torch.randn(10)
    for params, said in ([nn.Parameter(base[:6]), nn.Parameter(base[4:])], "share memory"), ([nn.Parameter(base), nn.Parameter(base)], "same Parameter"), ([nn.Parameter(torch.randn(3).share_memory_())], "shared memory"):
        give(params, 0)
        with pytest.raises(ValueError, match=said): optim.SGD(params, flat=True).step()
        optim.SGD(params).step()
    class Marked(torch.Tensor): pass
    p = torch.randn(3).as_subclass(Marked).requires_grad_()
    p.grad = torch.ones(3).as_subclass(Marked)
    with pytest.raises(TypeError, match="expected plain tensors, got a Marked"): optim.SGD([p], flat=True).step()


def test_neighbours_in_one_memory_may_be_moved():
    base = torch.randn(10)
    params = [nn.Parameter(base[:5]), nn.Parameter(base[5:])]
    give(params, 0)
    optim.SGD(params, flat=True).step()


@pytest.mark.parametrize("name", SETTINGS)
@each_mode
def test_sparse_gradient_is_refused_and_nothing_has_moved(name, mode):
    if name == "Muon" and mode: pytest.skip("Muon has neither")
    for late in (False, True):
        params = parameters(shapes=[(4, 3), (6, 3)], dtype=torch.float32)
        optimizer = getattr(optim, name)(params, lr=0.05, **mode)
        if late: train(optimizer, 2, missing=lambda step: ())
        before = [p.detach().clone() for p in params]
        give(params, 5)
        params[1].grad = params[1].grad.to_sparse()
        with pytest.raises(RuntimeError, match=rf"{name}: expected dense gradients, got a sparse one of shape \(6, 3\)"): optimizer.step()
        assert all(map(torch.equal, before, params))


def test_complex_is_refused():
    p = nn.Parameter(torch.randn(3, dtype=torch.complex64))
    p.grad = torch.ones_like(p)
    for mode in MODES:
        with pytest.raises(NotImplementedError, match="complex parameters are not rebuilt"): optim.Adam([p], **mode)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("key", ["capturable", "differentiable", "fused"])
def test_not_rebuilt_says_so(name, key):
    if key not in inspect.signature(getattr(optim, name)).parameters: pytest.skip("not an argument of it")
    with pytest.raises(NotImplementedError, match=rf"{name}: {key}=True is not rebuilt; leave it out, or use torch.optim.{name}"): getattr(optim, name)(parameters(), **{key: True})
    with pytest.raises(NotImplementedError, match=key): getattr(optim, name)([{"params": parameters(), key: True}])


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("setting, value", [("lr", -1.0), ("eps", -1e-3), ("weight_decay", -0.1), ("momentum", -0.5), ("alpha", -1.0), ("betas", (1.0, 0.9)), ("betas", (0.9, -0.1)),
                                            ("lr_decay", -1.0), ("initial_accumulator_value", -1.0), ("momentum_decay", -1.0), ("lr", torch.ones(2))])
def test_bad_settings_are_refused_as_torch_does(name, setting, value):
    if setting not in inspect.signature(getattr(torch.optim, name)).parameters: pytest.skip("not an argument of it")
    for place in (torch.optim, optim):
        shapes = [(2, 3)]
        if place is torch.optim and name == "Muon" and setting == "eps": continue   # torch does not look
        with pytest.raises(ValueError): getattr(place, name)(parameters(shapes=shapes), **{setting: value})
    with pytest.raises(ValueError, match=f"{name}: expected.* {setting}.*got"): getattr(optim, name)([{"params": parameters(shapes=shapes), setting: value}])


def test_nesterov_needs_momentum_and_no_dampening():
    for settings in ({}, {"momentum": 0.9, "dampening": 0.1}):
        for place in (optim, torch.optim):
            with pytest.raises(ValueError, match="esterov"): place.SGD(parameters(), nesterov=True, **settings)


def test_flat_and_foreach_exclude_each_other():
    with pytest.raises(ValueError, match="expected flat=True or foreach=True, got both"): optim.SGD(parameters(), flat=True, foreach=True)


def test_tensors_as_settings():
    found = []
    for place in (optim, torch.optim):
        lr = torch.tensor(0.05, dtype=torch.float64)
        optimizer = place.Adam(parameters(), lr=lr, betas=(torch.tensor(0.8), torch.tensor(0.9)))
        train(optimizer, 3)
        lr.fill_(0.2)
        found.append(train(optimizer, 3, first=3))
    assert_equal_params(*found, rtol=1e-6, atol=1e-6)


def test_fused_and_capturable_of_a_checkpoint_are_not_taken_over():
    theirs = torch.optim.Adam(parameters(torch.float32), lr=0.05, fused=True)
    train(theirs, 3)
    ours = optim.Adam(parameters(torch.float32), lr=0.1)
    ours.load_state_dict(theirs.state_dict())
    assert ours.param_groups[0]["fused"] is None and ours.param_groups[0]["lr"] == 0.05
    train(ours, 2)


def test_old_checkpoint_without_new_settings():
    ours, theirs = pair("Adam", {})
    train(theirs, 3)
    saved = copy.deepcopy(theirs.state_dict())
    for group in saved["param_groups"]: del group["maximize"], group["decoupled_weight_decay"]
    for state in saved["state"].values(): state["step"] = int(state["step"])
    ours.load_state_dict(saved)
    with torch.no_grad():
        for p, q in zip(params_of(ours), params_of(theirs)): p.copy_(q)
    assert_equal_params(train(ours, 3, first=3), train(theirs, 3, first=3))


def test_adamw_stays_adamw_whatever_is_loaded():
    for place in (optim, torch.optim):
        adam, adamw = place.Adam(parameters(), weight_decay=0.1), place.AdamW(parameters())
        train(adam, 1)
        adamw.load_state_dict(adam.state_dict())
        assert adamw.param_groups[0]["decoupled_weight_decay"] is True


# ---- the step itself

@each_mode
def test_closure_is_called_once_with_gradients_on(mode):
    p = nn.Parameter(torch.tensor([3.0]))
    optimizer, calls = optim.SGD([p], lr=0.1, **mode), []
    def closure():
        calls.append(torch.is_grad_enabled())
        optimizer.zero_grad()
        loss = (p**2).sum()
        loss.backward()
        return loss
    with torch.no_grad(): assert optimizer.step(closure).item() == 9
    assert calls == [True] and abs(p.item() - 2.4) < 1e-6 and optimizer.step() is None


def test_hooks_of_torch_are_called():
    optimizer, seen = optim.Adam(parameters(), flat=True), []
    optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    optimizer.register_state_dict_post_hook(lambda o, d: seen.append(type(d["state"][0]["step"])))
    train(optimizer, 1), optimizer.state_dict()
    assert seen == ["before", "after", torch.Tensor]


def test_steps_are_numbers_and_tensors_only_in_the_state_dict():
    optimizer = optim.Adam(parameters(), flat=True)
    train(optimizer, 3, missing=lambda step: ())
    assert all(type(s["step"]) is int for s in optimizer.state.values())
    saved = optimizer.state_dict()
    assert saved["state"][0]["step"].dtype == torch.float32 and all(type(s["step"]) is int for s in optimizer.state.values())


def test_gradient_scaler_and_ddp_like_views_work():
    net = nn.Linear(3, 2)
    optimizer, bucket = optim.Adam(net.parameters(), lr=0.1, flat=True), torch.zeros(8)
    for step in range(3):
        bucket.normal_()
        net.weight.grad, net.bias.grad = bucket[:6].view(2, 3), bucket[6:]
        optimizer.step()
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    scaler.scale(net(torch.ones(1, 3)).sum()).backward()
    scaler.step(optimizer), scaler.update()


def test_a_rule_of_ones_own():
    class Signs(Stepper):
        def __init__(self, params, lr=0.1, flat=False): super().__init__(params, dict(lr=lr, maximize=False, foreach=None), flat)
        def rule(self, group, count, param, grad): param.add_(grad.sign(), alpha=-group["lr"])
    for flat in (False, True):
        params = parameters()
        before = [p.detach().clone() for p in params]
        train(Signs(params, flat=flat), 1, missing=lambda step: ())
        assert_equal_params(params, [b - 0.1 * p.grad.sign() for b, p in zip(before, params)])
    with pytest.raises(NotImplementedError, match="expected a subclass to define `rule`"): train(Stepper(parameters(), {}), 1)


def test_each_is_foreach():
    a, b = [torch.randn(3), torch.randn(2, 2)], [torch.randn(3), torch.randn(2, 2)]
    for method, arguments in ("add", (b,)), ("mul", (2.0,)), ("lerp", (b, 0.3)), ("sqrt", ()), ("addcmul", (b, b)), ("clamp_min", (0.0,)), ("neg", ()):
        for x, y in zip(each(method, a, *arguments), getattr(torch, f"_foreach_{method}")(a, *arguments)): torch.testing.assert_close(x, y, rtol=0, atol=0, equal_nan=True)
    assert each("add_", a, 1)[0] is a[0]
    many = Many(a)
    assert many.add_(1) is many and isinstance(many.sqrt(), Many)
    with pytest.raises(AttributeError, match="expected one of add, add_.*got no_such_method"): many.no_such_method


class Kernels(TorchDispatchMode):
    def __init__(self): super().__init__(); self.seen = set()
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.seen.add(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", SETTINGS)
def test_no_fused_kernel_and_no_optimizer_of_torch_is_called(name, monkeypatch):
    module = sys.modules["torch.optim._muon" if name == "Muon" else f"torch.optim.{name.lower()}"]
    monkeypatch.setattr(module, "adam" if name == "AdamW" else name.lower(), None)
    monkeypatch.setattr(getattr(torch.optim, name), "step", None)
    for mode in MODES if name != "Muon" else [{}]:
        optimizer = pair(name, {}, mode=mode)[0]
        with Kernels() as kernels: train(optimizer, 2)
        assert not any("fused" in k for k in kernels.seen)


def test_runs_on_our_own_base(monkeypatch):
    "A second copy of the module, with torch.optim.Optimizer replaced by ours."
    monkeypatch.setattr(torch.optim, "Optimizer", optimizers.Optimizer)
    specification = importlib.util.find_spec("lesson_nb.stepping")
    copied = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(copied)
    assert optimizers.Optimizer in copied.SGD.__mro__ and copied.SGD is not SGD
    for mode in ({}, {"flat": True}, {"foreach": True}):
        params, twins = parameters(), parameters()
        ours, theirs = copied.SGD(params, lr=0.05, momentum=0.9, **mode), SGD(twins, lr=0.05, momentum=0.9, **mode)
        train(ours, 4), train(theirs, 4)
        ours.load_state_dict(copy.deepcopy(theirs.state_dict())), theirs.load_state_dict(copy.deepcopy(ours.state_dict()))
        again = copy.deepcopy(ours)
        train(ours, 3, first=4), train(theirs, 3, first=4), train(again, 3, first=4)
        assert_equal_params(params, twins), assert_equal_params(params, params_of(again))
        assert repr(ours) == repr(theirs)


def test_flat_costs_few_calls():
    "The number of kernels does not grow with the number of parameters."
    seen = []
    for count in (10, 200):
        optimizer = optim.Adam(parameters(torch.float32, [(5, 11), (55,)] * count), flat=True)
        train(optimizer, 1, missing=lambda step: ())
        class Count(TorchDispatchMode):
            calls = 0
            def __torch_dispatch__(self, function, types, args=(), kwargs=None):
                Count.calls += 1
                return function(*args, **(kwargs or {}))
        with Count(): optimizer.step()
        seen.append(Count.calls)
    assert seen[0] == seen[1] and seen[0] < 40
