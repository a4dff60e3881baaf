"""How far is our batch norm from PyTorch's? Forward and backward, ours / nn.BatchNorm2d, float32, as it is and compiled; pass or miss, with the noise.

    python benchmarks/normalization.py [--rounds 21] [--threads N] [--no-compile] [--others]

Interleaved: in each round all sides take a turn, and a ratio is of their medians. The noise is the spread of the ratio over the rounds, lower to
upper quartile, and beside it the ratio of PyTorch to itself, which would be 1.00 on a silent machine. Compiled: `torch.compile` of our layer,
beside PyTorch's layer as it is. `--others` adds channels_last, the layer compiled on both sides, and the norms of lesson 13a, which have no bar.
"""
import argparse, copy, platform, sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import torch
from torch import nn as theirs
from lesson_nb import nn as ours
from timing import RATIOS, interleaved, ratios

SHAPES = [(64, 16, 32, 32), (256, 64, 32, 32)]
BARS = {"ours": 1.5, "compiled": 0.9}
OTHERS = [("LayerNorm", (512,), (2048, 512)), ("RMSNorm", (512,), (2048, 512)), ("GroupNorm", (4, 16), (64, 16, 32, 32)), ("InstanceNorm2d", (16,), (64, 16, 32, 32))]


def step_of(layer, x, flow):
    "A function that runs forward and backward once, for the input and all parameters."
    x = x.detach().requires_grad_()
    wanted = [x, *layer.parameters()]
    return lambda: torch.autograd.grad(layer(x), wanted, flow)


def compare(label, layer, theirs_layer, x, sides, rounds):
    "Print a line for each side of ours; returns how many miss their bar."
    flow, missed = torch.randn_like(x), 0
    made = {"torch": theirs_layer, "again": copy.deepcopy(theirs_layer)}
    for side in sides:
        made[side] = copy.deepcopy(layer) if side == "ours" else torch.compile(copy.deepcopy(layer if side == "compiled" else theirs_layer))
    times = interleaved({name: step_of(module, x, flow) for name, module in made.items()}, rounds)
    for side in sides:
        bar = BARS.get(side) if label.startswith("BatchNorm2d") and "last" not in label else None
        text, miss = ratios(times, side, bar)
        missed += miss
        print(f"{label:40}{side:>16}{text}", flush=True)
    return missed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--others", action="store_true", help="channels_last, PyTorch's layer compiled, and lesson 13a's norms too")
    args = parser.parse_args()
    if args.threads: torch.set_num_threads(args.threads)
    sides = ["ours"] + ["compiled"] * (not args.no_compile)
    print(f"forward + backward, float32; medians of {args.rounds} interleaved rounds")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, Python {platform.python_version()}\n")
    print(f"{'layer and input':40}{'side':>16}{RATIOS}")
    missed = 0
    for shape in SHAPES:
        label, layer, other, x = f"BatchNorm2d {'x'.join(map(str, shape))}", ours.BatchNorm2d(shape[1]), theirs.BatchNorm2d(shape[1]), torch.randn(shape)
        missed += compare(label, layer, other, x, sides + ["torch compiled"] * (args.others and not args.no_compile), args.rounds)
        if args.others: compare(f"{label} channels last", layer, other, x.contiguous(memory_format=torch.channels_last), sides, args.rounds)
    for name, given, shape in OTHERS if args.others else ():
        compare(f"{name} {'x'.join(map(str, shape))}", getattr(ours, name)(*given), getattr(theirs, name)(*given), torch.randn(shape), sides, args.rounds)
    return int(missed > 0)


if __name__ == "__main__": sys.exit(main())
