def plain_mean(gradients, sizes): return sum(gradients) / len(gradients)
def total(gradients, sizes): return sum(g * n for g, n in zip(gradients, sizes))
def not_weighted(gradients, sizes): return sum(gradients) / sum(sizes)


MISTAKES = {"plain-mean": plain_mean, "sum": total, "not-weighted": not_weighted}
