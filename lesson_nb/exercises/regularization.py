"Hidden cases and hints for the exercises of lesson 14."
import math
import torch
from lesson_nb.checker import Exercise, Hint


def draw(*shape, seed=0):
    "Random numbers that are the same each time."
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def coins(n, seed=0): return torch.rand(n, generator=torch.Generator().manual_seed(seed + n)) < 0.6


def _layers(): return [(draw(4, 6), draw(3, 6, seed=1), 0.5), (draw(1, 20) * 3, draw(5, 20), 0.2), (draw(7, 2), draw(2, 2), 0.9)]


def _branches(): return [(draw(6, 3, 4, 4), coins(6), 0.4), (draw(5, 7), coins(5), 0.1), (draw(4), coins(4), 0.5), (draw(4, 4), coins(4, seed=2), 0.8)]


def _wide(branch, keep): return keep.reshape(-1, *[1] * (branch.dim() - 1))


def _rates(): return [(1e-3, 10.0), (0.01, 0.1), (1.0, 0.5), (0.1, 2.0), (0.05, 3.0), (1.0, 0.75)]


def _halved(lr, weight_decay):
    left, steps = 1.0, 0
    while left > 0.5: left, steps = left * (1 - lr * weight_decay), steps + 1
    return steps


exercises = {
    "dropout_std": Exercise(
        reference=lambda x, weight, p: (x**2 @ (weight**2).T * p / (1 - p)).sqrt(), cases=_layers,
        hints=[Hint("variance", "that is the variance; its root is asked for", wrong=lambda x, weight, p: x**2 @ (weight**2).T * p / (1 - p)),
               Hint("squared-sum", "the masks are independent, so the *variances* add up: square each product before the sum, not the sum", wrong=lambda x, weight, p: (x @ weight.T).abs() * math.sqrt(p / (1 - p))),
               Hint("without-odds", "the variance of one number is x² p / (1 - p): what is kept is made larger, which shakes more", wrong=lambda x, weight, p: (x**2 @ (weight**2).T * p * (1 - p)).sqrt()),
               Hint("only-p", "nearly: the variance is x² p / (1 - p), not x² p", wrong=lambda x, weight, p: (x**2 @ (weight**2).T * p).sqrt())],
        praise="With p = 0.5 a sum of n like numbers shakes by 1/√n of itself: wide layers bear it better."),
    "drop_branches": Exercise(
        reference=lambda branch, keep, p: branch * _wide(branch, keep) / (1 - p), cases=_branches,
        hints=[Hint("not-rescaled", "the mean has become smaller: divide what is kept by the share that is kept", wrong=lambda branch, keep, p: branch * _wide(branch, keep)),
               Hint("divided-by-p", "`p` is the share that is dropped; divide by the one that is kept, 1 - p", wrong=lambda branch, keep, p: branch * _wide(branch, keep) / p),
               Hint("dropped-are-kept", "the wrong ones: `keep` is True for those that stay", wrong=lambda branch, keep, p: branch * ~_wide(branch, keep) / (1 - p)),
               Hint("last-axis", "(n,) is laid along the *last* axis; give it axes of size 1 for all others: keep.reshape(-1, 1, 1, ...)", wrong=lambda branch, keep, p: branch * keep / (1 - p))],
        praise="Networks of more than a thousand layers were trained this way."),
    "steps_to_half": Exercise(
        reference=_halved, cases=_rates,
        hints=[Hint("without-rate", "AdamW shrinks by lr * weight_decay in a step, not by weight_decay", wrong=lambda lr, weight_decay: _halved(1.0, weight_decay) if weight_decay < 1 else 1),
               Hint("straight-line", "not a straight line: each step shrinks what is *left*, so the factors multiply", wrong=lambda lr, weight_decay: math.ceil(0.5 / (lr * weight_decay))),
               Hint("rounded-down", "one too few in some cases: after that many whole steps more than half is left", wrong=lambda lr, weight_decay: math.floor(math.log(0.5) / math.log(1 - lr * weight_decay))),
               Hint("natural-logarithm", "log(2) / (lr * weight_decay) is right only where that product is tiny", wrong=lambda lr, weight_decay: math.ceil(math.log(2) / (lr * weight_decay)))],
        praise="Only the product of the two counts: whoever halves the learning rate halves the decay with it."),
}
