def of_means(losses, sizes): return sum(losses) / len(losses)
def undivided(losses, sizes): return sum(loss * size for loss, size in zip(losses, sizes))
def by_batches(losses, sizes): return undivided(losses, sizes) / len(sizes)


MISTAKES = {"mean-of-means": of_means, "not-divided": undivided, "by-batches": by_batches}
