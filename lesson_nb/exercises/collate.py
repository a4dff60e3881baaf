"Hidden cases and hints for the exercises of lesson 07a."
import torch
from lesson_nb.checker import Exercise, Hint


def _front(sequences, value, place=lambda row, s: row[len(row) - len(s):]):
    batch = sequences[0].new_full((len(sequences), max(len(s) for s in sequences)), value)
    for row, s in zip(batch, sequences): place(row, s).copy_(s)
    return batch


def _sequences():
    return [([torch.tensor([1, 2]), torch.tensor([3, 4, 5]), torch.tensor([6])], 0), ([torch.tensor([0.5]), torch.tensor([1.5, 2.5])], -1.0),
            ([torch.tensor([7, 8]), torch.tensor([], dtype=torch.int64)], 9), ([torch.tensor([True, False, True]), torch.tensor([True])], False), ([torch.tensor([2])], 3)]


def _mask(lengths): return torch.arange(int(lengths.max()))[None] < lengths[:, None]
def _lengths(): return [(torch.tensor([2, 5, 1]),), (torch.tensor([3, 3]),), (torch.tensor([0, 2]),), (torch.tensor([4]),), (torch.tensor([1, 0, 6, 2]),)]
def _uncollate(batch): return list(zip(*batch))


def _batches():
    return [((torch.arange(6.0).reshape(3, 2), ["a", "b", "c"]),), ((torch.tensor([4, 5]),),), ((["z"], torch.ones(1, 2, 2)),), (([1, 2], [3, 4], [5, 6]),)]


def _keeps_dimension(answer, arguments, expected):
    return any(isinstance(a, torch.Tensor) and a.ndim == e.ndim + 1 for x, y in zip(answer, expected) for a, e in zip(x, y))


exercises = {
    "pad_in_front": Exercise(
        reference=_front, cases=_sequences,
        hints=[Hint("behind", "the filler stands behind; it belongs in front", wrong=lambda s, v: _front(s, v, lambda row, x: row[:len(x)])),
               Hint("always-zero", "the filler is 0 in your answer; it is `value`", wrong=lambda s, v: _front(s, 0)),
               Hint("empty-fills-all", "an empty sequence fails: `row[-0:]` is the whole row; count from the front instead",
                    when=lambda a, c, e: any(len(s) == 0 for s in c[0]) and isinstance(a, BaseException)),
               Hint("turned", "each sequence stands the wrong way round", wrong=lambda s, v: _front([x.flip(0) for x in s], v))],
        praise="With the filler in front the last sign of every text stands in the last column: good for readers that go from left to right and answer at the end."),
    "mask_of": Exercise(
        reference=_mask, cases=_lengths,
        hints=[Hint("one-too-many", "one place too many: the places are counted from 0, so the last real one is length - 1", wrong=lambda n: torch.arange(int(n.max()))[None] <= n[:, None]),
               Hint("filler-marked", "True stands at the filler; turn it round", wrong=lambda n: ~_mask(n)),
               Hint("numbers", "the values are right as numbers; booleans are wanted", wrong=lambda n: _mask(n).long()),
               Hint("lying", "your answer has the places down and the texts along; transpose it", wrong=lambda n: _mask(n).T.contiguous())],
        praise="A comparison of a row with a column: broadcasting again."),
    "uncollate": Exercise(
        reference=_uncollate, cases=_batches,
        hints=[Hint("only-first", "that is the first example alone", wrong=lambda b: [tuple(part[0] for part in b)]),
               Hint("not-turned", "these are the parts of the batch as they were; the first example has the first entry of each", wrong=list),
               Hint("kept-the-batch-dimension", "each part still has a batch dimension of 1: index with [i], not [i:i + 1]", when=_keeps_dimension)],
        praise="Predictions made in batches are given back to their examples in just this way."),
}
