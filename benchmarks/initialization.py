"""What our initializers cost beside PyTorch's, and with --capstone what a run of the capstone of lesson 12a costs and reads.

    python benchmarks/initialization.py [--threads N] [--rounds 9] [--capstone] [--seed 0] [--epochs 5]

Interleaved medians, ours / theirs, float32; the last column is PyTorch against itself, which would be 1.00 on a silent machine.
Bars of the capstone: at least 89.5 % of the test pictures in 5 epochs, in at most 4 minutes on two cores.
"""
import argparse, platform, sys, time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import torch
from lesson_nb import init, nn
from lesson_nb.core import compare_times

FILLS = {"uniform_": ((1024, 1024), ()), "kaiming_normal_": ((256, 256, 3, 3), ()), "trunc_normal_": ((1024, 1024), ()), "dirac_": ((256, 256, 3, 3), ()),
         "orthogonal_ 64": ((64, 64), ()), "orthogonal_ 512": ((512, 512), ()), "orthogonal_ 512x4608": ((512, 512, 3, 3), ()), "sparse_": ((512, 512), (0.9,))}


def table(rounds):
    "A line for each initializer."
    print(f"{'':24}{'ours, ms':>10}{'PyTorch, ms':>13}{'ratio':>8}{'itself':>8}")
    for label, (shape, args) in FILLS.items():
        weight, name = torch.empty(shape), label.partition(" ")[0]
        fills = {side: partial(getattr(place, name), weight, *args) for side, place in (("ours", init), ("theirs", torch.nn.init), ("again", torch.nn.init))}
        seconds = compare_times(fills, repeats=rounds)
        print(f"{label:24}{1e3 * seconds['ours']:10.3f}{1e3 * seconds['theirs']:13.3f}{seconds['ours'] / seconds['theirs']:8.2f}{seconds['again'] / seconds['theirs']:8.2f}")


def capstone(seed, epochs):
    "One run of the capstone, as lesson 12a has it, and its bars."
    from lesson_nb.adaptive import AdamW
    from lesson_nb.data import get_dls
    from lesson_nb.datasets import load_fashion_mnist
    from lesson_nb.learner import AvgStats, Learner
    from lesson_nb.matmul import accuracy
    from lesson_nb.samplers import TensorDataset
    from lesson_nb.schedules import OneCycle
    clothes = load_fashion_mnist()
    level, deviation = clothes.train_images[:55000].mean(), clothes.train_images[:55000].std()
    images, test_images = ((i[:, None] - level) / deviation for i in (clothes.train_images, clothes.test_images))
    labels = clothes.train_labels
    torch.manual_seed(seed)
    sizes = [(1, 16, 5, 2), (16, 16, 3, 1), (16, 32, 3, 2), (32, 32, 3, 1), (32, 64, 3, 2), (64, 64, 3, 1)]
    network = nn.Sequential(*[part for i, o, kernel, stride in sizes for part in (nn.Conv2d(i, o, kernel, stride, kernel // 2), nn.ReLU())], nn.Flatten(), nn.Linear(64 * 16, 10))
    init.lsuv_init(network, images[:500])
    data = get_dls(TensorDataset(images[:55000], labels[:55000]), TensorDataset(images[55000:], labels[55000:]), batch_size=64)
    learner = Learner(network, data, nn.CrossEntropyLoss(), partial(AdamW, weight_decay=0.05, flat=True), 0.006, [AvgStats(accuracy), OneCycle(0.006)])
    start = time.perf_counter()
    learner.fit(epochs)
    seconds = time.perf_counter() - start
    with torch.no_grad(): right = accuracy(torch.cat([network(chunk) for chunk in test_images.split(500)]), clothes.test_labels)
    print(f"\ncapstone, seed {seed} ({clothes.source} data): {right:.2%} of the test pictures (bar: 89.50%), {epochs} epochs in {seconds:.0f} s (bar: 240 s on two cores)")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--capstone", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=5)
    args = parser.parse_args()
    if args.threads: torch.set_num_threads(args.threads)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, Python {platform.python_version()}\n")
    table(args.rounds)
    if args.capstone: capstone(args.seed, args.epochs)


if __name__ == "__main__": main()
