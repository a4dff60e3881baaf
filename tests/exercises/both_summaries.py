"Planted mistakes for the exercise both_summaries: each must get the hint of its own key."
import torch


def summaries(features): return features.amax((2, 3)), features.mean((2, 3))


MISTAKES = {
    "swapped": lambda features: torch.cat(summaries(features)[::-1], 1),
    "interleaved": lambda features: torch.stack(summaries(features), -1).reshape(len(features), -1),
    "added": lambda features: sum(summaries(features)),
    "in-batch": lambda features: torch.cat(summaries(features)),
}
