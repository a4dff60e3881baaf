"""What our DataLoader costs beside PyTorch's: seconds for an epoch, ours and theirs, interleaved medians.

    python benchmarks/data.py [--threads N] [--rounds 9]

In memory: a shuffled epoch over 60,000 rows of 784 float32 numbers and their labels, TensorDataset in both. Bar: at least 8 times as fast.
Item by item: datasets with __getitem__ alone, here and in two worker processes. Bar: at most 1.00 of PyTorch's time.
The column "itself" is PyTorch's loader against itself, which would be 1.00 on a silent machine.
"""
import argparse, platform, sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import torch
import torch.utils.data as theirs
from lesson_nb import data as ours
from lesson_nb.core import compare_times


class Items(theirs.Dataset):
    "Examples one at a time: a picture's row changed a little, and its label."
    def __init__(self, n, size): self.rows, self.labels = torch.randn(n, size), torch.arange(n) % 10
    def __len__(self): return len(self.rows)
    def __getitem__(self, i): return self.rows[i] * 2 - 1, int(self.labels[i])


class Dicts(Items):
    def __getitem__(self, i): return {"row": self.rows[i], "label": int(self.labels[i]), "name": f"number {i}"}


def epoch(loader):
    "A function that goes through an epoch and does nothing with it."
    def run():
        for batch in loader: pass
    return run


def trio(dataset, **kwargs):
    "The same epoch with our loader, with PyTorch's, and with PyTorch's again."
    mine = ours.TensorDataset(*dataset.tensors) if isinstance(dataset, theirs.TensorDataset) else dataset
    return {"ours": epoch(ours.DataLoader(mine, **kwargs)), "theirs": epoch(theirs.DataLoader(dataset, **kwargs)), "again": epoch(theirs.DataLoader(dataset, **kwargs))}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    if args.threads: torch.set_num_threads(args.threads)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, Python {platform.python_version()}\n")
    print(f"{'':38}{'ours, ms':>10}{'PyTorch, ms':>13}{'ours / PyTorch':>16}{'faster':>9}{'itself':>8}{'bar':>9}")
    memory = theirs.TensorDataset(torch.randn(60000, 784), torch.arange(60000) % 10)
    cases = [(f"in memory, shuffled, batch {size}", trio(memory, batch_size=size, shuffle=True), ">= 8 x") for size in (64, 512)]
    cases += [(f"in memory, in order, batch {size}", trio(memory, batch_size=size), "") for size in (64, 512)]
    items, dicts = Items(20000, 784), Dicts(20000, 100)
    cases += [(f"{name}, batch {size}, {workers} workers", trio(dataset, batch_size=size, shuffle=True, num_workers=workers), "<= 1.00")
              for name, dataset in (("items", items), ("dicts", dicts)) for workers in (0, 2) for size in (64, 512)]
    cases += [("items, persistent workers, batch 64", trio(items, batch_size=64, shuffle=True, num_workers=2, persistent_workers=True), "<= 1.00")]
    for name, functions, bar in cases:
        seconds = compare_times(functions, repeats=args.rounds)
        mine, other = seconds["ours"], seconds["theirs"]
        print(f"{name:38}{1e3 * mine:10.1f}{1e3 * other:13.1f}{mine / other:16.2f}{other / mine:8.1f}x{seconds['again'] / other:8.2f}{bar:>9}")


if __name__ == "__main__": main()
