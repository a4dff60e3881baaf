"""Killed at any batch and resumed: the same weights to the last bit. Broken files are never loaded. And when to stop, and what to keep."""
import json, math, os, pickle, random, signal, subprocess, sys
import pytest, torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from lesson_nb import data
from lesson_nb.callbacks import GradientAccumulation
from lesson_nb.checkpoints import Best, Checkpoint, EarlyStopping, SaveBest, generators_in, generators_of, monitored, random_state, set_random_state
from lesson_nb.learner import AvgStats, Callback, Learner, Recorder, load_state, save_state
from test_learner import forge

pytestmark = pytest.mark.usefixtures("one_thread")
x, y = torch.randn(90, 4, generator=torch.Generator().manual_seed(0)), torch.randint(3, (90,), generator=torch.Generator().manual_seed(1))


class Decay(Callback):
    "A schedule with a state of its own."
    def __init__(self): self.count = 0
    def after_batch(self, learner):
        self.count += learner.training
        for group in learner.opt.param_groups: group["lr"] = 0.05 * 0.97**self.count
    def state_dict(self): return {"count": self.count}
    def load_state_dict(self, state): self.count = state["count"]


class Noise(Callback):
    "Draws from Python's, numpy's and torch's random numbers for each batch."
    def before_batch(self, learner):
        import numpy
        learner.xb = learner.xb + 0.1 * torch.randn(learner.xb.shape) + random.random() + float(numpy.random.rand())


def make(path, resume=False, every=1, generator=False, *more, loader=data.DataLoader):
    torch.manual_seed(1)
    random.seed(2)
    __import__("numpy").random.seed(3)
    own = torch.Generator().manual_seed(4) if generator else None
    loaders = loader(TensorDataset(x, y), 16, shuffle=True, generator=own), loader(TensorDataset(x, y), 32)
    model = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3))
    cbs = [AvgStats(right=lambda pred, yb: (pred.argmax(1) == yb).float().mean()), Recorder(), Decay(), Noise(), Checkpoint(path, every, resume), *more]
    return Learner(model, loaders, nn.CrossEntropyLoss(), torch.optim.Adam, lr=0.05, cbs=cbs)


def outcome(learner):
    "All that a run leaves behind, as text in which every bit counts."
    numbers = {k: v.double().tolist() for k, v in learner.model.state_dict().items()}
    return json.dumps([numbers, learner.recorder.losses, learner.recorder.settings, learner.recorder.epochs, learner.metrics, learner.step, learner.epoch, torch.rand(3).tolist(), random.random()])


# kill -9

CHILD = """
import os, random, signal, sys
import torch
torch.set_num_threads(1)
from lesson_nb import data
from lesson_nb.callbacks import GradientAccumulation
from lesson_nb.learner import Callback, save_state
import lesson_nb.checkpoints as checkpoints
from test_checkpoints import make, outcome

class Kill(Callback):
    "kill -9 at this batch, in this event; `in writing`: when the file is written but not yet renamed."
    order = 3000
    def __init__(self, at, event):
        self.at = at
        if event == "in writing":
            def cut(state, path):
                if state["step"] >= at:
                    path.with_name(path.name + ".part").write_bytes(b"half of it")
                    os.kill(os.getpid(), signal.SIGKILL)
                save_state(state, path)
            checkpoints.save_state = cut
        elif event: setattr(self, event, self.act)
    def act(self, learner):
        if learner.training and learner.step >= self.at: os.kill(os.getpid(), signal.SIGKILL)

def forked(work):
    pid = os.fork()
    if pid == 0:
        try: work()
        except BaseException:
            import traceback
            traceback.print_exc()
        os._exit(0)
    return os.waitpid(pid, 0)[1]

folder, seed = sys.argv[1], int(sys.argv[2])
numbers = random.Random(seed)
make(f"{folder}/warm").fit(1)  # what PyTorch loads late is loaded once, before the forks
events = ["before_batch", "after_pred", "after_loss", "after_backward", "before_step", "after_step", "after_batch", "cleanup_batch", "before_train", "in writing"]
for i, event in enumerate(events):
    at, every, own, steps = numbers.randrange(13), numbers.choice([1, 1, 2, 5, None]), bool(numbers.randrange(2)), numbers.choice([1, 3])
    loader = (data.DataLoader, torch.utils.data.DataLoader)[i % 2]
    def made(path, resume, kill): return make(path, resume, every, own, GradientAccumulation(steps), kill, loader=loader)
    whole, path, found = f"{folder}/whole{i}", f"{folder}/{i}", f"{folder}/found{i}"
    def run(path, resume, kill, result):
        learner = made(path, resume, kill)
        learner.fit(3)
        open(result, "w").write(outcome(learner))
    forked(lambda: run(whole, False, Kill(0, None), whole + ".json"))
    died = forked(lambda: run(path, True, Kill(at, event), found))
    assert died == signal.SIGKILL and not os.path.exists(found), (event, at, died)
    again = forked(lambda: run(path, True, Kill(at + 4, event if i % 4 < 2 else "after_loss"), found)) if at < 8 else 0   # and a second time, further on
    forked(lambda: run(path, True, Kill(0, None), found))
    print(event, at, every, own, steps, died, again, open(found).read() == open(whole + ".json").read(), flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and kill -9")
def test_killed_at_ten_places_and_resumed_to_the_same_bits(tmp_path, root):
    env = os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{root / 'tests'}", "OMP_NUM_THREADS": "1"}
    seed = os.environ.get("LESSON_NB_SEED", "0")
    run = subprocess.run([sys.executable, "-c", CHILD, str(tmp_path), seed], capture_output=True, text=True, cwd=root, env=env, timeout=300)
    lines = [line for line in run.stdout.splitlines() if not line.startswith(("resumed", "not used"))]
    assert run.returncode == 0 and len(lines) == 10 and all(line.endswith(" True") for line in lines), "\n".join([*lines, run.stderr])


def test_a_run_that_was_not_killed_is_not_changed_by_checkpoints(tmp_path):
    def run(strip):
        made = make(tmp_path / "c")
        if strip: made.cbs = [c for c in made.cbs if not isinstance(c, Checkpoint)]
        made.fit(2)
        return outcome(made)
    assert run(True) == run(False)


class Stop(Callback):
    order = 3000
    def __init__(self, step): self.step = step
    def after_batch(self, learner):
        if learner.training and learner.step == self.step: raise RuntimeError("stopped")


@pytest.mark.parametrize("step", [1, 6, 7, 11])
def test_resume_in_the_same_process(tmp_path, step, capsys):
    whole = make(tmp_path / "whole")
    whole.fit(3)
    expected = outcome(whole)
    broken = make(tmp_path / "c")
    with pytest.raises(RuntimeError, match="stopped"): broken.fit(3, cbs=[Stop(step)])
    resumed = make(tmp_path / "c", True)
    # the run that wrote it had one callback more
    with pytest.raises(ValueError, match="expected the callbacks of the run"): resumed.fit(3)
    resumed.fit(3, cbs=[Stop(99)])
    assert outcome(resumed) == expected and f"resumed: {(step - 1) // 6} of 3 epochs" in capsys.readouterr().out


def test_a_finished_run_is_taken_up_and_prolonged(tmp_path):
    whole = make(tmp_path / "whole")
    whole.fit(4)
    expected, first = outcome(whole), make(tmp_path / "c")
    first.fit(2)
    weights = [p.clone() for p in first.model.parameters()]
    done = make(tmp_path / "c", True)
    done.fit(2)
    assert done.step == 12 and all(torch.equal(a, b) for a, b in zip(weights, done.model.parameters())), "nothing was left to do"
    longer = make(tmp_path / "c", True)
    longer.fit(4)
    assert outcome(longer) == expected


def test_without_resume_a_run_starts_anew(tmp_path):
    make(tmp_path / "c").fit(1)
    found = []
    for name in "cd":
        made = make(tmp_path / name)
        made.fit(1)
        found.append(outcome(made))
    assert found[0] == found[1]


def test_ctrl_c_leaves_a_checkpoint_behind_the_batch(tmp_path, capsys):
    import signal
    class Interrupt(Callback):
        def after_pred(self, learner):
            if learner.step == 8 and learner.training: os.kill(os.getpid(), signal.SIGINT)
    whole = make(tmp_path / "whole", False, None, False, Callback())
    whole.fit(3)
    expected = outcome(whole)
    made = make(tmp_path / "c", False, None, False, Interrupt())
    made.fit(3)
    assert made.interrupted and load_state(tmp_path / "c")["step"] == 9
    resumed = make(tmp_path / "c", True, None, False, type("Interrupt", (Callback,), {})())
    resumed.fit(3)
    assert outcome(resumed) == expected


# broken files

def test_a_broken_file_is_never_loaded(tmp_path, capsys):
    make(tmp_path / "c", False, None).fit(2)
    data, older = (tmp_path / "c").read_bytes(), load_state(tmp_path / "c.previous")
    assert older["epoch"] == 1
    for broken in (data[:-1], data[:len(data) // 2], b"", data[:500] + b"?" + data[501:]):
        (tmp_path / "c").write_bytes(broken)
        made = make(tmp_path / "c", True, None)
        assert made.cbs[-1]._read()["epoch"] == 1 and "not used" in capsys.readouterr().out
    (tmp_path / "c.previous").write_bytes(data[:99])
    with pytest.raises(ValueError, match="cut short|were changed"): make(tmp_path / "c", True).fit(2)
    (tmp_path / "c").unlink()
    (tmp_path / "c.previous").unlink()
    make(tmp_path / "c", True).fit(1)


def test_a_run_killed_between_the_two_names_takes_the_older(tmp_path):
    make(tmp_path / "c", False, None).fit(2)
    (tmp_path / "c").unlink()
    assert make(tmp_path / "c", True).cbs[-1]._read()["epoch"] == 1


def test_a_checkpoint_runs_no_code(tmp_path):
    class Evil:
        def __reduce__(self): return os.system, (f"touch {tmp_path}/evil",)
    forge({"epoch": Evil()}, tmp_path / "c")
    with pytest.raises(pickle.UnpicklingError): make(tmp_path / "c", True).fit(1)
    assert not (tmp_path / "evil").exists()


def test_nothing_else_is_left_in_the_folder(tmp_path):
    make(tmp_path / "c").fit(1)
    assert sorted(os.listdir(tmp_path)) == ["c", "c.previous"]
    with pytest.raises(ValueError, match="a number of batches"): Checkpoint(tmp_path / "c", every=0)


# random numbers

def test_random_state_brings_all_sources_back():
    import numpy
    own = torch.Generator().manual_seed(5)
    def draw(): return random.random(), float(numpy.random.rand()), torch.rand(2).tolist(), torch.rand(2, generator=own).tolist(), float(numpy.random.randn())
    draw()
    state = random_state([own])
    first = draw()
    draw()
    set_random_state(pickle.loads(pickle.dumps(state)), [own])
    assert draw() == first
    with pytest.raises(ValueError): set_random_state(state, [])


def test_generators_are_found_once():
    own, other = torch.Generator(), torch.Generator()
    assert len(generators_of(make("c", generator=True))) == 1 and generators_of(make("c")) == []
    for kind in (data.DataLoader, DataLoader):
        loaders = kind(TensorDataset(x), shuffle=True, generator=own), kind(TensorDataset(x), batch_sampler=torch.utils.data.BatchSampler(torch.utils.data.RandomSampler(x, generator=other), 2, False))
        assert generators_in(*loaders, None) == [own, other] and generators_in(kind(TensorDataset(x), shuffle=True), [1, 2], None) == []


# stopping and keeping

@pytest.mark.parametrize("values, kwargs, ahead", [
    ([3, 2, 2, 1], {}, [True, True, False, True]), ([1, 2, 2, 3], {"higher": True}, [True, True, False, True]),
    ([3, 2.95, 2.8], {"min_delta": 0.1}, [True, False, True]), ([math.nan, 3, math.nan, 2], {}, [False, True, False, True]), ([math.inf, 5], {}, [False, True])])
def test_best(values, kwargs, ahead):
    best = Best(**kwargs)
    assert [best.update(v) for v in values] == ahead


class Say(Callback):
    "Puts given numbers into the metrics."
    def __init__(self, *values): self.values = values
    def after_epoch(self, learner): learner.metrics["said"] = self.values[learner.epoch]


def small(*cbs):
    torch.manual_seed(0)
    data = DataLoader(TensorDataset(x, y), 45), None
    return Learner(nn.Linear(4, 3), data, nn.CrossEntropyLoss(), torch.optim.SGD, lr=0.1, cbs=cbs)


@pytest.mark.parametrize("patience, epochs", [(0, 3), (1, 4), (2, 8), (9, 9)])
def test_early_stopping(patience, epochs):
    record = Recorder()
    made = small(Say(5, 4, 4.5, 4.2, 3, 3.1, 3.2, 3.3, 3.4), EarlyStopping("said", patience), record)
    made.fit(9)
    assert len(record.epochs) == epochs
    made.fit(3)
    assert len(record.epochs) >= 3, "a new fit counts anew"


def test_early_stopping_of_something_unknown():
    with pytest.raises(KeyError, match="expected a metric 'valid_acuracy', got .'train_loss'"): small(EarlyStopping("valid_acuracy")).fit(1)


def test_save_best_and_restore(tmp_path):
    kept = {}
    class Keep(Callback):
        order = 100
        def after_epoch(self, learner): kept[learner.epoch] = learner.model.weight.detach().clone()
    made = small(Say(0.5, 0.9, 0.7, math.nan), SaveBest(tmp_path / "best", "said", higher=True, restore=True), Keep())
    made.fit(4)
    assert torch.equal(made.model.weight, kept[1]) and not torch.equal(kept[1], kept[3]) and set(load_state(tmp_path / "best")) == {"model"}
    plain = small(Say(0.5, 0.9, 0.7, 0.1), SaveBest(tmp_path / "best", "said", higher=True), Keep())
    plain.fit(4)
    assert torch.equal(plain.model.weight, kept[3])
    plain.load(tmp_path / "best")
    assert torch.equal(plain.model.weight, kept[1])


@pytest.mark.parametrize("at", [2, 3, 4])
def test_stopping_and_keeping_survive_a_resume(tmp_path, at):
    values = (5, 4, 4.5, 4.2, 4.1, 4.05, 1)
    def run(folder, resume, *more):
        made = small(Say(*values), EarlyStopping("said", 2), SaveBest(tmp_path / f"{folder}.best", "said"), Recorder(), Checkpoint(tmp_path / folder, resume=resume), *more)
        made.fit(7)
        return made
    whole = run("whole", False, Stop(99))
    with pytest.raises(RuntimeError): run("c", False, Stop(2 * at))
    resumed = run("c", True, Stop(99))
    assert resumed.recorder.epochs == whole.recorder.epochs and len(whole.recorder.epochs) == 5


def test_a_broken_file_does_not_take_the_place_of_the_good_one(tmp_path, monkeypatch):
    path = tmp_path / "run"
    make(path).fit(2)
    path.write_bytes(b"cut short")
    good = (tmp_path / "run.previous").read_bytes()
    again = make(path, resume=True)
    monkeypatch.setattr("lesson_nb.checkpoints.save_state", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"): again.fit(2)
    assert (tmp_path / "run.previous").read_bytes() == good and path.read_bytes() == b"cut short"
    monkeypatch.undo()
    make(path, resume=True).fit(2)
    assert load_state(path)["epoch"] == 2 and load_state(tmp_path / "run.previous")


def test_one_batch_leaves_the_checkpoint_alone(tmp_path):
    run = make(tmp_path / "run")
    run.fit(1)
    before = (tmp_path / "run").read_bytes()
    run.one_batch()
    assert (tmp_path / "run").read_bytes() == before
    fresh = make(tmp_path / "other")
    fresh.one_batch()
    assert not (tmp_path / "other").exists()


class Shuffled(torch.utils.data.IterableDataset):
    "A stream in an order of its own."
    def __iter__(self): return iter([(x[i], y[i]) for i in torch.randperm(len(x)).tolist()])
    def __len__(self): return len(x)


class Drawn:
    "Examples with random numbers in them."
    def __len__(self): return len(x)
    def __getitem__(self, i): return x[i] + torch.randn(4), y[i]


class Mine:
    "A sampler without a state."
    def __iter__(self): return iter(torch.randperm(len(x)).tolist())
    def __len__(self): return len(x)


ds = TensorDataset(x, y)
LOADERS = {"theirs": lambda: data.DataLoader(ds, 16, sampler=torch.utils.data.RandomSampler(ds)), "mine": lambda: data.DataLoader(ds, 16, sampler=Mine()),
           "batches": lambda: data.DataLoader(ds, batch_sampler=torch.utils.data.BatchSampler(torch.utils.data.RandomSampler(ds), 16, False)),
           "stream": lambda: data.DataLoader(Shuffled(), 16), "drawn": lambda: data.DataLoader(Drawn(), 16, shuffle=True),
           "workers": lambda: data.DataLoader(Drawn(), 16, shuffle=True, num_workers=2)}


@pytest.mark.parametrize("name", LOADERS)
def test_orders_and_numbers_that_are_not_ours_go_on_too(name, tmp_path):
    class Killed(Exception): "As if the process had gone."
    class Kill(Callback):
        order = 3000
        def after_batch(self, learner):
            if learner.step == 9: raise Killed
    def run(path, resume=False, *more):
        torch.manual_seed(7 if not resume else 8)
        model = nn.Linear(4, 3)
        return Learner(model, (LOADERS[name](), None), nn.CrossEntropyLoss(), torch.optim.SGD, 0.1, [Checkpoint(path, 1, resume), *more])
    whole = run(tmp_path / "whole")
    whole.fit(3)
    with pytest.raises(Killed): run(tmp_path / "part", False, Kill()).fit(3)
    class Quiet(Callback): order = 3000
    resumed = run(tmp_path / "part", True, type("Kill", (Quiet,), {})())
    resumed.fit(3)
    for a, b in zip(whole.model.parameters(), resumed.model.parameters()): assert torch.equal(a, b)


class Halve(Callback):
    "Does something behind each training, and counts it."
    count = 0
    def after_train(self, learner):
        self.count += 1
        for group in learner.opt.param_groups: group["weight_decay"] += 0.01 * self.count
    def state_dict(self): return {"count": self.count}
    def load_state_dict(self, state): self.count = state["count"]


@pytest.mark.parametrize("extra", [lambda path: [], lambda path: [Halve()], lambda path: [SaveBest(f"{path}.best", "valid_loss", restore=True)]])
def test_ctrl_c_in_the_validation_keeps_the_epochs_training(tmp_path, extra):
    "What was trained is in the file, and the resumed run is the whole one to the last bit."
    class Interrupt(Callback):
        order = 3000
        def __init__(self, epoch, index): self.place = epoch, index
        def after_batch(self, learner):
            if not learner.training and (learner.epoch, learner.batch_index) == self.place: signal.raise_signal(signal.SIGINT)
    whole = make(tmp_path / "whole", False, None, True, Interrupt(-1, 0), *extra(tmp_path / "whole"))
    whole.fit(3)
    for epoch, index in ((0, 0), (2, 1)):
        path = tmp_path / f"{epoch}"
        cut = make(path, False, None, True, Interrupt(epoch, index), *extra(path))
        cut.fit(3)
        assert cut.interrupted and load_state(path)["step"] == cut.step == 6 * (epoch + 1)
        again = make(path, True, None, True, Interrupt(-1, 0), *extra(path))
        again.fit(3)
        for a, b in zip(whole.model.state_dict().values(), again.model.state_dict().values(), strict=True): assert torch.equal(a, b)
        assert whole.metrics == again.metrics and whole.recorder.epochs == again.recorder.epochs


def test_a_checkpoint_keeps_its_mode_and_a_link_stays(tmp_path):
    make(tmp_path / "real").fit(1)
    (tmp_path / "real").chmod(0o600)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    make(tmp_path / "link").fit(2)
    assert (tmp_path / "link").is_symlink() and load_state(tmp_path / "real")["epoch"] == 2 and (tmp_path / "real").stat().st_mode & 0o777 == 0o600


def test_killed_between_the_two_moves(tmp_path):
    path = tmp_path / "run"
    make(path).fit(2)
    path.rename(tmp_path / "run.newest")                  # the old one was moved aside, the new one not yet into its place
    resumed = make(path, resume=True)
    resumed.fit(3)
    assert resumed.step == 18 and len(resumed.recorder.epochs) == 3 and load_state(path)["epoch"] == 3
