def walk(batches, share_of, variance=1.0, less=1):
    mean = 0.0
    for k, batch in enumerate(batches):
        new = share_of(k)
        mean += new * (batch.mean().item() - mean)
        spread = ((batch - batch.mean()) ** 2).sum().item() / (batch.numel() - less)
        variance += new * (spread - variance)
    return mean, variance


def optimizers(batches, momentum): return walk(batches, lambda k: 1 / (k + 1) if momentum is None else 1 - momentum)
def biased(batches, momentum): return walk(batches, lambda k: 1 / (k + 1) if momentum is None else momentum, less=0)
def from_nought(batches, momentum): return walk(batches, lambda k: 1 / (k + 1) if momentum is None else momentum, variance=0.0)
def a_tenth(batches, momentum): return walk(batches, lambda k: momentum or 0.1)


MISTAKES = {"share-of-the-old": optimizers, "biased": biased, "starts-at-nought": from_nought, "none-is-a-tenth": a_tenth}
