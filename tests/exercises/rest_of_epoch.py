import torch


def order_of(state, n): return torch.randperm(n, generator=torch.Generator().set_state(state))
def everything(state, n, batch_size, done): return list(order_of(state, n).split(batch_size))
def examples(state, n, batch_size, done): return list(order_of(state, n)[done:].split(batch_size))
def seeded_anew(state, n, batch_size, done): return list(torch.randperm(n, generator=torch.Generator().manual_seed(0)).split(batch_size))[done:]
def in_order(state, n, batch_size, done): return list(torch.arange(n).split(batch_size))[done:]


MISTAKES = {"all-of-it": everything, "examples-for-batches": examples, "another-order": seeded_anew, "not-shuffled": in_order}
