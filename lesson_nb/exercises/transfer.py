"Hidden cases and hints for the exercises of lesson 17."
import torch
from lesson_nb.checker import Exercise, Hint


def draw(*shape, seed=0):
    "Random numbers that are the same each time."
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def _asked(): return [(draw(4, 10), [3, 5]), (draw(1, 10, seed=1), [5, 3]), (draw(6, 4, seed=2), [0, 1, 3]), (3 * draw(2, 5, seed=3), [4, 2])]


def _shares(scores, wanted): return scores[:, wanted].softmax(1)


def _labels():
    return [(torch.tensor([0, 1, 1, 0, 0, 1, 0]), 2), (torch.tensor([2, 0, 2, 2, 1, 1, 0, 1, 2]), 2), (torch.tensor([5, 5, 7]), 1),
            (torch.tensor([1, 0, 1, 1]), 3)]


def _firsts(labels, count, sort=True, which=slice):
    chosen = [torch.where(labels == kind)[0][which(count)] for kind in labels.unique()]
    return torch.cat(chosen).sort()[0] if sort else torch.cat(chosen)


def _plans(): return [(17_000_000, 150_000, 800, 10), (5, 3, 2, 4), (100, 1, 10, 1), (1000, 200, 7, 30)]


def _work(body, head, photos, epochs, backward=3, body_backward=1, once=1):
    learning = backward * head * photos * epochs
    return body_backward * body * photos * epochs + learning, body * photos * (once or epochs) + learning


exercises = {
    "among": Exercise(
        reference=_shares, cases=_asked,
        hints=[Hint("of-all", "those are the probabilities among all kinds; they have to add up to 1 over the wanted ones", wrong=lambda scores, wanted: scores.softmax(1)[:, wanted]),
               Hint("along-the-batch", "the probabilities of one picture add up to 1, not those of one kind: softmax along axis 1", wrong=lambda scores, wanted: scores[:, wanted].softmax(0)),
               Hint("in-order", "the wanted kinds have an order, and so have the columns of the answer", wrong=lambda scores, wanted: _shares(scores, sorted(wanted))),
               Hint("no-softmax", "scores are not probabilities yet", wrong=lambda scores, wanted: scores[:, wanted])],
        praise="Taking the wanted columns of softmax and dividing them by their sum gives the same."),
    "thawing": Exercise(
        reference=lambda groups: list(range(groups - 1, -1, -1)), cases=lambda: [(4,), (1,), (2,), (7,)],
        hints=[Hint("from-the-front", "the last group learns first, so at the beginning all the others stand still", wrong=lambda groups: list(range(groups))),
               Hint("nothing-learns", "a step in which all groups stand still trains nothing", wrong=lambda groups: list(range(groups, -1, -1))),
               Hint("never-all", "at the end all groups learn, so none stands still", wrong=lambda groups: list(range(groups - 1, 0, -1))),
               Hint("counts-learners", "that is how many learn in each step; wanted is how many stand still", wrong=lambda groups: list(range(1, groups + 1)))],
        praise="freeze_to takes these numbers as they are; Howard and Ruder thaw a text network like that, one group an epoch."),
    "frozen_work": Exercise(
        reference=_work, cases=_plans,
        hints=[Hint("body-backward", "a frozen body is passed forward only: once, not three times", wrong=lambda *given: _work(*given, body_backward=3)),
               Hint("head-forward", "the head learns: forward and backward, three times the pass forward", wrong=lambda *given: _work(*given, backward=1)),
               Hint("once-each-epoch", "computed once means once for all epochs", wrong=lambda *given: _work(*given, once=0)),
               Hint("other-order", "first the work with the body run each time, then with the maps computed once", wrong=lambda *given: _work(*given)[::-1])],
        praise="With our sizes and ten epochs that is nearly a factor of ten: the head is next to nothing."),
    "first_of_each": Exercise(
        reference=_firsts, cases=_labels,
        hints=[Hint("class-by-class", "in the order of the places, not one class behind the other: sort", wrong=lambda labels, count: _firsts(labels, count, sort=False)),
               Hint("last-ones", "the first examples of each class, not the last ones", wrong=lambda labels, count: _firsts(labels, count, which=lambda count: slice(-count, None))),
               Hint("not-by-class", "those are the first examples of all; count within each class", wrong=lambda labels, count: torch.arange(min(len(labels), count * len(labels.unique())))),
               Hint("labels-themselves", "the places are wanted, not the labels there", wrong=lambda labels, count: labels[_firsts(labels, count)])],
        praise="For random ones of each class shuffle the places first."),
}
