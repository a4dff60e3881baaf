"Hidden cases and hints for the exercises of lesson 08a."
import itertools
import torch
from lesson_nb.checker import Exercise, Hint


def draw(*shape, seed=0):
    "Random numbers that are the same each time."
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def _lists(): return [([draw(2, 3), draw(4), draw(1, 2)],), ([draw(3)],), ([draw(2, 2).T, draw(3, 2).T, draw()],), ([draw(5), draw(0, 2), draw(2, 2, 2)],)]


def _columns(tensors): return [2 * t.mT.reshape(t.shape) if t.ndim == 2 else 2 * t for t in tensors]


def _counts(): return [([3, 3, 3],), ([3, None, 3, 3],), ([None, None],), ([1, 2, 2, 1],), ([None, 5, 5, None, None, 5, 6],), ([0, 0, None],), ([],)]


def _stretches(counts, key=lambda c: c, keep=lambda c: c is not None):
    found, first = [], 0
    for value, run in itertools.groupby(counts, key):
        last = first + len(list(run))
        if keep(counts[first]): found.append((first, last))
        first = last
    return found


def _lions():
    return [(draw(3), draw(3, seed=1), draw(3, seed=2), 0.1, (0.9, 0.99), 0.0), (draw(2, 2), draw(2, 2, seed=1), draw(2, 2, seed=2) / 10, 0.05, (0.5, 0.8), 0.2),
            (draw(4), draw(4, seed=1), torch.zeros(4), 0.1, (0.9, 0.99), 0.1), (draw(5), draw(5, seed=1), -draw(5, seed=1) * 0.7, 0.2, (0.6, 0.9), 0.3)]


def _lion(p, g, a, lr, betas, decay, sign=torch.sign, swap=False, late=False, coupled=False):
    first, second = betas[::-1] if swap else betas
    new = second * a + (1 - second) * g
    if coupled: g = g + decay * p
    c = first * (new if late else a) + (1 - first) * g
    return p - lr * (sign(c) + (0 if coupled else decay) * p), new if not coupled else second * a + (1 - second) * g


exercises = {
    "doubled_through_views": Exercise(
        reference=lambda tensors: [2 * t for t in tensors], cases=_lists,
        hints=[Hint("copies", "the values are the old ones: what you return are copies, made before the memory was doubled; views see it",
                    wrong=lambda tensors: [t.clone() for t in tensors]),
               Hint("flat-pieces", "the numbers are right, the shapes are not: each view has the shape of its tensor", wrong=lambda tensors: [2 * t.reshape(-1) for t in tensors]),
               Hint("wrong-order", "a transposed tensor comes back with its numbers in another order; flatten it row by row, as reshape(-1) does", wrong=_columns),
               Hint("doubled-twice", "it was doubled twice", wrong=lambda tensors: [4 * t for t in tensors])],
        praise="One call for all of them. And an optimizer can do anything to the flat memory that it does to a tensor."),
    "stretches": Exercise(
        reference=_stretches, cases=_counts,
        hints=[Hint("missing-kept", "a stretch without gradients is among your answers; those are left out", wrong=lambda counts: _stretches(counts, keep=lambda c: True)),
               Hint("steps-mixed", "parameters at different steps are in one stretch; their bias corrections differ", wrong=lambda counts: _stretches(counts, key=lambda c: c is None)),
               Hint("last-lost", "the last stretch is missing: nothing comes after it that would end it", wrong=lambda counts: [s for s in _stretches(counts) if s[1] < len(counts)]),
               Hint("last-inside", "the second number is the place *behind* the last, as in range and slices", wrong=lambda counts: [(a, b - 1) for a, b in _stretches(counts)]),
               Hint("zero-steps", "a count of 0 is a count; only None means that there is no gradient", wrong=lambda counts: _stretches(counts, keep=lambda c: bool(c)))],
        praise="In the common case it is one stretch for the whole piece; the rest is the price of being right."),
    "lion": Exercise(
        reference=_lion, cases=_lions,
        hints=[Hint("betas-swapped", "the two betas have changed places: the first makes the direction, the second the new average", wrong=lambda *x: _lion(*x, swap=True)),
               Hint("new-average", "the direction uses the new average; it is made from the old one", wrong=lambda *x: _lion(*x, late=True)),
               Hint("no-sign", "the direction is the *sign* of that mixture", wrong=lambda *x: _lion(*x, sign=lambda c: c)),
               Hint("decay-in-gradient", "weight decay is added to the gradient, where the sign swallows it; it stands beside the sign", wrong=lambda *x: _lion(*x, coupled=True)),
               Hint("no-decay", "weight decay is missing", wrong=lambda p, g, a, lr, b, w: _lion(p, g, a, lr, b, 0.0))],
        praise="Every number moves by the same length at each step: less memory than Adam, and a smaller learning rate is wanted, by three to ten times."),
}
