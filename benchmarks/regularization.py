"""What our dropout costs beside PyTorch's, forward and backward together: the same draws, and the cheaper ones of FastDropout.

    python benchmarks/regularization.py [--threads N] [--rounds 15]

Interleaved medians, ours / theirs, float32; the last column is PyTorch against itself, which would be 1.00 on a silent machine.
"""
import argparse, platform, sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import torch
from lesson_nb import nn
from lesson_nb.core import compare_times
from lesson_nb.regularization import FastDropout

SHAPES = {"64x256": (64, 256), "512x4096": (512, 4096), "64x16x32x32": (64, 16, 32, 32), "256x64x32x32": (256, 64, 32, 32)}


def step(layer, x, flow):
    "A function that runs the layer forward and backward once."
    def run(): torch.autograd.grad(layer(x), x, flow)
    return run


def row(label, layers, shape, rounds):
    "A line of the table: layers by name, PyTorch's as 'theirs'."
    x, flow = torch.randn(shape, requires_grad=True), torch.randn(shape)
    seconds = compare_times({name: step(layer, x, flow) for name, layer in layers.items()} | {"itself": step(layers["theirs"], x, flow)}, repeats=rounds)
    ratios = {name: seconds[name] / seconds["theirs"] for name in seconds}
    fast = f"{ratios['fast']:10.2f}" if "fast" in ratios else " " * 10
    print(f"{label:26}{1e3 * seconds['theirs']:13.3f}{ratios['ours']:8.2f}{fast}{ratios['itself']:8.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rounds", type=int, default=15)
    chosen = parser.parse_args()
    if chosen.threads: torch.set_num_threads(chosen.threads)
    print(f"torch {torch.__version__} on {platform.machine()}, {torch.get_num_threads()} threads")
    print(f"{'':26}{'PyTorch, ms':>13}{'ours':>8}{'16 bits':>10}{'itself':>8}")
    for label, shape in SHAPES.items():
        row(f"Dropout {label}", {"ours": nn.Dropout(0.3), "fast": FastDropout(0.3), "theirs": torch.nn.Dropout(0.3)}, shape, chosen.rounds)
        if len(shape) == 4: row(f"Dropout2d {label}", {"ours": nn.Dropout2d(0.3), "theirs": torch.nn.Dropout2d(0.3)}, shape, chosen.rounds)


if __name__ == "__main__": main()
