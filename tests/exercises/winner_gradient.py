"Planted mistakes for the exercise winner_gradient: each must get the hint of its own key."
import torch


def by_autograd(pool):
    def answer(picture, grad):
        given = picture.clone().requires_grad_()
        return torch.autograd.grad(pool(given), given, grad)[0]
    return answer


def spread(picture, grad): return grad.repeat_interleave(2, 0).repeat_interleave(2, 1)
def largest(picture): return picture.unfold(0, 2, 2).unfold(1, 2, 2).amax((2, 3))


def last(picture, grad):
    pool = by_autograd(lambda p: torch.nn.functional.max_pool2d(p[None], 2)[0])
    return pool(picture.flip(0, 1), grad.flip(0, 1)).flip(0, 1)


MISTAKES = {
    "shared": by_autograd(largest),
    "all-winners": lambda picture, grad: spread(picture, grad) * (picture == spread(picture, largest(picture))),
    "last": last,
    "everywhere": spread,
}
