import torch


def scaled(heat): return torch.zeros_like(heat) if heat.max() == heat.min() else (heat - heat.min()) / (heat.max() - heat.min())
def heat_of(features, weights): return torch.stack([w * f for w, f in zip(weights, features)]).sum(0)
def flat(features, weights): return (heat_of(features, weights) - heat_of(features, weights).min()) / (heat_of(features, weights).max() - heat_of(features, weights).min())


MISTAKES = {"unweighted": lambda features, weights: scaled(features.mean(0)), "not-scaled": heat_of,
            "rectified": lambda features, weights: scaled(heat_of(features, weights).clamp(min=0)), "flat": flat}
