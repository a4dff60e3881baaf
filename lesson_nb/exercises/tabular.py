"Hidden cases and hints for the exercises of lesson 19a_tabular."
import math
import torch
from lesson_nb.checker import Exercise, Hint


def draw(*shape, seed=0):
    "Random numbers that are the same each time."
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)), dtype=torch.float64)


def _width(count): return min(600, round(1.6 * count**0.56))


def _count(sizes, numbers, widths, norms=2, numbers_norm=2, biases=1, extra=0):
    total, inputs = sum((size + extra) * _width(size + extra) for size in sizes) + numbers_norm * numbers, sum(_width(size + extra) for size in sizes) + numbers
    for width in widths:
        total += inputs * width + biases * width + norms * width
        inputs = width
    return total + inputs + biases


def _bounds(prices, room, log=math.log, low_room=1):
    low, high = log(min(prices)), log(max(prices))
    return low - low_room * room * (high - low), high + room * (high - low)


def _around_the_prices(prices, room):
    low, high = min(prices), max(prices)
    return math.log(max(low - room * (high - low), 1e-9)), math.log(high + room * (high - low))


def _nearest(rows, scale=True, own=False, far=False, distance=False):
    unit = rows / (rows**2).sum(1, keepdim=True).sqrt() if scale else rows
    alike = -((rows[:, None] - rows)**2).sum(2) if distance else unit @ unit.T
    if far: alike = -alike
    return (alike if own else alike.masked_fill(torch.eye(len(rows), dtype=torch.bool), -math.inf)).argmax(1)


def _rows():
    turned = draw(5, 3)
    return [(draw(6, 4) * torch.tensor([1.0, 5.0, 0.2, 1.0, 9.0, 1.0])[:, None],), (torch.cat([turned, 3 * turned + 0.1]),), (draw(9, 2, seed=4) - 2,), (torch.tensor([[1.0, 0.0], [10.0, 9.0], [0.9, 0.3], [-5.0, 0.1]]),)]


def _straight(x): return 3 * x[:, 0] - x[:, -1]
def _bent(x): return (x**2).sum(1) + x[:, 0] * x[:, 1]


def _broken():
    order = torch.tensor([2, 0, 3, 1, 5, 4])
    x = draw(6, 3)
    return [(_straight, x, _straight(x) + 0.1 * draw(6), order), (_bent, x, _bent(x), order.flip(0)), (_bent, draw(6, 4), draw(6, seed=3), order)]


def _worth(model, x, y, order, absolute=False, keep=False, alone=True, sign=1):
    base, rises, broken = ((model(x) - y)**2).mean(), [], x.clone()
    for column in range(x.shape[1]):
        if not keep: broken = x.clone()
        broken[:, column] = x[order, column] if alone else 0
        rises.append(((model(broken) - y)**2).mean() - (0 if absolute else base))
    return sign * torch.stack(rises)


exercises = {
    "count_table_parameters": Exercise(
        reference=_count, cases=lambda: [([3, 26], 4, [8, 6]), ([1116, 8, 5], 2, [200, 100]), ([], 5, [10]), ([100], 0, []), ([2, 2], 1, [3, 3, 3])],
        hints=[Hint("norms-forgotten", "each BatchNorm behind a hidden layer has a scale and a shift for each of its channels", wrong=lambda *given: _count(*given, norms=0)),
               Hint("norm-of-numbers", "the numbers have a BatchNorm of their own, too", wrong=lambda *given: _count(*given, numbers_norm=0)),
               Hint("no-biases", "each linear layer has a bias for each of its outputs", wrong=lambda *given: _count(*given, biases=0)),
               Hint("a-row-too-many", "`sizes` counts the code 0 already; do not add 1", wrong=lambda *given: _count(*given, extra=1))],
        praise="With a column of many names nearly all of them stand in one embedding."),
    "log_bounds": Exercise(
        reference=_bounds, cases=lambda: [([100.0, 200.0, 400.0], 0.1), ([50.0, 75.0], 0.5), ([3.0, 1.0, 2.0], 0.2), ([10.0, 1000.0, 20.0], 0.0)],
        hints=[Hint("in-prices", "the network answers with logarithms, so that is where its bounds have to lie", wrong=lambda prices, room: _bounds(prices, room, lambda v: v)),
               Hint("room-in-prices", "add the room to the range of the *logarithms*; in prices it may reach below zero, where there is none", wrong=_around_the_prices),
               Hint("top-only", "the lowest target needs room as well", wrong=lambda prices, room: _bounds(prices, room, low_room=0)),
               Hint("base-ten", "natural logarithms are asked for: math.log, not math.log10", wrong=lambda prices, room: _bounds(prices, room, math.log10))],
        praise="With room 0 the two extreme targets would need endless scores."),
    "averaged_prices": Exercise(
        reference=lambda answers: answers.log().mean(0).exp(), cases=lambda: [(draw(5, 4).exp() * 100,), (torch.tensor([[1.0, 10.0], [100.0, 10.0]]),), (draw(1, 3).exp(),), (draw(3, 3).exp(),)],
        hints=[Hint("of-prices", "that averages the prices themselves; average their logarithms, and come back", wrong=lambda answers: answers.mean(0)),
               Hint("still-logarithms", "the average is still a logarithm; exp brings it back to prices", wrong=lambda answers: answers.log().mean(0)),
               Hint("over-rows", "average over the networks, the first dimension", wrong=lambda answers: answers.log().mean(1).exp())],
        praise="Averaging never makes the squared error worse than the members' mean squared error: the square is convex."),
    "nearest_rows": Exercise(
        reference=_nearest, cases=_rows,
        hints=[Hint("itself", "everybody is nearest to themselves; leave the diagonal out", wrong=lambda rows: _nearest(rows, own=True)),
               Hint("not-divided", "a long row has a large product with everybody; divide by the lengths first", wrong=lambda rows: _nearest(rows, scale=False)),
               Hint("distance", "that is the nearest by distance; the angle between rows is asked for", wrong=lambda rows: _nearest(rows, distance=True)),
               Hint("farthest", "the *largest* cosine means the smallest angle", wrong=lambda rows: _nearest(rows, far=True))],
        praise="Try it on the rows of the neighbourhoods: whose houses are whose likes?"),
    "worth_of_columns": Exercise(
        reference=_worth, cases=_broken,
        hints=[Hint("stay-broken", "break one column at a time: begin each round with a fresh copy of x", wrong=lambda *given: _worth(*given, keep=True)),
               Hint("error-itself", "that is the error with the column broken; how much did it *rise*? subtract the error of the whole table", wrong=lambda *given: _worth(*given, absolute=True)),
               Hint("sign", "a rise is positive: broken minus whole", wrong=lambda *given: _worth(*given, sign=-1)),
               Hint("zeroed", "do not put zeros into the column but its own values in another order", wrong=lambda *given: _worth(*given, alone=False))],
        praise="Two columns that say the same cover for each other, and both look worthless: break them together."),
}
