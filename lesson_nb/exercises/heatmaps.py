"Hidden cases and hints for the exercises of lesson 17a."
import torch
from lesson_nb.checker import Exercise, Hint


def draw(*shape, seed=0):
    "Random numbers that are the same each time."
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def _maps(): return [(draw(6, 4, 5), draw(6, seed=1)), (draw(3, 8, 8, seed=2), draw(3, seed=3)), (torch.ones(4, 3, 3), draw(4, seed=4)), (draw(2, 1, 6, seed=5), draw(2, seed=6))]


def _scaled(features, weights, weighted=True, scale=True, rectified=False):
    heat = (features * (weights[:, None, None] if weighted else 1 / len(weights))).sum(0)
    if rectified: heat = heat.clamp(min=0)
    low, high = heat.min() if scale is True else heat.new_zeros(()), heat.max()
    if scale is None: return heat
    return (heat - low) / (high - low) if high > low else torch.zeros_like(heat)


def _squares(picture): return (picture * picture).sum().item()
def _weighted(picture): return (picture * torch.arange(picture.numel()).view_as(picture)).sum().item() + 3.0
def _corner(picture): return picture[0, 0].item() - picture[-1, -1].item()
def _scores(): return [(_squares, draw(6, 8), 2), (_weighted, draw(9, 6, seed=1), 3), (_corner, draw(4, 4, seed=2), 4), (_squares, draw(7, 5, seed=3), 2)]


def _falls(score, picture, side, sign=1, mean=False, keep=False):
    rows, columns = picture.shape[0] // side, picture.shape[1] // side
    falls, hidden = torch.zeros(rows, columns), picture.clone()
    for i in range(rows):
        for j in range(columns):
            if not keep: hidden = picture.clone()
            hidden[i * side:(i + 1) * side, j * side:(j + 1) * side] = picture.mean() if mean else 0
            falls[i, j] = sign * (score(picture) - score(hidden))
    return falls


def _left(score, picture, side):
    rows, columns = picture.shape[0] // side, picture.shape[1] // side
    return score(picture) - _falls(score, picture, side)


def _places(): return [(0, 75, 8, 37, 64), (3, 75, 8, 37, 64), (7, 15, 8, 3, 64), (2, 9, 4, 4, 16), (3, 9, 4, 4, 16), (0, 3, 1, 1, 8)]


def _seen(i, side, step, margin, size, low=True, last=1, high=True):
    first = i * step - margin
    return max(first, 0) if low else first, (min(first + side, size) if high else first + side) - last


exercises = {
    "scaled_map": Exercise(
        reference=_scaled, cases=_maps, rtol=1e-4, atol=1e-5,
        hints=[Hint("unweighted", "the weights say how much a channel counts for this class; a mean of the channels knows of no class", wrong=lambda f, w: _scaled(f, w, weighted=False)),
               Hint("not-scaled", "that is the map; its lowest number should become 0, its highest 1", wrong=lambda f, w: _scaled(f, w, scale=None)),
               Hint("rectified", "what lies below zero counts too: only the lowest number becomes 0", wrong=lambda f, w: _scaled(f, w, rectified=True)),
               Hint("flat", "a map that is the same everywhere: 0 / 0 is no number; return zeros", when=lambda answer, arguments, expected: answer.isnan().all())],
        praise="show_heat scales like this, and so warm colours in two photos need not mean the same number."),
    "covered": Exercise(
        reference=_falls, cases=_scores, rtol=1e-4, atol=1e-4,
        hints=[Hint("the-rise", "by how much the score *falls*: the whole picture's score less the covered one's", wrong=lambda *given: _falls(*given, sign=-1)),
               Hint("what-is-left", "that is the score that is left; subtract it from the whole picture's", wrong=_left),
               Hint("stays-covered", "each square alone: begin anew with the whole picture", wrong=lambda *given: _falls(*given, keep=True)),
               Hint("other-cover", "cover with zeros, not with the picture's mean", wrong=lambda *given: _falls(*given, mean=True))],
        praise="No gradient and no hook is needed, only many passes: one for each square."),
    "seen_by": Exercise(
        reference=_seen, cases=_places,
        hints=[Hint("one-too-far", "the last pixel that is seen, not the first one that is not", wrong=lambda *given: _seen(*given, last=0)),
               Hint("below-zero", "in front of pixel 0 there is only margin", wrong=lambda *given: _seen(*given, low=False)),
               Hint("beyond", "the picture ends at size - 1", wrong=lambda *given: _seen(*given, high=False)),
               Hint("margin-forgotten", "place 0 begins `margin` pixels in front of the picture", wrong=lambda i, side, step, margin, size: _seen(i, side, step, 0, size))],
        praise="With small_net's 75 pixels nearly every place sees half of a photo of 64: a warm place is not a small place."),
}
