"""Losses against PyTorch's: forward and backward, interleaved medians.   python benchmarks/losses.py [--rounds 31] [--threads 1]

A bar is what the lesson promises; rows without one are there to be known. Exit status 1 if a bar is missed.
"""
import argparse, os, platform, sys
import torch
import torch.nn.functional as F
from lesson_nb import losses, regression
from lesson_nb.core import compare_times, seed_everything


def written_out(scores, target):
    "Cross-entropy as log_softmax out of single operations, then a gather: what autograd makes of the formula."
    shifted = scores - scores.amax(1, keepdim=True).detach()
    return -(shifted - shifted.exp().sum(1, keepdim=True).log()).gather(1, target[:, None]).mean()


def both_ways(function, scores, *arguments):
    "A call without arguments that computes a loss and its gradient."
    def call():
        scores.grad = None
        function(scores, *arguments).sum().backward()
    return call


def cases(device):
    "Rows: (name, shape, ours, PyTorch's, other arguments, bar or None)."
    def classes(n, c): return torch.randint(c, (n,), device=device)
    for n, c, bar in ((512, 10, 2.2), (512, 10_000, 1.05)):
        yield "cross_entropy", (n, c), losses.cross_entropy, F.cross_entropy, (classes(n, c),), bar
        yield "  written out", (n, c), written_out, F.cross_entropy, (classes(n, c),), None
    ignored = classes(512, 10).masked_fill(torch.rand(512, device=device) < 0.2, -100)
    yield "  a fifth ignored", (512, 10), losses.cross_entropy, F.cross_entropy, (ignored,), None
    def smooth(f): return lambda x, y: f(x, y, label_smoothing=0.1)
    yield "  label smoothing", (512, 10), smooth(losses.cross_entropy), smooth(F.cross_entropy), (classes(512, 10),), None
    yield "  label smoothing", (512, 10_000), smooth(losses.cross_entropy), smooth(F.cross_entropy), (classes(512, 10_000),), None
    yield "  of pixels", (8, 20, 64, 64), losses.cross_entropy, F.cross_entropy, (torch.randint(20, (8, 64, 64), device=device),), None
    for c in (10, 10_000):
        for name in ("softmax", "log_softmax"): yield name, (512, c), getattr(losses, name), getattr(F, name), (1,), None
        yield "logsumexp", (512, c), losses.logsumexp, torch.logsumexp, (1,), None
    yes = (torch.rand(512, 100, device=device) < 0.5).float()
    yield "sigmoid", (512, 100), regression.sigmoid, torch.sigmoid, (), None
    yield "bce_with_logits", (512, 100), regression.binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits, (yes,), None
    yield "l1_loss", (512, 100), regression.l1_loss, F.l1_loss, (yes,), None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=31, help="turns of each (default 31)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of the processor; 1 is steadiest where other programs run")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    seed_everything()
    where = torch.cuda.get_device_name() if chosen.device.startswith("cuda") else f"{platform.machine()}, {torch.get_num_threads()} threads"
    print(f"{where}, torch {torch.__version__}, {chosen.rounds} rounds, load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else where)
    print(f"{'forward + backward':<20}{'shape':>18}{'ours':>12}{'PyTorch':>12}{'ratio':>8}{'bar':>7}")
    missed = 0
    for name, shape, ours, theirs, arguments, bar in cases(chosen.device):
        scores = torch.randn(shape, device=chosen.device, requires_grad=True)
        seconds = compare_times({"ours": both_ways(ours, scores, *arguments), "PyTorch": both_ways(theirs, scores, *arguments)}, repeats=chosen.rounds)
        ratio = seconds["ours"] / seconds["PyTorch"]
        verdict = "" if bar is None else "pass" if ratio <= bar else "MISS"
        missed += verdict == "MISS"
        times = "".join(f"{1e6 * seconds[k]:>9,.0f} µs" for k in ("ours", "PyTorch"))
        print(f"{name:<20}{' × '.join(map(str, shape)):>18}{times}{ratio:>8.2f}{'' if bar is None else bar:>7} {verdict}")
    return int(missed > 0)


if __name__ == "__main__": sys.exit(main())
