"""What a schedule costs a batch beside PyTorch's schedulers, and what hooks and statistics cost a training step.

    python benchmarks/schedules.py [--threads N] [--rounds 15]

Interleaved medians. "itself" is PyTorch's against itself, which would be 1.00 on a silent machine. Lesson 09 has the bar for callbacks as a whole.
"""
import argparse, platform, sys, warnings
from functools import partial
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import torch
from torch.optim import lr_scheduler
from lesson_nb import nn
from lesson_nb.core import compare_times
from lesson_nb.hooks import ActivationStats, Hooks, leaves, summary
from lesson_nb.learner import Learner
from lesson_nb.schedules import CosineRestarts, OneCycle, ParamScheduler, anneal_cosine, anneal_exponential

STEPS = 10**9  # far more than any clock needs


def torch_step(make):
    "A function that makes one step of a scheduler of PyTorch's."
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
    scheduler = make(optimizer)
    optimizer.step()
    return scheduler.step


def own_step(scheduler):
    "A function that makes one step of a scheduler of ours, called as the Learner calls it."
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
    learner = SimpleNamespace(opt=optimizer, step=0, epochs=1, training=True, data=SimpleNamespace(train_dl=range(STEPS)))
    scheduler.before_fit(learner)
    def step():
        scheduler.before_batch(learner)
        learner.step += 1
    return step


PAIRS = {"OneCycle": (lambda: OneCycle(0.1), lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=STEPS)),
         "CosineRestarts": (lambda: CosineRestarts(0.1, 1000 / STEPS), lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 1000)),
         "exponential": (lambda: ParamScheduler("lr", anneal_exponential(0.1, 0.01)), lambda o: lr_scheduler.ExponentialLR(o, 1 - 1e-9)),
         "cosine": (lambda: ParamScheduler("lr", anneal_cosine(0.1, 0)), lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS))}


def network(): return nn.Sequential(nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 10))


def epochs_of(cbs):
    "A function that trains for one epoch of twenty batches with these callbacks."
    batches = [(torch.randn(128, 784), torch.randint(10, (128,))) for _ in range(20)]
    learner = Learner(network(), (batches, None), torch.nn.functional.cross_entropy, partial(torch.optim.SGD, momentum=0.9), 0.01, cbs=cbs)
    return lambda: learner.fit(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    if args.threads: torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, Python {platform.python_version()}\n")
    print(f"{'a step of the schedule':24}{'ours, us':>10}{'PyTorch, us':>13}{'ratio':>8}{'itself':>8}")
    for name, (ours, theirs) in PAIRS.items():
        s = compare_times({"ours": own_step(ours()), "theirs": torch_step(theirs), "again": torch_step(theirs)}, repeats=args.rounds)
        print(f"{name:24}{1e6 * s['ours']:10.2f}{1e6 * s['theirs']:13.2f}{s['ours'] / s['theirs']:8.2f}{s['again'] / s['theirs']:8.2f}")

    kinds = {"nothing": [], "OneCycle": [OneCycle(0.01)], "ActivationStats": [ActivationStats(nn.ReLU)], "every 10th batch": [ActivationStats(nn.ReLU, every=10)]}
    s = compare_times({name: epochs_of(cbs) for name, cbs in kinds.items()}, repeats=args.rounds)
    print(f"\n{'training step with':24}{'us':>10}{'of the step without':>23}")
    for name, seconds in s.items(): print(f"{name:24}{1e6 * seconds / 20:10.1f}{seconds / s['nothing']:23.2f}")

    net, x = network(), torch.randn(128, 784)
    hooked = network()
    hooks = Hooks(leaves(hooked).values(), lambda hook, module, inputs, output: None)
    s = compare_times({"forward": lambda: net(x), "forward, 5 hooks": lambda: hooked(x), "summary": lambda: summary(net, x)}, repeats=args.rounds)
    hooks.remove()
    print(f"\n{'one pass':24}{'us':>10}")
    for name, seconds in s.items(): print(f"{name:24}{1e6 * seconds:10.1f}")


if __name__ == "__main__": main()
