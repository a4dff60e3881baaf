"Hidden cases and hints for the exercises of lesson 07."
import torch
from lesson_nb.checker import Exercise, Hint


def _bounds(n, size, drop): return [(s, min(s + size, n)) for s in range(0, n - size + 1 if drop else n, size)]


def _weights(labels, of=lambda counts: 1 / counts):
    weights = of(torch.bincount(labels).float())[labels]
    return weights / weights.sum()


def _labels():
    return [(torch.tensor([0, 0, 0, 1]),), (torch.tensor([2, 2, 0, 2, 0, 5, 2]),), (torch.tensor([3]),), (torch.tensor([1, 0, 1, 1, 1, 1, 2, 2]),)]


def _fold(n, folds, which):
    numbers = torch.arange(n)
    return numbers[numbers % folds != which], numbers[numbers % folds == which]


def _blocks(n, folds, which):
    numbers, size = torch.arange(n), -(-n // folds)
    kept = (numbers >= which * size) & (numbers < (which + 1) * size)
    return numbers[~kept], numbers[kept]


def _by_length(lengths, size, order=lambda lengths: sorted(range(len(lengths)), key=lambda i: lengths[i])):
    found = order(lengths)
    return [found[s:s + size] for s in range(0, len(found), size)]


def _texts(): return [([5, 1, 3, 1, 2], 2), ([4, 4, 4, 4], 3), ([9], 4), ([], 2), ([3, 1, 2], 1), ([7, 2, 7, 2, 7, 2, 1], 3)]


exercises = {
    "batch_bounds": Exercise(
        reference=_bounds, cases=lambda: [(7, 3, False), (7, 3, True), (6, 3, True), (6, 3, False), (2, 5, False), (2, 5, True), (0, 3, False), (5, 1, True)],
        hints=[Hint("over-the-end", "the last batch reaches over the end: no stop is larger than n", wrong=lambda n, s, d: [(i, i + s) for i in range(0, n - s + 1 if d else n, s)]),
               Hint("never-dropped", "with `drop_last` an incomplete last batch is left out", wrong=lambda n, s, d: _bounds(n, s, False)),
               Hint("always-dropped", "without `drop_last` the incomplete last batch belongs to the answer", wrong=lambda n, s, d: _bounds(n, s, True)),
               Hint("whole-one-dropped", "a last batch that is complete stays, also with `drop_last`", wrong=lambda n, s, d: [(i, min(i + s, n)) for i in range(0, n - s if d else n, s)])],
        praise="`drop_last` moves the end of the range, and nothing else changes."),
    "balancing_weights": Exercise(
        reference=_weights, cases=_labels,
        hints=[Hint("the-wrong-way", "that favours the common classes; the weight falls as the class grows", wrong=lambda y: _weights(y, lambda c: c)),
               Hint("not-summed-to-one", "right in proportion; divide by the sum, so that they sum to 1", wrong=lambda y: (1 / torch.bincount(y).float())[y]),
               Hint("a-weight-a-class", "one weight for each *example* is wanted: look your weights up with `[labels]`", when=lambda a, c, e: a.shape == torch.bincount(c[0]).shape and a.shape != e.shape),
               Hint("all-alike", "every example has the same weight; then a class counts as often as it occurs", wrong=lambda y: torch.full((len(y),), 1 / len(y)))],
        praise="Summed up over a class the weights give the same for each: one over the number of classes that occur."),
    "fold_indices": Exercise(
        reference=_fold, cases=lambda: [(10, 5, 0), (10, 5, 4), (7, 3, 1), (3, 3, 2), (4, 1, 0), (2, 5, 4)],
        hints=[Hint("swapped", "the numbers to learn from come first, those kept back second", wrong=lambda *a: _fold(*a)[::-1]),
               Hint("blocks", "you keep back a block of neighbours; example i belongs to part i % folds", wrong=_blocks),
               Hint("counted-from-one", "parts are counted from 0", wrong=lambda n, f, w: _fold(n, f, w - 1))],
        praise="Each example is kept back exactly once. If neighbours belong together (frames of a film, say), blocks would be right and this wrong."),
    "by_length": Exercise(
        reference=_by_length, cases=_texts,
        hints=[Hint("longest-first", "the shortest texts come first", wrong=lambda n, s: _by_length(n, s, lambda m: sorted(range(len(m)), key=lambda i: -m[i]))),
               Hint("lengths-not-indices", "these are lengths; wanted are the numbers of the texts", wrong=lambda n, s: _by_length(n, s, sorted)),
               Hint("last-lost", "the last batch may be smaller, but it is not left out", wrong=lambda n, s: [b for b in _by_length(n, s) if len(b) == s]),
               Hint("equals-turned", "texts of equal length have changed places; sort so that they keep their order",
                    wrong=lambda n, s: _by_length(n, s, lambda m: sorted(range(len(m)), key=lambda i: (m[i], -i)))),
               Hint("one-list", "one list of all; cut it into batches", wrong=lambda n, s: sorted(range(len(n)), key=lambda i: n[i]))],
        praise="For translation this halves the work or better. Sorted through and through, though, every epoch begins with the short texts: shuffle the batches."),
}
