"Hidden cases and hints for the exercises of lesson 07c."
import torch
from lesson_nb.checker import Exercise, Hint


def _length(n, size, drop): return n if size is None else n // size if drop else -(-n // size)


def _rest(state, n, size, done):
    generator = torch.Generator()
    generator.set_state(state)
    return list(torch.randperm(n, generator=generator).split(size))[done:]


def _global(state, n, size, done):
    return list(torch.randperm(n, generator=torch.Generator().manual_seed(0)).split(size))[done:]


def _epochs(): return [(torch.Generator().manual_seed(seed).get_state(), *given) for seed, given in ((1, (10, 3, 2)), (2, (10, 3, 0)), (3, (6, 3, 1)), (4, (5, 2, 3)), (5, (7, 7, 0)))]


def _mean(losses, sizes): return sum(a * b for a, b in zip(losses, sizes)) / sum(sizes)


exercises = {
    "loader_length": Exercise(
        reference=_length, cases=lambda: [(10, 3, False), (10, 3, True), (9, 3, False), (9, 3, True), (2, 5, False), (2, 5, True), (0, 4, False), (7, None, False)],
        hints=[Hint("one-too-many", "where the examples divide evenly there is no further, empty batch", wrong=lambda n, s, d: n if s is None else n // s if d else n // s + 1),
               Hint("last-forgotten", "without `drop_last` the incomplete last batch counts too: round up", wrong=lambda n, s, d: n if s is None else n // s),
               Hint("drop-ignored", "with `drop_last` the incomplete last batch does not count: round down", wrong=lambda n, s, d: n if s is None else -(-n // s)),
               Hint("no-batch-size", "with `batch_size=None` each example comes by itself", when=lambda a, c, e: c[1] is None)],
        praise="`-(-n // batch_size)` rounds up without leaving whole numbers; `math.ceil(n / batch_size)` does too, until n is larger than 2**53."),
    "rest_of_epoch": Exercise(
        reference=_rest, cases=_epochs,
        hints=[Hint("all-of-it", "that is the whole epoch; the first `done` batches have been done", wrong=lambda s, n, b, d: _rest(s, n, b, 0)),
               Hint("examples-for-batches", "you left out `done` examples; it counts batches", wrong=lambda s, n, b, d: list(torch.cat([*_rest(s, n, b, 0)])[d:].split(b))),
               Hint("another-order", "that is another order: set a generator to `state` before drawing", wrong=_global),
               Hint("not-shuffled", "your order is not shuffled", wrong=lambda s, n, b, d: list(torch.arange(n).split(b))[d:])],
        praise="Five kilobytes of state stand for an order of any length."),
    "mean_over_examples": Exercise(
        reference=_mean, cases=lambda: [([1.0, 2.0, 6.0], [4, 4, 1]), ([0.5, 0.5], [3, 3]), ([2.0], [7]), ([3.0, 1.0], [10, 2])],
        hints=[Hint("mean-of-means", "the mean of the means gives an example of a small last batch more weight than the others", wrong=lambda a, b: sum(a) / len(a)),
               Hint("not-divided", "right so far; divide by the number of all examples", wrong=lambda a, b: sum(x * y for x, y in zip(a, b))),
               Hint("by-batches", "you divided by the number of batches; divide by that of the examples", wrong=lambda a, b: sum(x * y for x, y in zip(a, b)) / len(a))],
        praise="Lesson 09 builds this in for every metric."),
}
