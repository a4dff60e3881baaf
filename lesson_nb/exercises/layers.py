"Hidden cases and hints for the exercises of lesson 05b."
import torch
from lesson_nb.checker import Exercise, Hint


def draw(*shape, seed=0):
    "Random numbers that are the same each time."
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def _gradient(flow, indices, rows, padding_idx, by_frequency, frequency=lambda g, n: g / n.clamp(min=1)[:, None]):
    named = (indices[:, None] == torch.arange(rows)).to(flow.dtype)
    gradient = named.T @ flow
    if by_frequency: gradient = frequency(gradient, named.sum(0))
    if padding_idx is not None: gradient[padding_idx] = 0
    return gradient


def _last_wins(flow, indices, rows, padding_idx, by_frequency):
    gradient = torch.zeros(rows, flow.shape[1])
    for i, f in zip(indices.tolist(), flow): gradient[i] = f
    if by_frequency: gradient = gradient / (indices[:, None] == torch.arange(rows)).sum(0).clamp(min=1)[:, None]
    if padding_idx is not None: gradient[padding_idx] = 0
    return gradient


def _tables():
    return [(draw(4, 3), torch.tensor([1, 0, 1, 1]), 3, None, False), (draw(5, 2), torch.tensor([0, 3, 3, 0, 2]), 5, 0, False), (draw(6, 2), torch.tensor([2, 2, 2, 1, 0, 1]), 4, None, True),
            (draw(4, 1), torch.tensor([1, 1, 2, 0]), 3, 1, True), (draw(1, 4), torch.tensor([5]), 6, 2, True)]


def _texts(): return [(draw(5, 3), torch.tensor([[1, 2, 0], [3, 0, 0]]), 0), (draw(4, 2), torch.tensor([[3, 3, 1], [0, 2, 1], [3, 3, 3]]), 3), (draw(6, 4), torch.tensor([[5, 5, 1, 2]]), 0),
                      (draw(3, 1), torch.tensor([[2], [0]]), 2)]


def _mean(table, indices, padding_idx, count=lambda there: there.sum(1).clamp(min=1), counts=lambda indices, padding_idx: indices != padding_idx):
    there = counts(indices, padding_idx)[:, :, None].to(table.dtype)
    return (table[indices] * there).sum(1) / count(there)


def _points(): return [(torch.tensor([-1000.0, -3.0, 0.0, 0.5, 1000.0]),), (draw(3, 4) * 3,), (torch.tensor([88.0, -88.0, 104.0, -104.0]),), (torch.tensor(1.0),)]


def _slope(x, s=torch.sigmoid): return s(x) + x * s(x) * (1 - s(x))


def _naive(x): return (1 + (-x).exp() + x * (-x).exp()) / (1 + (-x).exp()) ** 2


def _long(): return [(torch.tensor([[3.0, 4.0], [0.3, 0.4], [30.0, 40.0]]), torch.tensor([0, 1, 0]), 1.0), (draw(6, 3) * 2, torch.tensor([5, 2, 2, 0]), 1.5), (draw(4, 5), torch.tensor([1, 3]), 0.5),
                     (draw(3, 2) / 10, torch.tensor([0, 1, 2]), 1.0), (torch.tensor([[0.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 1]), 1.0)]


def _shortened(table, used, max_norm, lengths=lambda table: (table**2).sum(1).sqrt(), named=True, only_long=True):
    is_used = (torch.arange(len(table))[:, None] == used).any(1) if named else torch.ones(len(table), dtype=torch.bool)
    length = lengths(table)
    return table * torch.where(is_used & ((length > max_norm) | (not only_long)), max_norm / length, 1.0)[:, None]


exercises = {
    "steady_bound": Exercise(
        reference=lambda inputs: (3 / inputs) ** 0.5, cases=lambda: [(784,), (50,), (1,), (3,), (10,)],
        hints=[Hint("pytorchs", "that is PyTorch's start, which fades: each layer divides the spread by the root of 3", wrong=lambda n: (1 / n) ** 0.5),
               Hint("squared", "that is the *square* of the bound, or close to it: spread is a root", wrong=lambda n: 3 / n),
               Hint("wrong-way", "the spread of numbers between -b and b is b divided by the root of 3; so b has to be larger, not smaller, than the spread wanted",
                    wrong=lambda n: (1 / (3 * n)) ** 0.5),
               Hint("width", "12 belongs to the width of the whole interval, which is 2b", wrong=lambda n: (12 / n) ** 0.5)],
        praise="With a ReLU behind each layer half of the squares are lost, and a further factor of the root of 2 is needed: lesson 12."),
    "table_gradient": Exercise(
        reference=_gradient, cases=_tables,
        hints=[Hint("last-wins", "where a row is named twice only the last flow is kept; the flows have to be added up", wrong=_last_wins),
               Hint("padding-trained", "the padding row gets a gradient too; it must get none", wrong=lambda f, i, r, p, b: _gradient(f, i, r, None, b)),
               Hint("frequency-ignored", "with `by_frequency` each row's gradient is divided by how often it was named", wrong=lambda f, i, r, p, b: _gradient(f, i, r, p, False)),
               Hint("frequency-of-the-batch", "divide by how often *that row* was named, not by the number of all indices",
                    wrong=lambda f, i, r, p, b: _gradient(f, i, r, p, b, frequency=lambda g, n: g / len(i))),
               Hint("not-a-number", "a row that nobody named is divided by zero; its gradient is zero, not NaN",
                    wrong=lambda f, i, r, p, b: _gradient(f, i, r, p, b, frequency=lambda g, n: g / n[:, None]))],
        praise="As a product with a one-hot matrix it is plain to see; in the module `index_add` does it without that matrix."),
    "mean_of_words": Exercise(
        reference=_mean, cases=_texts,
        hints=[Hint("filler-in-the-count", "you divide by the length with its filler; only the words count", wrong=lambda t, i, p: _mean(t, i, p, count=lambda there: there.shape[1])),
               Hint("filler-in-the-mean", "the filler's row is in your mean", wrong=lambda t, i, p: t[i].mean(1)),
               Hint("not-a-number", "a text of filler alone divides zero by zero; it gets zeros", wrong=lambda t, i, p: _mean(t, i, p, count=lambda there: there.sum(1))),
               Hint("always-zero", "the filler is not always index 0; ask for `padding_idx`", wrong=lambda t, i, p: _mean(t, i, p, counts=lambda i, p: i != 0))],
        praise="PyTorch calls this layer EmbeddingBag. As a first try at classifying texts it is hard to beat for its price."),
    "silu_slope": Exercise(
        reference=_slope, cases=_points,
        hints=[Hint("sigmoid-only", "that is the sigmoid alone; x changes too, so the product rule gives a second term", wrong=lambda x: torch.sigmoid(x)),
               Hint("second-term-only", "the second term alone: the product rule has another, in which the sigmoid stays as it is",
                    wrong=lambda x: x * torch.sigmoid(x) * (1 - torch.sigmoid(x))),
               Hint("slope-of-the-sigmoid", "that is the slope of the sigmoid; here it is multiplied by x, which has a slope too", wrong=lambda x: torch.sigmoid(x) * (1 - torch.sigmoid(x))),
               Hint("not-a-number", "right where x is small, but at -1000 infinity meets infinity; build it from the sigmoid's value", wrong=_naive)],
        praise="It dips below 0 and rises above 1, and for large x it is 1: what is surely let through passes its gradient on whole.", rtol=1e-4),
    "shortened": Exercise(
        reference=_shortened, cases=_long,
        hints=[Hint("everybody", "rows that nobody named are shortened as well", wrong=lambda t, u, m: _shortened(t, u, m, named=False)),
               Hint("stretched", "rows that are shorter than `max_norm` have been stretched to it; they stay as they are", wrong=lambda t, u, m: _shortened(t, u, m, only_long=False)),
               Hint("each-number", "you bounded each number by itself; the length of the *row* counts, and its direction must stay",
                    wrong=lambda t, u, m: torch.where((torch.arange(len(t))[:, None] == u).any(1)[:, None], t.clamp(-m, m), t)),
               Hint("sum-of-sizes", "that is the sum of the sizes; the length is the root of the sum of squares", wrong=lambda t, u, m: _shortened(t, u, m, lengths=lambda t: t.abs().sum(1)))],
        praise="PyTorch divides by the length plus a ten-millionth, so that a row of zeros divides by something."),
}
