"""The loop: every event in its place, every exception at every event, Ctrl-C for real, and the same weights as a plain loop to the last bit."""
import os, queue, signal, subprocess, sys, threading, time
import pytest, torch
from torch import nn
from lesson_nb.runner import (EVENTS, Callback, CancelBatchException, CancelEpochException, CancelFitException, CancelStepException, Runner, check_callback)

pytestmark = pytest.mark.usefixtures("one_thread")
TRAIN = ["before_batch", "after_pred", "after_loss", "before_backward", "after_backward", "before_step", "after_step", "after_batch", "cleanup_batch"]
VALID = ["before_batch", "after_pred", "after_loss", "after_batch", "cleanup_batch"]
EPOCH = ["before_epoch", "before_train", *TRAIN, *TRAIN, "after_train", "before_validate", *VALID, "after_validate", "after_epoch", "cleanup_epoch"]
CANCELS = [CancelStepException, CancelBatchException, CancelEpochException, CancelFitException]


def batches(count=2, size=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [(torch.randn(size, 3, generator=generator), torch.randn(size, 2, generator=generator)) for _ in range(count)]


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))


def runner(*cbs, data=None, **kwargs): return Runner(net(), data or (batches(), batches(1, seed=1)), nn.MSELoss(), **{"opt_func": torch.optim.SGD, "lr": 0.1, "cbs": cbs} | kwargs)


class Spy(Callback):
    "Notes every event; at the given one, the first time, does what it is told."
    def __init__(self, at=None, act=None, order=0, name=""):
        self.heard, self.at, self.act, self.order = [], at, act, order
        for event in EVENTS: setattr(self, event, lambda learner, event=event: self.hear(event, learner))

    def hear(self, event, learner):
        self.heard.append(event)
        if event == self.at:
            self.at = None
            self.act(learner)


def raises(error):
    def act(learner): raise error
    return act


def weights(model): return [p.detach().clone() for p in model.parameters()]
def same(a, b): return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


# events

def test_events_come_in_their_order():
    spy = Spy()
    runner(spy).fit(2)
    assert spy.heard == ["before_fit", *EPOCH, *EPOCH, "after_fit", "cleanup_fit"]
    assert set(spy.heard) == set(EVENTS)


def test_no_validation_and_no_epochs():
    spy, idle = Spy(), Spy()
    runner(spy, data=(batches(1), None)).fit(1)
    assert spy.heard == ["before_fit", "before_epoch", "before_train", *TRAIN, "after_train", "after_epoch", "cleanup_epoch", "after_fit", "cleanup_fit"]
    runner(idle).fit(0)
    assert idle.heard == ["before_fit", "after_fit", "cleanup_fit"]


def test_order_decides_and_ties_keep_the_order_of_adding():
    said = []
    def speaker(name, order): return type(name, (Callback,), {"order": order, "before_fit": lambda self, learner: said.append(name)})()
    made = runner(speaker("c", 5), speaker("b", 0), speaker("b2", 0))
    made.add(speaker("a", -1))
    made.fit(0, cbs=[speaker("d", 5), speaker("b3", 0)])
    assert said == ["a", "b", "b2", "b3", "c", "d"]
    said.clear()
    made.fit(0)
    assert said == ["a", "b", "b2", "c"], "callbacks of one fit are gone after it"


def test_state_of_the_loop_at_each_event():
    seen = []
    class Look(Callback):
        def before_batch(self, learner): seen.append((learner.epoch, learner.training, learner.batch_index, learner.step, learner.batches, learner.model.training, torch.is_grad_enabled()))
        def after_step(self, learner): assert all(p.grad is not None for p in learner.model.parameters())
        def after_batch(self, learner):
            assert all(p.grad is None for p in learner.model.parameters())
            assert learner.loss.requires_grad == learner.training and learner.dl is (learner.data.train_dl if learner.training else learner.data.valid_dl)
            assert learner.batch[0] is learner.xb and learner.batch[1] is learner.yb and learner.pred.shape == learner.yb.shape
    made = runner(Look())
    made.fit(2)
    train = lambda epoch, i: (epoch, True, i, 2 * epoch + i, 2, True, True)
    valid = lambda epoch: (epoch, False, 0, 2 * epoch + 2, 1, False, False)
    assert seen == [train(0, 0), train(0, 1), valid(0), train(1, 0), train(1, 1), valid(1)]
    assert made.epochs == 2 and made.step == 4 and not made.training and not made.model.training and not made.fitting and not made.interrupted


# the same weights as a plain loop

@pytest.mark.parametrize("opt_func", [torch.optim.SGD, lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9, nesterov=True), torch.optim.AdamW])
def test_same_weights_as_a_plain_loop(opt_func):
    made, model, data = runner(opt_func=opt_func, data=(batches(7, 5), batches(2))), net(), batches(7, 5)
    opt = opt_func(model.parameters(), lr=0.1)
    for _ in range(3):
        for xb, yb in data:
            nn.MSELoss()(model(xb), yb).backward()
            opt.step()
            opt.zero_grad()
    made.fit(1)
    made.fit(2)
    assert same(weights(made.model), weights(model)), "one fit of three epochs is a fit of one and a fit of two: the optimizer is kept"


def test_gradients_left_from_before_do_not_leak():
    made, clean = runner(), runner()
    made.make_opt()
    made.model(torch.ones(1, 3)).sum().backward()
    made.fit(1)
    clean.fit(1)
    assert same(weights(made.model), weights(clean.model))


# cancelling

@pytest.mark.parametrize("event", EVENTS[:-3])
@pytest.mark.parametrize("cancel", [CancelFitException, CancelEpochException, CancelBatchException])
def test_cancelling_anywhere_leaves_a_learner_that_works(event, cancel):
    spy, watch = Spy(event, raises(cancel)), Spy(order=10)
    made = runner(spy, watch)
    inside = event in TRAIN
    if cancel is CancelBatchException and not inside or cancel is CancelEpochException and event in ("before_fit", "after_fit"):
        with pytest.raises(cancel): made.fit(1)
    else: made.fit(1)
    assert watch.heard[-1] == "cleanup_fit" and watch.heard.count("cleanup_epoch") == (0 if event == "before_fit" else 1)
    assert not made.model.training and all(p.grad is None for p in made.model.parameters()) and torch.is_grad_enabled()
    spy.heard.clear()
    made.fit(1)
    assert spy.heard == ["before_fit", *EPOCH, "after_fit", "cleanup_fit"]


def heard(event, cancel):
    spy = Spy(event, raises(cancel), order=10)
    runner(spy).fit(1)
    return spy.heard


def test_what_each_exception_leaves_out():
    cut = lambda event: TRAIN[:TRAIN.index(event) + 1]
    rest = EPOCH[2 + len(TRAIN):]
    assert heard("after_loss", CancelBatchException) == ["before_fit", "before_epoch", "before_train", *cut("after_loss"), "cleanup_batch", *rest, "after_fit", "cleanup_fit"]
    assert heard("after_backward", CancelStepException) == ["before_fit", "before_epoch", "before_train", *cut("after_backward"), "after_batch", "cleanup_batch", *rest, "after_fit", "cleanup_fit"]
    assert heard("after_batch", CancelEpochException) == ["before_fit", "before_epoch", "before_train", *TRAIN, *rest[len(TRAIN) + 1:], "after_fit", "cleanup_fit"]
    assert heard("before_epoch", CancelEpochException) == ["before_fit", "before_epoch", "cleanup_epoch", "after_fit", "cleanup_fit"]
    assert heard("after_pred", CancelFitException) == ["before_fit", "before_epoch", "before_train", *cut("after_pred"), "cleanup_batch", "cleanup_epoch", "cleanup_fit"]


@pytest.mark.parametrize("event", ["after_loss", "after_backward", "before_step"])
def test_a_cancelled_batch_leaves_no_trace_in_the_weights(event):
    made, other = runner(Spy(event, raises(CancelBatchException)), data=(batches(2), None)), runner(data=(batches(2)[1:], None))
    made.fit(1)
    other.fit(1)
    assert same(weights(made.model), weights(other.model)) and made.step == (1 if event else 0)


def test_a_cancelled_step_keeps_its_gradient_for_the_next():
    made, model = runner(Spy("before_step", raises(CancelStepException)), data=(batches(2), None)), net()
    made.fit(1)
    for xb, yb in batches(2): nn.MSELoss()(model(xb), yb).backward()
    for p in model.parameters(): p.data -= 0.1 * p.grad
    assert all(torch.allclose(a, b) for a, b in zip(weights(made.model), weights(model))) and made.step == 2


# errors

@pytest.mark.parametrize("event", EVENTS)
def test_an_error_anywhere_leaves_through_all_cleanups(event):
    spy, watch = Spy(event, raises(ZeroDivisionError("planted"))), Spy(order=10)
    made = runner(spy, watch)
    with pytest.raises(ZeroDivisionError, match="planted") as error: made.fit(1)
    assert watch.heard[-1] == "cleanup_fit"
    if event not in ("before_fit", "after_fit", "cleanup_fit"): assert "cleanup_epoch" in watch.heard
    if event in TRAIN[:-1]: assert error.value.__notes__ == ["in epoch 0, training batch 0, both counted from 0: xb (4, 3) float32, yb (4, 2) float32"]
    assert not made.model.training and not made.fitting and torch.is_grad_enabled()
    made.fit(1)
    assert watch.heard[-len(EPOCH) - 3:] == ["before_fit", *EPOCH, "after_fit", "cleanup_fit"]


def test_one_cleanup_that_fails_does_not_stop_the_others():
    first, second, last = Spy("cleanup_fit", raises(KeyError("one"))), Spy("cleanup_fit", raises(KeyError("two"))), Spy()
    with pytest.raises(KeyError, match="one"): runner(first, second, last).fit(1)
    assert last.heard[-1] == "cleanup_fit"


def test_a_wrong_model_says_in_which_batch():
    with pytest.raises(RuntimeError) as error: Runner(nn.Linear(4, 2), (batches(), None), nn.MSELoss(), torch.optim.SGD).fit(1)
    assert "training batch 0" in error.value.__notes__[0] and "xb (4, 3) float32" in error.value.__notes__[0]


def test_loader_is_closed_when_a_pass_is_broken_off():
    closed, kept = [], []
    class Loader:
        def __len__(self): return 2
        def __iter__(self):
            def given():
                try: yield from batches()
                finally: closed.append(True)
            kept.append(given())          # somebody else holds it too: it does not close by being forgotten
            return kept[-1]
    runner(Spy("after_batch", raises(CancelEpochException)), data=(Loader(), None)).fit(1)
    assert closed == [True] and len(kept) == 1


def test_loader_without_a_length():
    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self): return iter(batches(3, 1))
    spy = Spy()
    made = runner(spy, data=(torch.utils.data.DataLoader(Stream(), batch_size=None), None))
    made.fit(1)
    assert made.step == 3 and made.batches is None


def test_opt_func_may_be_a_class_whose_param_groups_are_a_property():
    class Both:
        def __init__(self, parameters, lr): self.inner = torch.optim.SGD(parameters, lr)
        param_groups = property(lambda self: self.inner.param_groups)
        def step(self): self.inner.step()
        def zero_grad(self): self.inner.zero_grad()
    made = runner(opt_func=Both)
    before = [p.detach().clone() for p in made.model.parameters()]
    made.fit(1)
    assert isinstance(made.opt, Both) and not torch.equal(before[0], next(made.model.parameters()))


@pytest.mark.parametrize("make, error, said", [
    (lambda: runner(opt_func=torch.optim.SGD(net().parameters(), 0.1)), TypeError, "expected what makes an optimizer"),
    (lambda: Runner(net(), (batches(), None), "mse", torch.optim.SGD), TypeError, "expected a function of"),
    (lambda: Runner(net(), batches(3), nn.MSELoss(), torch.optim.SGD), TypeError, "a train_dl and a valid_dl"),
    (lambda: runner().fit(-1), ValueError, "whole number of epochs, got -1"), (lambda: runner().fit(1.5), ValueError, "got 1.5"),
    (lambda: runner(data=([], None)).fit(1), ValueError, "drop_last"), (lambda: runner().fit(1, lr=[0.1, 0.2]), ValueError, "got 2"),
    (lambda: runner(data=([torch.ones(3)], None)).fit(1), TypeError, r"expected a batch \(inputs, target\), got \(3,\) float32"),
    (lambda: runner(Spy("before_epoch", lambda learner: learner.fit(1))).fit(1), RuntimeError, "within one"),
    (lambda: runner(Spy("before_epoch", lambda learner: learner.add(Callback()))).fit(1), RuntimeError, "between two fits"),
    (lambda: runner(Callback), TypeError, r"write Callback\(\) with parentheses"), (lambda: runner(lambda learner: 0), TypeError, "derive its class")])
def test_bad_input_is_refused(make, error, said):
    with pytest.raises(error, match=said): make()


# callbacks that nobody would hear

@pytest.mark.parametrize("name, near", [("after_bach", "after_batch"), ("before_fitt", "before_fit"), ("beforebatch", "before_batch"), ("after_batches", "after_batch"),
                                        ("before_validation", "before_validate"), ("cleanup", "cleanup_fit"), ("afterloss", "after_loss"), ("befor_step", "before_step"),
                                        ("on_epoch_end", None), ("on_train_batch_end", None), ("begin_fit", "before_fit"), ("end_epoch", None), ("after_cancel_fit", None)])
def test_a_method_that_is_no_event_is_refused(name, near):
    callback = type("Mine", (Callback,), {name: lambda self, learner: None})()
    for refuse in (lambda: runner(callback), lambda: runner().add(callback), lambda: runner().fit(1, cbs=[callback])):
        with pytest.raises(TypeError, match=f"Mine.{name} is no event") as error: refuse()
        if near: assert f"did you mean {near!r}?" in str(error.value)


@pytest.mark.parametrize("name", ["plot", "_after_bach", "state", "losses", "on_cycle_end", "reset", "begun", "save"])
def test_other_methods_are_welcome(name): check_callback(type("Mine", (Callback,), {name: lambda self, learner: None})())


@pytest.mark.parametrize("method", [lambda self: None, lambda self, learner, more: None, 3, lambda: None])
def test_an_event_that_does_not_take_the_learner_is_refused(method):
    with pytest.raises(TypeError, match=r"Mine.after_batch: expected a method that takes the learner and nothing else"):
        check_callback(type("Mine", (Callback,), {"after_batch": method})())


def test_every_lambda_with_defaults_is_heard():
    said = []
    callback = type("Mine", (Callback,), {"after_fit": lambda self, learner, extra=1: said.append(extra)})()
    runner(callback).fit(0)
    assert said == [1]


# batches and groups

def test_several_inputs_and_nested_batches():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 2)
        def forward(self, a, b): return self.layer(a + b)
    x, y = batches(1)[0]
    for batch in ((x, x, y), [x, x, y], ((x, x), y), [[x, x], y]):
        made = Runner(Two(), ([batch], None), nn.MSELoss(), torch.optim.SGD)
        made.fit(1)
        assert type(made.xb) is tuple and len(made.xb) == 2 and made.yb is y


def test_own_split():
    class Text(Runner):
        def split(self, batch): return batch["x"], batch["y"]
    x, y = batches(1)[0]
    made = Text(net(), ([{"x": x, "y": y}], None), nn.MSELoss(), torch.optim.SGD)
    made.fit(1)
    assert made.step == 1


def test_lr_and_groups():
    made = runner(splitter=lambda model: [{"params": model[0].parameters(), "lr": 0.5}, {"params": model[2].parameters()}])
    rates = lambda: [group["lr"] for group in made.opt.param_groups]
    made.fit(0)
    assert rates() == [0.5, 0.1]
    made.fit(0, lr=0.2)
    assert rates() == [0.2, 0.2]
    made.fit(0, lr=(0.3, 0.4))
    made.fit(0)
    assert rates() == [0.3, 0.4], "without lr the optimizer's stay"
    first = made.opt
    made.make_opt()
    assert made.opt is first
    made.make_opt(fresh=True)
    assert made.opt is not first and rates() == [0.5, 0.1]


def test_scale_and_own_step():
    class Hook(Callback):
        def before_backward(self, learner): learner.loss_scale = 0.5
        def before_batch(self, learner): learner.do_step = lambda: (learner.opt.step(), learner.opt.step())
    made, plain = runner(Hook(), data=(batches(1), None)), runner(data=(batches(1), None))
    made.fit(1)
    plain.fit(1)
    assert all(torch.allclose(a, b) for a, b in zip(weights(made.model), weights(plain.model))), "twice a step of half the gradient"
    assert made.loss_scale is None and made.do_step is None


# Ctrl-C

@pytest.mark.parametrize("event", EVENTS)
def test_interrupt_raised_at_any_event_ends_cleanly(event, capsys):
    spy, watch = Spy(event, raises(KeyboardInterrupt)), Spy(order=10)
    made = runner(spy, watch)
    if event == "cleanup_fit":
        with pytest.raises(KeyboardInterrupt): made.fit(1)
    else:
        made.fit(1)
        assert made.interrupted and "interrupted in epoch 1 of 1" in capsys.readouterr().out
    assert watch.heard[-1] == "cleanup_fit" and not made.model.training and all(p.grad is None for p in made.model.parameters())
    made.fit(1)
    assert not made.interrupted and watch.heard[-1] == "cleanup_fit" and watch.heard[-2] == "after_fit"


@pytest.mark.parametrize("event", [e for e in EVENTS if e not in ("after_fit", "cleanup_fit")])
def test_a_real_signal_waits_for_the_end_of_the_batch(event, capsys):
    spy = Spy(event, lambda learner: os.kill(os.getpid(), signal.SIGINT))
    made = runner(spy)
    before = signal.getsignal(signal.SIGINT)
    made.fit(5)
    at = spy.heard.index(event)
    assert made.interrupted and spy.heard[-1] == "cleanup_fit" and spy.heard.count("before_epoch") <= 2
    if event in TRAIN: assert spy.heard[3:3 + len(TRAIN)] == TRAIN and spy.heard[3 + len(TRAIN):] == ["cleanup_epoch", "cleanup_fit"], "the batch was finished, and nothing begun after it"
    assert signal.getsignal(signal.SIGINT) is before and at >= 0
    made.fit(1)
    assert spy.heard[-2:] == ["after_fit", "cleanup_fit"]


def test_a_signal_while_waiting_for_data_acts_at_once():
    class Slow:
        def __len__(self): return 3
        def __iter__(self):
            yield batches(1)[0]
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(100): time.sleep(0.05)
            raise AssertionError("waited in vain")
    made = runner(data=(Slow(), None))
    made.fit(1)
    assert made.interrupted and made.step == 1


def test_a_second_signal_acts_at_once():
    def twice(learner):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(100): time.sleep(0.02)
        raise AssertionError("the second one was not heard")
    made = runner(Spy("after_pred", twice))
    made.fit(1)
    assert made.interrupted


def test_a_handler_of_somebody_elses_is_left_alone():
    heard = []
    before = signal.signal(signal.SIGINT, lambda *args: heard.append(1))
    try:
        made = runner(Spy("after_pred", lambda learner: os.kill(os.getpid(), signal.SIGINT)))
        made.fit(1)
        assert heard == [1] and not made.interrupted
    finally: signal.signal(signal.SIGINT, before)


def test_fit_in_a_thread():
    done, made = queue.Queue(), runner()
    thread = threading.Thread(target=lambda: (made.fit(1), done.put(True)))
    thread.start()
    assert done.get(timeout=60)
    thread.join()


CHILD = """
import sys, time, torch
from torch import nn
from lesson_nb.learner import Learner, Callback
class Out(Callback):
    def after_batch(self, learner):
        if learner.step == 5: print("running", flush=True)
        time.sleep(0.01)
    def cleanup_batch(self, learner): self.batch = True
    def cleanup_epoch(self, learner): print("cleanup_epoch", flush=True)
    def cleanup_fit(self, learner): print("cleanup_fit", flush=True)
batch = torch.ones(4, 3), torch.ones(4, 2)
learner = Learner(nn.Linear(3, 2), ([batch] * 10000, [batch]), nn.MSELoss(), torch.optim.SGD, cbs=[Out()])
learner.fit(1)
print(learner.interrupted, learner.model.training, learner.metrics["train_loss"] > 0, learner.model.weight.grad is None)
learner.data.train_dl = [batch] * 3
learner.fit(1)
print("again", learner.interrupted, learner.step, sorted(learner.metrics), flush=True)
"""


def test_ctrl_c_in_a_terminal_program(root):
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root, env=os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"})
    assert child.stdout.readline() == "running\n"
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=120)
    assert child.returncode == 0, err
    lines = out.splitlines()
    assert lines[:2] == ["cleanup_epoch", "cleanup_fit"] and lines[2].startswith("interrupted in epoch 1 of 1, training batch ")
    assert lines[3:] == ["True False True True", "cleanup_epoch", "cleanup_fit", "again False 3 ['train_loss', 'valid_loss']"]


def test_ctrl_c_in_a_jupyter_kernel(root):
    from jupyter_client.manager import start_new_kernel
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(root), env=os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"})
    try:
        out, message = [], client.execute(CHILD)
        while True:
            got = client.get_iopub_msg(timeout=120)
            if got["msg_type"] == "error": raise AssertionError("\n".join(got["content"]["traceback"]))
            if got["msg_type"] == "stream":
                out.append(got["content"]["text"])
                if "running" in out[-1] and len("".join(out)) < 12: manager.interrupt_kernel()
            if got["msg_type"] == "status" and got["content"]["execution_state"] == "idle" and got["parent_header"].get("msg_id") == message: break
        lines = "".join(out).splitlines()
        assert lines[:3] == ["running", "cleanup_epoch", "cleanup_fit"] and lines[3].startswith("interrupted in epoch 1 of 1, training batch ")
        assert lines[4:] == ["True False True True", "cleanup_epoch", "cleanup_fit", "again False 3 ['train_loss', 'valid_loss']"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
