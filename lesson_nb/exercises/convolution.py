"Hidden cases and hints of the exercises in 06_convolution."
import torch
from lesson_nb.checker import Exercise, Hint


def draw(*shape, seed=0):
    "Random numbers that are the same each time."
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + 7 * len(shape) + sum(shape)))


def slid(signal, kernel): return (signal.unfold(0, len(kernel), 1) * kernel).sum(1)


def slide_1d():
    return Exercise(
        reference=slid,
        cases=lambda: [(draw(9), draw(3)), (draw(5), draw(2)), (draw(6), draw(1)), (draw(4), draw(4)), (draw(20)[::2], draw(3, seed=1))],
        hints=[Hint("flipped", "you turned the kernel round: that is the mathematicians' convolution. Deep learning leaves it as it is",
                    wrong=lambda signal, kernel: slid(signal, kernel.flip(0))),
               Hint("one-short", "the last place is missing: the kernel fits length - width + 1 times",
                    when=lambda got, given, want: got.ndim == 1 and len(got) == len(want) - 1),
               Hint("padded", "the answer is as long as the signal: only places where the whole kernel fits are wanted",
                    when=lambda got, given, want: got.ndim == 1 and len(got) == len(given[0]) != len(want)),
               Hint("no-overlap", "those windows lie side by side; the kernel moves by one, the third number of `unfold`",
                    when=lambda got, given, want: got.ndim == 1 and len(got) == len(given[0]) // len(given[1]) != len(want))],
        praise="Windows as a view, then one product: that is im2col in one dimension.", rtol=1e-4, atol=1e-5)


def shape_of(input_shape, weight_shape, stride, padding):
    return (input_shape[0], weight_shape[0], *((i + 2 * padding - k) // stride + 1 for i, k in zip(input_shape[2:], weight_shape[2:])))


def conv_shape():
    return Exercise(
        reference=shape_of,
        cases=lambda: [((64, 1, 28, 28), (8, 1, 5, 5), 2, 2), ((2, 3, 32, 20), (16, 3, 3, 3), 1, 0), ((1, 8, 7, 9), (4, 8, 1, 1), 1, 0),
                       ((5, 4, 11, 11), (6, 4, 3, 5), 3, 1), ((0, 2, 6, 6), (2, 2, 6, 6), 1, 0), ((3, 3, 224, 224), (64, 3, 7, 7), 2, 3)],
        hints=[Hint("one-sided", "padding goes on both sides: the picture grows by twice as much",
                    wrong=lambda i, w, s, p: (i[0], w[0], *((a + p - k) // s + 1 for a, k in zip(i[2:], w[2:])))),
               Hint("no-start", "the place where the kernel starts counts too: one more than the steps it takes",
                    wrong=lambda i, w, s, p: (i[0], w[0], *((a + 2 * p - k) // s for a, k in zip(i[2:], w[2:])))),
               Hint("same-channels", "the channels that go in do not come out: one picture for each kernel does",
                    when=lambda got, given, want: len(got) == 4 and got[1] == given[0][1] != want[1]),
               Hint("rounded-up", "a step that does not fit whole is not taken: round down, with //",
                    wrong=lambda i, w, s, p: (i[0], w[0], *(-(-(a + 2 * p - k) // s) + 1 for a, k in zip(i[2:], w[2:]))))],
        praise="The 28, 14, 7, 4 of the network above is this formula, three times.")


def same_padding():
    return Exercise(
        reference=lambda k, d: (d * (k - 1) // 2, d * (k - 1) - d * (k - 1) // 2),
        cases=lambda: [(3, 1), (5, 1), (4, 1), (2, 1), (1, 3), (3, 2), (4, 3), (2, 5)],
        hints=[Hint("no-dilation", "right without dilation; with it, the kernel spans dilation * (kernel_size - 1) + 1 pixels",
                    wrong=lambda k, d: ((k - 1) // 2, k - 1 - (k - 1) // 2)),
               Hint("odd-before", "the sum is right, but the odd one belongs after, not before",
                    wrong=lambda k, d: (d * (k - 1) - d * (k - 1) // 2, d * (k - 1) // 2)),
               Hint("half", "that is half the kernel on each side: one too many in all where its size is even",
                    wrong=lambda k, d: (k // 2 * d, k // 2 * d)),
               Hint("one-number", "return two numbers, (before, after)", when=lambda got, given, want: isinstance(got, int))],
        praise="So an even kernel cannot be centred, which is one reason why kernels have odd sizes.")


def placed(kernel, length, stride, places=None):
    matrix = torch.zeros((length - len(kernel)) // stride + 1 if places is None else places, length)
    for place in range(len(matrix)):
        for i, weight in enumerate(kernel): matrix[place, (place * stride + i) % length] = weight
    return matrix


def strided_matrix():
    return Exercise(
        reference=placed,
        cases=lambda: [(draw(3), 7, 1), (draw(3), 8, 2), (draw(2), 6, 3), (draw(1), 4, 1), (draw(4), 4, 2), (draw(3, seed=1), 9, 2)],
        hints=[Hint("transposed", "that is its transpose: a row for each place, a column for each number of the signal",
                    when=lambda got, given, want: got.ndim == 2 and got.shape != want.shape and got.shape == want.T.shape),
               Hint("stride-one", "the rows move by one; from place to place the kernel moves by `stride`",
                    wrong=lambda kernel, length, stride: placed(kernel, length, 1)),
               Hint("every-second-row", "the right number of rows, but each moved by one only",
                    wrong=lambda kernel, length, stride: placed(kernel, length, 1, (length - len(kernel)) // stride + 1)),
               Hint("wraps", "too many rows: at the end the kernel may not stand out or come in again at the front",
                    wrong=lambda kernel, length, stride: placed(kernel, length, stride, -(-length // stride)))],
        praise="With stride 2 the matrix has half the rows; its transpose turns few numbers into many, which lesson 18 uses to draw.")


def collected(grad, kernel):
    signal_grad = torch.zeros(len(grad) + len(kernel) - 1)
    for i, weight in enumerate(kernel): signal_grad[i:i + len(grad)] += weight * grad
    return signal_grad


def slide_1d_backward():
    return Exercise(
        reference=collected,
        cases=lambda: [(draw(5), draw(3)), (draw(4), draw(2)), (draw(1), draw(4)), (draw(6), draw(1)), (draw(8, seed=1)[::2], draw(3, seed=2))],
        hints=[Hint("not-turned", "you slid the kernel over the gradient as it is. Signal number j was read by weight i at place j - i: on the "
                                  "way back the kernel is turned round",
                    wrong=lambda grad, kernel: collected(grad, kernel.flip(0))),
               Hint("too-short", "the gradient of the signal is as long as the signal: len(grad) + len(kernel) - 1",
                    when=lambda got, given, want: got.ndim == 1 and len(got) < len(want)),
               Hint("overwritten", "a number of the signal is read at several places: add up what comes back (+=), do not overwrite it",
                    when=lambda got, given, want: got.shape == want.shape and len(want) > 1 and len(given[1]) > 1
                    and torch.allclose(got[-1], want[-1]) and torch.allclose(got[-len(given[0]):], given[1][-1] * given[0], atol=1e-6))],
        praise="Exercise 4's matrix, transposed: (M.T @ grad) gives the same numbers.", rtol=1e-4, atol=1e-5)


def each_its_own(pictures, kernels):
    seen = pictures.unfold(2, kernels.shape[1], 1).unfold(3, kernels.shape[2], 1)
    return (seen * kernels[:, None, None]).sum((4, 5))


def depthwise():
    return Exercise(
        reference=each_its_own,
        cases=lambda: [(draw(2, 3, 6, 5), draw(3, 3, 3)), (draw(1, 4, 5, 5), draw(4, 2, 3)), (draw(3, 1, 4, 4), draw(1, 1, 1)),
                       (draw(2, 2, 4, 7).mT, draw(2, 3, 2))],
        hints=[Hint("summed", "the channels are added up, as in an ordinary convolution; here each keeps to itself",
                    when=lambda got, given, want: got.ndim == want.ndim and got.shape[1] == 1 != want.shape[1]),
               Hint("every-pair", "every channel met every kernel; channel i meets kernel i only",
                    when=lambda got, given, want: got.ndim == 5 or got.ndim == 4 and got.shape[1] == given[0].shape[1]**2 != want.shape[1]),
               Hint("one-kernel", "all channels met the first kernel",
                    wrong=lambda pictures, kernels: each_its_own(pictures, kernels[:1].expand_as(kernels)))],
        praise="groups = channels: as many convolutions as there are channels, each on one plane.", rtol=1e-4, atol=1e-5)


exercises = {make.__name__: make() for make in (slide_1d, conv_shape, same_padding, strided_matrix, slide_1d_backward, depthwise)}
