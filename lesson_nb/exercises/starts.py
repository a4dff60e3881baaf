"Hidden cases and hints for the exercises of lesson 12a."
import math
import torch
from lesson_nb.checker import Exercise, Hint


def draw(*shape, seed=0):
    "Random numbers that are the same each time."
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def _branches(): return [(1, 2.0), (10, 2.0), (50, 1.5), (8, 10.0), (3, 4.0)]


def _layers():
    still = draw(40, 3)
    still[:, 1] = 2.0
    dead = torch.tensor([[1.0, 0.0, -1.0], [0.0, 3.0, 0.0]])        # its second output is constant on `still`
    return [(draw(4, 5) * 3, draw(4), draw(60, 5) + 1), (draw(2, 3), torch.zeros(2), draw(30, 3) * 10), (dead, torch.tensor([0.5, -1.0]), still), (draw(1, 4) / 9, draw(1) - 4, draw(25, 4))]


def _set(weight, bias, x, whole=False, scaled=True, floor=True):
    y = x @ weight.T + bias
    mean = y.mean() if whole else y.mean(0)
    std = ((y - mean) ** 2).mean().sqrt() if whole else ((y - mean) ** 2).mean(0).sqrt()
    std = std.expand(len(weight))
    std = torch.where(std > 1e-5, std, 1.0) if floor else torch.where(std > 1e-5, std, 0.0)
    return weight / std[:, None], (bias - mean) / std if scaled else bias - mean


def _turns(): return [(draw(3, 3), 3), (draw(2, 2), 5), (draw(4, 4), 1), (draw(3, 3, seed=9), 4)]


def _kernel(matrix, size, at=lambda size: size // 2):
    kernel = matrix.new_zeros(*matrix.shape, size, size)
    kernel[:, :, at(size), at(size)] = matrix
    return kernel


exercises = {
    "branch_scale": Exercise(
        reference=lambda blocks, growth: math.sqrt(growth ** (1 / blocks) - 1), cases=_branches,
        hints=[Hint("added", "that adds up what the blocks contribute; but each one works on what the ones before have already enlarged, so the factors multiply", wrong=lambda blocks, growth: math.sqrt((growth - 1) / blocks)),
               Hint("root-forgotten", "that is s², since a factor on numbers is squared in the mean square", wrong=lambda blocks, growth: growth ** (1 / blocks) - 1),
               Hint("spread-for-square", "`growth` is that of the mean square already", wrong=lambda blocks, growth: math.sqrt(growth ** (2 / blocks) - 1))],
        praise="About √(log growth / blocks) for many blocks: deep residual networks scale their branches by 1 / √blocks."),
    "set_by_batch": Exercise(
        reference=_set, cases=_layers, rtol=1e-4, atol=1e-4,
        hints=[Hint("one-for-all", "each output needs a mean and a std of its own: take them along the batch, axis 0", wrong=lambda *given: _set(*given, whole=True)),
               Hint("bias-not-scaled", "right weights; but the output is divided by the std as a whole, so the bias has to be divided too", wrong=lambda *given: _set(*given, scaled=False)),
               Hint("divided-by-zero", "right, but for an output that is the same for the whole batch: its std is 0, and its weights should stay as they are",
                    when=lambda answer, arguments, expected: not all(torch.isfinite(a).all() and a.abs().max() < 1e3 for a in answer))],
        praise="Data-dependent initialization (Krähenbühl and others 2016; Salimans and Kingma 2016): LSUV for each output by itself."),
    "delta_orthogonal": Exercise(
        reference=_kernel, cases=_turns,
        hints=[Hint("corner", "in the corner, it shifts the picture as well; the middle has index size // 2", wrong=lambda matrix, size: _kernel(matrix, size, lambda size: 0)),
               Hint("transposed", "outputs come first in a kernel, as they do in the matrix", wrong=lambda matrix, size: _kernel(matrix.T, size)),
               Hint("everywhere", "the matrix at *every* place of the kernel adds up all neighbours; only the middle should hold it", wrong=lambda matrix, size: matrix[:, :, None, None].expand(-1, -1, size, size)),
               Hint("before-the-middle", "for an even size the middle is taken as size // 2, as `dirac_` does", wrong=lambda matrix, size: _kernel(matrix, size, lambda size: (size - 1) // 2))],
        praise="With it, convolutional networks of ten thousand layers were trained without any normalization (Xiao and others, 2018)."),
}
