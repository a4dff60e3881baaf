"Planted mistakes for the exercise huber_mean: each must get the hint of its own key."
import torch


def joined(distance, delta, near, far): return torch.where(distance <= delta, near, far).mean()


MISTAKES = {
    "signed": lambda input, target, delta: joined(d := input - target, delta, d ** 2 / 2, delta * (d - delta / 2)),
    "jump": lambda input, target, delta: joined(d := (input - target).abs(), delta, d ** 2 / 2, d),
    "no-half": lambda input, target, delta: joined(d := (input - target).abs(), delta, d ** 2, delta * (d - delta / 2)),
    "swapped": lambda input, target, delta: joined(d := (input - target).abs(), delta, delta * (d - delta / 2), d ** 2 / 2),
}
