"Hidden cases and hints for the exercises of lesson 21a."
import math
import torch
from lesson_nb.checker import Exercise, Hint


def draw(*shape, seed=0):
    "Random numbers that are the same each time."
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def _chances():
    "Probabilities and a share; in the last two the likeliest alone are enough, to the number."
    made = [(torch.softmax(2 * draw(n, seed=n), 0), p) for n, p in ((6, 0.9), (10, 0.5), (4, 0.99), (7, 0.2))]
    return made + [(torch.tensor([0.25, 0.5, 0.125, 0.125]), 0.5), (torch.tensor([0.125, 0.125, 0.5, 0.25]), 0.75)]


def _nucleus(probabilities, p, enough=True, normalized=True, highest=True):
    ordered, places = probabilities.sort(descending=highest)
    before = ordered.cumsum(0) - (ordered if enough else 0)
    kept = torch.zeros_like(probabilities)
    kept[places[before < p]] = 1
    kept = kept * probabilities
    return kept / kept.sum() if normalized else kept


def _noises(): return [(size * draw(*shape), torch.rand(shape, generator=torch.Generator().manual_seed(seed)), temperature)
                       for seed, (size, shape, temperature) in enumerate([(1, (5, 4), 1.0), (2, (8, 10), 0.5), (3, (30, 6), 3.0)])]


def _gumbel(scores, uniform, temperature, noise=lambda u: -(-u.log()).log(), after=False):
    return ((scores + noise(uniform)) / temperature if after else scores / temperature + noise(uniform)).argmax(1)


def _written(): return [(draw(6), torch.tensor([0, 3, 3, 5]), 1.3), (torch.tensor([2.0, -2.0, 0.5, -0.5]), torch.tensor([0, 1, 0]), 2.0), (draw(9), torch.tensor([8, 2, 1, 8, 8]), 1.5)]


def _punished(scores, written, penalty, signs=True, once=True, others=False):
    result = scores.clone()
    for i in (written.unique() if once else written).tolist(): result[i] = result[i] / penalty if result[i] > 0 or not signs else result[i] * penalty
    return result if not others else torch.where(torch.isin(torch.arange(len(scores)), written), scores, torch.where(scores > 0, scores / penalty, scores * penalty))


exercises = {
    "bits_and_perplexity": Exercise(
        reference=lambda loss: (loss / math.log(2), math.exp(loss)), cases=lambda: [(1.36,), (0.0,), (4.04,), (2.5,)],
        hints=[Hint("times-log-two", "a bit is smaller than a nat, so there are more bits than nats: divide by log 2", wrong=lambda loss: (loss * math.log(2), math.exp(loss))),
               Hint("two-to-the-nats", "the loss is in nats, so the perplexity is e to the loss; 2 is for bits", wrong=lambda loss: (loss / math.log(2), 2**loss)),
               Hint("other-way-round", "first the bits, then the perplexity", wrong=lambda loss: (math.exp(loss), loss / math.log(2)))],
        praise="1.36 nats are 1.96 bits, or a choice of not quite four."),
    "nucleus": Exercise(
        reference=_nucleus, cases=_chances,
        hints=[Hint("one-too-few", "the one that reaches p belongs to it: together *at least* p", wrong=lambda *a: _nucleus(*a, enough=False)),
               Hint("not-normalized", "what is left has to sum to 1 again", wrong=lambda *a: _nucleus(*a, normalized=False)),
               Hint("likeliest-dropped", "begin with the likeliest", wrong=lambda *a: _nucleus(*a, highest=False)),
               Hint("above-p", "p bounds the sum of those kept, not each of them", wrong=lambda q, p: (kept := q * (q > p)) / kept.sum())],
        praise="Many or few, as the place in the text asks for; top-k always takes as many."),
    "gumbel_choice": Exercise(
        reference=_gumbel, cases=_noises,
        hints=[Hint("one-log", "the noise is −log(−log u): two logarithms", wrong=lambda *a: _gumbel(*a, noise=lambda u: -u.log())),
               Hint("sign", "a minus in front of the outer logarithm too: the noise is mostly near 0 and sometimes large", wrong=lambda *a: _gumbel(*a, noise=lambda u: (-u.log()).log())),
               Hint("noise-cooled", "the temperature divides the scores alone; a maximum does not care if all is divided, or nothing", wrong=lambda *a: _gumbel(*a, after=True))],
        praise="A draw without a softmax, a sum or a search: only a maximum."),
    "less_likely": Exercise(
        reference=_punished, cases=_written,
        hints=[Hint("negative-helped", "dividing a negative score makes it likelier; multiply it", wrong=lambda *a: _punished(*a, signs=False)),
               Hint("every-time", "each index is punished once, however often it was written", wrong=lambda *a: _punished(*a, once=False)),
               Hint("the-others", "those that were *not* written stay as they are", wrong=lambda *a: _punished(*a, others=True)),
               Hint("all-punished", "only what was written is punished", wrong=lambda s, w, p: torch.where(s > 0, s / p, s * p))],
        praise="A rule of thumb: it depends on where zero is, and a softmax does not care where zero is."),
}
