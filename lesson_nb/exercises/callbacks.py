"Hidden cases and hints for the exercises of lesson 09c."
import torch
from lesson_nb.checker import Exercise, Hint


def _random(*shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, generator=generator) for shape in shapes]


def _batches(): return [(_random((4,), (4,), (4,)), [20, 20, 10]), (_random((3,), seed=1), [7]), (_random((5,), (5,), seed=2), [1, 99]), (_random((2,), (2,), (2,), (2,), seed=3), [8, 8, 8, 8])]
def _gathered(gradients, sizes): return sum(g * n for g, n in zip(gradients, sizes)) / sum(sizes)


def _curves(): return [(torch.tensor([1.0, 2.0, 3.0]), 8), (torch.tensor([5.0, 5.0, 5.0]), 8), (torch.tensor([2.3, 1.1, 0.7, 0.65, 0.4]), 8), (torch.tensor([-4.0, 0.0, 1.0]), 5), (torch.tensor([7.0]), 8), (torch.arange(20.0)[::3], 2)]


def _heights(values, levels, low=True, top=True, rounds=True, careful=True):
    above = values - values.min() if low else values
    if careful and (above == above[0]).all(): return torch.zeros(len(values), dtype=torch.int64)
    scaled = (levels - 1 if top else levels) * above / above.max()
    return (scaled.round() if rounds else scaled).long()


def _double(x): return 2 * x
def _log(x): return x.log()
def _one_over(x): return 1 / x
def _minus_one(x): return x - 1
def _hides(x): return x.clamp(-9, 9)


def _chains():
    one, two = torch.tensor([1.0, 2.0]), torch.tensor([0.5, 3.0])
    return [([("double", _double), ("log", _log), ("over", _one_over)], two), ([("minus", _minus_one), ("over", _one_over), ("double", _double)], one), ([("double", _double)], torch.tensor([float("nan")])),
            ([("log", _log), ("over", _one_over), ("hides", _hides)], one), ([], one), ([("minus", _minus_one), ("log", _log), ("double", _double)], two), ([("double", _double)], torch.tensor([float("inf"), 1.0])), ([("minus", _minus_one)], one)]


def _first(layers, x, broken=lambda x: not x.isfinite().all(), looks_at_input=True, last=False):
    found = "input" if looks_at_input and broken(x) else None
    if found: return found
    for name, function in layers:
        x = function(x)
        if broken(x):
            if not last: return name
            found = name
    return found


def _counts(): return [(10, 5), (5, 2), (7, 3), (1, 4), (4, 1), (6, 6), (0, 3), (9, 4)]
def _steps(batches, count, last=True, late=False, twice=False):
    full = [i for i in range(batches) if (i if late else i + 1) % count == 0]
    return full if not last or not batches else full + [batches - 1] if twice else sorted({*full, batches - 1})


exercises = {
    "gathered_gradient": Exercise(
        reference=_gathered, cases=_batches,
        hints=[Hint("plain-mean", "a batch counts by its size: the ten examples of a small one would count twice as much", wrong=lambda g, n: sum(g) / len(g)),
               Hint("sum", "divide by the number of all examples", wrong=lambda g, n: sum(a * b for a, b in zip(g, n))),
               Hint("not-weighted", "the sum of the gradients divided by the number of examples forgets that each is a mean already", wrong=lambda g, n: sum(g) / sum(n))],
        praise="So eight batches of 64 are one of 512, up to rounding, and nobody needs the memory for it."),
    "letter_heights": Exercise(
        reference=_heights, cases=_curves,
        hints=[Hint("cut", "round to the nearest letter; yours cuts off what is behind the point", wrong=lambda v, n: _heights(v, n, rounds=False)),
               Hint("from-zero", "the lowest value is to be 0: subtract it first", wrong=lambda v, n: _heights(v, n, low=False)),
               Hint("one-too-many", "the highest letter has the number `levels` - 1", wrong=lambda v, n: _heights(v, n, top=False)),
               Hint("flat", "where all values are equal you divide zero by zero: return zeros", wrong=lambda v, n: _heights(v, n, careful=False))],
        praise="`sparkline` does this, after it has taken the means of stretches."),
    "first_broken": Exercise(
        reference=_first, cases=_chains,
        hints=[Hint("nan-only", "infinity is not finite either: see `isfinite`", wrong=lambda layers, x: _first(layers, x, broken=lambda x: bool(x.isnan().any()))),
               Hint("all-broken", "one broken number is enough; yours waits until all are", wrong=lambda layers, x: _first(layers, x, broken=lambda x: not x.isfinite().any())),
               Hint("input-unseen", "look at `x` before the first layer: if it is broken, no layer is to blame", wrong=lambda layers, x: _first(layers, x, looks_at_input=False)),
               Hint("last", "the *first* one is the cause; what comes after it is infected", wrong=lambda layers, x: _first(layers, x, last=True))],
        praise="In a real network hooks do the watching (lesson 11); the order of the questions is the same."),
    "steps_behind": Exercise(
        reference=_steps, cases=_counts,
        hints=[Hint("drops-the-rest", "behind the last batch there is a step in any case, or its gradients would leak into the next epoch", wrong=lambda b, c: _steps(b, c, last=False)),
               Hint("too-early", "the first step comes behind batch count - 1, for indices begin at 0", wrong=lambda b, c: _steps(b, c, late=True)),
               Hint("too-early-and-drops", "indices begin at 0, and behind the last batch there is a step in any case", wrong=lambda b, c: _steps(b, c, last=False, late=True)),
               Hint("twice", "where the last group is full, its step is listed twice", wrong=lambda b, c: _steps(b, c, twice=True))],
        praise="Schedules that count steps must know this number, and not that of the batches."),
}
