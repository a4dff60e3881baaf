"Hidden cases and hints for the exercises of lesson 13."
import torch
from lesson_nb.checker import Exercise, Hint


def draw(*shape, seed=0):
    "Random numbers that are the same each time."
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def _layers():
    return [(draw(3, 2, 3, 3), draw(3), draw(3, seed=1), draw(3, seed=2).abs() + 0.1, draw(3, seed=3), draw(3, seed=4), 1e-5),
            (draw(5, 1, 1, 1), draw(5), draw(5, seed=1) * 10, draw(5, seed=2).abs() * 4, draw(5, seed=3), draw(5, seed=4), 1e-1),
            (draw(2, 4, 2, 2), draw(2), draw(2, seed=1), draw(2, seed=2).abs() + 2, draw(2, seed=3), draw(2, seed=4), 1e-3)]


def _folded(weight, bias, mean, variance, scale, shift, eps, with_bias=True, inside=True, factor_bias=True, power=0.5):
    factor = scale / ((variance + eps) ** power if inside else variance**power + eps)
    bias = bias if with_bias else 0
    return weight * factor[:, None, None, None], ((bias - mean) * factor if factor_bias else bias - mean) + shift


def _histories():
    first = [draw(5) + 2, draw(3) * 3, draw(2, seed=9)]
    return [(first, 0.1), (first, None), (first[:1], 0.5), ([draw(n + 2) - 4 for n in range(6)], 0.9), (first, 1.0)]


def _remembered(batches, momentum, keep_old=False, less=1, start=1.0):
    mean, variance = 0.0, start
    for k, batch in enumerate(batches, 1):
        m = 1 / k if momentum is None else 1 - momentum if keep_old else momentum
        own = batch.mean().item()
        mean, variance = (1 - m) * mean + m * own, (1 - m) * variance + m * ((batch - own) ** 2).sum().item() / (len(batch) - less)
    return mean, variance


def _parts():
    return [(torch.tensor([4.0, 4.0]), torch.tensor([0.0, 2.0]), torch.tensor([1.0, 1.0])), (torch.tensor([10.0, 2.0]), torch.tensor([1.0, -5.0]), torch.tensor([0.5, 3.0])),
            (torch.tensor([1.0, 2.0, 7.0]), draw(3), draw(3, seed=1).abs())]


def _together(counts, means, variances, weighted=True, between=True):
    share = counts / counts.sum() if weighted else torch.ones_like(counts) / len(counts)
    mean = (share * means).sum()
    within = (share * variances).sum()
    return mean, within + (share * (means - mean) ** 2).sum() if between else within


def _crowds(): return [(draw(6, 2, 3, 3) * 2 + 1, 2, 1e-5), (draw(7, 3, 2, 2), 3, 1e-3), (draw(4, 1, 5, 5) + 9, 4, 1e-5), (draw(8, 2, 2, 3), 5, 1e-5)]


def _ghosts(x, size, eps, split=torch.split, less=0):
    done = []
    for part in split(x, size):
        mean = part.mean((0, 2, 3), keepdim=True)
        count = part.numel() // part.shape[1]
        done.append((part - mean) / (((part - mean) ** 2).sum((0, 2, 3), keepdim=True) / (count - less) + eps).sqrt())
    return torch.cat(done)


exercises = {
    "folded_into": Exercise(
        reference=_folded, cases=_layers, rtol=1e-4, atol=1e-5,
        hints=[Hint("bias-forgotten", "right for a convolution without a bias; but its bias is normalized too", wrong=lambda *a: _folded(*a, with_bias=False)),
               Hint("bias-not-scaled", "right weights; but bias - mean has to be multiplied by the same factor", wrong=lambda *a: _folded(*a, factor_bias=False)),
               Hint("eps-outside", "eps is added to the variance, under the root", wrong=lambda *a: _folded(*a, inside=False)),
               Hint("std-for-variance", "divide by the root of the variance, not by the variance", wrong=lambda *a: _folded(*a, power=1))],
        praise="In use, batch norm costs nothing: every inference engine does this."),
    "remembered": Exercise(
        reference=_remembered, cases=_histories, rtol=1e-4, atol=1e-4,
        hints=[Hint("share-of-the-old", "as in an optimizer; but here momentum is the share of the new batch", wrong=lambda *a: _remembered(*a, keep_old=True)),
               Hint("biased", "right mean; the variance that is remembered is divided by the count less one", wrong=lambda *a: _remembered(*a, less=0)),
               Hint("starts-at-nought", "the running variance starts at 1, not at 0", wrong=lambda *a: _remembered(*a, start=0.0)),
               Hint("none-is-a-tenth", "None is no momentum of 0.1: the k-th batch counts 1 / k, so that all count the same", wrong=lambda b, m: _remembered(b, 0.1 if m is None else m))],
        praise="And behind few batches with a small momentum it has not arrived: that is a classic bug."),
    "statistics_together": Exercise(
        reference=_together, cases=_parts,
        hints=[Hint("not-between", "the variances within the parts, rightly weighted; add how far the means lie from each other", wrong=lambda *a: _together(*a, between=False)),
               Hint("unweighted", "a part with more numbers counts more", wrong=lambda *a: _together(*a, weighted=False)),
               Hint("both", "weight the parts by their counts, and add how far their means lie from each other", wrong=lambda *a: _together(*a, weighted=False, between=False))],
        praise="Chan, Golub and LeVeque (1979): the same formula adds a number to a running variance, and makes SyncBatchNorm."),
    "ghost_norm": Exercise(
        reference=_ghosts, cases=_crowds, rtol=1e-4, atol=1e-4,
        hints=[Hint("whole-batch", "that normalizes the batch as a whole; each part of `size` pictures has statistics of its own", wrong=lambda x, size, eps: _ghosts(x, len(x), eps)),
               Hint("parts-not-size", "`size` is how many pictures a part has, not how many parts there are", wrong=lambda *a: _ghosts(*a, split=torch.chunk)),
               Hint("every-picture", "that normalizes every picture by itself; a part has `size` of them", wrong=lambda x, size, eps: _ghosts(x, 1, eps)),
               Hint("less-one", "for normalizing, the variance is divided by the count itself, not by one less", wrong=lambda *a: _ghosts(*a, less=1))],
        praise="Each GPU of several does that by itself, unless it is told to synchronize."),
}
