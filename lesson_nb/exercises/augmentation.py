"Hidden cases and hints for the exercises of lesson 15."
import torch
from lesson_nb.checker import Exercise, Hint


def draw(*shape, seed=0):
    "Random numbers that are the same each time."
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def _sizes(): return [(32, 32, 4, 32, True), (28, 28, 2, 24, False), (40, 60, 0, 32, True), (5, 5, 0, 5, False), (16, 24, 3, 20, True)]


def _views(height, width, padding, size, flip, more=1, twice=2, sides=2):
    return (height + sides * padding - size + more) * (width + sides * padding - size + more) * (twice if flip else 1)


def _boxes():
    boxes = torch.tensor([[2.0, 3.0, 10.0, 8.0], [0.0, 0.0, 32.0, 20.0], [20.0, 5.0, 21.0, 30.0], [4.5, 1.0, 9.25, 7.0]])
    return [(boxes, torch.tensor([True, False, True, True]), 32), (boxes[:2], torch.tensor([False, True]), 40), (boxes[2:], torch.tensor([False, False]), 32), (boxes, torch.tensor([True] * 4), 64)]


def _flipped(boxes, flipped, width, swap=True, last=0, all_of_them=False):
    left, top, right, bottom = boxes.T
    ends = (width - last - right, width - last - left) if swap else (width - last - left, width - last - right)
    mirrored = torch.stack([ends[0], top, ends[1], bottom], 1)
    return mirrored if all_of_them else torch.where(flipped[:, None], mirrored, boxes)


def _patches():
    x = draw(3, 2, 6, 8)
    return [(x, torch.tensor([1, 2, 0]), 1, 2, 3), (x, torch.tensor([0, 2, 1]), -2, 5, 4), (x, torch.tensor([2, 1, 0]), 4, -1, 3), (draw(2, 1, 5, 5), torch.tensor([1, 0]), 0, 0, 9),
            (x, torch.tensor([1, 0, 0]), 7, 2, 3)]


def _cutmix(x, order, top, left, size, clipped=True, own=True, others=True):
    height, width = x.shape[2:]
    rows, columns = torch.arange(height), torch.arange(width)
    patch = ((rows >= top) & (rows < top + size))[:, None] & ((columns >= left) & (columns < left + size))
    share = patch.sum().item() / (height * width) if clipped else size**2 / (height * width)
    return torch.where(patch, x[order] if others else torch.zeros_like(x), x), 1 - share if own else share


def _flips(): return [(64, 0.5, True), (64, 0.5, False), (10, 0.1, True), (10, 0.1, False), (1, 0.3, True), (500, 0.25, False)]


def _spread(n, p, each, root=True):
    variance = p * (1 - p) * (n if each else n * n)
    return variance**0.5 if root else variance


exercises = {
    "count_views": Exercise(
        reference=_views, cases=_sizes,
        hints=[Hint("fence-post", "a window that fits exactly has one place and not none: count both ends", wrong=lambda *given: _views(*given, more=0)),
               Hint("mirror-forgotten", "right without the mirror; with `flip` there are twice as many", wrong=lambda *given: _views(*given, twice=1)),
               Hint("one-margin", "the margin is on both sides: 2 * padding more pixels along each axis", wrong=lambda *given: _views(*given, sides=1)),
               Hint("doubled-always", "the mirror counts only if `flip` is True", wrong=lambda height, width, padding, size, flip: _views(height, width, padding, size, True))],
        praise="At most, for a white wall looks the same through every window."),
    "flip_boxes": Exercise(
        reference=_flipped, cases=_boxes,
        hints=[Hint("edges-crossed", "in a mirror the right edge becomes the left one: take width - right for the new left", wrong=lambda *given: _flipped(*given, swap=False)),
               Hint("off-by-one", "edges lie between pixels: the left edge of the picture is 0, and its right edge is width, not width - 1", wrong=lambda *given: _flipped(*given, last=1)),
               Hint("all-flipped", "only the boxes of flipped pictures move", wrong=lambda *given: _flipped(*given, all_of_them=True))],
        praise="Whatever a label says about places has to go through the same transform as the picture."),
    "cutmix": Exercise(
        reference=_cutmix, cases=_patches,
        hints=[Hint("not-clipped", "right pictures; but where part of the square lies outside, less than size * size pixels were replaced", wrong=lambda *given: _cutmix(*given, clipped=False)),
               Hint("the-others-share", "right pictures; but the share asked for is what is still the picture's own", wrong=lambda *given: _cutmix(*given, own=False)),
               Hint("black-patch", "that is cutout; the hole should show the same part of picture order[k]", wrong=lambda *given: _cutmix(*given, others=False))],
        praise="For many recipes on ImageNet it stands beside mixup, each in half of the batches."),
    "spread_of_flips": Exercise(
        reference=_spread, cases=_flips,
        hints=[Hint("variance", "that is the variance; the standard deviation is its root", wrong=lambda *given: _spread(*given, root=False)),
               Hint("always-each", "right where each has its own draw; with one for all, the number is either 0 or n", wrong=lambda n, p, each: _spread(n, p, True)),
               Hint("never-each", "right where one draw decides for all; independent draws make up for each other", wrong=lambda n, p, each: _spread(n, p, False))],
        praise="In a batch of 64 the share of flipped pictures scatters by 6 % with own draws, and by 50 % with one for all."),
}
