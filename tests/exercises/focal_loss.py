"Planted mistakes for the exercise focal_loss: each must get the hint of its own key."
import torch
import torch.nn.functional as F


def each(scores, target): return F.cross_entropy(scores, target, reduction="none")
def share(scores, target): return torch.softmax(scores, 1)[torch.arange(len(target)), target]


MISTAKES = {
    "plain": lambda scores, target, gamma: F.cross_entropy(scores, target),
    "easy-ones": lambda scores, target, gamma: (share(scores, target) ** gamma * each(scores, target)).mean(),
    "of-the-mean": lambda scores, target, gamma: (1 - (-each(scores, target).mean()).exp()) ** gamma * each(scores, target).mean(),
    "not-finite": lambda scores, target, gamma: -((1 - share(scores, target)) ** gamma * share(scores, target).log()).mean(),
}
