"What the tests of layers share: numbers, one step of a layer with all that it leaves behind, and two such steps side by side."
import torch


def draw(*shape, seed=0, dtype=torch.float64): return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)), dtype=torch.float64).to(dtype)


def step(layer, x, flow):
    "Output and gradients of one call; the buffers afterwards."
    x = x.clone(memory_format=torch.preserve_format).requires_grad_()
    y = layer(x)
    return {"output": y.detach()} | dict(zip(("input", *dict(layer.named_parameters())), torch.autograd.grad(y, [x, *layer.parameters()], flow))) | {n: b.clone() for n, b in layer.named_buffers()}


def assert_alike(ours, theirs, rtol=1e-10, atol=1e-12):
    assert list(ours) == list(theirs)
    for name in ours: torch.testing.assert_close(ours[name], theirs[name], rtol=rtol, atol=atol, msg=lambda m: f"{name}: {m}")
