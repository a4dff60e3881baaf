import torch


def drawn_again(n, seed, size, done):
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(n, generator=generator)
    order = torch.randperm(n, generator=generator)
    return order[size * done:]


def examples(n, seed, size, done): return torch.randperm(n, generator=torch.Generator().manual_seed(seed))[done:]
def given(n, seed, size, done): return torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:size * done]
def unshuffled(n, seed, size, done): return torch.arange(n)[size * done:]


MISTAKES = {"drawn-again": drawn_again, "examples": examples, "given": given, "unshuffled": unshuffled}
