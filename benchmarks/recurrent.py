"""How far are our gated layers from PyTorch's? Forward and backward, ours / nn.GRU and nn.LSTM, float32; pass or miss, with the noise.

    python benchmarks/recurrent.py [--rounds 15] [--threads N] [--cpu-time] [--others]

Interleaved: in each round both sides take a turn, and a ratio is of their medians. The noise is the spread of the ratio over the rounds, lower to
upper quartile, and beside it the ratio of PyTorch to itself, which would be 1.00 on a silent machine. `--cpu-time` counts the seconds that this
process was given instead of those that passed: with one thread it is the same on a silent machine, and still worth something on a busy one.
`--others` adds shapes that have no bar.
"""
import argparse, copy, platform, sys, time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import torch
from torch import nn as theirs
from lesson_nb import nn as ours
from timing import RATIOS, interleaved, ratios

# layer, batch, time steps, numbers in input and state, bar
CASES = [("GRU", 64, 64, 256, 1.0), ("LSTM", 128, 64, 512, 1.0), ("GRU", 512, 8, 256, 1.08)]
OTHERS = [("GRU", 64, 8, 256, None), ("LSTM", 64, 32, 512, None), ("GRU", 1, 64, 256, None), ("LSTM", 16, 64, 64, None)]


def step_of(layer, x, flow):
    "A function that runs forward and backward once, for the input and all parameters."
    x = x.detach().requires_grad_()
    wanted = [x, *layer.parameters()]
    return lambda: torch.autograd.grad(layer(x)[0], wanted, flow)


def compare(name, batch, steps, size, bar, rounds, clock):
    "Print a line; returns whether the bar is missed."
    layer = getattr(theirs, name)(size, size)
    mine = getattr(ours, name)(size, size)
    mine.load_state_dict(layer.state_dict())
    x, flow = torch.randn(steps, batch, size), torch.randn(steps, batch, size)
    sides = {"ours": step_of(mine, x, flow), "torch": step_of(layer, x, flow), "again": step_of(copy.deepcopy(layer), x, flow)}
    text, missed = ratios(interleaved(sides, rounds, clock=clock), "ours", bar)
    label = f"{name}, batch {batch}, {steps} steps, {size}"
    print(f"{label:34}{text}", flush=True)
    return missed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--cpu-time", action="store_true", help="the seconds this process was given; for one thread")
    parser.add_argument("--others", action="store_true", help="shapes without a bar too")
    args = parser.parse_args()
    if args.threads: torch.set_num_threads(args.threads)
    clock = time.process_time if args.cpu_time else time.perf_counter
    print(f"forward + backward, float32; medians of {args.rounds} interleaved rounds, {'CPU' if args.cpu_time else 'wall-clock'} time")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, Python {platform.python_version()}\n")
    print(f"{'layer':34}{RATIOS}")
    missed = [compare(*case, args.rounds, clock) for case in CASES + (OTHERS if args.others else [])]
    return int(any(missed))


if __name__ == "__main__": sys.exit(main())
