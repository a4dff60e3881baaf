"Hidden cases and hints of the exercises in 01_matmul."
import torch
from lesson_nb.checker import Exercise, Hint


def draw(*shape, seed=0):
    "Random numbers that are the same each time."
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + 7 * len(shape) + sum(shape)))


def outer_product():
    return Exercise(
        reference=lambda a, b: a[:, None] * b,
        cases=lambda: [(draw(4), draw(3)), (draw(5), draw(5, seed=1)), (draw(1), draw(6)), (draw(8)[::2], draw(3)),
                       (torch.tensor([2, 3]), torch.tensor([5, 7, 11]))],
        hints=[Hint("transposed", "that is the outer product of b with a: rows belong to a, so it is a that needs the axis of size 1 at "
                                  "its end",
                    wrong=lambda a, b: b[:, None] * a),
               Hint("elementwise", "`a * b` aligns the two vectors with each other, number by number; give a an axis of size 1 with a[:, "
                                   "None], and they broadcast to a matrix",
                    wrong=lambda a, b: a * b),
               Hint("summed", "that is one number, the dot product; nothing is summed in an outer product",
                    when=lambda got, given, want: got.ndim == 0)],
        praise="(n, 1) times (m,) is (n, m). A sum of such matrices over k is the whole matrix product.")


def _product_shape(a, b):
    if a[-1] != b[max(len(b) - 2, 0)]: return ValueError()
    try: batch = tuple(torch.broadcast_shapes(a[:-2], b[:-2]))
    except RuntimeError: return ValueError()
    return batch + a[-2:-1] + (b[-1:] if len(b) > 1 else ())


def product_shape():
    def inner(a, b): return a[-1] == b[max(len(b) - 2, 0)]
    return Exercise(
        reference=_product_shape,
        cases=lambda: [((64, 784), (784, 10)), ((5, 3), (4, 5)), ((7,), (7,)), ((2, 7), (7,)), ((7,), (7, 3)), ((8, 1, 2, 3), (5, 3, 4)),
                       ((6,), (9, 6, 2)), ((2, 3, 4), (5, 4, 6)), ((3,), (4,)), ((4, 2, 3), (3,))],
        hints=[Hint("unchecked", "it never refuses: the last size of the first must equal the last but one of the second (its only one, "
                                 "if it is a vector), else raise ValueError",
                    when=lambda got, given, want: isinstance(want, ValueError) and isinstance(got, tuple) and not inner(*given)),
               Hint("batch", "batch axes are missing: all but the last two of each broadcast, and stand in front of (rows, columns)",
                    when=lambda got, given, want: isinstance(want, tuple) and got == want[-2:] and len(want) > 2),
               Hint("vectors", "a vector counts as one row on the left or one column on the right, but that axis of size 1 does not "
                               "appear in the answer",
                    when=lambda got, given, want: min(map(len, given)) == 1 and isinstance(got, tuple) and len(got) > len(want))],
        praise="Predicting shapes before running is the habit that saves most hours in deep learning.")


def batched_matmul():
    return Exercise(
        reference=lambda a, b: torch.matmul(a, b),
        cases=lambda: [(draw(2, 3, 4), draw(2, 4, 5)), (draw(3, 3, 3), draw(3, 3, 3, seed=1)), (draw(1, 2, 6), draw(1, 6, 2)),
                       (draw(4, 1, 5), draw(4, 5, 1)), (draw(2, 4, 3).mT, draw(2, 4, 5))],
        hints=[Hint("all-pairs", "the answer has an axis too many: each matrix meets every other. Put the axes of size 1 inside the "
                                 "batch axis, after it, not before",
                    when=lambda got, given, want: got.ndim == 4),
               Hint("wrong-axis", "you summed over the wrong axis of the box (batch, n, k, m); k is at position 2",
                    when=lambda got, given, want: got.shape != want.shape and got.ndim == 3),
               Hint("mixed-up", "the batch axes are summed: the answer lost one. Only k disappears",
                    when=lambda got, given, want: got.ndim == 2)],
        praise="That box is what `torch.bmm` computes without ever storing it.", rtol=1e-4, atol=1e-5)


def pairwise_distances():
    def differences(a, b): return a[:, None] - b
    return Exercise(
        reference=lambda a, b: (differences(a, b)**2).sum(2).sqrt(),
        cases=lambda: [(draw(4, 3), draw(5, 3)), (draw(1, 7), draw(6, 7)), (draw(3, 3), draw(3, 3, seed=1)),
                       (draw(2, 1), draw(2, 1, seed=1)), (draw(8, 5)[::2], draw(5, 3).T)],
        hints=[Hint("squared", "those are squared distances; the root is missing", wrong=lambda a, b: (differences(a, b)**2).sum(2)),
               Hint("transposed", "entry (i, j) must belong to row i of a and row j of b; yours is the other way round",
                    wrong=lambda a, b: (differences(b, a)**2).sum(2).sqrt()),
               Hint("taxicab", "you added up absolute differences: that is the way round the blocks; the straight line needs squares and "
                               "a root",
                    wrong=lambda a, b: differences(a, b).abs().sum(2)),
               Hint("paired", "`a - b` pairs row i with row i only; a[:, None] lets every row of a meet every row of b",
                    wrong=lambda a, b: ((a - b)**2).sum(1).sqrt())],
        praise="The box of differences has n·m·k numbers; with |x|² - 2x·m + |m|², as in the lesson, it takes a matrix product and no box.",
        rtol=1e-4, atol=1e-5)


def _normalize(x, axis=0, correction=0):
    centred = x - x.mean(axis, keepdim=True)
    deviation = ((centred**2).sum(axis, keepdim=True) / max(1, x.shape[axis] - correction)).sqrt()
    return centred / torch.where(deviation > 0, deviation, 1.0)


def normalize_columns():
    def with_constant(x, column):
        x = x.clone()
        x[:, column] = 0.5
        return x
    return Exercise(
        reference=_normalize,
        cases=lambda: [(3 * draw(6, 4) + 2,), (with_constant(draw(8, 3), 1),), (draw(5, 5),), (draw(4, 6).T,),
                       (with_constant(10 * draw(4, 4), 0),)],
        hints=[Hint("rows", "you normalized each row; a mean over axis 0 gives one number a column", wrong=lambda x: _normalize(x, axis=1)),
               Hint("not-a-number", "0 / 0 is NaN: where a column is constant its deviation is 0; divide by 1 there (torch.where)",
                    when=lambda got, given, want: got.isnan().any()),
               Hint("sample", "you divided the squares by rows - 1; the task asks for their mean",
                    wrong=lambda x: _normalize(x, correction=1)),
               Hint("together", "one mean and one deviation for all columns together; here each column has its own",
                    wrong=lambda x: (x - x.mean()) / ((x - x.mean())**2).mean().sqrt()),
               Hint("only-centred", "the means are right, the scale is not: divide by the standard deviation too",
                    wrong=lambda x: x - x.mean(0))],
        praise="(rows, columns) minus (columns,) needs no `None`: the missing axis is put in front. For rows you would need [:, None].",
        rtol=1e-4, atol=1e-5)


def _mean_squared_error(predictions, targets):
    if predictions.numel() != targets.numel(): return ValueError()
    return ((predictions.flatten() - targets.flatten())**2).mean()


def mean_squared_error():
    return Exercise(
        reference=_mean_squared_error,
        cases=lambda: [(draw(5, 1), draw(5)), (draw(4), draw(4, seed=1)), (draw(1), draw(6)), (draw(3), draw(3, 1)),
                       (draw(2, 1), draw(2, 1, seed=1)), (draw(4), draw(7)), (draw(1, 1), draw(8))],
        hints=[Hint("broadcast", "(n, 1) minus (n,) is (n, n): every prediction meets every target. Bring both to one shape before "
                                 "subtracting",
                    when=lambda got, given, want: isinstance(want, torch.Tensor) and given[0].ndim != given[1].ndim
                    and torch.allclose(got, ((given[0] - given[1])**2).mean())),
               Hint("no-refusal", "when the counts differ it must raise ValueError: one prediction against many targets broadcasts "
                                  "without a word",
                    when=lambda got, given, want: isinstance(want, ValueError) and not isinstance(got, ValueError)),
               Hint("too-strict", "it refuses (n, 1) with (n,), though the counts agree; compare numel(), not the shapes",
                    when=lambda got, given, want: isinstance(got, ValueError) and isinstance(want, torch.Tensor)),
               Hint("summed", "that is the sum of squares, not their mean",
                    when=lambda got, given, want: len(given[0]) > 1
                         and torch.allclose(got, want * len(given[0])))],
        praise="PyTorch's own loss only warns here. Yours refuses.")


def trace_of_product():
    return Exercise(
        reference=lambda a, b: (a * b.T).sum(),
        cases=lambda: [(draw(3, 4), draw(4, 3)), (draw(5, 5), draw(5, 5, seed=1)), (draw(1, 6), draw(6, 1)),
                       (draw(4, 2).T, draw(2, 4).T), (torch.tensor([[1, 2], [3, 4]]), torch.tensor([[5, 6], [7, 8]]))],
        hints=[Hint("untransposed", "entry (i, i) of the product pairs a[i, k] with b[k, i]: one of the two has to be transposed before "
                                    "you multiply",
                    wrong=lambda a, b: (a * b).sum()),
               Hint("diagonals", "row i of a meets the whole column i of b, not only the diagonal entries of both",
                    wrong=lambda a, b: (a.diagonal() * b.diagonal()).sum()),
               Hint("separate", "the trace of a product is not the product of the traces",
                    wrong=lambda a, b: a.diagonal().sum() * b.diagonal().sum())],
        praise="n·k multiplications instead of n·n·k: knowing which entries are wanted beats any fast product.",
        rtol=1e-4, atol=1e-5)


exercises = {make.__name__: make() for make in (outer_product, product_shape, batched_matmul, pairwise_distances, normalize_columns,
                                                mean_squared_error, trace_of_product)}
