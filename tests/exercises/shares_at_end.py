import torch


def after(update): return torch.stack([update[k:].prod() for k in range(len(update))] + [torch.tensor(1.0)])   # what later gates leave
def in_full(update): return after(update)
def forwards(update): return torch.cat([torch.ones(1), 1 - update]) * torch.cat([torch.ones(1), update.cumprod(0)])
def mistaken(update): return torch.cat([torch.ones(1), update]) * after(1 - update)


def late(update):
    shares = after(update)
    return torch.cat([shares[:1], (1 - update) * shares[:-1]])


MISTAKES = {"all-in-full": in_full, "forwards": forwards, "gates-mistaken": mistaken, "one-late": late}
