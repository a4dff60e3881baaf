"""What the training loop costs: dispatch to ten callbacks, a whole training beside PyTorch's, and the import.

    python benchmarks/learner.py [--threads N] [--rounds 9] [--peers]

Interleaved medians. `--peers` measures the loops of fastai and Lightning too, where they are installed. miniai's dispatcher sorts and
searches its callbacks at each event, as "sorted and searched" does here; measured once on such a machine it took 16.6 µs a batch.
"""
import argparse, platform, statistics, subprocess, sys, time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
import torch
from torch import nn
from lesson_nb import data, layers, samplers
from lesson_nb.learner import Learner
from lesson_nb.runner import Callback, CancelFitException, Runner
from lesson_nb.stepping import SGD

BATCH_EVENTS = ("before_batch", "after_pred", "after_loss", "before_backward", "after_backward", "before_step", "after_step", "after_batch", "cleanup_batch")


# dispatch: model, loss and optimizer that do nothing, so that the loop is all there is

class Nothing(nn.Module):
    def forward(self, x): return x


class Free:
    "A loss and an optimizer that cost nothing."
    param_groups = []
    def backward(self): pass
    def step(self): pass
    def zero_grad(self): pass
    def __float__(self): return 0.0


free, BATCHES = Free(), [(torch.ones(1), torch.ones(1))] * 5000
def no_loss(pred, yb): return free
def no_opt(parameters, lr): return free
def listener(events): return type("Listener", (Callback,), {event: lambda self, learner: None for event in events})()


def bare():
    model, loss_func, opt = Nothing(), no_loss, free
    for xb, yb in BATCHES:
        loss = loss_func(model(xb), yb)
        loss.backward()
        opt.step()
        opt.zero_grad()


def looped(kind, events):
    made = kind(Nothing(), (BATCHES, None), no_loss, no_opt, cbs=[listener(events) for _ in range(10)])
    return lambda: made.fit(1)


def searched(events):
    "What most small libraries do: at each event sort the callbacks and look for the method by its name."
    cbs = [listener(events) for _ in range(10)]
    def run(event):
        for cb in sorted(cbs, key=lambda cb: cb.order):
            method = getattr(cb, event, None)
            if method is not None: method(None)
    def fit():
        model, loss_func, opt = Nothing(), no_loss, free
        for xb, yb in BATCHES:
            run("before_batch")
            pred = model(xb)
            run("after_pred")
            loss = loss_func(pred, yb)
            run("after_loss")
            run("before_backward")
            loss.backward()
            run("after_backward")
            run("before_step")
            opt.step()
            run("after_step")
            opt.zero_grad()
            run("after_batch")
            run("cleanup_batch")
    return fit


# a whole training

def mlp(linear, relu):
    torch.manual_seed(0)
    return nn.Sequential(linear(784, 50), relu(), linear(50, 10))


def pictures(count=60000):
    "Numbers of MNIST's shapes: 60,000 pictures of 784, ten classes."
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, 784, generator=generator), torch.randint(10, (count,), generator=generator)


def ours(x, y, size, steps):
    class Until(Callback):
        def after_batch(self, learner):
            if learner.step >= steps: raise CancelFitException
    loader = data.DataLoader(samplers.TensorDataset(x, y), size, shuffle=True)
    made = Learner(mlp(layers.Linear, layers.ReLU), (loader, None), layers.CrossEntropyLoss(), SGD, 0.1, cbs=[Until()])
    return lambda: made.fit(1)


def theirs(x, y, size, steps):
    from torch.utils.data import DataLoader, TensorDataset
    model, loss_func, loader = mlp(nn.Linear, nn.ReLU), nn.CrossEntropyLoss(), DataLoader(TensorDataset(x, y), size, shuffle=True)
    opt = torch.optim.SGD(model.parameters(), 0.1)
    def fit():
        total = count = 0
        for step, (xb, yb) in enumerate(loader, 1):
            loss = loss_func(model(xb), yb)
            loss.backward()
            opt.step()
            opt.zero_grad()
            total, count = total + loss.item() * len(xb), count + len(xb)
            if step >= steps: break
        return total / count
    return fit


def medians(functions, rounds):
    "Median seconds of each, measured in turns."
    for function in functions.values(): function()
    found = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            found[name].append(time.perf_counter() - start)
    return {name: statistics.median(seconds) for name, seconds in found.items()}


def seconds_of(program): return float(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True).stdout)


def peer_of_fastai(batches):
    "fastai's Learner with ten callbacks that do nothing."
    from fastai.callback.core import Callback as FastCallback
    from fastai.data.core import DataLoaders
    from fastai.callback.progress import ProgressCallback   # which adds no_bar to Learner
    from fastai.learner import Learner as FastLearner
    events = ("before_batch", "after_pred", "after_loss", "before_backward", "after_backward", "before_step", "after_step", "after_batch")
    cbs = [type(f"Quiet{i}", (FastCallback,), {event: lambda self: None for event in events})() for i in range(10)]
    made = FastLearner(DataLoaders(batches, batches[:1]), nn.Linear(1, 1), loss_func=nn.MSELoss(), cbs=cbs, lr=1e-3)
    def fit():
        with made.no_bar(), made.no_logging(): made.fit(1)
    return fit


def peer_of_lightning(batches):
    "Lightning's Trainer with ten callbacks that do nothing; everything that can be switched off is."
    import logging, warnings
    import lightning.pytorch as pl
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    events = ("on_train_batch_start", "on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step", "on_train_batch_end")
    cbs = [type(f"Quiet{i}", (pl.Callback,), {event: lambda self, *args, **kwargs: None for event in events})() for i in range(10)]
    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.model, self.loss = nn.Linear(1, 1), nn.MSELoss()
        def training_step(self, batch, index): return self.loss(self.model(batch[0]), batch[1])
        def configure_optimizers(self): return torch.optim.SGD(self.parameters(), 1e-3)
    class Loader:   # a list would be taken for a list of loaders
        def __iter__(self): return iter(batches)
        def __len__(self): return len(batches)
    def fit():
        trainer = pl.Trainer(max_epochs=1, callbacks=cbs, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
                             enable_model_summary=False)
        trainer.fit(Module(), Loader())
    return fit


def peers(rounds):
    "Prints what other libraries' loops with ten callbacks cost a batch over the plain loop, where they are installed; ours beside them."
    few = [(torch.ones(1, 1), torch.ones(1, 1))] * 1000
    model, loss_func = nn.Linear(1, 1), nn.MSELoss()
    opt = torch.optim.SGD(model.parameters(), 1e-3)
    def plain():
        for xb, yb in few:
            loss_func(model(xb), yb).backward()
            opt.step()
            opt.zero_grad()
    ours = Runner(nn.Linear(1, 1), (few, None), nn.MSELoss(), torch.optim.SGD, 1e-3, cbs=[listener(BATCH_EVENTS) for _ in range(10)])
    cases = {"plain": plain, "lesson_nb": lambda: ours.fit(1)}
    for name, make in {"fastai": peer_of_fastai, "Lightning": peer_of_lightning}.items():
        try: cases[name] = make(few)
        except ImportError: print(f"{name} is not installed")
    seconds = medians(cases, rounds)
    for name in [case for case in cases if case != "plain"]:
        print(f"{name + ', ten callbacks':42}{1e6 * (seconds[name] - seconds['plain']) / len(few):32.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--peers", action="store_true")
    args = parser.parse_args()
    if args.threads: torch.set_num_threads(args.threads)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, Python {platform.python_version()}\n")

    few, all_of_them = ("before_batch", "after_step"), BATCH_EVENTS
    cases = {"Runner, no callbacks": lambda: None, "Runner, ten callbacks, 2 events each": looped(Runner, few), "Runner, ten callbacks, all 9 events": looped(Runner, all_of_them),
             "Learner, ten and AvgStats, all 9": looped(Learner, all_of_them), "sorted and searched, all 9 events": searched(all_of_them)}
    empty = Runner(Nothing(), (BATCHES, None), no_loss, no_opt)
    cases["Runner, no callbacks"] = lambda: empty.fit(1)
    seconds = medians({"bare": bare} | cases, args.rounds)
    print(f"{'dispatch':42}{'µs a batch over the bare loop':>32}{'bar':>8}")
    for name in cases:
        bar = "5.0" if name.startswith("Runner, ten") else ""
        print(f"{name:42}{1e6 * (seconds[name] - seconds['bare']) / len(BATCHES):32.2f}{bar:>8}")
    if args.peers: peers(min(5, args.rounds))

    x, y = pictures()
    print(f"\n{'784-50-10, SGD, a batch':42}{'ours, µs':>12}{'PyTorch, µs':>13}{'ratio':>8}{'bar':>8}")
    for size, steps, bar in ((64, 200, 0.85), (512, 50, 0.5)):
        seconds = medians({"ours": ours(x, y, size, steps), "theirs": theirs(x, y, size, steps)}, args.rounds)
        print(f"{f'batches of {size}, with their loaders':42}{1e6 * seconds['ours'] / steps:12.1f}{1e6 * seconds['theirs'] / steps:13.1f}{seconds['ours'] / seconds['theirs']:8.2f}{bar:8.2f}")

    program = "import time, torch\nstart = time.perf_counter()\nimport lesson_nb.{}\nprint(time.perf_counter() - start)"
    print(f"\n{'import, over import torch':42}{'seconds':>12}{'bar':>8}")
    for name, bar in (("learner", "0.30"), ("callbacks", ""), ("checkpoints", "")):
        print(f"lesson_nb.{name:32}{statistics.median(seconds_of(program.format(name)) for _ in range(3)):12.3f}{bar:>8}")


if __name__ == "__main__": main()
