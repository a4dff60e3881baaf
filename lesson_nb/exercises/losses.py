"Hidden cases and hints of the exercises in 04_losses."
import math
import torch
import torch.nn.functional as F
from lesson_nb.checker import Exercise, Hint


def draw(*shape, seed=0, scale=3.0):
    "Random numbers that are the same each time."
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed + 7 * len(shape) + sum(shape)))


def classes_of(scores, seed=0):
    "Labels that fit the scores (n, classes)."
    return torch.randint(scores.shape[1], scores.shape[:1], generator=torch.Generator().manual_seed(seed))


def loss_of_lead():
    def right(lead, classes): return math.log1p((classes - 1) * math.exp(-lead)) if lead > -500 else -lead + math.log(classes - 1)
    return Exercise(
        reference=right,
        cases=lambda: [(0.0, 10), (2.0, 10), (-3.0, 5), (1.0, 2), (1000.0, 10), (-1000.0, 3), (30.0, 1000)],
        hints=[Hint("share", "that is the share of the right class; the loss is minus its logarithm",
                    when=lambda got, given, want: math.isclose(got, math.exp(-want), rel_tol=1e-4)),
               Hint("sign", "that is the logarithm of the share; a loss is the other way round, so that less is better",
                    when=lambda got, given, want: got < 0 and math.isclose(got, -want, rel_tol=1e-4)),
               Hint("one-too-many", "only `classes - 1` classes have the score 0; the right one has the lead and is no zero as well",
                    when=lambda got, given, want: abs(given[0]) < 10 and math.isclose(got, math.log1p(given[1] * math.exp(-given[0])), rel_tol=1e-4)),
               Hint("overflow", "right for small leads, but at ±1000 an exponential overflows or vanishes; log_softmax and logsumexp do not",
                    when=lambda got, given, want: abs(given[0]) == 1000)],
        praise="With lead 0 it is log(classes), with a large lead nothing, with a large lag just the lag.")


def _at(scores, temperature):
    if temperature > 0: return torch.softmax(scores / temperature, -1)
    leads = (scores == scores.amax(-1, keepdim=True)).to(scores.dtype)
    return leads / leads.sum(-1, keepdim=True)


def softmax_at():
    return Exercise(
        reference=_at,
        cases=lambda: [(draw(4, 5), 1.0), (draw(3, 6), 0.5), (draw(7), 2.0), (draw(2, 3, 4), 10.0), (draw(4, 5), 0.0),
                       (torch.tensor([[2.0, 5.0, 5.0], [1.0, 1.0, 1.0]]), 0.0), (draw(3, 4).T, 0.01), (draw(3, 4, scale=1000.0), 1.0)],
        hints=[Hint("multiplied", "you multiplied by the temperature: then heat sharpens instead of spreading. Divide",
                    when=lambda got, given, want: given[1] not in (0, 1) and torch.allclose(got, torch.softmax(given[0] * given[1], -1))),
               Hint("wrong-dimension", "the classes lie in the last dimension, whatever the number of dimensions: dim -1",
                    when=lambda got, given, want: given[1] > 0 and given[0].ndim > 1 and torch.allclose(got, torch.softmax(given[0] / given[1], 0))),
               Hint("zero", "at temperature 0 there is NaN: 0 / 0 or inf - inf. Treat it by itself: the leaders share, all others get 0",
                    when=lambda got, given, want: given[1] == 0 and bool(got.isnan().any())),
               Hint("one-leader", "at temperature 0 several may lead, with equal scores; argmax finds one of them, but they share alike",
                    when=lambda got, given, want: given[1] == 0 and bool(((got == 1) | (got == 0)).all()))],
        praise="Text generators call this number just that, temperature, and so do physicists: it is Boltzmann's formula.")


def log_add():
    infinite = torch.tensor([-math.inf, -math.inf, 0.0])
    return Exercise(
        reference=lambda a, b: torch.logaddexp(a, b),
        cases=lambda: [(draw(5), draw(5, seed=1)), (draw(3, 4), draw(3, 4, seed=1)), (draw(4, scale=1000.0), draw(4, seed=1, scale=1000.0)),
                       (infinite, torch.tensor([-math.inf, 2.0, -math.inf])), (torch.tensor(1000.0), torch.tensor(1000.0)), (draw(6)[::2], draw(3, seed=2))],
        hints=[Hint("naive", "right for small numbers, but exp overflows or vanishes at ±1000; use what this lesson has built",
                    wrong=lambda a, b: (a.exp() + b.exp()).log()),
               Hint("product", "a + b is the logarithm of the *product*; the sum is wanted", wrong=lambda a, b: a + b),
               Hint("infinities", "where both are -inf the answer is -inf, log(0 + 0); yours is NaN, from (-inf) - (-inf)",
                    when=lambda got, given, want: bool((got.isnan() & ~want.isnan()).any())),
               Hint("summed", "one number came out; add elementwise: stack the two in a new dimension, and sum over that one only",
                    when=lambda got, given, want: want.ndim > 0 and got.ndim == 0)],
        praise="PyTorch has it as torch.logaddexp. Whoever adds up probabilities along many paths, in speech or in genes, lives on it.")


def _top(scores, target, k): return (scores.topk(k, 1).indices == target[:, None]).any(1).float().mean().item()


def top_accuracy():
    def case(n, c, k, seed=0): return (scores := draw(n, c, seed=seed)), classes_of(scores, seed), k
    return Exercise(
        reference=_top,
        cases=lambda: [case(20, 10, 1), case(20, 10, 3), case(40, 10, 5), case(9, 4, 2, seed=1), case(30, 4, 4), case(1, 6, 2)],
        hints=[Hint("always-one", "that is k = 1: look among the k highest scores, not at the highest alone",
                    wrong=lambda scores, target, k: _top(scores, target, 1)),
               Hint("lowest", "you took the k lowest scores; sort the other way round (descending=True)",
                    wrong=lambda scores, target, k: _top(-scores, target, k)),
               Hint("per-guess", "you divided by n·k: a row has k tries but counts once",
                    wrong=lambda scores, target, k: (scores.topk(k, 1).indices == target[:, None]).float().mean().item())],
        praise="For k equal to the number of classes it is 1, whatever the scores: a good first check of such a function.")


def _focal(scores, target, gamma):
    losses = F.cross_entropy(scores, target, reduction="none")
    return ((1 - (-losses).exp()) ** gamma * losses).mean()


def focal_loss():
    def case(n, c, gamma, seed=0, scale=3.0): return (scores := draw(n, c, seed=seed, scale=scale)), classes_of(scores, seed), gamma
    return Exercise(
        reference=_focal,
        cases=lambda: [case(8, 10, 2.0), case(8, 10, 0.0), case(5, 3, 1.0), case(1, 4, 2.0, seed=1), case(6, 5, 0.5, seed=2), case(6, 5, 2.0, scale=1000.0)],
        hints=[Hint("plain", "that is cross-entropy, whatever gamma: the factor (1 - p) ** gamma is missing",
                    wrong=lambda scores, target, gamma: F.cross_entropy(scores, target)),
               Hint("easy-ones", "your factor is p ** gamma: it gives weight to what is right already. It is the lack, 1 - p, that counts",
                    wrong=lambda scores, target, gamma: ((losses := F.cross_entropy(scores, target, reduction="none")).neg().exp() ** gamma * losses).mean()),
               Hint("of-the-mean", "you applied the factor to the mean loss; each row has a factor of its own, so begin with reduction=\"none\"",
                    wrong=lambda scores, target, gamma: (1 - (-(loss := F.cross_entropy(scores, target))).exp()) ** gamma * loss),
               Hint("not-finite", "scores of ±1000 give inf or NaN: begin with the loss (reduction=\"none\"); the share is exp(-loss)",
                    when=lambda got, given, want: not bool(got.isfinite().all()))],
        praise="It was made for pictures with a hundred thousand easy patches of sky for each face.", rtol=1e-4)


def floor_after_softmax():
    def floor(classes): return math.log(math.e + classes - 1) - 1
    return Exercise(
        reference=floor,
        cases=lambda: [(10,), (2,), (3,), (100,), (1000,)],
        hints=[Hint("zero", "0 would need an endless lead, but shares lie between 0 and 1: what are the scores of a perfect network, taken literally?",
                    when=lambda got, given, want: abs(got) < 1e-9),
               Hint("knows-nothing", "log(classes) is the loss of a network that knows nothing; a perfect one does a little better even so",
                    when=lambda got, given, want: math.isclose(got, math.log(given[0]), rel_tol=1e-5)),
               Hint("one-too-many", "the right class adds e to the sum and not 1 as well: only classes - 1 classes have the score 0",
                    when=lambda got, given, want: math.isclose(got, math.log(math.e + given[0]) - 1, rel_tol=1e-5))],
        praise="For ten classes 1.46, for a thousand 5.91 of log(1000) = 6.91: the more classes, the less it can learn.")


exercises = {make.__name__: make() for make in (loss_of_lead, softmax_at, log_add, top_accuracy, focal_loss, floor_after_softmax)}
