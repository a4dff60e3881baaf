"""How many CIFAR pictures a second our transforms change, beside a loop over single pictures; and what our grid_sample costs beside PyTorch's.

    python benchmarks/augmentation.py [--threads N] [--rounds 9] [--batch 512] [--bytes]

Interleaved medians, float32 (with --bytes uint8, for the transforms that take it). Bars: flip and pad-crop at least 20,000 pictures a second on two
cores, and at least 5 times as fast as the loop. The loop pads with torch's own F.pad, flips and cuts, picture by picture, as a data loader does.
"""
import argparse, platform, sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import torch
import torch.nn.functional as F
from lesson_nb.augmentation import Compose, Cutout, Lighting, RandomCrop, RandomFlip
from lesson_nb.core import compare_times
from lesson_nb.warping import RandomAffine, RandomWarp, Together, affine_grid, grid_sample


def loop(batch, generator):
    "Flip and pad-crop, one picture after the other."
    n, _, height, width = batch.shape
    coins = torch.rand(n, generator=generator).tolist()
    down, right = (torch.randint(9, (n,), generator=generator).tolist() for _ in range(2))
    made = []
    for picture, coin, i, j in zip(batch, coins, down, right):
        padded = F.pad(picture[None].float(), (4, 4, 4, 4), "reflect")[0].to(batch.dtype)
        made.append((padded.flip(-1) if coin < 0.5 else padded)[:, i:i + height, j:j + width])
    return torch.stack(made)


def transforms(batch, rounds):
    "A line for each transform: pictures a second, and how many times as fast as the loop."
    generator = torch.Generator().manual_seed(0)
    made = {"the loop: flip, pad, crop": lambda batch: loop(batch, generator), "flip and pad-crop": Compose(RandomFlip(), RandomCrop(4)),
            "flip and pad-crop, zeros": Compose(RandomFlip(), RandomCrop(4, "zeros")), "flip": RandomFlip(), "pad-crop": RandomCrop(4), "cutout": Cutout(8)}
    if batch.is_floating_point():
        made |= {"light": Lighting(), "flip, pad-crop, light, cutout": Compose(RandomFlip(), RandomCrop(4), Lighting(), Cutout(8)), "affine": RandomAffine(), "warp": RandomWarp(),
                 "affine and warp, together": Together(RandomAffine(), RandomWarp())}
    seconds = compare_times({name: lambda f=f: f(batch) for name, f in made.items()}, repeats=rounds)
    slowest = seconds["the loop: flip, pad, crop"]
    print(f"{'':34}{'pictures a second':>19}{'of the loop':>13}{'bars':>22}")
    for name, s in seconds.items():
        bars = ">= 20,000 and >= 5 x" if name == "flip and pad-crop" else ""
        print(f"{name:34}{len(batch) / s:19,.0f}{slowest / s:12.1f}x{bars:>22}")


def sampling(batch, rounds):
    "A line for each way to sample: ours, PyTorch's, and PyTorch's again, forwards and with both gradients."
    theta = torch.eye(2, 3) + 0.1 * torch.randn(len(batch), 2, 3)
    print(f"\n{'':34}{'ours, ms':>10}{'PyTorch, ms':>13}{'ratio':>8}{'itself':>8}")
    makers = {"ours": lambda: affine_grid(theta, batch.shape, False), "theirs": lambda: F.affine_grid(theta, batch.shape, align_corners=False)}
    cases = [("affine_grid", makers | {"again": makers["theirs"]})]
    grid = F.affine_grid(theta, batch.shape, align_corners=False)

    def forwards(sample, mode): return lambda: sample(batch, grid, mode, "reflection", False)

    def both_ways(sample, mode):
        input, places = batch.clone().requires_grad_(), grid.clone().requires_grad_()
        return lambda: torch.autograd.grad(sample(input, places, mode, "reflection", False).sum(), (input, places))

    for mode in ("nearest", "bilinear", "bicubic"):
        for name, make in ((f"grid_sample, {mode}", forwards), (f"grid_sample, {mode}, both ways", both_ways)):
            cases.append((name, {"ours": make(grid_sample, mode), "theirs": make(F.grid_sample, mode), "again": make(F.grid_sample, mode)}))
    for name, functions in cases:
        s = compare_times(functions, repeats=rounds)
        print(f"{name:34}{1e3 * s['ours']:10.1f}{1e3 * s['theirs']:13.1f}{s['ours'] / s['theirs']:8.1f}{s['again'] / s['theirs']:8.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--bytes", action="store_true", help="pictures in uint8")
    args = parser.parse_args()
    if args.threads: torch.set_num_threads(args.threads)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, Python {platform.python_version()}; batches of {args.batch} pictures 3 x 32 x 32\n")
    batch = torch.rand(args.batch, 3, 32, 32)
    transforms((255 * batch).to(torch.uint8) if args.bytes else batch, args.rounds)
    if not args.bytes: sampling(batch, args.rounds)


if __name__ == "__main__": main()
