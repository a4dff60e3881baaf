def moments(batches):
    total = sum(count for count, _, _ in batches)
    mean = sum(count * m for count, m, _ in batches) / total
    return total, mean, sum(count * (d**2 + (m - mean) ** 2) for count, m, d in batches) / total


def mean_deviation(batches):
    total, mean, _ = moments(batches)
    return mean, sum(count * d for count, _, d in batches) / total


def within_only(batches):
    total, mean, _ = moments(batches)
    return mean, (sum(count * d**2 for count, _, d in batches) / total) ** 0.5


def unweighted(batches):
    _, mean, variance = moments([(1, m, d) for _, m, d in batches])
    return mean, variance**0.5


MISTAKES = {"mean-deviation": mean_deviation, "unweighted": unweighted, "variance": lambda batches: moments(batches)[1:], "within-only": within_only}
