import torch

MISTAKES = {"end-of-the-batch": lambda outputs, lengths: outputs[len(outputs) - 1], "one-too-far": lambda outputs, lengths: outputs[lengths, torch.arange(len(lengths))],
            "everything-paired": lambda outputs, lengths: torch.stack([outputs[n - 1] for n in lengths.tolist()]),
            "batch-first": lambda outputs, lengths: outputs[torch.arange(len(lengths)), lengths - 1]}
