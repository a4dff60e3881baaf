"""What a step of our optimizers costs beside torch.optim's default on the CPU: ours / theirs, float32.

    python benchmarks/optimizers.py [--threads N] [--rounds 11]

The parameter lists: ResNet-18's 62 tensors (11.7 million numbers), and 300 tensors of 55 numbers, as vectors, as matrices and mixed.
Interleaved medians; the last column is PyTorch against itself, which would be 1.00 on a silent machine. Each optimizer steps on parameters
and gradients of its own. The bars of the course: Adam's best way at most 0.6 on ResNet-18, at most 0.03 on the 300 (one thread); the loop at most 1.0.
"""
import argparse, platform, sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import torch
from lesson_nb import optim
from lesson_nb.core import compare_times


def resnet18():
    "The shapes of ResNet-18's parameters, in order."
    shapes, channels = [(64, 3, 7, 7), (64,), (64,)], 64
    for width in (64, 128, 256, 512):
        for _ in range(2):
            shapes += [(width, channels, 3, 3), (width,), (width,), (width, width, 3, 3), (width,), (width,)]
            if channels != width: shapes += [(width, channels, 1, 1), (width,), (width,)]
            channels = width
    return shapes + [(1000, 512), (1000,)]


LISTS = {"ResNet-18": resnet18(), "300 vectors": [(55,)] * 300, "300 matrices": [(5, 11)] * 300, "300 mixed": [(55,), (5, 11)] * 150}
SETTINGS = {"Adam": {}, "AdamW": {}, "SGD": {"momentum": 0.9}, "RMSprop": {}, "NAdam": {}}
BARS = {("Adam", "ResNet-18"): 0.6, ("Adam", "300 vectors"): 0.03, ("Adam", "300 matrices"): 0.03, ("Adam", "300 mixed"): 0.03}


def step_of(place, name, shapes, **options):
    "An optimizer's `step`, on parameters and gradients of its own."
    torch.manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(s)) for s in shapes]
    for p in params: p.grad = torch.randn_like(p)
    return getattr(place, name)(params, **SETTINGS[name], **options).step


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--only", nargs="*", help="names of optimizers")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, Python {platform.python_version()}\n")
    print(f"{'':22}{'PyTorch, ms':>12}{'loop':>8}{'lists':>8}{'flat':>8}{'best':>8}{'bar':>7}{'itself':>8}")
    for name in args.only or SETTINGS:
        for kind, shapes in LISTS.items():
            steps = {"theirs": step_of(torch.optim, name, shapes), "loop": step_of(optim, name, shapes), "lists": step_of(optim, name, shapes, foreach=True),
                     "flat": step_of(optim, name, shapes, flat=True), "again": step_of(torch.optim, name, shapes)}
            seconds = compare_times(steps, repeats=args.rounds, min_seconds=0.01, warmup=2)
            ratio = {way: s / seconds["theirs"] for way, s in seconds.items()}
            bar = f"{BARS[name, kind]:7.2f}" if (name, kind) in BARS else " " * 7
            best = min(ratio[way] for way in ("loop", "lists", "flat"))
            print(f"{name + ', ' + kind:22}{1e3 * seconds['theirs']:12.3f}{ratio['loop']:8.3f}{ratio['lists']:8.3f}{ratio['flat']:8.3f}{best:8.3f}{bar}{ratio['again']:8.2f}", flush=True)


if __name__ == "__main__": main()
