"Planted mistakes for the exercise round_through: each must get the hint of its own key."
import torch


def apply(x, flow, step, limit, backward, forward=lambda x, step: (x / step).round() * step):
    class Rounded(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return forward(x, step)
        @staticmethod
        def backward(ctx, flow): return backward(ctx.saved_tensors[0], flow)
    x = x.detach().requires_grad_()
    rounded = Rounded.apply(x)
    return rounded.detach(), torch.autograd.grad(rounded, x, flow)[0]


def honest(x, flow, step, limit):
    x = x.detach().requires_grad_()
    rounded = (x / step).round() * step
    return rounded.detach(), torch.autograd.grad(rounded, x, flow)[0]

MISTAKES = {
    "honest": honest,
    "no-limit": lambda x, flow, step, limit: apply(x, flow, step, limit, lambda x, flow: flow),
    "clipped-flow": lambda x, flow, step, limit: apply(x, flow, step, limit, lambda x, flow: flow.clamp(-limit, limit)),
    "edge": lambda x, flow, step, limit: apply(x, flow, step, limit, lambda x, flow: flow * (x.abs() < limit)),
    "whole-numbers": lambda x, flow, step, limit: apply(x, flow, step, limit, lambda x, flow: flow * (x.abs() <= limit), lambda x, step: x.round()),
}
