import torch


def fill(sequences, value, place):
    longest = max(map(len, sequences))
    batch = torch.full((len(sequences), longest), value, dtype=sequences[0].dtype)
    for i, s in enumerate(sequences): batch[(i, *place(len(s), longest))] = s
    return batch


def behind(sequences, value): return fill(sequences, value, lambda n, longest: (slice(0, n),))
def zero(sequences, value): return fill(sequences, 0, lambda n, longest: (slice(longest - n, longest),))
def negative(sequences, value): return fill(sequences, value, lambda n, longest: (slice(-n, None),))
def turned(sequences, value): return fill([s.flip(0) for s in sequences], value, lambda n, longest: (slice(longest - n, longest),))


MISTAKES = {"behind": behind, "always-zero": zero, "empty-fills-all": negative, "turned": turned}
