"Hidden cases and hints of the exercises in 03_autograd."
import torch
from lesson_nb.checker import Exercise, Hint


def draw(*shape, seed=0):
    "Random numbers that are the same each time."
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + 7 * len(shape) + sum(shape)))


def three_gradients():
    return Exercise(
        reference=lambda a, b, c: (b * c, (a + 1) * c + 2 * b, a * b + b),
        cases=lambda: [(2.0, 3.0, 5.0), (0.5, -1.0, 2.0), (-1.0, 4.0, 0.25), (0.0, 0.0, 1.0)],
        hints=[Hint("square", "the b² is missing in the gradient of b: it adds 2b", wrong=lambda a, b, c: (b * c, (a + 1) * c, a * b + b)),
               Hint("once", "b stands in f twice, in a·b and by itself; the gradients of both add up", wrong=lambda a, b, c: (b * c, a * c + 2 * b, a * b + b)),
               Hint("overwritten", "only the last use of b has counted; that is the fault of the first engine", wrong=lambda a, b, c: (b * c, 2 * b, a * b + b)),
               Hint("values", "those are values, not gradients: how much does g grow for each unit of a?", wrong=lambda a, b, c: (a, b, c))],
        praise="Whatever is used in three places has a gradient with three terms.")


def ladder(n): return {0: [], **{i: [i - 1, i - 1] for i in range(1, n)}}


def _ways(parents, root):
    ways, stack = {}, [root]
    while stack:
        node = stack[-1]
        waiting = [p for p in parents[node] if p not in ways]
        if waiting: stack += waiting
        else: ways[stack.pop()] = sum(ways[p] for p in parents[node]) if parents[node] else 1
    return ways[root]


def count_ways():
    diamond = {"x": [], "y": [], "s": ["x", "y"], "p": ["s", "x"], "q": ["s", "p"], "unused": ["q", "q"]}
    def leaves(parents, root): return len({n for n in _reached(parents, root) if not parents[n]})
    def _reached(parents, root):
        seen, stack = set(), [root]
        while stack:
            if (node := stack.pop()) not in seen: seen.add(node); stack += parents[node]
        return seen
    def links(parents, root): return sum(len(parents[n]) for n in _reached(parents, root))
    def single(parents, root): return _ways({n: list(dict.fromkeys(p)) for n, p in parents.items()}, root)
    return Exercise(
        reference=_ways,
        cases=lambda: [({"x": []}, "x"), (diamond, "q"), (diamond, "p"), ({0: [], 1: [0, 0, 0]}, 1), (ladder(101), 100), ({0: [], **{i: [i - 1] for i in range(1, 20_000)}}, 19_999)],
        hints=[Hint("recursion", "a chain of 20,000 nodes is too deep for recursion; keep a stack of your own, as topological_order does", when=lambda answer, arguments, expected: isinstance(answer, RecursionError)),
               Hint("leaves", "those are the leaves, each once; a leaf counts once for every way that leads to it", wrong=leaves),
               Hint("links", "those are the links; where ways part, the numbers of ways add up, and further on they add up again", wrong=links),
               Hint("double-links", "a node that is named twice is two links, so two ways: x * x reaches x twice", wrong=single),
               Hint("root", "a root that is a leaf has one way to a leaf, the one without any step", when=lambda answer, arguments, expected: not arguments[0][arguments[1]] and answer == 0)],
        praise="The same walk with slopes on the links, multiplied along and added where ways meet, *is* backpropagation.")


def cumsum_pull():
    return Exercise(
        reference=lambda flow: flow.flip(0).cumsum(0).flip(0),
        cases=lambda: [(draw(5),), (draw(4, 3),), (draw(1, 2),), (draw(3, 3, seed=1),), (draw(2, 6).T,)],
        hints=[Hint("forward", "that is the running sum of the flow; but x_i takes part in the outputs from i on, not up to i", wrong=lambda flow: flow.cumsum(0)),
               Hint("total", "x_i does not take part in the outputs before i; only x_0 gets the sum of all", wrong=lambda flow: flow.sum(0, keepdim=True).expand_as(flow)),
               Hint("unflipped", "the sums are right but stand in reverse order; turn them round again at the end", wrong=lambda flow: flow.flip(0).cumsum(0)),
               Hint("excluded", "x_i takes part in output i as well; the sum starts at i, not after it", wrong=lambda flow: flow.flip(0).cumsum(0).flip(0) - flow)],
        praise="A running sum is a product with a triangle of ones; its pull is the product with the transposed triangle.")


def table_pull():
    def right(flow, indices, rows): return torch.zeros(rows, flow.shape[1]).index_add(0, indices, flow)
    def last(flow, indices, rows):
        out = torch.zeros(rows, flow.shape[1])
        for i, f in zip(indices.tolist(), flow): out[i] = f
        return out
    def counts(indices, rows): return (indices[:, None] == torch.arange(rows)).sum(0).clamp(min=1)[:, None]
    return Exercise(
        reference=right,
        cases=lambda: [(draw(5, 3), torch.tensor([1, 0, 1, 3, 1]), 4), (draw(4, 2), torch.tensor([2, 2, 2, 2]), 3), (draw(3, 3), torch.tensor([0, 1, 2]), 3), (draw(1, 4), torch.tensor([5]), 7), (draw(0, 2), torch.zeros(0, dtype=torch.int64), 2)],
        hints=[Hint("overwritten", "a row that is picked more than once keeps only the last of its flows; they have to add up, for instance with index_add", wrong=last),
               Hint("mean", "the flows of a row add up; you took their mean", wrong=lambda flow, indices, rows: right(flow, indices, rows) / counts(indices, rows)),
               Hint("picked", "the answer has a row for each pick; the gradient belongs to the table, so it has a row for each of the table's", when=lambda answer, arguments, expected: answer.shape == arguments[0].shape != expected.shape)],
        praise="This is the whole backward pass of an embedding, and why rows that nobody picks do not learn.")


def round_through():
    def rounded(x, step): return (x / step).round() * step
    def right(x, flow, step, limit): return rounded(x, step), torch.where(x.abs() <= limit, flow, 0)
    return Exercise(
        reference=right,
        cases=lambda: [(draw(4, 3), draw(4, 3, seed=1), 0.5, 1.0), (torch.tensor([-2.0, -1.0, 0.3, 1.0, 1.5]), draw(5), 0.25, 1.0), (draw(6), draw(6, seed=2), 0.1, 0.5), (draw(2, 5).T, draw(5, 2), 1.0, 1.0)],
        hints=[Hint("honest", "the gradient is 0 everywhere: that is autograd's own for round; apply the Function whose backward passes the flow on", wrong=lambda x, flow, step, limit: (rounded(x, step), torch.zeros_like(x))),
               Hint("no-limit", "where |x| is above the limit the flow has to stop", wrong=lambda x, flow, step, limit: (rounded(x, step), flow)),
               Hint("clipped-flow", "you limited the flow; it is x that decides, by |x| <= limit, whether the flow passes", wrong=lambda x, flow, step, limit: (rounded(x, step), flow.clamp(-limit, limit))),
               Hint("edge", "right but where |x| equals the limit: there the flow passes", wrong=lambda x, flow, step, limit: (rounded(x, step), torch.where(x.abs() < limit, flow, 0))),
               Hint("whole-numbers", "round to multiples of step: divide, round, multiply back", wrong=lambda x, flow, step, limit: (x.round(), right(x, flow, step, limit)[1]))],
        praise="Networks of eight and four bits are trained like this: rounded forward, decimal behind.")


exercises = {make.__name__: make() for make in (three_gradients, count_ways, cumsum_pull, table_pull, round_through)}
