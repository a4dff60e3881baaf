"Hidden cases and hints for the exercises of lesson 20."
import math
import torch
from lesson_nb.checker import Exercise, Hint


def draw(*shape, seed=0):
    "Random numbers that are the same each time."
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def _batches(): return [([2.0, 1.0], [10, 30]), ([1.5], [7]), ([4.04, 3.0, 2.4, 1.9], [512, 512, 512, 64]), ([0.0, 3.0], [5, 1])]


def _mean(losses, counts): return sum(loss * count for loss, count in zip(losses, counts)) / sum(counts)


def _texts(): return [(torch.arange(10), 3), (draw(17).argsort(), 1), (torch.arange(5) * 7, 4), (draw(30).argsort(), 8)]


def _windows(numbers, length, stride=1): return numbers.unfold(0, length + 1, stride)


def _places():
    return [(0, 13, 3), (4, 13, 3), (11, 13, 3), (12, 13, 3), (7, 21, 4), (15, 18, 5), (14, 18, 5), (16, 18, 5), (99, 1000, 64), (960, 1000, 64), (5, 7, 2), (3, 9, 2), (7, 20, 4), (19, 20, 5)]


def _place(place, size, columns, last=1, swapped=False, across=False, endless=False):
    steps = (size - last) // columns
    column, step = divmod(place, steps)
    if across: step, column = divmod(place, columns)
    if not endless and (step >= steps or column >= columns): return None
    return (column, step) if swapped else (step, column)


def _layers(): return [(draw(6, 4), draw(3, 4, seed=1)), (draw(57, 5), draw(5, 5)), (draw(4, 4), draw(4, 4, seed=2)), (draw(1, 2), draw(7, 2))]


def _strings():
    return [("abcabcabd", "abdabcab", 2), ("the cat sat on the mat", "the hat sat on the cat mat", 3), ("aaab", "aaaaab", 1), ("abcde", "eabcd", 2), ("to be or not to be", "or not to be, or", 4)]


def _unseen(train, valid, length, distinct=False, seen=False, behind=0, starts=0):
    known = {train[i:i + length] for i in range(len(train) - length + 1)}
    met = [valid[i - length:i + behind] for i in range(length, len(valid) + starts)]
    if distinct: met = set(met)
    if behind: known = {train[i:i + length + 1] for i in range(len(train) - length)}
    return sum((context in known) == seen for context in met) / len(met)


exercises = {
    "perplexity": Exercise(
        reference=lambda losses, counts: math.exp(_mean(losses, counts)), cases=_batches,
        hints=[Hint("unweighted", "a batch of 64 characters counts as much as one of 512: weigh each loss by its count", wrong=lambda losses, counts: math.exp(sum(losses) / len(losses))),
               Hint("mean-of-powers", "first the mean of the losses, then e to its power; you have taken the powers first",
                    wrong=lambda losses, counts: _mean([math.exp(loss) for loss in losses], counts)),
               Hint("base-two", "the losses are in nats, so the base is e and not 2", wrong=lambda losses, counts: 2**_mean(losses, counts)),
               Hint("no-power", "that is the mean loss itself; the perplexity is e to its power", wrong=_mean)],
        praise="57 for one who knows nothing of this book, and about 20 for one who has counted its letters."),
    "pieces_of": Exercise(
        reference=lambda numbers, length: (_windows(numbers, length)[:, :-1], _windows(numbers, length)[:, -1]), cases=_texts,
        hints=[Hint("one-too-many", "the last piece has no character behind it; leave it out", when=lambda answer, arguments, expected: len(answer[0]) == len(expected[0]) + 1),
               Hint("not-overlapping", "every piece: the next one begins a single character later", wrong=lambda numbers, length: (_windows(numbers, length, length)[:, :-1], _windows(numbers, length, length)[:, -1])),
               Hint("last-of-the-piece", "the target is the character *behind* the piece, not its last one",
                    wrong=lambda numbers, length: (_windows(numbers, length)[:, :-1], _windows(numbers, length)[:, -2])),
               Hint("target-inside", "the character behind is in the piece as well: then there is nothing to be guessed", wrong=lambda numbers, length: (_windows(numbers, length), _windows(numbers, length)[:, -1]))],
        praise="That is every prediction there is to learn from. It costs `length` times the reading of pieces that do not overlap."),
    "place_in_columns": Exercise(
        reference=_place, cases=_places,
        hints=[Hint("swapped", "time step first, then the column", wrong=lambda place, size, columns: _place(place, size, columns, swapped=True)),
               Hint("across", "a column is a stretch of text, so the next character is in the next *step* of the same column", wrong=lambda place, size, columns: _place(place, size, columns, across=True)),
               Hint("last-character", "the last character of the text is never an input, as nothing is behind it: (size - 1) // columns steps", wrong=lambda place, size, columns: _place(place, size, columns, last=0)),
               Hint("no-such-column", "a column that does not exist: what is left over at the end is not read at all, and the answer is None", wrong=lambda place, size, columns: _place(place, size, columns, endless=True))],
        praise="Two neighbours in the text are in one column but for the borders: there, for each column, one pair is parted."),
    "one_table": Exercise(
        reference=lambda embedding, weight: embedding @ weight.T, cases=_layers,
        hints=[Hint("not-transposed", "a linear layer multiplies by the weight *transposed*", wrong=lambda embedding, weight: embedding @ weight),
               Hint("turned", "one row for each character: (classes, outputs)", wrong=lambda embedding, weight: weight @ embedding.T),
               Hint("element-by-element", "not entry by entry: the vector of a character is multiplied by the matrix", wrong=lambda embedding, weight: embedding * weight)],
        praise="For a recurrent layer with few possible inputs this saves the input's matrix product altogether."),
    "share_unseen": Exercise(
        reference=_unseen, cases=_strings,
        hints=[Hint("distinct", "count places, and not different contexts: one that comes often counts as often", wrong=lambda train, valid, length: _unseen(train, valid, length, distinct=True)),
               Hint("seen", "that is the share that *was* seen", wrong=lambda train, valid, length: _unseen(train, valid, length, seen=True)),
               Hint("with-the-answer", "the context alone: the character behind it does not belong to it", wrong=lambda train, valid, length: _unseen(train, valid, length, behind=1)),
               Hint("end-counted", "behind the last character of valid there is no place that a prediction is made for", wrong=lambda train, valid, length: _unseen(train, valid, length, starts=1))],
        praise="Where a table has never been, it falls back on less; a network has an answer for any context, for better or worse."),
}
