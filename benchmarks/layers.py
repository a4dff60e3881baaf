"""What our layers, and our Module around them, cost beside PyTorch's: forward and backward, ours / theirs, float32.

    python benchmarks/layers.py [--threads N] [--rounds 15]

Interleaved medians; the last column is PyTorch against itself, which would be 1.00 on a silent machine.
"""
import argparse, platform, sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import torch
from lesson_nb import containers, layers, modules
from lesson_nb.core import compare_times

rows, words = (512, 1024), torch.randint(20000, (64, 128), generator=torch.Generator().manual_seed(0))
LAYERS = {"Linear(1024, 1024)": ("Linear", (1024, 1024), {}), "Embedding(20000, 64)": ("Embedding", (20000, 64), {}), "Embedding, padding": ("Embedding", (20000, 64), {"padding_idx": 0}),
          "Embedding, max_norm": ("Embedding", (20000, 64), {"max_norm": 1.0}), "ReLU": ("ReLU", (), {}), "LeakyReLU": ("LeakyReLU", (), {}), "SiLU": ("SiLU", (), {}), "GELU": ("GELU", (), {}),
          "GELU, tanh": ("GELU", ("tanh",), {}), "Sigmoid": ("Sigmoid", (), {}), "Tanh": ("Tanh", (), {}), "Softmax": ("Softmax", (1,), {}), "LogSoftmax": ("LogSoftmax", (1,), {})}


def step(layer, given):
    "A function that runs a layer forward and backward once."
    flow = torch.randn_like(layer(given))
    wanted = [*([given] if given.requires_grad else []), *layer.parameters()]
    return lambda: torch.autograd.grad(layer(given), wanted, flow)


def pair(name, args, kwargs):
    "The same step with our layer, with PyTorch's, and with PyTorch's again."
    made = []
    for place in (layers, torch.nn, torch.nn):
        torch.manual_seed(0)
        made.append(step(getattr(place, name)(*args, **kwargs), words if name == "Embedding" else torch.randn(rows, requires_grad=True)))
    return dict(zip(("ours", "theirs", "again"), made))


def empty_layers(base, sequential, count=20):
    "A row of layers that do nothing: what remains is the call."
    class Nothing(base):
        def forward(self, x): return x
    net, x = sequential(*(Nothing() for _ in range(count))), torch.ones(1)
    return lambda: net(x)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    if args.threads: torch.set_num_threads(args.threads)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, Python {platform.python_version()}; input {rows}, {tuple(words.shape)} words\n")
    print(f"{'':24}{'ours, ms':>10}{'PyTorch, ms':>13}{'ratio':>8}{'itself':>8}")
    torch_base = torch.nn.Module, torch.nn.Sequential
    cases = {name: pair(*spec) for name, spec in LAYERS.items()}
    cases["20 empty modules"] = {"ours": empty_layers(modules.Module, containers.Sequential), "theirs": empty_layers(*torch_base), "again": empty_layers(*torch_base)}
    for name, functions in cases.items():
        seconds = compare_times(functions, repeats=args.rounds)
        print(f"{name:24}{1e3 * seconds['ours']:10.3f}{1e3 * seconds['theirs']:13.3f}{seconds['ours'] / seconds['theirs']:8.2f}{seconds['again'] / seconds['theirs']:8.2f}")


if __name__ == "__main__": main()
