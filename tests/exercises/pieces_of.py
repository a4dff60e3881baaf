import torch


def stack(numbers, length, starts): return torch.stack([numbers[i:i + length] for i in starts])


MISTAKES = {"one-too-many": lambda numbers, length: (numbers.unfold(0, length, 1), numbers[length - 1:]),
            "not-overlapping": lambda numbers, length: (stack(numbers, length, range(0, len(numbers) - length, length)), numbers[length::length]),
            "last-of-the-piece": lambda numbers, length: (stack(numbers, length, range(len(numbers) - length)), numbers[length - 1:-1]),
            "target-inside": lambda numbers, length: (stack(numbers, length + 1, range(len(numbers) - length)), numbers[length:])}
