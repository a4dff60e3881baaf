"Hidden cases and hints of the exercises in 02_backprop."
import torch
from lesson_nb.checker import Exercise, Hint


def draw(*shape, seed=0):
    "Random numbers that are the same each time."
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + 7 * len(shape) + sum(shape)))


def leaky_relu_backward():
    def right(flow, x, slope): return torch.where(x > 0, flow, slope * flow)
    return Exercise(
        reference=right,
        cases=lambda: [(draw(4, 3), draw(4, 3, seed=1), 0.1), (draw(6), torch.tensor([-2.0, 0.0, 3.0, -0.5, 0.0, 1.0]), 0.25), (draw(1, 5), draw(1, 5, seed=2), 0.01),
                       (draw(3, 4).T, draw(4, 3, seed=3), 0.3)],
        hints=[Hint("forward", "that is the leaky ReLU of the flow: which elements are let through is decided by x, the input of the way forward", wrong=lambda flow, x, slope: right(flow, flow, slope)),
               Hint("not-leaky", "where x is below zero, your gradient is 0: that is the plain ReLU. A leaky one lets slope times the flow through", wrong=lambda flow, x, slope: torch.where(x > 0, flow, 0)),
               Hint("no-flow", "that is the slope of the step alone; by the chain rule it has to be multiplied by the flow that arrives", wrong=lambda flow, x, slope: right(torch.ones_like(flow), x, slope)),
               Hint("times-input", "you multiplied by x or by the output; the slope of a straight line is the same everywhere on it, so only the sign of x matters",
                    wrong=lambda flow, x, slope: flow * right(x, x, slope)),
               Hint("zero", "right everywhere but at x = 0; there the gradient is slope times the flow, so the comparison must be x > 0", wrong=lambda flow, x, slope: torch.where(x >= 0, flow, slope * flow))],
        praise="With a slope above 0 no hidden number is ever cut off for good, since some gradient always gets through.")


def sigmoid_backward():
    return Exercise(
        reference=lambda flow, s: flow * s * (1 - s),
        cases=lambda: [(draw(4, 3), 1 / (1 + (-draw(4, 3, seed=1)).exp())), (draw(5), torch.tensor([0.0, 0.5, 1.0, 0.25, 0.9])), (draw(1), torch.tensor([0.3])), (draw(2, 3).T, torch.rand(3, 2, generator=torch.Generator().manual_seed(4)))],
        hints=[Hint("input", "s is the sigmoid's output already; do not squeeze it a second time", wrong=lambda flow, s: flow * (t := 1 / (1 + (-s).exp())) * (1 - t)),
               Hint("no-flow", "that is the slope of the step alone; by the chain rule it has to be multiplied by the flow that arrives", wrong=lambda flow, s: s * (1 - s)),
               Hint("sign", "it has the wrong sign: the sigmoid grows everywhere, so no slope of it is negative", wrong=lambda flow, s: -flow * s * (1 - s)),
               Hint("half", "s alone would be the slope of the exponential; try your formula where s is 1, where the sigmoid is flat", wrong=lambda flow, s: flow * s)],
        praise="The slope is at most 1/4, so ten such layers shrink a gradient at least a million times. That is one reason for ReLU.")


def sum_to_shape():
    def right(flow, shape):
        flow = flow.reshape(-1, *flow.shape[flow.ndim - len(shape):]).sum(0)
        for i, size in enumerate(shape):
            if size == 1: flow = flow.sum(i, keepdim=True)
        return flow
    def first_only(flow, shape): return flow.sum(tuple(range(flow.ndim - len(shape)))) if flow.ndim > len(shape) else flow
    def mean(flow, shape): return right(flow, shape) * (torch.Size(shape).numel() / flow.numel())
    def one(flow, shape):
        for _ in range(flow.ndim - len(shape)): flow = flow[0]
        return flow[tuple(slice(0, 1) if size == 1 else slice(None) for size in shape)]
    return Exercise(
        reference=right,
        cases=lambda: [(draw(4, 3), (3,)), (draw(4, 3), (4, 1)), (draw(2, 4, 3), (1, 3)), (draw(2, 4, 3), (4, 1)), (draw(5, 2), ()), (draw(4, 3), (4, 3)), (draw(2, 4, 3), (2, 1, 1)), (draw(1, 3), (1, 3)), (draw(3, 3), (3,))],
        hints=[Hint("mean", "the contributions add up; a mean makes the gradient smaller the more often the number was read", wrong=mean),
               Hint("first-only", "axes that broadcasting put in front are summed, but axes of size 1 inside the shape are still stretched: sum those too, and keep them", wrong=first_only),
               Hint("one-copy", "you kept one of the copies; every copy was used, so the gradients of all of them are to be added", wrong=one),
               Hint("lost-axis", "the sum is right but an axis of size 1 has vanished; sum with keepdim=True, or reshape at the end",
                    when=lambda answer, arguments, expected: answer.shape != expected.shape and answer.numel() == expected.numel() and torch.allclose(answer.flatten(), expected.flatten(), atol=1e-5))],
        praise="Broadcasting and sum are each other's reverse: the gradient of a sum is broadcast, too.")


def centre_rows_backward():
    return Exercise(
        reference=lambda flow: flow - flow.mean(1, keepdim=True),
        cases=lambda: [(draw(4, 3),), (draw(3, 3),), (draw(1, 6),), (draw(5, 1),), (draw(4, 6).T,)],
        hints=[Hint("only-itself", "that is the way by itself only; each x also moves its row's mean, and through it every output of the row", wrong=lambda flow: flow),
               Hint("sum", "the mean passes on a share of 1/n to each of its n inputs; you passed on all of it", wrong=lambda flow: flow - flow.sum(1, keepdim=True)),
               Hint("added", "the mean is subtracted, so what comes back through it is subtracted too", wrong=lambda flow: flow + flow.mean(1, keepdim=True)),
               Hint("columns", "the means run over the other axis: a row's mean is over axis 1, and keepdim=True keeps it beside its row", wrong=lambda flow: flow - flow.mean(0)),
               Hint("per-place", "the share of one place only: 1 - 1/n times its own flow. But each output of the row contains the mean, so x hears from all of them", wrong=lambda flow: flow * (1 - 1 / flow.shape[1]))],
        praise="Forward and backward are the same operation here; the normalization layers of lesson 13 contain it.")


def count_multiplications():
    def products(batch, sizes): return [batch * n * m for n, m in zip(sizes, sizes[1:])]
    return Exercise(
        reference=lambda batch, sizes: 3 * sum(products(batch, sizes)) - products(batch, sizes)[0],
        cases=lambda: [(64, (784, 50, 10)), (1, (3, 2)), (10, (8, 8, 8, 8)), (7, (100, 1, 5)), (128, (784, 100, 100, 10))],
        hints=[Hint("forward-only", "that is the forward pass; backward has a product for each weight, and one for each input but the first", wrong=lambda batch, sizes: sum(products(batch, sizes))),
               Hint("pictures", "you also count the gradient of the pictures, which nobody wants: leave out the first layer's input", wrong=lambda batch, sizes: 3 * sum(products(batch, sizes))),
               Hint("twice", "backward counts two products a layer, not one: the weight's gradient and the input's (but not for the pictures)", wrong=lambda batch, sizes: 2 * sum(products(batch, sizes))),
               Hint("no-batch", "each product runs over the whole batch; multiply by it", wrong=lambda batch, sizes: 3 * sum(products(1, sizes)) - products(1, sizes)[0]),
               Hint("decimal", "the number is right, but return a whole number, an int", when=lambda answer, arguments, expected: isinstance(answer, float) and answer == expected)],
        praise="Training costs about three times what using the network costs; keep the rule of thumb.")


exercises = {f.__name__: f() for f in (leaky_relu_backward, sigmoid_backward, sum_to_shape, centre_rows_backward, count_multiplications)}
