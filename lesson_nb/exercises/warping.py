"Hidden cases and hints for the exercises of lesson 15a."
import math
import torch
from lesson_nb.checker import Exercise, Hint


def draw(*shape, seed=0):
    "Random numbers that are the same each time."
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def _positions(): return [(torch.tensor([-1.0, -0.5, 0.0, 1.0]), 4, True), (torch.tensor([-1.0, -0.75, 0.0, 1.0]), 4, False), (draw(2, 3), 7, True), (draw(2, 3), 7, False), (draw(4), 32, False)]


def _place(position, size, align_corners, half=0.5, swapped=False, steps=1):
    if align_corners != swapped: return (position + 1) / 2 * (size - steps)
    return (position + 1) / 2 * size - half


def _looks():
    picture = draw(5, 7)
    return [(picture, 1.25, 3.5), (picture, 2.0, 6.0), (picture, -0.5, 2.25), (picture, 3.75, 6.75), (picture, 4.5, -0.25), (picture, -2.0, 9.0), (draw(3, 3), 0.9, 1.1)]


def _seen(picture, row, column, clamp=False, crossed=False, far=False, round_down=math.floor):
    if crossed: row, column = column, row
    total, (height, width) = 0.0, picture.shape
    for i in (round_down(row), round_down(row) + 1):
        for j in (round_down(column), round_down(column) + 1):
            weight = (1 - abs(row - i)) * (1 - abs(column - j))
            if far: weight = abs(row - i) * abs(column - j)
            if clamp: total += weight * picture[min(max(i, 0), height - 1), min(max(j, 0), width - 1)].item()
            elif 0 <= i < height and 0 <= j < width: total += weight * picture[i, j].item()
    return total


def _thetas():
    turn = torch.tensor([[[0.8, -0.6, 0.3], [0.6, 0.8, -0.2]]])
    return [(turn,), (draw(4, 2, 3) + torch.tensor([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]]),), (torch.tensor([[[2.0, 0.0, 0.5], [0.0, 0.5, -1.0]]]),)]


def _undone(theta, move="back", transposed=False):
    linear, shift = theta[:, :, :2], theta[:, :, 2:]
    inverse = linear.transpose(1, 2) if transposed else torch.linalg.inv(linear)
    moved = {"back": -(inverse @ shift), "negated": -shift, "kept": shift, "forgotten": 0 * shift}[move]
    return torch.cat([inverse, moved], 2)


def _boxes(): return [(0, 0, 8, 8, 16, 16), (3, 5, 4, 6, 20, 30), (0, 10, 10, 10, 10, 20), (2, 0, 5, 3, 9, 12), (0, 0, 7, 9, 7, 9)]


def _box(top, left, rows, columns, height, width, aligned=False, crossed=False, corner=False):
    x, y = (2 * left + columns) / width - 1, (2 * top + rows) / height - 1
    if corner: x, y = 2 * left / width - 1, 2 * top / height - 1
    if aligned: x, y = (2 * left + columns - 1) / max(width - 1, 1) - 1, (2 * top + rows - 1) / max(height - 1, 1) - 1
    scale = (columns / width, rows / height) if not aligned else ((columns - 1) / max(width - 1, 1), (rows - 1) / max(height - 1, 1))
    if crossed: (x, y), scale = (y, x), scale[::-1]
    return torch.tensor([[[scale[0], 0.0, x], [0.0, scale[1], y]]])


exercises = {
    "place_of": Exercise(
        reference=_place, cases=_positions,
        hints=[Hint("half-forgotten", "right with align_corners; without, the edge at -1 lies half a pixel before the first centre", wrong=lambda *given: _place(*given, half=0.0)),
               Hint("swapped", "the two conventions are the wrong way round: with align_corners -1 gives 0", wrong=lambda *given: _place(*given, swapped=True)),
               Hint("fence-post", "with align_corners there are size - 1 steps between the outermost centres", wrong=lambda *given: _place(*given, steps=0))],
        praise="The difference of the two is largest at the edges, half a pixel there, and nothing in the middle."),
    "bilinear_at": Exercise(
        reference=_seen, cases=_looks,
        hints=[Hint("border", "right inside; but a pixel outside is 0, and not the nearest one at the border", wrong=lambda *given: _seen(*given, clamp=True)),
               Hint("crossed", "rows and columns are exchanged", wrong=lambda *given: _seen(*given, crossed=True)),
               Hint("far-weighted", "the nearer pixel has to count more: its weight is 1 minus the distance", wrong=lambda *given: _seen(*given, far=True)),
               Hint("cut-towards-zero", "right, but for places below 0: int(-0.5) is 0, and the pixel before is at -1; use math.floor", wrong=lambda *given: _seen(*given, round_down=int))],
        praise="Sixteen lines in PyTorch's kernel do just this, for every place and channel."),
    "undo": Exercise(
        reference=_undone, cases=_thetas, rtol=1e-4, atol=1e-5,
        hints=[Hint("move-only-negated", "the turn is right; but the move happens in the turned picture: what takes it back is -(inverse @ move)", wrong=lambda *given: _undone(*given, move="negated")),
               Hint("move-kept", "the turn is right; the move has to be taken back too", wrong=lambda *given: _undone(*given, move="kept")),
               Hint("only-for-turns", "the transpose is the inverse of a pure turn alone; zooms and shears need the formula", wrong=lambda *given: _undone(*given, transposed=True))],
        praise="With it, what a network says about places in a turned picture can be carried back into the photo."),
    "box_theta": Exercise(
        reference=_box, cases=_boxes,
        hints=[Hint("corner-for-middle", "the third column says where the *middle* of what is made looks, not its corner", wrong=lambda *given: _box(*given, corner=True)),
               Hint("crossed", "x comes first in a grid, and belongs to columns and width", wrong=lambda *given: _box(*given, crossed=True)),
               Hint("centres", "that is right with align_corners=True; without, -1 and 1 are the outer edges", wrong=lambda *given: _box(*given, aligned=True))],
        praise="The crops of lesson 15, written as matrices; so they can be multiplied with turns and tilts."),
}
