"""Each callback alone, and those together that have to agree."""
import contextlib, io, math, sys
import pytest, torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from lesson_nb.callbacks import (BatchTransform, DeviceCB, GradientAccumulation, GradientClip, MixedPrecision, Progress, SingleBatch, TerminateOnNaN, sparkline, to_device)
from lesson_nb.learner import (AvgStats, Callback, CancelBatchException, CancelEpochException, CancelFitException, CancelStepException, Learner,
                               Recorder)

pytestmark = pytest.mark.usefixtures("one_thread")
x, y = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)), torch.randn(50, 2, generator=torch.Generator().manual_seed(1))


def net(*more):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), *more, nn.Tanh(), nn.Linear(5, 2))


def learner(*cbs, size=10, model=None, valid=True, data=None, **kwargs):
    data = data or (DataLoader(TensorDataset(x, y), size), DataLoader(TensorDataset(x, y), 50) if valid else None)
    return Learner(model or net(), data, kwargs.pop("loss_func", nn.MSELoss()), **{"opt_func": torch.optim.SGD, "lr": 0.1, "cbs": cbs} | kwargs)


def close(a, b, **kwargs): return all(torch.allclose(p, q, **kwargs) for p, q in zip(a.model.parameters(), b.model.parameters(), strict=True))
def equal(a, b): return all(torch.equal(p, q) for p, q in zip(a.model.parameters(), b.model.parameters(), strict=True))


# accumulation and clipping

@pytest.mark.parametrize("size, count, large", [(10, 5, 50), (5, 2, 10), (16, 4, 64), (7, 3, 21), (10, 1, 10), (1, 10, 10), (20, 100, 50)])
@pytest.mark.parametrize("opt_func", [torch.optim.SGD, torch.optim.Adam])
def test_small_batches_act_as_a_large_one(size, count, large, opt_func):
    "Also where the last batch is smaller, and where the last group of batches is not full."
    small, big = learner(GradientAccumulation(count), size=size, opt_func=opt_func, lr=0.05), learner(size=large, opt_func=opt_func, lr=0.05)
    small.fit(2)
    big.fit(2)
    assert close(small, big, rtol=1e-4, atol=1e-5)
    assert small.metrics["valid_loss"] == pytest.approx(big.metrics["valid_loss"], rel=1e-4)


def test_accumulation_is_not_the_plain_mean_of_uneven_batches():
    made, plain = learner(GradientAccumulation(10), size=20), learner(size=50)
    made.fit(1)
    plain.fit(1)
    assert close(made, plain, atol=1e-6)
    naive = net()                        # a third of a step for each of three batches of 20, 20 and 10: the small one counts as much as the others
    sum(nn.MSELoss()(naive(a), b) / 3 for a, b in zip(x.split(20), y.split(20))).backward()
    assert not all(torch.allclose(p - 0.1 * p.grad, q, atol=1e-6) for p, q in zip(naive.parameters(), made.model.parameters()))


def test_accumulation_counts_anew_each_epoch_and_refuses_nonsense():
    counted = []
    class Count(Callback):
        def after_step(self, learner): counted.append(learner.batch_index)
    learner(GradientAccumulation(2), Count()).fit(2)
    assert counted == [1, 3, 4, 1, 3, 4]
    with pytest.raises(ValueError, match="one batch or more"): GradientAccumulation(0)
    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self): return iter([(x, y)])
    with pytest.raises(TypeError, match="with a length"): learner(GradientAccumulation(2), data=(DataLoader(Stream(), None), None)).fit(1)


def test_clipping_by_norm_and_by_value():
    lengths = []
    class Length(Callback):
        order = 100
        def before_step(self, learner): lengths.append((math.sqrt(sum(p.grad.square().sum() for p in learner.model.parameters())), max(p.grad.abs().max().item() for p in learner.model.parameters())))
    clip = GradientClip(0.1)
    learner(clip, Length()).fit(1)
    assert all(length == pytest.approx(0.1, rel=1e-4) for length, _ in lengths) and len(clip.norms) == 5 and min(map(float, clip.norms)) > 0.1
    lengths.clear()
    learner(GradientClip(value=0.01), Length()).fit(1)
    assert all(highest == pytest.approx(0.01) for _, highest in lengths)
    for wrong in ({}, {"max_norm": 1, "value": 1}):
        with pytest.raises(ValueError, match="either"): GradientClip(**wrong)


def test_clipping_sees_the_accumulated_gradient():
    small, big = GradientClip(0.1), GradientClip(0.1)
    a, b = learner(small, GradientAccumulation(5), size=10), learner(big, size=50)
    a.fit(2)
    b.fit(2)
    assert torch.allclose(torch.tensor([float(n) for n in small.norms]), torch.tensor([float(n) for n in big.norms]), rtol=1e-4) and close(a, b, rtol=1e-4, atol=1e-5)


# devices and batches

def test_device_keeps_optimizer_state_and_batches():
    made, plain = learner(DeviceCB("cpu"), opt_func=torch.optim.Adam), learner(opt_func=torch.optim.Adam)
    made.fit(2)
    plain.fit(2)
    assert equal(made, plain)
    moved = []
    class Elsewhere(DeviceCB):
        def before_batch(self, learner): moved.append(learner.xb.device)
    meta = learner(Elsewhere("meta"), opt_func=torch.optim.Adam)
    meta.make_opt()
    first = meta.opt
    meta._call("before_fit")
    assert all(p.device.type == "meta" for p in meta.model.parameters()) and all(p.device.type == "meta" for g in meta.opt.param_groups for p in g["params"])
    assert meta.opt is not first


def test_device_takes_the_optimizers_state_along():
    made = learner(opt_func=torch.optim.Adam)
    made.fit(1)
    DeviceCB("meta").before_fit(made)
    state = [made.opt.state[p] for p in made.model.parameters()]
    assert all(s["exp_avg"].device.type == "meta" and s["step"] == 5 for s in state)


def test_to_device_keeps_the_kind():
    from collections import namedtuple
    Pair = namedtuple("Pair", "a b")
    batch = {"x": (x, [y, "text", 3]), "pair": Pair(x, y)}
    moved = to_device(batch, "meta")
    assert type(moved["x"]) is tuple and moved["x"][1][1:] == ["text", 3] and type(moved["pair"]) is Pair and moved["pair"].b.device.type == "meta"


def test_batch_transform():
    made, plain = learner(BatchTransform(lambda xb: (xb - 1) / 2, targets=lambda yb: -yb)), learner(data=(DataLoader(TensorDataset((x - 1) / 2, -y), 10), DataLoader(TensorDataset((x - 1) / 2, -y), 50)))
    made.fit(1)
    plain.fit(1)
    assert close(made, plain, atol=1e-6) and torch.allclose(made.predict(x), plain.predict((x - 1) / 2), atol=1e-6)
    seen = []
    only = learner(BatchTransform(lambda xb: seen.append(1) or xb, valid=False))
    only.fit(1)
    only.predict(x)
    assert len(seen) == 5
    seen.clear()
    learner(BatchTransform(lambda xb: seen.append(1) or xb, train=False)).fit(1)
    assert len(seen) == 1


def test_single_batch():
    made = learner(SingleBatch(), Recorder(), size=5)
    made.fit(2)
    assert made.step == 2 and len(made.recorder.losses) == 2 and len(made.recorder.epochs) == 2 and set(made.metrics) == {"train_loss", "valid_loss"}
    more = learner(SingleBatch(3), size=5)
    more.fit(1)
    assert more.step == 3


# precision

def test_mixed_precision_in_bfloat16():
    dtypes = []
    class Look(Callback):
        def after_pred(self, learner): dtypes.append((learner.pred.dtype, torch.is_autocast_enabled("cpu")))
        def before_step(self, learner): assert all(p.grad.dtype == torch.float32 for p in learner.model.parameters()) and not torch.is_autocast_enabled("cpu")
    made, plain = learner(MixedPrecision(lambda: torch.autocast("cpu", torch.bfloat16)), Look()), learner()
    made.fit(3)
    plain.fit(3)
    assert set(dtypes) == {(torch.bfloat16, True)} and close(made, plain, atol=0.02) and not equal(made, plain)


def test_mixed_precision_with_a_scaler():
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    made, plain = learner(MixedPrecision(scaler=scaler), GradientClip(0.5), GradientAccumulation(2)), learner(GradientClip(0.5), GradientAccumulation(2))
    made.fit(2)
    plain.fit(2)
    assert close(made, plain, rtol=1e-4, atol=1e-6)


def test_a_scaler_leaves_out_a_step_that_overflows():
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=1000)
    class Overflow(Callback):
        def after_backward(self, learner):
            if learner.step == 0: learner.model[0].weight.grad.fill_(float("inf"))
    made, plain = learner(Overflow(), MixedPrecision(scaler=scaler), valid=False), learner(data=([(a, b) for a, b in DataLoader(TensorDataset(x, y), 10)][1:], None))
    made.fit(1)
    plain.fit(1)
    assert close(made, plain, rtol=1e-4, atol=1e-6) and scaler.get_scale() == 512.0


@pytest.mark.parametrize("event", ["before_batch", "after_pred", "after_loss"])
def test_the_context_is_left_whatever_happens(event):
    class Break(Callback):
        order = 30
    setattr(Break, event, lambda self, learner: (_ for _ in ()).throw(CancelBatchException))
    made = learner(MixedPrecision(lambda: torch.autocast("cpu", torch.bfloat16)), Break())
    made.fit(1)
    assert not torch.is_autocast_enabled("cpu")
    def wrong(pred, yb): raise ZeroDivisionError
    made = learner(MixedPrecision(lambda: torch.autocast("cpu", torch.bfloat16)), loss_func=wrong)
    with pytest.raises(ZeroDivisionError): made.fit(1)
    assert not torch.is_autocast_enabled("cpu")


# numbers that are none

class Spoil(Callback):
    order = -70
    def __init__(self, act): self.act = act
    def before_batch(self, learner):
        if learner.training and learner.step == 2: self.act(learner)


class Odd(nn.Module):
    "Fine in its first two batches; then its output has a NaN."
    def __init__(self):
        super().__init__()
        self.broken = False
    def forward(self, x): return torch.where(x >= x.max(), torch.nan, x) if self.broken else x


@pytest.mark.parametrize("act, said", [
    (lambda l: setattr(l, "xb", l.xb.clone().index_fill_(0, torch.tensor([1]), float("inf"))), "there are such numbers in the batch's inputs already"),
    (lambda l: setattr(l, "yb", l.yb / 0), "there are such numbers in the batch's target already"),
    (lambda l: l.model[2].bias.data.fill_(float("nan")) if len(l.model) == 3 else l.model[3].bias.data.fill_(float("nan")), "parameter 3.bias holds such numbers since an earlier step"),
    (lambda l: setattr(l.model[1], "broken", True), "the first layer with such an output is 1 (Odd), though its parameters are finite")])
def test_terminate_on_nan_says_where_it_began(act, said, capsys):
    stop, model = TerminateOnNaN(), net(Odd())
    made = learner(Spoil(act), stop, model=model)
    made.fit(3)
    assert made.step == 2 and made.epoch == 0 and "epoch 0, batch 2 (counted from 0)" in stop.found and said in stop.found
    assert capsys.readouterr().out == stop.found + "\n" and not made.model.training and "train_loss" in made.metrics
    assert not any(m._forward_hooks for m in model.modules())


def test_terminate_on_nan_in_loss_and_gradients():
    def bad_log(pred, yb): return (pred * 0).log().mean()
    stop = TerminateOnNaN()
    learner(stop, loss_func=bad_log).fit(1)
    assert "all layers' outputs are finite, so it is the loss" in stop.found
    class Root(nn.Module):
        def forward(self, x): return (x * 0).sqrt() + x
    made = learner(stop, model=net(Root()))
    before = [p.clone() for p in made.model.parameters()]
    made.fit(1)
    assert "the gradient of 0.bias is not finite" in stop.found and all(torch.equal(a, b) for a, b in zip(before, made.model.parameters())), "the weights are spared"
    blind = TerminateOnNaN(gradients=False)
    made = learner(blind, model=net(Root()))
    made.fit(1)
    assert "parameter 0.weight holds such numbers" in blind.found and made.step == 1


def test_terminate_on_nan_looks_before_one_gradient_spoils_all():
    class Spoil(Callback):
        def after_backward(self, learner): learner.model[0].bias.grad[1] = float("nan")
    made = learner(GradientClip(1.0), stop := TerminateOnNaN(), Spoil())
    made.fit(1)
    assert "the gradient of 0.bias is not finite" in stop.found


def test_terminate_on_nan_is_silent_when_all_is_well(capsys):
    made, plain = learner(TerminateOnNaN()), learner()
    made.fit(2)
    plain.fit(2)
    assert equal(made, plain) and capsys.readouterr().out == ""


def test_a_rate_too_high_is_caught():
    stop = TerminateOnNaN()
    made = learner(stop, lr=1e4, valid=False, model=nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2)))
    made.fit(50)
    assert stop.found and all(p.isfinite().all() for p in made.model.parameters())


# progress

class Terminal(io.StringIO):
    encoding = "utf-8"
    def isatty(self): return True


def test_progress_in_a_terminal():
    out = Terminal()
    made = learner(Progress(file=out, every=0.0), AvgStats(gap=lambda p, t: (p - t).abs().mean()), size=5)
    made.fit(2)
    text = out.getvalue()
    lines = [line.split("\r")[-1].split() for line in text.split("\n") if line.strip()]
    table = [line for line in lines if line and (line[0] in ("epoch", "1", "2"))]
    assert table[0] == ["epoch", "train_loss", "valid_loss", "valid_gap", "seconds"] and [line[0] for line in table[1:3]] == ["1", "2"]
    assert table[2][2] == f"{made.metrics['valid_loss']:.4f}"
    assert "epoch 2/2" in text and "validation" in text and "10/10" in text and any(c in text for c in "▁▂▃▄▅▆▇█") and "it/s" in text


def test_progress_is_quiet_elsewhere(capsys):
    learner(Progress()).fit(1)
    learner(Progress(file=io.StringIO())).fit(1)
    learner(Progress("quiet")).fit(1)
    said = capsys.readouterr()
    assert said.out == said.err == ""
    with pytest.raises(ValueError, match="expected mode"): Progress("loud")


def test_progress_costs_no_result_and_survives_an_interrupt():
    class Stop(Callback):
        def after_batch(self, learner):
            if learner.step == 7: raise KeyboardInterrupt
    out = Terminal()
    made = learner(Progress(file=out, every=0.0), Stop())
    with contextlib.redirect_stdout(io.StringIO()): made.fit(3)
    a, b = learner(Progress(file=out)), learner()
    a.fit(2)
    b.fit(2)
    assert equal(a, b) and made.interrupted


KERNEL = """
import torch
from torch import nn
from lesson_nb.learner import Learner
from lesson_nb.callbacks import Progress
batch = torch.ones(4, 3), torch.ones(4, 2)
learner = Learner(nn.Linear(3, 2), ([batch] * 20, [batch]), nn.MSELoss(), torch.optim.SGD, cbs=[Progress(every=0.0)])
learner.fit(2)
"""


def test_progress_in_a_notebook(root):
    "Displays that are updated in place: a table and a picture remain."
    import os
    from jupyter_client.manager import start_new_kernel
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(root), env=os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"})
    try:
        shown, updates, message = {}, 0, client.execute(KERNEL)
        while True:
            got = client.get_iopub_msg(timeout=120)
            assert got["msg_type"] not in ("error", "stream"), got["content"]
            if got["msg_type"] in ("display_data", "update_display_data"):
                updates += got["msg_type"] == "update_display_data"
                shown[got["content"]["transient"]["display_id"]] = got["content"]["data"]
            if got["msg_type"] == "status" and got["content"]["execution_state"] == "idle" and got["parent_header"].get("msg_id") == message: break
        page, picture = sorted(shown.values(), key=lambda data: "image/png" in data)
        assert updates > 20 and "image/png" in picture and page["text/html"].count("<tr>") == 3 and "valid_loss" in page["text/html"] and "<pre>" not in page["text/html"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.mark.parametrize("values, line", [([], ""), ([1.0], "▁"), ([1, 2, 3], "▁▅█"), ([5] * 4, "▁▁▁▁"), ([3, float("nan"), 1], "█▁"), (list(range(100)), None)])
def test_sparkline(values, line):
    got = sparkline(values)
    assert got == line if line is not None else (len(got) == 24 and got[0] == "▁" and got[-1] == "█" and list(got) == sorted(got))


class Cancel(Callback):
    "Leaves out some batches of the training at some event."
    def __init__(self, event, order, *batches):
        self.order = order
        def cancel(learner):
            if learner.training and learner.batch_index in batches: raise CancelBatchException
        setattr(self, event, cancel)


@pytest.mark.parametrize("event, order, kept", [("before_backward", 5, [0, 1, 3, 4]), ("after_backward", -40, [3, 4]), ("after_backward", 5, [3, 4])])
def test_a_cancelled_batch_does_not_count(event, order, kept):
    "Cancelled behind its backward pass, it takes with it what was gathered before: so says CancelBatchException."
    made = learner(GradientAccumulation(5), Cancel(event, order, 2), valid=False)
    made.fit(1)
    expected = net()
    nn.MSELoss()(expected(torch.cat([x.split(10)[i] for i in kept])), torch.cat([y.split(10)[i] for i in kept])).backward()
    for p, q in zip(made.model.parameters(), expected.parameters()): torch.testing.assert_close(p.detach(), q.detach() - 0.1 * q.grad, atol=1e-6, rtol=1e-5)


def test_callbacks_outside_of_a_fit():
    for make in (Progress, lambda: GradientAccumulation(4), lambda: SingleBatch(1), lambda: GradientClip(1.0), TerminateOnNaN, DeviceCB, MixedPrecision):
        for which in ("validate", "one_batch", "predict"):
            fresh = learner(make())
            before = [p.detach().clone() for p in fresh.model.parameters()]
            fresh.predict(x) if which == "predict" else getattr(fresh, which)()
            assert any(not torch.equal(a, b) for a, b in zip(before, fresh.model.parameters())) == (which == "one_batch")


def test_a_cancelled_prediction_is_none_and_not_the_last_one():
    class Stop(Callback):
        stopped = None
        def before_batch(self, learner):
            if self.stopped: raise self.stopped
    stop = Stop()
    made = learner(stop)
    assert made.predict(x).shape == (50, 2)
    for Stop.stopped in (CancelBatchException, CancelEpochException, CancelFitException): assert made.predict(x[:3]) is None


def test_do_step_does_not_outlive_a_prediction():
    made = learner(MixedPrecision(scaler=torch.amp.GradScaler("cpu")))
    made.fit(1)
    made.predict(x)
    assert made.do_step is None and made.loss_scale is None


def test_a_step_that_is_left_out_does_not_stop_the_scaler():
    class LeaveOut(Callback):
        order = 45
        def before_step(self, learner):
            if learner.batch_index == 1: raise CancelStepException
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4)
    made = learner(MixedPrecision(scaler=scaler), LeaveOut())
    made.fit(2)                                          # without update: "unscale_() has already been called"
    assert scaler.get_scale() == 2.0**4


def test_a_scaler_may_skip_its_infinite_steps():
    "Of a scale that is too large the gradients overflow: the scaler halves it and goes on, and TerminateOnNaN lets it."
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)
    made = learner(MixedPrecision(scaler=scaler), watch := TerminateOnNaN(), loss_func=lambda pred, yb: 8 * nn.functional.mse_loss(pred, yb), lr=0.01)
    made.fit(2)
    assert watch.found is None and scaler.get_scale() < 2.0**127 and all(p.isfinite().all() for p in made.model.parameters())


def test_large_finite_gradients_are_no_alarm():
    model = net().half()
    made = learner(watch := TerminateOnNaN(), model=model, data=([(x.half(), y.half())], None), loss_func=lambda pred, yb: (pred.float() * 1200).sum(), lr=1e-9)
    made.fit(1)
    assert watch.found is None


def test_a_device_with_its_index_keeps_the_optimizer():
    made = learner(DeviceCB("cpu:0"))
    made.fit(1)
    first = made.opt
    made.fit(1)
    assert made.opt is first


def test_sparse_gradients_are_looked_at_too():
    def run(loss_func):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Embedding(10, 3, sparse=True), nn.Flatten(), nn.Linear(6, 1))
        for p in model[2].parameters(): p.requires_grad_(False)
        data = [(torch.tensor([[1, 2], [1, 3]]), torch.zeros(2, 1))] * 2
        made = Learner(model, (data, None), loss_func, torch.optim.SGD, 0.1, [watch := TerminateOnNaN()], splitter=lambda model: model[0].parameters())
        made.fit(1)
        return watch.found
    assert run(lambda pred, yb: pred.square().mean()) is None
    assert "the gradient of 0.weight is not finite" in run(lambda pred, yb: (pred - pred.detach()).sqrt().mean())     # its slope at 0
