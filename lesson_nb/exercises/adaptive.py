"Hidden cases and hints for the exercises of lesson 08b."
import torch
from lesson_nb.checker import Exercise, Hint


def draw(*shape, seed=0):
    "Random numbers that are the same each time."
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def _rows(): return [(torch.ones(5), 0.9), (draw(7), 0.5), (draw(1), 0.99), (draw(20), 0.95), (torch.stack([draw(6), draw(6)], -1)[:, 0], 0.8)]


def _average(values, beta, correct=lambda average, t, beta: average / (1 - beta**t), share=None, start=0.0):
    found, average = [], torch.as_tensor(start)
    for t, value in enumerate(values, 1):
        average = beta * average + (1 - beta if share is None else share) * value
        found.append(correct(average, t, beta))
    return torch.stack(found)


def _from_first(values, beta):
    found, average = [], values[0]
    for value in values:
        average = beta * average + (1 - beta) * value
        found.append(average)
    return torch.stack(found)


def _steps():
    return [(draw(3), draw(3, seed=1), torch.zeros(3), torch.zeros(3), 1, 0.1, 0.0), (draw(2, 2), draw(2, 2, seed=1), draw(2, 2, seed=2) / 5, draw(2, 2, seed=3) ** 2, 7, 0.01, 0.5),
            (draw(4), draw(4, seed=1) / 1e4, draw(4, seed=2) / 1e4, (draw(4, seed=3) / 1e4) ** 2, 3, 0.1, 0.1), (draw(1), torch.zeros(1), torch.zeros(1), torch.zeros(1), 2, 0.1, 0.3)]


def _adamw(p, g, m, v, t, lr, decay, coupled=False, corrected=True, inside=False, update=True, unscaled=False, squared=True):
    if coupled: g = g + decay * p
    if update: m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * (g**2 if squared else g.abs())
    m, v = (m / (1 - 0.9**t), v / (1 - 0.999**t)) if corrected else (m, v)
    fraction = m / ((v + 1e-8).sqrt() if inside else v.sqrt() + 1e-8)
    return p * (1 - (0 if coupled else decay if unscaled else lr * decay)) - lr * fraction


def _tensors(): return [(draw(3), draw(3, seed=1)), (draw(2, 4) * 10, draw(2, 4, seed=1)), (torch.zeros(3), draw(3)), (draw(2), torch.zeros(2)), (draw(4, 3).T, draw(3, 4, seed=2) / 100)]


def _norm(x): return (x**2).sum().sqrt()


def _matrices(): return [(draw(3, 5), 3), (draw(5, 2), 8), (draw(4, 4) * 100, 0), (draw(1, 3), 2), (draw(4, 3).T, 12)]


def _slowly(x, count, first=1.5, second=0.5, scale=lambda x: _norm(x)):
    x = x / scale(x)
    for _ in range(count): x = first * x - second * (x @ x.T) @ x
    return x


exercises = {
    "corrected_average": Exercise(
        reference=_average, cases=_rows,
        hints=[Hint("not-corrected", "that is the plain average, which still believes in its zero; divide by 1 - beta**t", wrong=lambda v, b: _average(v, b, correct=lambda a, t, b: a)),
               Hint("from-zero", "the steps are counted from 1: for the first one the weights sum to 1 - beta, not to 0", wrong=lambda v, b: _average(v, b, correct=lambda a, t, b: a / (1 - b ** (t - 1)) if t > 1 else a / 0.0)),
               Hint("first-as-start", "you start from the first value; then nothing is to be corrected, and the first value counts too much", wrong=_from_first),
               Hint("corrected-kept", "the corrected average is carried on to the next step; correct only what you hand out",
                    wrong=lambda v, b: _kept(v, b)),
               Hint("a-buffer", "newcomers enter times 1 - beta", wrong=lambda v, b: _average(v, b, share=1.0))],
        praise="After the first value it *is* the first value, whatever beta: an honest start."),
    "adamw_step": Exercise(
        reference=_adamw, cases=_steps,
        hints=[Hint("decay-in-gradient", "the decay went into the gradient, and so through the root: that is Adam with L2, not AdamW", wrong=lambda *x: _adamw(*x, coupled=True)),
               Hint("not-corrected", "the averages are not corrected for their start at zero", wrong=lambda *x: _adamw(*x, corrected=False)),
               Hint("eps-inside", "eps stands outside the root", wrong=lambda *x: _adamw(*x, inside=True)),
               Hint("old-averages", "the averages are those from before the step; take the gradient in first", wrong=lambda *x: _adamw(*x, update=False)),
               Hint("decay-without-lr", "the parameter shrinks by lr times weight_decay, not by weight_decay", wrong=lambda *x: _adamw(*x, unscaled=True)),
               Hint("no-decay", "weight decay is missing", wrong=lambda p, g, m, v, t, lr, w: _adamw(p, g, m, v, t, lr, 0.0))],
        praise="Shrinking first or last makes no difference here: both use the parameter from before the step.", rtol=1e-4),
    "stretched": Exercise(
        reference=lambda p, u: u * (_norm(p) / _norm(u)) if _norm(p) > 0 and _norm(u) > 0 else u, cases=_tensors,
        hints=[Hint("wrong-way", "the ratio stands on its head: it is the parameter's length over the update's", wrong=lambda p, u: u * (_norm(u) / _norm(p)) if _norm(p) > 0 and _norm(u) > 0 else u),
               Hint("nothing-moves", "a tensor that is zero throughout, as a fresh bias is, gets no step at all and stays zero for ever", wrong=lambda p, u: u * (_norm(p) / _norm(u)) if _norm(u) > 0 else u),
               Hint("not-a-number", "an update of zero is divided by its length", wrong=lambda p, u: u * (_norm(p) / _norm(u)) if _norm(p) > 0 else u),
               Hint("unit-length", "that has length 1; it has to be as long as the parameter", wrong=lambda p, u: u / _norm(u) if _norm(p) > 0 and _norm(u) > 0 else u),
               Hint("squares", "the square of the length was used for the length; take roots", wrong=lambda p, u: u * (p**2).sum() / (u**2).sum() if _norm(p) > 0 and _norm(u) > 0 else u)],
        praise="Times lr, every tensor moves by the same *share* of itself."),
    "orthogonal_slowly": Exercise(
        reference=_slowly, cases=_matrices,
        hints=[Hint("not-scaled", "the matrix was not divided by its length first; singular values above the root of 3 then fly away", wrong=lambda x, n: _slowly(x, n, scale=lambda x: 1.0)),
               Hint("largest-number", "divided by its largest number, not by the root of the sum of squares: singular values may still be too large", wrong=lambda x, n: _slowly(x, n, scale=lambda x: x.abs().max())),
               Hint("number-by-number", "the cube was taken number by number; it is a product of matrices", wrong=lambda x, n: _cubed(x, n)),
               Hint("one-too-many", "it was applied once too often", wrong=lambda x, n: _slowly(x, n + 1)),
               Hint("sum-of-squares", "divided by the sum of squares; take its root", wrong=lambda x, n: _slowly(x, n, scale=lambda x: (x**2).sum()))],
        praise="Small singular values grow by half at each step, so a matrix with tiny ones needs many. Muon's polynomial grows them 3.4 times, and pays with roughness near 1.", rtol=1e-4, atol=1e-5),
}


def _kept(values, beta):
    found, average = [], torch.zeros(())
    for t, value in enumerate(values, 1):
        average = (beta * average + (1 - beta) * value) / (1 - beta**t)
        found.append(average)
    return torch.stack(found)


def _cubed(x, count):
    x = x / _norm(x)
    for _ in range(count): x = 1.5 * x - 0.5 * x**3
    return x
