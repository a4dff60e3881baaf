"Hidden cases and hints of the exercises in 06b_pooling."
import torch
from lesson_nb.checker import Exercise, Hint


def draw(*shape, seed=0):
    "Random numbers that are the same each time."
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + 7 * len(shape) + sum(shape)))


def blocks(picture): return picture.unflatten(0, (-1, 2)).unflatten(2, (-1, 2)).transpose(1, 2)      # (h / 2, w / 2, 2, 2)
def joined(windows): return windows.transpose(1, 2).flatten(2, 3).flatten(0, 1)


def to_first(picture, grad):
    windows, result = blocks(picture), torch.zeros_like(blocks(picture))
    for y, x in torch.ones_like(grad).nonzero().tolist():
        i, j = (windows[y, x] == windows[y, x].max()).nonzero()[0].tolist()
        result[y, x, i, j] = grad[y, x]
    return joined(result)


def to_all(picture, grad, share=False):
    won = (blocks(picture) == blocks(picture).amax((2, 3), keepdim=True)).to(picture.dtype)
    return joined(won / (won.sum((2, 3), keepdim=True) if share else 1) * grad[:, :, None, None])


def winner_gradient():
    def ties(h, w): return draw(h, w).clamp(min=0).round()
    return Exercise(
        reference=to_first,
        cases=lambda: [(draw(4, 6), draw(2, 3)), (ties(6, 4), draw(3, 2)), (torch.zeros(2, 2), draw(1, 1)), (-draw(8, 2).abs(), draw(4, 1)),
                       (draw(6, 4, seed=1).T, draw(2, 3, seed=1))],
        hints=[Hint("shared", "equals share the gradient in yours; the first of them gets all of it", wrong=lambda p, g: to_all(p, g, True)),
               Hint("all-winners", "in a window of equals, every one of them gets the whole gradient; only the first may", wrong=to_all),
               Hint("last", "of equals, yours takes the last; it is the first, row by row",
                    wrong=lambda p, g: to_first(p.flip(0, 1), g.flip(0, 1)).flip(0, 1)),
               Hint("everywhere", "every pixel of the window gets it; only the winner may, for the others could change without any effect",
                    when=lambda got, given, want: got.shape == want.shape
                    and torch.allclose(got, given[1].repeat_interleave(2, 0).repeat_interleave(2, 1), atol=1e-6))],
        praise="Pixels that lost could change a little, and nothing would happen: their gradient is zero.")


def bins(size, windows): return [(i * size // windows, -(-(i + 1) * size // windows)) for i in range(windows)]


def adaptive_bins():
    return Exercise(
        reference=bins,
        cases=lambda: [(10, 4), (12, 4), (7, 3), (5, 5), (3, 5), (28, 7), (9, 1), (13, 6)],
        hints=[Hint("gaps", "ends are rounded down in yours, so that a window may miss the pixel that it shares with the next: round ends up",
                    wrong=lambda size, windows: [(i * size // windows, (i + 1) * size // windows) for i in range(windows)]),
               Hint("rest-lost", "windows of size // windows pixels leave the last pixels out where it does not divide evenly",
                    wrong=lambda size, windows: [(i * (size // windows), (i + 1) * (size // windows)) for i in range(windows)]),
               Hint("late-start", "starts are rounded down, ends up; yours round both up",
                    wrong=lambda size, windows: [(-(-i * size // windows), -(-(i + 1) * size // windows)) for i in range(windows)])],
        praise="With more windows than pixels, windows of one pixel repeat it: adaptive pooling can enlarge, too.")


def both_summaries():
    def both(f): return torch.cat([f.amax((2, 3)), f.mean((2, 3))], 1)
    return Exercise(
        reference=both,
        cases=lambda: [(draw(2, 3, 4, 5),), (draw(1, 1, 2, 2),), (draw(3, 4, 1, 6),), (draw(2, 2, 3, 3).mT,)],
        hints=[Hint("swapped", "the means come first in yours; the largest were asked for first",
                    wrong=lambda f: torch.cat([f.mean((2, 3)), f.amax((2, 3))], 1)),
               Hint("interleaved", "largest and mean alternate, channel by channel; all the largest come first, then all means",
                    wrong=lambda f: torch.stack([f.amax((2, 3)), f.mean((2, 3))], 2).flatten(1)),
               Hint("added", "the two are added up; laid side by side, the layer behind can weight them",
                    wrong=lambda f: f.amax((2, 3)) + f.mean((2, 3))),
               Hint("in-batch", "they stand one below the other, as if there were twice as many pictures: join along axis 1, the channels",
                    when=lambda got, given, want: got.ndim == 2 and got.shape[0] == 2 * want.shape[0])],
        praise="Twice the features for no weights but those of the linear layer behind.")


def calm(f): return f.unfold(2, 2, 1).unfold(3, 2, 1).amax((4, 5)).unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))


def calm_pool():
    return Exercise(
        reference=calm,
        cases=lambda: [(draw(2, 3, 9, 7),), (draw(1, 2, 5, 5),), (draw(3, 1, 4, 6).mT,), (draw(1, 1, 3, 3),)],
        hints=[Hint("skipping", "it takes every second of the largest; halve by the *mean* of 2 × 2 windows",
                    wrong=lambda f: f.unfold(2, 2, 1).unfold(3, 2, 1).amax((4, 5))[:, :, :-1:2, :-1:2]),
               Hint("side-by-side", "the first windows lie side by side in yours; take the largest of every 2 × 2 window, at stride 1",
                    when=lambda got, given, want: got.ndim == 4 and got.shape[2] < want.shape[2]),
               Hint("wrong-order", "mean first, largest after: a mean first would fade what the largest should find",
                    wrong=lambda f: f.unfold(2, 2, 1).unfold(3, 2, 1).mean((4, 5)).unfold(2, 2, 2).unfold(3, 2, 2).amax((4, 5)))],
        praise="The picture is smoothed before numbers are dropped, as signal processing has always done.")


exercises = {make.__name__: make() for make in (winner_gradient, adaptive_bins, both_summaries, calm_pool)}
