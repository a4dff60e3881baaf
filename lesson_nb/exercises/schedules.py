"Hidden cases and hints for the exercises of lesson 10."
import math
from lesson_nb.checker import Exercise, Hint


def _cycle(step, length, mult, first=0, ends=lambda step, length: step >= length, grow=lambda length, first, mult: length * mult):
    number, start = first, length
    while ends(step, length): number, step, length = number + 1, step - length, grow(length, start, mult)
    return number, step, length


def _transformer(step, width, warmup, pick=min): return width**-0.5 * pick(step**-0.5, step * warmup**-1.5)


def _steepest(rates, losses, axis=math.log, pick=min):
    return rates[pick(range(1, len(rates) - 1), key=lambda i: (losses[i + 1] - losses[i - 1]) / (axis(rates[i + 1]) - axis(rates[i - 1])))]


def _curves():
    rates = [1e-4, 1e-3, 2e-3, 1e-2, 3e-2, 0.1, 1.0, 3.0]
    return [(rates, [2.3, 2.29, 2.2, 1.9, 1.0, 0.9, 0.8, 5.0]), (rates[1:], [2.3, 2.31, 2.25, 2.2, 1.0, 0.2, 9.0]), ([0.1, 0.2, 0.9, 1.0, 10.0], [3.0, 2.9, 2.0, 1.95, 0.5]),
            ([1e-5, 1e-3, 1.1e-3, 1e-2, 1.1e-2, 1.0], [1.0, 0.9, 0.5, 0.45, 0.4, 0.1])]


exercises = {
    "warm_up": Exercise(
        reference=lambda position, share: float(position / share) if position < share else 1.0,
        cases=lambda: [(0.0, 0.3), (0.15, 0.3), (0.3, 0.3), (0.9, 0.3), (0.0, 0.0), (0.7, 0.0), (0.25, 1.0), (1.0, 1.0), (0.05, 0.1)],
        hints=[Hint("never-stops", "behind the share it goes on rising above 1; from there on the factor is 1", wrong=lambda p, s: p / s if s else 1.0),
               Hint("division-by-zero", "a share of 0 means no warm-up: the factor is 1 from the first step on, and nothing is divided by 0",
                    when=lambda answer, given, expected: given[1] == 0 and isinstance(answer, ZeroDivisionError)),
               Hint("cools-down", "that falls from 1 to 0: a warm-up rises", wrong=lambda p, s: 1 - p / s if p < s else 1.0)],
        praise="As a factor it can be put in front of any schedule by multiplication."),
    "polynomial": Exercise(
        reference=lambda start, end, power, position: end + (start - end) * (1 - position) ** power,
        cases=lambda: [(1.0, 0.0, 2.0, 0.25), (0.1, 0.001, 1.0, 0.5), (0.1, 0.5, 3.0, 0.9), (2.0, 1.0, 0.5, 0.0), (2.0, 1.0, 0.5, 1.0), (1.0, 0.2, 4.0, 0.3)],
        hints=[Hint("position-powered", "you raise the part of the way that is *done* to the power; asked for is what is *left*: 1 - position",
                    wrong=lambda a, b, n, p: a + (b - a) * p**n),
               Hint("backwards", "it begins at `end` and ends at `start`", wrong=lambda a, b, n, p: a + (b - a) * (1 - p) ** n),
               Hint("to-zero", "it ends at 0, not at `end`: shrink the distance from `end`, not the value", wrong=lambda a, b, n, p: a * (1 - p) ** n)],
        praise="With `@annealer` and a `partial` for the power it is a schedule like the others. Many a language model was trained with power 1 and a warm-up."),
    "cycle_of": Exercise(
        reference=_cycle, cases=lambda: [(0, 10, 2), (9, 10, 2), (10, 10, 2), (29, 10, 2), (30, 10, 2), (69, 10, 2), (25, 10, 1), (728, 243, 3), (242, 1, 3), (243, 243, 3), (5, 1, 1)],
        hints=[Hint("all-alike", "all cycles are as long as the first; each lasts `mult` times as long as the one before", wrong=lambda s, n, m: (s // n, s % n, n)),
               Hint("one-late", "the last step of a cycle of 10 is number 9: with step 10 the next one begins", wrong=lambda s, n, m: _cycle(s, n, m, ends=lambda step, length: step > length)),
               Hint("from-one", "cycles are counted from 0", wrong=lambda s, n, m: _cycle(s, n, m, first=1)),
               Hint("from-the-first", "each cycle lasts `mult` times as long as the one *before*: 10, 20, 40, and not 10, 20, 20",
                    wrong=lambda s, n, m: _cycle(s, n, m, grow=lambda length, first, mult: first * mult))],
        praise="Two lines of whole numbers, and right for every step."),
    "transformer_rate": Exercise(
        reference=_transformer, cases=lambda: [(1, 512, 4000), (4000, 512, 4000), (4001, 512, 4000), (100000, 512, 4000), (10, 64, 10), (3, 128, 100), (1, 1, 1)],
        hints=[Hint("larger", "of the two branches the *smaller* counts: the larger one would start above everything", wrong=lambda s, w, u: _transformer(s, w, u, max)),
               Hint("no-warm-up", "it only falls; during the first `warmup` steps it has to rise", wrong=lambda s, w, u: w**-0.5 * s**-0.5),
               Hint("no-width", "the width is missing: wide models take smaller steps, by one over its root", wrong=lambda s, w, u: min(s**-0.5, s * u**-1.5)),
               Hint("gap", "the branches do not meet at `warmup`: rising, it is step / warmup of the height 1 / √(width · warmup)",
                    wrong=lambda s, w, u: w**-0.5 * min(s**-0.5, s * u**-0.5))],
        praise="At `warmup` both are 1 / √(width · warmup). Without the warm-up Adam's first steps would be as long as its later ones, and its averages know nothing yet."),
    "steepest": Exercise(
        reference=_steepest, cases=_curves,
        hints=[Hint("per-rate", "you divide by the difference of the rates; asked for is the slope over their *logarithm*, as the plot shows it", wrong=lambda r, v: _steepest(r, v, axis=float)),
               Hint("lowest", "that is where the loss is *lowest*, which is next to where it bursts; asked for is where it falls most steeply",
                    wrong=lambda r, v: r[v.index(min(v))]),
               Hint("rises", "that is where it *rises* most steeply", wrong=lambda r, v: _steepest(r, v, pick=max)),
               Hint("per-step", "the rates are not evenly spaced: divide by the distance of the neighbours' logarithms",
                    wrong=lambda r, v: r[min(range(1, len(r) - 1), key=lambda i: v[i + 1] - v[i - 1])])],
        praise="`lr_find` spaces its rates evenly on the logarithm, so that it need not divide."),
}
