"""Schedules beside torch's schedulers, step by step and through a Learner; and a search for the rate that leaves no trace, whatever happens in it."""
import copy, math, os, pickle, random, signal
from functools import partial
import numpy, pytest, torch
from torch import nn
from torch.optim import lr_scheduler
from lesson_nb import optim, schedules
from lesson_nb.callbacks import BatchTransform, GradientAccumulation, GradientClip
from lesson_nb.data import DataLoader, TensorDataset, get_dls
from lesson_nb.learner import AvgStats, Learner, Recorder
from lesson_nb.runner import Callback, CancelFitException
from lesson_nb.samplers import RandomSampler
from lesson_nb.schedules import (CosineRestarts, LRFinding, OneCycle, ParamScheduler, Snapshots, anneal_cosine, anneal_exponential, anneal_linear,
                                 anneal_none, annealer, combine_schedules, lr_find, on_trial, random_kept)

EXACT = {"rtol": 1e-11, "atol": 1e-16}


# shapes ----------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("maker, middle", [(anneal_linear, 0.55), (anneal_cosine, 0.55), (anneal_exponential, math.sqrt(0.1)), (anneal_none, 1.0)])
def test_annealers(maker, middle):
    schedule = maker(1.0, 0.1)
    assert schedule(0) == pytest.approx(1.0) and schedule(1) == pytest.approx(1.0 if maker is anneal_none else 0.1) and schedule(0.5) == pytest.approx(middle)
    values = [schedule(i / 100) for i in range(101)]
    assert all(a >= b for a, b in zip(values, values[1:]))
    again = pickle.loads(pickle.dumps(schedule))
    assert [again(i / 7) for i in range(8)] == [schedule(i / 7) for i in range(8)] and repr(again) == f"{maker.__name__}(1, 0.1)"
    assert copy.deepcopy(schedule)(0.3) == schedule(0.3) and maker.__doc__


def test_an_annealer_of_ones_own():
    @annealer
    def square(start, end, position): return end + (start - end) * (1 - position) ** 2
    assert square(1, 0)(0.5) == 0.25 and repr(square(1, 0)) == "square(1, 0)"


@pytest.mark.parametrize("wrong", [("0.1", 1), (math.nan, 1), (1, math.inf), (None, 1), (True, 1)])
def test_no_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match="anneal_linear: expected a finite number"): anneal_linear(*wrong)


@pytest.mark.parametrize("wrong", [(0, 1), (1, 0), (-1, 1)])
def test_an_exponential_that_cannot_be(wrong):
    with pytest.raises(ValueError, match="expected numbers of one sign"): anneal_exponential(*wrong)(0.5)


def test_combine():
    combined = combine_schedules([0.2, 0.5, 0.3], [anneal_linear(0, 1), anneal_none(5, 5), anneal_cosine(1, 0)])
    assert [combined(p) for p in (0, 0.1, 0.2, 0.69, 1)] == [0, pytest.approx(0.5), 5, 5, pytest.approx(0)]
    assert combined(0.7) == pytest.approx(1) and combined(0.85) == pytest.approx(0.5)
    assert pickle.loads(pickle.dumps(combined))(0.1) == combined(0.1)
    thirds = combine_schedules([1 / 3] * 3, [anneal_none(i, i) for i in range(3)])
    assert [thirds(p) for p in (0, 1 / 3, 0.5, 2 / 3, 1)] == [0, 1, 1, 2, 2]
    assert combine_schedules([1], [anneal_linear(2, 3)])(1) == 3
    inner = combine_schedules([0.5, 0.5], [combined, anneal_none(9, 9)])
    assert inner(0.05) == combined(0.1) and inner(0.5) == 9


@pytest.mark.parametrize("shares, count", [([0.3, 0.6], 2), ([0.5, 0.5], 3), ([], 0), ([1.2, -0.2], 2), ([0, 1], 2), ([math.nan, 1], 2), ([0.5, 0.6], 2)])
def test_combine_refuses(shares, count):
    with pytest.raises(ValueError, match="add up to 1"): combine_schedules(shares, [anneal_none(1, 1)] * count)


# beside torch's --------------------------------------------------------------------------------------------------------------
def followed(make, steps, kind=torch.optim.SGD, groups=1, **settings):
    "What a scheduler of PyTorch's writes: (lr, momentum), each (steps, groups)."
    settings = {"momentum": 0.9} if kind in (torch.optim.SGD, optim.SGD) else {}
    optimizer = kind([{"params": [nn.Parameter(torch.zeros(1))]} for _ in range(groups)], lr=0.1, **settings)
    scheduler, rows = make(optimizer), []
    for step in range(steps):
        if step: optimizer.step(), scheduler.step()
        rows.append([(g["lr"], g["momentum"] if "momentum" in g else g["betas"][0]) for g in optimizer.param_groups])
    return torch.tensor(rows, dtype=torch.float64).unbind(2)


def close(ours, theirs, **tolerance): torch.testing.assert_close(ours if ours.ndim == 2 else ours[:, None], theirs, **{**EXACT, **tolerance})


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 10, 57, 200, 1001])
@pytest.mark.parametrize("three_phase", [False, True])
@pytest.mark.parametrize("anneal_strategy", ["cos", "linear"])
@pytest.mark.parametrize("settings", [{}, {"pct_start": 0.4, "div_factor": 10.0, "final_div_factor": 100.0}, {"base_momentum": 0.7, "max_momentum": 0.99},
                                      {"pct_start": 0.0}, {"pct_start": 0.5}], ids=str)
def test_one_cycle_is_torchs(steps, three_phase, anneal_strategy, settings):
    settings = settings | {"three_phase": three_phase, "anneal_strategy": anneal_strategy}
    try: rates, momenta = followed(lambda o: lr_scheduler.OneCycleLR(o, 0.3, total_steps=steps, **settings), steps)
    except ZeroDivisionError: pytest.skip("PyTorch's own divides by zero here")
    ours = OneCycle(0.3, **settings).preview(steps)
    close(ours["lr"], rates)
    close(ours["momentum"], momenta)


def test_one_cycle_where_torch_divides_by_zero():
    for cycle in (OneCycle(0.1, pct_start=0.5, three_phase=True), OneCycle(0.1, pct_start=0.0, three_phase=True), OneCycle(0.1, pct_start=1.0)):
        for steps in range(1, 6): assert all(values.isfinite().all() for values in cycle.preview(steps).values())


def test_one_cycle_for_groups_and_for_adam():
    rates, momenta = followed(lambda o: lr_scheduler.OneCycleLR(o, [0.1, 0.01, 0.5], total_steps=50, base_momentum=[0.8, 0.85, 0.9]), 50, torch.optim.Adam, 3)
    ours = OneCycle([0.1, 0.01, 0.5], base_momentum=[0.8, 0.85, 0.9]).preview(50)
    close(ours["lr"], rates)
    close(ours["momentum"], momenta)
    assert list(OneCycle(0.1, cycle_momentum=False).preview(10)) == ["lr"]
    close(OneCycle(0.1, anneal_strategy=anneal_linear).preview(10)["lr"], followed(lambda o: lr_scheduler.OneCycleLR(o, 0.1, 10, anneal_strategy="linear"), 10)[0])


@pytest.mark.parametrize("wrong", [{"anneal_strategy": "cosine"}, {"pct_start": 1.5}, {"pct_start": -0.1}, {"div_factor": 0}, {"final_div_factor": -1.0}, {"pct_start": 0.6, "three_phase": True}])
def test_one_cycle_refuses(wrong):
    with pytest.raises(ValueError, match="OneCycle: .*expected|OneCycle: expected"): OneCycle(0.1, **wrong)


@pytest.mark.parametrize("length", [1, 2, 7, 10, 100])
@pytest.mark.parametrize("mult", [1, 2, 3])
@pytest.mark.parametrize("low", [0.0, 0.01])
def test_restarts_are_torchs(length, mult, low):
    rates, _ = followed(lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, length, mult, low), 400)
    close(CosineRestarts(0.1, length, mult, low).preview(400, 400)["lr"], rates)


def test_restarts_by_parts_of_an_epoch():
    per_epoch, epochs = 8, 6
    rates = CosineRestarts(0.1, 1.5, 2).preview(per_epoch * epochs, epochs)["lr"]
    close(rates, followed(lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 12, 2), per_epoch * epochs)[0])
    assert CosineRestarts(0.1, 0.001).preview(5, 1)["lr"].tolist() == [0.1] * 5, "a cycle has one step at least"


@pytest.mark.parametrize("gamma", [0.5, 0.95, 1.0, 1.1])
def test_exponential_is_torchs(gamma):
    rates, _ = followed(lambda o: lr_scheduler.ExponentialLR(o, gamma), 120)
    close(ParamScheduler("lr", anneal_exponential(0.1, 0.1 * gamma**119)).preview(120)["lr"], rates)


def test_cosine_and_linear_are_torchs():
    close(ParamScheduler("lr", anneal_cosine(0.1, 0.002)).preview(50)["lr"], followed(lambda o: lr_scheduler.CosineAnnealingLR(o, 49, 0.002), 50)[0])
    close(ParamScheduler("lr", anneal_linear(0.05, 0.1)).preview(50)["lr"], followed(lambda o: lr_scheduler.LinearLR(o, 0.5, 1.0, 49), 50)[0])


@pytest.mark.parametrize("wrong, error, said", [(dict(cycle_mult=0), ValueError, "cycle_mult"), (dict(cycle_mult=1.5), ValueError, "cycle_mult"), (dict(cycle_length=0), ValueError, "cycle_length"),
                                                (dict(on_cycle_end=3), TypeError, "on_cycle_end"), (dict(cycle_length="1"), ValueError, "cycle_length")])
def test_restarts_refuse(wrong, error, said):
    with pytest.raises(error, match=said): CosineRestarts(0.1, **wrong)


# in a Learner ----------------------------------------------------------------------------------------------------------------
X, Y = torch.randn(300, 6, generator=torch.Generator().manual_seed(0)), torch.randint(0, 3, (300,), generator=torch.Generator().manual_seed(1))


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))


def learner_for(opt_func=partial(optim.SGD, momentum=0.9), cbs=(), model=None, loader=None, **more):
    model = network() if model is None else model
    data = get_dls(TensorDataset(X, Y), TensorDataset(X[:50], Y[:50]), 16, **(loader or {}))
    torch.manual_seed(5)
    return Learner(model, data, nn.functional.cross_entropy, opt_func, 0.05, cbs=[AvgStats(), *cbs], **more)


class Written(Callback):
    "What stands in the parameter groups at each step."
    def __init__(self): self.seen = []
    def before_step(self, learner): self.seen.append([{k: v for k, v in g.items() if k != "params"} for g in learner.opt.param_groups])


def halves(model): return [{"params": list(model[:2].parameters())}, {"params": list(model[2:].parameters())}]


@pytest.mark.parametrize("opt_func", [partial(optim.SGD, momentum=0.9), optim.Adam, torch.optim.AdamW, partial(optim.SGD, momentum=0.9, flat=True)], ids=["SGD", "Adam", "torch's AdamW", "flat"])
def test_what_the_optimizer_sees_is_what_torchs_scheduler_writes(opt_func):
    written = Written()
    learner_for(opt_func, [written, OneCycle(0.2)]).fit(3)
    steps = 3 * 19
    rates, momenta = followed(lambda o: lr_scheduler.OneCycleLR(o, 0.2, total_steps=steps), steps)
    seen = [g[0] for g in written.seen]
    close(torch.tensor([g["lr"] for g in seen], dtype=torch.float64), rates)
    close(torch.tensor([g["momentum"] if "momentum" in g else g["betas"][0] for g in seen], dtype=torch.float64), momenta)
    assert all("betas" not in g or g["betas"][1] == 0.999 for g in seen)


def test_weights_are_those_of_torchs_loop():
    "The same training by hand, with PyTorch's optimizer and scheduler."
    def network(): return torch.manual_seed(4) and nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    learner, model = learner_for(cbs=[OneCycle(0.2)], loader={"shuffle": False}, model=network()), network()
    learner.fit(2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    scheduler = lr_scheduler.OneCycleLR(optimizer, 0.2, total_steps=38)
    for epoch in range(2):
        model.train()
        for i in range(0, 300, 16):
            loss = nn.functional.cross_entropy(model(X[i:i + 16]), Y[i:i + 16])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if epoch * 19 + i // 16 < 37: scheduler.step()
    for ours, theirs in zip(learner.model.parameters(), model.parameters()): torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_param_scheduler_for_groups_names_and_epochs():
    written, per_epoch = Written(), 19
    cbs = [written, ParamScheduler("lr", [anneal_linear(1e-3, 0), anneal_linear(2e-3, 0)]), ParamScheduler("weight_decay", anneal_linear(0, 0.3), groups=1, by="epoch"),
           ParamScheduler("momentum", anneal_linear(0.5, 0.9), groups=[0])]
    learner_for(cbs=cbs, splitter=halves).fit(4)
    first, second = ([g[i] for g in written.seen] for i in (0, 1))
    assert [g["lr"] * 2 for g in first] == pytest.approx([g["lr"] for g in second]) and first[0]["lr"] == 1e-3 and first[-1]["lr"] == 0
    assert {g["weight_decay"] for g in first} == {0} and [g["weight_decay"] for g in second[::per_epoch]] == pytest.approx([0, 0.1, 0.2, 0.3])
    assert len({g["weight_decay"] for g in second[:per_epoch]}) == 1 and {g["momentum"] for g in second} == {0.9} and first[0]["momentum"] == 0.5


def test_betas_by_name():
    written = Written()
    learner_for(optim.Adam, [written, ParamScheduler("beta1", anneal_linear(0.5, 0.6)), ParamScheduler("beta2", anneal_linear(0.9, 0.99))]).fit(1)
    betas = [g[0]["betas"] for g in written.seen]
    assert betas[0] == (0.5, 0.9) and betas[-1] == pytest.approx((0.6, 0.99))


def test_a_second_fit_begins_anew_and_validation_changes_nothing():
    written = Written()
    learner = learner_for(cbs=[written, ParamScheduler("lr", anneal_linear(0.1, 0.01))])
    learner.fit(1), learner.fit(1)
    rates = [g[0]["lr"] for g in written.seen]
    assert rates[:19] == rates[19:]
    before = learner.opt.param_groups[0]["lr"]
    learner.validate()
    assert learner.opt.param_groups[0]["lr"] == before == pytest.approx(0.01)


@pytest.mark.parametrize("scheduler, error, said", [
    (ParamScheduler("learning_rate", anneal_none(1, 1)), ValueError, "got 'learning_rate'; it has .*lr"), (ParamScheduler("beta2", anneal_none(1, 1)), ValueError, "got 'beta2'"),
    (ParamScheduler("betas", anneal_none(1, 1)), ValueError, "got 'betas'"), (ParamScheduler("lr", [anneal_none(1, 1)] * 3), ValueError, "one lr for each of 1 parameter groups, got 3")])
def test_refused_before_the_first_step(scheduler, error, said):
    learner = learner_for()
    before = copy.deepcopy(learner.model.state_dict())
    with pytest.raises(error, match=said): learner.fit(1, cbs=[scheduler])
    assert all(torch.equal(v, before[k]) for k, v in learner.model.state_dict().items())


def test_refused_when_made():
    with pytest.raises(ValueError, match="'batch' or 'epoch', got 'step'"): ParamScheduler("lr", anneal_none(1, 1), by="step")
    with pytest.raises(TypeError, match="expected a function of the position, got 0.1; try anneal_none"): ParamScheduler("lr", 0.1)


def test_a_loader_without_a_length_is_refused():
    class Endless:
        def __iter__(self): return iter([(X[:8], Y[:8])])
    learner = Learner(network(), (Endless(), None), nn.functional.cross_entropy, optim.SGD, 0.1)
    with pytest.raises(TypeError, match="train_dl with a length"): learner.fit(1, cbs=[OneCycle(0.1)])


def test_cycle_ends_and_snapshots():
    ends, snapshots = [], Snapshots()
    def note(learner, cycle): ends.append((cycle, learner.step))
    learner = learner_for(cbs=[CosineRestarts(0.1, 1, 2, on_cycle_end=note)])
    learner.fit(4, cbs=[CosineRestarts(0.1, 2, 1, on_cycle_end=snapshots)])
    assert ends == [(0, 19), (1, 3 * 19)] and len(snapshots) == 2
    assert all(torch.equal(v, snapshots[1][k]) and v.data_ptr() != snapshots[1][k].data_ptr() for k, v in learner.model.state_dict().items())
    assert not torch.equal(snapshots[0]["0.weight"], snapshots[1]["0.weight"])


# a search that leaves no trace ------------------------------------------------------------------------------------------------
def state_of(learner):
    "Everything of a learner that a search could spoil, as a list of comparable things."
    def frozen(value):
        if isinstance(value, torch.Tensor): return value.detach().clone()
        if isinstance(value, dict): return {k: frozen(v) for k, v in value.items()}
        return [frozen(v) for v in value] if isinstance(value, (list, tuple)) else value
    model, opt, loader = learner.model, learner.opt, learner.data.train_dl
    return [frozen(dict(model.named_parameters())), frozen(dict(model.named_buffers())), [(p.data_ptr(), p.requires_grad, frozen(p.grad)) for p in model.parameters()],
            [id(b) for b in model.buffers()], [m.training for m in model.modules()], frozen(opt.state_dict()) if opt else None, torch.get_rng_state(), random.getstate(),
            [x.tolist() if hasattr(x, "tolist") else x for x in numpy.random.get_state()], {k: id(v) for k, v in vars(learner).items()}, frozen(loader.state_dict()),
            [frozen(c.state_dict()) for c in learner.cbs], [sorted(vars(c)) for c in learner.cbs], getattr(getattr(loader, "generator", None), "get_state", lambda: None)()]


def same(a, b):
    if isinstance(a, torch.Tensor): return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict): return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)): return len(a) == len(b) and all(map(same, a, b))
    return a == b or a != a and b != b


def differences(before, after): return [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if not same(a, b)]


OPTIMIZERS = {"SGD": partial(optim.SGD, momentum=0.9), "plain": optim.SGD, "Adam": optim.Adam, "flat": partial(optim.Adam, flat=True), "flat SGD": partial(optim.SGD, momentum=0.9, flat=True),
              "torch's AdamW": torch.optim.AdamW, "torch's RMSprop": torch.optim.RMSprop}
LOADERS = {"global": {}, "generator": lambda: {"generator": torch.Generator().manual_seed(9)}, "sampler": lambda: {"sampler": RandomSampler(TensorDataset(X, Y), generator=torch.Generator().manual_seed(3))}}


@pytest.mark.parametrize("fitted", [False, True], ids=["fresh", "fitted"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_lr_find_leaves_everything_as_it_was(name, fitted):
    learner = learner_for(OPTIMIZERS[name])
    if fitted: learner.fit(1)
    learner.model.train()[1].eval()
    learner.model[0].bias.requires_grad_(False)
    before = state_of(learner)
    found = lr_find(learner, plot=False)
    assert differences(before, state_of(learner)) == [] and len(found.rates) > 20 and (learner.opt is None) == (not fitted)


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("name", ["SGD", "flat", "torch's AdamW"])
def test_training_after_a_search_is_the_same_bit_by_bit(name, loader):
    def weights(look):
        made = LOADERS[loader]() if callable(LOADERS[loader]) else {}
        learner = learner_for(OPTIMIZERS[name], loader=made)
        for _ in range(2):
            look(learner)
            learner.fit(1)
        return torch.cat([p.detach().flatten() for p in [*learner.model.parameters(), *learner.model.buffers()]])
    assert torch.equal(weights(lambda learner: None), weights(lambda learner: lr_find(learner, plot=False)))


class Stops(Callback):
    "Raises an error at an event of a step."
    def __init__(self, event, step, error): self.error, self.step, self.on = error, step, True; setattr(self, event, self._strike)
    def _strike(self, learner):
        if self.on and learner.step == self.step: raise self.error


class Trouble(Exception): pass


@pytest.mark.parametrize("event", ["before_fit", "before_batch", "after_loss", "after_backward", "before_step", "after_step", "after_batch", "cleanup_batch", "cleanup_fit"])
@pytest.mark.parametrize("error", [Trouble, SystemExit])
def test_lr_find_leaves_everything_as_it_was_when_it_breaks(event, error):
    stops = Stops(event, 0 if event == "before_fit" else 7, error("in the middle"))
    if event == "cleanup_fit": stops.step = 100
    learner = learner_for(OPTIMIZERS["Adam"], [stops])
    stops.on = False
    learner.fit(1)
    stops.on = True
    before = state_of(learner)
    with pytest.raises(error): lr_find(learner, high=1e-4, plot=False, cbs=[stops])
    assert differences(before, state_of(learner)) == []


class PressesCtrlC(Callback):
    def before_step(self, learner):
        if learner.step == 11: os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_ctrl_c_ends_the_search_early_and_leaves_no_trace(capsys):
    presses = PressesCtrlC()
    learner = learner_for(OPTIMIZERS["SGD"], [presses])
    before = state_of(learner)
    found = lr_find(learner, plot=False, cbs=[presses])
    assert len(found.rates) == 12 and differences(before, state_of(learner)) == [] and not learner.interrupted


def test_diverging_leaves_no_trace():
    learner = learner_for(OPTIMIZERS["SGD"])
    learner.fit(1)
    before = state_of(learner)
    found = lr_find(learner, low=1e-3, high=1e6, steps=60, plot=False)
    assert len(found.rates) < 60 and all(map(math.isfinite, found.losses)) and differences(before, state_of(learner)) == []
    with pytest.raises(ValueError, match="three finite losses or more"): lr_find(learner, low=1e10, high=1e20, plot=False)
    assert differences(before, state_of(learner)) == []


def test_a_nan_from_the_start_leaves_no_trace():
    learner = learner_for()
    learner.loss_func = lambda pred, yb: pred.sum() * math.nan
    before = state_of(learner)
    with pytest.raises(ValueError, match=r"got \[\]"): lr_find(learner, plot=False)
    assert differences(before, state_of(learner)) == []


def test_gradients_that_stood_there_stand_there_again():
    learner = learner_for()
    nn.functional.cross_entropy(learner.model(X[:8]), Y[:8]).backward()
    before = state_of(learner)
    lr_find(learner, plot=False)
    assert differences(before, state_of(learner)) == [] and learner.model[0].weight.grad is not None


def test_a_buffer_that_the_model_replaces_is_put_back():
    class Counts(nn.Module):
        def __init__(self):
            super().__init__()
            self.line = nn.Linear(6, 3)
            self.register_buffer("seen", torch.zeros(()))
            self.register_buffer("hidden", torch.zeros(2), persistent=False)
        def forward(self, x):
            if self.training: self.seen, self.hidden = self.seen + 1, self.hidden + torch.rand(2)
            numpy.random.rand(), random.random(), torch.rand(1)
            return self.line(x)
    learner = learner_for(model=Counts())
    before = state_of(learner)
    lr_find(learner, plot=False)
    assert learner.model.seen == 0 and differences(before, state_of(learner)) == []


def test_callbacks_that_record_or_stop_do_not_hear_of_it_and_those_that_change_training_do():
    outside = []
    class Hears(Callback):
        count = 0
        def after_batch(self, learner):
            self.count += 1
            outside.append(learner.step)
    hears, recorder, transform, clip = Hears(), Recorder(), BatchTransform(lambda x: x * 2), GradientClip(0.5)
    learner = learner_for(cbs=[hears, recorder, transform, clip, OneCycle(0.1)])
    learner.fit(1)
    outside.clear()
    heard, recorded, seen = hears.count, copy.deepcopy(recorder.state_dict()), []
    learner.model.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    found = lr_find(learner, plot=False)
    assert hears.count == heard and same(recorder.state_dict(), recorded) and found.rates[:2] == pytest.approx([1e-6, 1e-6 * 1e7 ** (1 / 99)])
    assert seen[0].std() > 1.5, "the batches were doubled"
    assert outside == [], "what a callback does outside of itself cannot be undone, so it must not be done"
    assert [type(c).__name__ for c in learner.cbs if c in (hears, recorder, transform, clip)] and len(learner.cbs) == 6
    lr_find(learner, plot=False, cbs=[hears])
    assert hears.count == heard and outside, "this one was asked to take part, and even what it counts is put back"


def test_gradient_accumulation_takes_part():
    learner = learner_for(cbs=[GradientAccumulation(2)])
    before = state_of(learner)
    assert len(lr_find(learner, plot=False, steps=30, high=0.1).rates) == 30 and differences(before, state_of(learner)) == []


def test_groups_keep_their_ratio():
    written = Written()
    learner = learner_for(cbs=[written], splitter=lambda m: [halves(m)[0] | {"lr": 0.01}, halves(m)[1] | {"lr": 0.1}])
    inside = []
    written.before_step = lambda learner: inside.append([g["lr"] for g in learner.opt.param_groups])
    found = lr_find(learner, plot=False, cbs=[written])
    assert inside[5] == pytest.approx([found.rates[5] / 10, found.rates[5]])


def test_more_steps_than_the_data_has_and_a_loader_without_a_length():
    class Once:
        def __iter__(self): return iter([(X[i:i + 32], Y[i:i + 32]) for i in range(0, 300, 32)])
    learner = Learner(network(), (Once(), None), nn.functional.cross_entropy, optim.SGD, 0.1)
    assert len(lr_find(learner, high=0.1, steps=35, plot=False).rates) == 35


@pytest.mark.parametrize("wrong", [{"low": 0}, {"low": -1}, {"low": 1, "high": 0.1}, {"high": math.inf}])
def test_lr_find_refuses(wrong):
    with pytest.raises(ValueError, match="lr_find"): lr_find(learner_for(), plot=False, **wrong)


def test_on_trial_undoes_a_whole_training_and_nests():
    learner = learner_for(OPTIMIZERS["Adam"])
    learner.fit(1)
    before = state_of(learner)
    with on_trial(learner):
        learner.fit(1)
        inner = state_of(learner)
        with on_trial(learner): learner.fit(1, lr=0.5)
        assert differences(inner, state_of(learner)) == [] and differences(before, inner)
    assert differences(before, state_of(learner)) == []


def test_random_kept():
    own = torch.Generator().manual_seed(1)
    def draw(): return torch.rand(2).tolist(), random.random(), numpy.random.rand(), torch.rand(1, generator=own).item()
    with random_kept([own]): first = draw()
    with pytest.raises(Trouble), random_kept([own]):
        assert draw() == first
        raise Trouble
    assert draw() == first != draw()


# the suggestion ----------------------------------------------------------------------------------------------------------------
def curve(fall, burst=1.0, points=100, noise=0.0):
    "A loss that falls around the rate `fall` and bursts at `burst`."
    generator, rates = torch.Generator().manual_seed(0), [1e-6 * 10 ** (7 * i / (points - 1)) for i in range(points)]
    losses = [2.3 - 1.5 / (1 + (fall / r) ** 2) + (r / burst) ** 3 + noise * torch.randn((), generator=generator).item() for r in rates]
    return rates, losses


@pytest.mark.parametrize("fall", [1e-4, 1e-3, 1e-2])
@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_the_suggestion_is_where_the_loss_falls(fall, noise):
    found = LRFinding(*curve(fall, noise=noise))
    assert fall / 3 < found.suggestion < fall * 3 and len(found.smooth) == len(found.losses) == 100


def test_no_suggestion_where_nothing_falls():
    rates, _ = curve(1e-3)
    assert LRFinding(rates, [2.0 + i for i in range(100)]).suggestion is None
    assert LRFinding(rates[:3], [1.0, 1.0, 1.0]).suggestion is None
    assert "suggestion None" in repr(LRFinding(rates[:3], [1.0, 2.0, 3.0]))


def test_plot_shows_a_log_axis_and_the_suggestion():
    found = LRFinding(*curve(1e-3))
    ax = found.plot()
    assert ax.get_xscale() == "log" and "suggestion" in ax.get_legend().get_texts()[-1].get_text()
    LRFinding([1e-3, 1e-2, 1e-1], [1.0, 2.0, 3.0]).plot()


# a loader that gives more batches than it says, and steps outside of a fit ------------------------------------------------------
class Longer:
    "Says 3 batches and gives 5, as PyTorch's loader does with a stream and workers."
    def __len__(self): return 3
    def __iter__(self): return iter([(torch.ones(4, 2), torch.zeros(4, 1))] * 5)


@pytest.mark.parametrize("make", [lambda: ParamScheduler("lr", anneal_linear(0.1, 0.0)), lambda: OneCycle(0.1, anneal_strategy="linear"), lambda: OneCycle(0.1)])
def test_behind_its_end_a_schedule_keeps_its_last_value(make):
    recorder, scheduler = Recorder(), make()
    learner = Learner(nn.Linear(2, 1), (Longer(), None), nn.MSELoss(), optim.SGD, cbs=[recorder, scheduler])
    learner.fit(2)
    rates = [rate for rate, in recorder.settings["lr"]]
    torch.testing.assert_close(rates[:6], scheduler.preview(6, 2)["lr"].tolist())
    assert len(rates) == 10 and rates[6:] == [rates[5]] * 4 and min(rates) >= 0
    learner.one_batch((torch.ones(4, 2), torch.zeros(4, 1)))
    assert learner.opt.param_groups[0]["lr"] == rates[5]


@pytest.mark.parametrize("make", [lambda: OneCycle(0.1), lambda: ParamScheduler("lr", anneal_none(0.3, 0.3)), lambda: CosineRestarts(0.1, on_cycle_end=Snapshots())])
def test_outside_of_a_fit_a_schedule_leaves_the_rate_alone(make):
    learner = Learner(nn.Linear(2, 1), (Longer(), Longer()), nn.MSELoss(), optim.SGD, lr=0.7, cbs=[make()])
    assert learner.validate()["valid_loss"] > 0
    learner.one_batch((torch.ones(4, 2), torch.zeros(4, 1)))
    assert learner.opt.param_groups[0]["lr"] == 0.7
