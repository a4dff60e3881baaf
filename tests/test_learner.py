"""The learner around the loop: averages over examples, records, files that are whole or not there, predictions that leave no trace."""
import csv, hashlib, io, math, os, pickle, random, subprocess, sys
import pytest, torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from lesson_nb.learner import (MARK, AvgStats, Callback, CancelFitException, CSVLogger, Learner, Recorder, WeightedMean, examples_in, load_state, save_state)

pytestmark = pytest.mark.usefixtures("one_thread")
x, y = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)), torch.randn(50, 2, generator=torch.Generator().manual_seed(1))


def loaders(size=16, shuffle=False): return DataLoader(TensorDataset(x, y), size, shuffle=shuffle), DataLoader(TensorDataset(x[:30], y[:30]), 2 * size)


def net(*more):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), *more, nn.Tanh(), nn.Linear(5, 2))


def learner(*cbs, model=None, data=None, **kwargs): return Learner(model or net(), data or loaders(), nn.MSELoss(), **{"opt_func": torch.optim.SGD, "lr": 0.0, "cbs": cbs} | kwargs)


def closeness(pred, yb): return (pred - yb).abs().mean().item()


# averages

def test_means_are_over_examples_whatever_the_batches():
    model = net().eval()
    whole, valid = nn.MSELoss()(model(x), y).item(), nn.MSELoss()(model(x[:30]), y[:30]).item()
    for size in (1, 7, 16, 50, 64):
        made = learner(AvgStats(closeness, train=True, furthest=lambda pred, yb: (pred - yb).abs().mean()), data=loaders(size))
        made.fit(1)
        assert made.metrics["train_loss"] == pytest.approx(whole, rel=1e-5) and made.metrics["valid_loss"] == pytest.approx(valid, rel=1e-5)
        assert made.metrics["valid_closeness"] == pytest.approx(closeness(model(x[:30]), y[:30]), rel=1e-5) == pytest.approx(made.metrics["valid_furthest"])
        assert list(made.metrics) == ["train_loss", "train_closeness", "train_furthest", "valid_loss", "valid_closeness", "valid_furthest"]


def test_metrics_are_measured_in_validation_only_unless_asked_for():
    made = learner(AvgStats(closeness))
    made.fit(1)
    assert list(made.metrics) == ["train_loss", "valid_loss", "valid_closeness"]
    plain = learner()
    plain.fit(1)
    assert list(plain.metrics) == ["train_loss", "valid_loss"] and sum(isinstance(c, AvgStats) for c in made.listeners) == 1


def test_weighted_mean():
    mean, values, weights = WeightedMean(), torch.rand(1000, dtype=torch.float64), torch.randint(1, 9, (1000,))
    assert math.isnan(mean.value)
    for i, (v, w) in enumerate(zip(values, weights)): mean.add(v if i % 3 else v.item(), w.item())
    assert mean.value == pytest.approx(((values * weights).sum() / weights.sum()).item(), rel=1e-12)
    assert mean.weight == weights.sum().item() and not mean.waiting
    graph = WeightedMean()
    graph.add(torch.ones(3, requires_grad=True).sum() * 2, 1)
    assert not graph.waiting[0][0].requires_grad, "the graph of the loss must not be kept alive"


@pytest.mark.parametrize("batch, count", [(torch.ones(7, 2), 7), ((torch.ones(3), torch.ones(5)), 3), ([[torch.ones(4)]], 4), ({"a": (torch.ones(2, 9),)}, 2), (torch.tensor(1.0), 1), (torch.ones(0, 3), 0)])
def test_examples_in(batch, count): assert examples_in(batch) == count


# around the fit

def modes(model): return [m.training for m in model.modules()]


def test_predict_validate_and_summary_leave_no_trace(capsys):
    made = learner(AvgStats(closeness), model=net(nn.BatchNorm1d(5), nn.Dropout(0.5)))
    made.fit(1)
    made.model.train()
    made.model[1].eval()
    before, was = {k: v.clone() for k, v in made.model.state_dict().items()}, modes(made.model)
    state = torch.get_rng_state()
    first = made.predict(x[:5])
    assert torch.equal(first, made.predict(x[:5])) and not first.requires_grad and first.shape == (5, 2)
    assert torch.equal(torch.get_rng_state(), state)
    assert set(made.validate()) == {"valid_loss", "valid_closeness"} == set(made.validate(loaders(7)[0]))
    made.summary()
    assert modes(made.model) == was and all(torch.equal(v, before[k]) for k, v in made.model.state_dict().items())
    said = capsys.readouterr().out
    assert "42 parameters, 42 of them trained" in said and "4 batches" in said and "after_loss       AvgStats" in said


def test_summary_counts_what_is_frozen(capsys):
    made = learner()
    made.model[0].requires_grad_(False)
    made.summary()
    assert "32 parameters, 12 of them trained" in capsys.readouterr().out


def test_predict_goes_through_the_callbacks():
    class Double(Callback):
        def before_batch(self, learner): learner.xb = 2 * learner.xb
        def after_pred(self, learner): learner.pred = learner.pred + 1
    made = learner(Double())
    assert torch.allclose(made.predict(x), made.model(2 * x) + 1)


def test_predict_with_several_inputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 2)
        def forward(self, a, b): return self.layer(a - b)
    made = learner(model=Two())
    assert torch.equal(made.predict((x, x)), made.predict([x, x])) and torch.allclose(made.predict((x, x))[0], made.model.layer.bias)


def test_one_batch_is_what_fit_does():
    made, fitted = learner(lr=0.1), learner(lr=0.1, data=([(x[:16], y[:16])], None))
    loss = made.one_batch()
    fitted.fit(1)
    assert all(torch.equal(a, b) for a, b in zip(made.model.parameters(), fitted.model.parameters())) and not loss.requires_grad
    before = [p.clone() for p in made.model.parameters()]
    assert made.one_batch((x, y), training=False) == nn.MSELoss()(made.model(x), y)
    assert all(torch.equal(a, b) for a, b in zip(made.model.parameters(), before)) and made.pred.requires_grad is False


def test_one_batch_does_not_show_in_the_next_averages():
    made = learner()
    made.one_batch()
    assert list(made.validate()) == ["valid_loss"]


def test_nothing_of_it_inside_a_fit():
    for work in (lambda l: l.validate(), lambda l: l.predict(x), lambda l: l.one_batch()):
        class Within(Callback):
            def before_epoch(self, learner): work(learner)
        with pytest.raises(RuntimeError, match="between two fits"): learner(Within()).fit(1)


def test_validate_needs_a_loader_and_passes_errors_on():
    with pytest.raises(ValueError, match="expected a loader"): learner(data=(loaders()[0], None)).validate()
    class Stop(Callback):
        def after_batch(self, learner): raise CancelFitException
    assert list(learner(Stop()).validate()) == ["valid_loss"]
    class Break(Callback):
        def after_batch(self, learner): raise KeyboardInterrupt
    made = learner(Break())
    with pytest.raises(KeyboardInterrupt): made.validate()
    assert not made.fitting


# files

def test_save_and_load_go_on_as_if_nothing_had_happened(tmp_path):
    opt = lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9)
    made, other = learner(opt_func=opt, lr=0.1), learner(opt_func=opt, lr=0.5)
    made.fit(2)
    made.save(tmp_path / "a b.pt")
    other.model[0].weight.data.zero_()
    other.load(tmp_path / "a b.pt")
    made.fit(1)
    other.fit(1)
    assert all(torch.equal(a, b) for a, b in zip(made.model.parameters(), other.model.parameters()))
    third = learner(opt_func=opt, lr=0.1)
    third.load(tmp_path / "a b.pt", with_opt=False)
    assert third.opt is None
    with pytest.raises(RuntimeError, match="Missing key"): learner(model=nn.Linear(3, 2)).load(tmp_path / "a b.pt")
    assert torch.load(tmp_path / "a b.pt", weights_only=True)["model"].keys() == made.model.state_dict().keys(), "PyTorch itself can read it"


STATE = {"weights": torch.arange(1000.0), "list": [1, (2.5, "three", None)], "flag": True}


def test_states_come_back_and_nothing_else_lies_there(tmp_path):
    save_state(STATE, tmp_path / "s")
    back = load_state(str(tmp_path / "s"))
    assert torch.equal(back["weights"], STATE["weights"]) and back["list"] == STATE["list"] and back["flag"] is True
    assert os.listdir(tmp_path) == ["s"] and (os.name == "nt" or (tmp_path / "s").stat().st_mode & 0o777 == 0o644)


def test_no_cut_and_no_flipped_bit_is_ever_loaded(tmp_path):
    save_state(STATE, tmp_path / "whole")
    data, numbers = (tmp_path / "whole").read_bytes(), random.Random(0)
    cuts = {0, 1, len(MARK), 32, len(data) - 1, len(data) - 32, len(data) - 33, len(data) - 32 - len(MARK)} | {numbers.randrange(len(data)) for _ in range(60)}
    for cut in cuts:
        (tmp_path / "broken").write_bytes(data[:cut])
        with pytest.raises(ValueError, match="cut short"): load_state(tmp_path / "broken")
    for _ in range(60):
        place, bit = numbers.randrange(len(data)), numbers.randrange(8)
        (tmp_path / "broken").write_bytes(data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1:])
        with pytest.raises(ValueError): load_state(tmp_path / "broken")
    with pytest.raises(ValueError, match="were changed"): (tmp_path / "broken").write_bytes(data[:99] + b"?" + data[100:]) and load_state(tmp_path / "broken")
    with pytest.raises(FileNotFoundError): load_state(tmp_path / "missing")


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch, step):
    save_state({"old": 1}, tmp_path / "s")
    def full(*args, **kwargs): raise OSError(28, "No space left on device")
    with monkeypatch.context() as patched:
        if step == "write": patched.setattr(torch, "save", full)
        else: patched.setattr(os, step, full)
        with pytest.raises(OSError): save_state({"new": 2}, tmp_path / "s")
    assert load_state(tmp_path / "s") == {"old": 1} and os.listdir(tmp_path) == ["s"]


class Evil:
    def __reduce__(self): return os.system, ("touch evil_was_here",)


def forge(state, path):
    "A file as save_state writes them, of what it would refuse."
    torch.save(state, buffer := io.BytesIO())
    with open(path, "wb") as file: file.write(buffer.getvalue() + MARK + hashlib.sha256(buffer.getvalue()).digest())


def test_no_code_in_a_file_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="expected tensors and plain values"): save_state({"model": Evil()}, "evil")
    forge({"model": Evil()}, "evil")                              # the checksum is right: whoever wrote it could compute it
    with pytest.raises(pickle.UnpicklingError): load_state("evil")
    with pytest.raises(pickle.UnpicklingError): learner().load("evil")
    torch.save(STATE, "foreign")
    with pytest.raises(ValueError, match="come from elsewhere"): load_state("foreign")
    assert not os.path.exists("evil_was_here")


# records

def test_recorder_keeps_losses_settings_and_epochs():
    class Halve(Callback):
        def after_batch(self, learner):
            if learner.training: learner.opt.param_groups[0]["lr"] /= 2
    record = Recorder("lr", "momentum")
    made = learner(record, Halve(), lr=0.8)
    made.fit(2)
    assert made.recorder is record and len(record.losses) == 8 and record.losses[0] == pytest.approx(nn.MSELoss()(net()(x[:16]), y[:16]).item())
    assert [v[0] for v in record.settings["lr"]] == [0.8 / 2**i for i in range(8)] and record.settings["momentum"] == [[0]] * 8
    assert [row["epoch"] for row in record.epochs] == [0, 1] and record.epochs[1] == {"epoch": 1} | made.metrics
    smooth = record.smoothed(2)
    assert smooth[0] == pytest.approx(record.losses[0]) and min(record.losses) <= smooth[-1] <= max(record.losses)
    made.fit(1)
    assert len(record.losses) == 4


def test_recorder_draws():
    made = learner(Recorder(), lr=0.1)
    made.fit(2)
    lines = {line.get_label(): line.get_xdata() for line in made.recorder.plot().lines}
    assert list(lines["validation"]) == [4, 8] and len(lines["training, smoothed"]) == 8
    assert made.recorder.plot_settings().get_ylabel() == "lr"


def test_csv_logger(tmp_path):
    path = tmp_path / "log.csv"
    made = learner(CSVLogger(path), AvgStats(closeness))
    made.fit(3)
    rows = list(csv.DictReader(path.open()))
    assert [r["epoch"] for r in rows] == ["0", "1", "2"] and float(rows[2]["valid_loss"]) == made.metrics["valid_loss"]
    assert list(rows[0]) == ["epoch", "train_loss", "valid_loss", "valid_closeness"]
    made.fit(1)
    assert len(list(csv.DictReader(path.open()))) == 1, "a new fit is a new file"
    class From2(Callback):
        def before_fit(self, learner): learner.epoch = 2
    path.write_text("epoch,train_loss\n0,5.5\n1,6.5\n2,7.5\n")
    made.fit(4, cbs=[From2()])
    assert [(r["epoch"]) for r in csv.DictReader(path.open())] == ["0", "1", "2", "3"] and list(csv.DictReader(path.open()))[1]["train_loss"] == "6.5"


# weight

def test_import_is_light(root):
    program = "import torch, sys, time\nbefore = set(sys.modules)\nimport lesson_nb.learner\nnew = set(sys.modules) - before\nprint(sorted(n for n in new if n.partition('.')[0] in ('matplotlib', 'pandas', 'tqdm', 'IPython', 'PIL', 'pooch')))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root).stdout == "[]\n"


def test_what_could_not_be_read_back_is_refused_and_the_old_file_stays(tmp_path):
    import numpy
    path = tmp_path/"state"
    save_state({"lr": 0.5}, path)
    before = path.read_bytes()
    for wrong in (numpy.float64(0.5), numpy.ones(2), path, object):
        with pytest.raises(ValueError, match="expected tensors and plain values.*numpy"): save_state({"wrong": [wrong]}, path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["state"] and load_state(path) == {"lr": 0.5}


@pytest.mark.parametrize("target", [{"name": ["a", "b", "c"], "label": torch.zeros(3)}, [["a", "b", "c"], torch.zeros(3)], None, ["a", "b", "c"], ()])
def test_a_target_may_hold_strings(target):
    "A string's first part is a string: looking for a tensor there never ended."
    learner = Learner(torch.nn.Linear(2, 1), ([(torch.ones(3, 2), target)], None), lambda pred, yb: pred.mean())
    learner.fit(1)
    assert learner.metrics["train_loss"] == pytest.approx(learner.loss.item())


def test_each_metric_needs_a_name_of_its_own():
    with pytest.raises(ValueError, match="not 'loss'"): AvgStats(loss=lambda p, y: p.mean())
    with pytest.raises(ValueError, match="a name of its own"): AvgStats(lambda p, y: 1.0, lambda p, y: 2.0)
    with pytest.raises(ValueError, match="a name of its own"): AvgStats(torch.nn.functional.mse_loss, mse_loss=torch.nn.functional.l1_loss)
    assert [*AvgStats(torch.nn.MSELoss()).functions] == ["MSELoss"]


def test_a_metric_for_each_example_is_named():
    made = Learner(torch.nn.Linear(2, 1), ([(torch.ones(3, 2), torch.ones(3, 1))], None), torch.nn.MSELoss(), cbs=AvgStats(each=lambda p, y: (p - y).abs(), train=True))
    with pytest.raises(ValueError, match=r"train_each: expected one number, got shape \(3, 1\)"): made.fit(1)


def test_one_callback_needs_no_list_and_numpys_numbers_count():
    numpy = pytest.importorskip("numpy")
    made = Learner(torch.nn.Linear(2, 1), ([(torch.ones(3, 2), torch.ones(3, 1))] * 2, None), torch.nn.MSELoss(), cbs=Recorder())
    other = Recorder("lr")
    made.fit(numpy.int64(2), cbs=other)
    assert made.cbs[0].losses == other.losses and len(other.losses) == 4


def test_a_file_keeps_its_mode_and_a_link_stays_a_link(tmp_path):
    save_state({"a": 1}, tmp_path / "real")
    (tmp_path / "real").chmod(0o600)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    save_state({"a": 2}, tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and load_state(tmp_path / "real") == {"a": 2} and (tmp_path / "real").stat().st_mode & 0o777 == 0o600
