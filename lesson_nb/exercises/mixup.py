"Hidden cases and hints for the exercises of lesson 14a."
import math
import torch
from lesson_nb.checker import Exercise, Hint


def draw(*shape, seed=0):
    "Random numbers that are the same each time."
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def _floors(): return [(10, 0.1), (10, 0.3), (2, 0.2), (1000, 0.1), (5, 1.0)]


def _entropy(label, other, classes): return -(label * math.log(label) + (classes - 1) * other * math.log(other))


def _batches():
    def order(n): return torch.randperm(n, generator=torch.Generator().manual_seed(n))
    def shares(n): return torch.rand(n, generator=torch.Generator().manual_seed(n + 1))
    return [(draw(6, 1, 3, 4), order(6), shares(6)), (draw(4, 4), order(4), shares(4)), (draw(5), order(5), shares(5)), (draw(3, 2, 3), order(3), shares(3))]


def _wide(x, shares): return shares.reshape(-1, *[1] * (x.dim() - 1))


def _answers():
    sharp, flat = draw(40, 5) * 9, draw(30, 4) * 0.1
    return [(sharp, torch.arange(40) % 5), (flat, flat.argmax(1)), (draw(25, 10), torch.arange(25) % 10), (torch.zeros(4, 2), torch.tensor([0, 1, 0, 1]))]


def _softmax(scores): return (scores - scores.max(1, keepdim=True).values).exp() / (scores - scores.max(1, keepdim=True).values).exp().sum(1, keepdim=True)


def _too_sure(scores, labels):
    sure, said = _softmax(scores).max(1)
    return (sure.mean() - (said == labels).float().mean()).item()


exercises = {
    "smoothed_floor": Exercise(
        reference=lambda classes, smoothing: _entropy(1 - smoothing + smoothing / classes, smoothing / classes, classes), cases=_floors,
        hints=[Hint("label-left-out", "the share is spread over *all* classes, so the label keeps 1 - smoothing + smoothing / classes",
                    wrong=lambda classes, smoothing: _entropy(1 - smoothing, smoothing / classes, classes) if smoothing < 1 else -(classes - 1) * smoothing / classes * math.log(smoothing / classes)),
               Hint("only-the-label", "that is the part of the label; the other classes have their share in the loss too", wrong=lambda classes, smoothing: -(1 - smoothing + smoothing / classes) * math.log(1 - smoothing + smoothing / classes)),
               Hint("one-other", "there are classes - 1 others, and each adds its part", wrong=lambda classes, smoothing: _entropy(1 - smoothing + smoothing / classes, smoothing / classes, 2)),
               Hint("sign", "minus that: a logarithm of a probability is below zero, a loss is not", when=lambda answer, arguments, expected: answer < 0)],
        praise="So a training loss of 0.5 may be perfect: compare smoothed losses only with this floor in mind."),
    "mixed_each": Exercise(
        reference=lambda x, order, shares: _wide(x, shares) * x + (1 - _wide(x, shares)) * x[order], cases=_batches,
        hints=[Hint("swapped", "`shares` belongs to the example itself, the rest to its partner", wrong=lambda x, order, shares: (1 - _wide(x, shares)) * x + _wide(x, shares) * x[order]),
               Hint("last-axis", "(n,) is laid along the *last* axis; give it axes of size 1 for all others", wrong=lambda x, order, shares: shares * x + (1 - shares) * x[order]),
               Hint("partners-share", "the second part of example i is 1 - shares[i], not 1 minus its partner's share", wrong=lambda x, order, shares: _wide(x, shares) * x + ((1 - _wide(x, shares)) * x)[order])],
        praise="The loss then needs reduction=\"none\", and the same shares."),
    "too_sure": Exercise(
        reference=_too_sure, cases=_answers,
        hints=[Hint("sign", "the other way round: above zero for a network that is more sure than right", wrong=lambda scores, labels: -_too_sure(scores, labels) or 0.0),
               Hint("of-the-label", "take the probability of the class that it *says*, its largest, not of the label", wrong=lambda scores, labels: (_softmax(scores)[torch.arange(len(labels)), labels].mean() - (scores.argmax(1) == labels).float().mean()).item()),
               Hint("of-scores", "scores are no probabilities yet: softmax first", wrong=lambda scores, labels: (scores.max(1).values.mean() - (scores.argmax(1) == labels).float().mean()).item()),
               Hint("without-sign", "a modest network has to come out below zero: no absolute value", wrong=lambda scores, labels: abs(_too_sure(scores, labels)))],
        praise="Sorted into bins by how sure it is, this becomes the calibration error of Guo and others (2017)."),
}
