"""How far is our convolution from PyTorch's? Forward and backward, ours / F.conv2d, NCHW, float32; pass or miss, with the noise.

    python benchmarks/convolution.py [--rounds 21] [--threads N] [--first]

Interleaved: in each round both sides take a turn, and the ratio is of their medians. The noise is the spread of the ratio over the
rounds, lower to upper quartile, and beside it the ratio of PyTorch to itself, which would be 1.00 on a silent machine.
Gradients of input, weight and bias; --first leaves out the input's, as in the first layer of a network.
"""
import argparse, platform, sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import torch
import torch.nn.functional as F
from lesson_nb.convolution import conv2d
from timing import RATIOS, interleaved, ratios

# pictures, kernels, stride, padding, bar
LAYERS = [((64, 16, 32, 32), (32, 16, 3, 3), 2, 1, 1.5), ((64, 16, 32, 32), (32, 16, 3, 3), 1, 1, 2.2), ((64, 1, 28, 28), (8, 1, 5, 5), 2, 2, 1.2),
          ((32, 64, 56, 56), (64, 64, 3, 3), 1, 1, None), ((64, 32, 16, 16), (64, 32, 3, 3), 2, 1, None), ((64, 64, 16, 16), (128, 64, 1, 1), 1, 0, None)]


def step_of(function, shape, weight_shape, stride, padding, input_gradient):
    "A function that runs forward and backward once."
    torch.manual_seed(0)
    given = [torch.randn(size, requires_grad=True) for size in (shape, weight_shape, weight_shape[:1])]
    given[0].requires_grad_(input_gradient)
    flow = torch.randn_like(function(*given, stride, padding))
    wanted = [tensor for tensor in given if tensor.requires_grad]
    return lambda: torch.autograd.grad(function(*given, stride, padding), wanted, flow)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--first", action="store_true", help="without the gradient of the input")
    args = parser.parse_args()
    if args.threads: torch.set_num_threads(args.threads)
    print(f"forward + backward{' without the gradient of the input' if args.first else ''}, float32; medians of {args.rounds} interleaved rounds")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, Python {platform.python_version()}\n")
    print(f"{'pictures, kernels, stride':44}{RATIOS}")
    missed = 0
    for shape, weight_shape, stride, padding, bar in LAYERS:
        sides = [step_of(f, shape, weight_shape, stride, padding, not args.first) for f in (conv2d, F.conv2d, F.conv2d)]
        times = interleaved(dict(zip(("ours", "torch", "again"), sides)), args.rounds)
        text, miss = ratios(times, "ours", bar)
        missed += miss
        label = f"{'x'.join(map(str, shape))} -> {weight_shape[0]}, k{weight_shape[2]}, s{stride}"
        print(f"{label:44}{text}")
    return int(missed > 0)


if __name__ == "__main__": sys.exit(main())
