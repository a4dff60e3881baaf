"Hidden cases and hints for the exercises of lesson 09b."
import torch
from lesson_nb.checker import Exercise, Hint


def _curves():
    generator = torch.Generator().manual_seed(0)
    return [(torch.full((5,), 2.0), 30), (torch.rand(40, generator=generator), 8), (torch.tensor([1.0, 0.0, 0.0, 4.0]), 2), (torch.tensor([3.0]), 5), (torch.rand(6, generator=generator), 1), (torch.rand(20, generator=generator)[::2], 4)]


def _moving(values, width, corrected=True, newest=True):
    total, weight, means = 0.0, 0.0, []
    keep = 1 - 1 / width if newest else 1 / width
    for value in values:
        total, weight = total * keep + value, weight * keep + 1
        means.append(total / weight if corrected else total * (1 - keep))
    return torch.stack(means)


def _window(values, width): return torch.stack([values[max(0, i + 1 - width):i + 1].mean() for i in range(len(values))])


def _marked(content, check=None): return content + b"DONE" + bytes([sum(content) % 256 if check is None else check])
def _files(): return [(_marked(b"weights"),), (_marked(b"weights")[:-3],), (_marked(b"weights", 7),), (_marked(b""),), (b"",), (_marked(bytes(range(256)) * 3),), (b"DONE" + bytes(3),), (_marked(b"wDONE")[:-1],), (_marked(b"\xff" * 9)[1:],)]


def _state(data, modulo=True, counts_mark=False):
    if data[-5:-1] != b"DONE": return "cut short"
    total = sum(data[:-1] if counts_mark else data[:-5])
    return "whole" if (total % 256 if modulo else total) == data[-1] else "changed"


def _anywhere(data):
    if b"DONE" not in data: return "cut short"
    return "whole" if data[-5:-1] == b"DONE" and sum(data[:-5]) % 256 == data[-1] else "changed"


def _guesses():
    generator = torch.Generator().manual_seed(1)
    return [(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 2]), 3), (torch.randint(4, (50,), generator=generator), torch.randint(4, (50,), generator=generator), 4),
            (torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), 2), (torch.tensor([0]), torch.tensor([2]), 5), (torch.randint(3, (9, 2), generator=generator)[:, 0], torch.randint(3, (9,), generator=generator), 3)]


def _confusion(guesses, labels, classes): return torch.bincount(labels * classes + guesses, minlength=classes**2).reshape(classes, classes)


def _just_set(guesses, labels, classes):
    table = torch.zeros(classes, classes, dtype=torch.int64)
    table[labels, guesses] = 1
    return table


def _overwritten(guesses, labels, classes): return torch.bincount(labels * classes + guesses).reshape(-1, classes)


def _scores():
    generator = torch.Generator().manual_seed(2)
    return [(torch.tensor([[9.0, 0.0, 1.0]]), torch.tensor([[0.0, 6.0, 5.0]])), (torch.tensor([[30.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.0, 40.0], [3.0, 0.0]])),
            (8 * torch.randn(40, 5, generator=generator), 2 * torch.randn(40, 5, generator=generator)), (torch.zeros(0, 3), torch.zeros(0, 3)), (3 * torch.randn(20, 4, generator=generator), 20 * torch.randn(20, 4, generator=generator))]


exercises = {
    "moving_average": Exercise(
        reference=_moving, cases=_curves, rtol=1e-4,
        hints=[Hint("from-zero", "it starts at zero; divide by the sum of the weights so far", wrong=lambda v, w: _moving(v, w, corrected=False)),
               Hint("window", "that is the plain mean of the last `width` values; here older ones fade, and none is dropped", wrong=_window),
               Hint("forgets-wrongly", "the old ones are multiplied by 1 - 1/width, not by 1/width", wrong=lambda v, w: _moving(v, w, newest=False)),
               Hint("last-only", "return the average at each place, not only at the last", when=lambda answer, arguments, expected: isinstance(answer, torch.Tensor) and answer.ndim == 0)],
        praise="Adam divides its two moving averages by the same sums, which are 1 - beta**t times a constant."),
    "state_of_file": Exercise(
        reference=_state, cases=_files,
        hints=[Hint("no-modulo", "the sum is taken modulo 256: it has to fit into one byte", wrong=lambda data: _state(data, modulo=False)),
               Hint("counts-the-mark", "the sum is over the content alone, without `DONE`", wrong=lambda data: _state(data, counts_mark=True)),
               Hint("mark-anywhere", "`DONE` has to stand at its place, right before the last byte; the content may contain it by chance", wrong=_anywhere)],
        praise="First *is it complete*, then *is it right*: a file without its end has no checksum to compare."),
    "confusion": Exercise(
        reference=_confusion, cases=_guesses,
        hints=[Hint("transposed", "rows are the true classes, columns the guesses", wrong=lambda g, y, c: _confusion(g, y, c).T.contiguous()),
               Hint("ones-only", "count how often a pair comes; yours says only whether", wrong=_just_set),
               Hint("too-small", "the table has `classes` rows even if some class never comes: see `minlength`", wrong=_overwritten),
               Hint("floats", "counts are whole numbers", wrong=lambda g, y, c: _confusion(g, y, c).float())],
        praise="Sums of rows are how often a class came, sums of columns how often it was guessed, the diagonal is what was right."),
    "together_they_say": Exercise(
        reference=lambda a, b: (a.softmax(1) + b.softmax(1)).argmax(1), cases=_scores,
        hints=[Hint("mean-score", "one model shouts louder than the other; make probabilities of the scores first", wrong=lambda a, b: (a + b).argmax(1)),
               Hint("wrong-axis", "the softmax is over the classes, axis 1", wrong=lambda a, b: (a.softmax(0) + b.softmax(0)).argmax(1)),
               Hint("first-only", "the second model has a say too", wrong=lambda a, b: a.argmax(1)),
               Hint("probabilities", "return the guessed classes, not their probabilities", wrong=lambda a, b: (a.softmax(1) + b.softmax(1)) / 2)],
        praise="An ensemble: several readers rarely make the same mistakes."),
}
