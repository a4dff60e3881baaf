"Hidden cases and hints of the exercises in 04b_regression."
import math
import torch
import torch.nn.functional as F
from lesson_nb.checker import Exercise, Hint


def draw(*shape, seed=0, scale=3.0):
    "Random numbers that are the same each time."
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed + 7 * len(shape) + sum(shape)))


def yes_or_no(*shape, seed=0): return (draw(*shape, seed=seed + 5) > 0).float()


def log_no():
    return Exercise(
        reference=lambda x: F.logsigmoid(-x),
        cases=lambda: [(draw(6),), (draw(3, 4),), (torch.tensor([-1000.0, 0.0, 1000.0]),), (draw(8, scale=30.0)[::2],), (torch.tensor([-17.0, -16.0]),)],
        hints=[Hint("other-side", "that is the logarithm of yes, of sigmoid(x); the logarithm of no is wanted", wrong=lambda x: F.logsigmoid(x)),
               Hint("sign", "a logarithm of a probability is never above 0: yours is the loss, minus what is wanted", wrong=lambda x: F.softplus(x)),
               Hint("naive", "right in the middle, but a large score gives -inf: 1 - sigmoid has rounded to 0. 1 - sigmoid(x) is sigmoid of what?",
                    when=lambda got, given, want: bool((got.isinf() & want.isfinite()).any()))],
        praise="The loss of a no is minus this, and (1 - t) * x - logsigmoid(x) is both in one line.", rtol=1e-5, atol=1e-12)


def score_of():
    def right(y, low, high): return ((y - low) / (high - y)).log()
    def inside(*shape, low, high, seed=0): return low + (high - low) * torch.sigmoid(draw(*shape, seed=seed, scale=1.5)), low, high
    return Exercise(
        reference=right,
        cases=lambda: [inside(5, low=0.0, high=1.0), inside(4, low=-3.0, high=7.0), inside(2, 3, low=10.0, high=30.0), inside(1, low=1.0, high=5.0, seed=1),
                       (torch.tensor([0.5, 0.25]), 0.0, 1.0)],
        hints=[Hint("forward", "that goes the same way as sigmoid_range; you are given what came out, and look for what went in",
                    wrong=lambda y, low, high: torch.sigmoid(y) * (high - low) + low),
               Hint("unscaled", "right for the range (0, 1); first bring y to a share: (y - low) / (high - low)", wrong=lambda y, low, high: (y / (1 - y)).log()),
               Hint("no-odds", "the logarithm of the share is not it: sigmoid's inverse is the logarithm of the *odds*, share against the rest",
                    wrong=lambda y, low, high: ((y - low) / (high - low)).log()),
               Hint("upside-down", "the sign is wrong: odds are for against against, (y - low) / (high - y)", wrong=lambda y, low, high: -right(y, low, high))],
        praise="The inverse of the sigmoid is called logit, and that is why scores are called logits.", rtol=1e-4, atol=1e-4)


def all_right():
    def case(n, k, seed=0):
        scores = draw(n, k, seed=seed, scale=0.7)
        return scores, torch.where(draw(n, k, seed=seed + 3) > -2.5, (scores > 0).float(), yes_or_no(n, k, seed=seed))
    return Exercise(
        reference=lambda scores, target: ((scores > 0) == (target == 1)).all(1).float().mean().item(),
        cases=lambda: [case(40, 3), case(30, 2, 1), case(25, 5, 2), case(20, 1, 3), case(50, 4, 4)],
        hints=[Hint("half", "you asked for scores above 0.5; a *probability* above one half is a score above 0",
                    wrong=lambda scores, target: ((scores > 0.5) == (target == 1)).all(1).float().mean().item()),
               Hint("single-answers", "that is the share of right answers; a photo counts only if all of its answers are right: all(1)",
                    wrong=lambda scores, target: ((scores > 0) == (target == 1)).float().mean().item()),
               Hint("any", "one right answer is not enough: all(1), not any(1)",
                    wrong=lambda scores, target: ((scores > 0) == (target == 1)).any(1).float().mean().item())],
        praise="A strict measure: with 80 labels, 99 % right answers make less than half of the photos right.")


def huber_mean():
    def parts(d, delta, far): return torch.where(d <= delta, d ** 2 / 2, far).mean()
    return Exercise(
        reference=lambda input, target, delta: F.huber_loss(input, target, delta=delta),
        cases=lambda: [(draw(20), draw(20, seed=1), 1.0), (draw(4, 5), draw(4, 5, seed=1), 2.5), (draw(7), draw(7, seed=2), 0.3), (draw(9), draw(9, seed=3), 100.0),
                       (torch.tensor([0.0, 3.0]), torch.tensor([0.5, -3.0]), 1.0)],
        hints=[Hint("signed", "far below the target the loss must be large too: use the absolute difference",
                    wrong=lambda input, target, delta: torch.where((d := input - target) <= delta, d ** 2 / 2, delta * (d - delta / 2)).mean()),
               Hint("jump", "the straight part does not meet the square at delta: it is delta * (|d| - delta / 2), without a jump and without a kink",
                    wrong=lambda input, target, delta: parts((input - target).abs(), delta, (input - target).abs())),
               Hint("no-half", "the square needs its factor of a half, or the two parts do not meet at delta",
                    wrong=lambda input, target, delta: torch.where((d := (input - target).abs()) <= delta, d ** 2, delta * (d - delta / 2)).mean()),
               Hint("swapped", "the two parts are swapped: the square belongs near the answer",
                    wrong=lambda input, target, delta: torch.where((d := (input - target).abs()) > delta, d ** 2 / 2, delta * (d - delta / 2)).mean())],
        praise="With delta 100 it is half the squared error, with a tiny delta it is delta times the absolute one: all between is yours.")


def quantile_loss():
    def right(input, target, q): return torch.maximum(q * (target - input), (q - 1) * (target - input)).mean()
    return Exercise(
        reference=right,
        cases=lambda: [(draw(20), draw(20, seed=1), 0.9), (draw(4, 5), draw(4, 5, seed=1), 0.5), (draw(7), draw(7, seed=2), 0.1),
                       (torch.zeros(3), torch.tensor([1.0, 2.0, -3.0]), 0.75), (draw(6), draw(6, seed=4), 0.99)],
        hints=[Hint("swapped", "the sides are swapped: a target *above* the guess costs q a unit, for a guess that was too low",
                    wrong=lambda input, target, q: right(target, input, q)),
               Hint("one-side", "a guess that is too high costs something as well: 1 - q a unit",
                    wrong=lambda input, target, q: (q * (target - input).clamp(min=0)).mean()),
               Hint("unweighted", "that is the absolute difference, whatever q", wrong=lambda input, target, q: (input - target).abs().mean()),
               Hint("negative", "a cost cannot be negative: below the guess, target - input is negative, and so must its factor be: q - 1",
                    wrong=lambda input, target, q: torch.where(target > input, q * (target - input), (1 - q) * (target - input)).mean())],
        praise="With q = 0.5 it is half the absolute difference, and the median comes back.")


exercises = {make.__name__: make() for make in (log_no, score_of, all_right, huber_mean, quantile_loss)}
