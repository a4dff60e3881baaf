def mean_of_means(first, second): return (first[0] + second[0]) / 2, first[1] + second[1]


def empty(first, second):
    total = first[0] * first[1] + second[0] * second[1]
    return total / (first[1] + second[1]), first[1] + second[1]


def no_count(first, second):
    count = first[1] + second[1]
    return (first[0] * first[1] + second[0] * second[1]) / count if count else 0.0


MISTAKES = {"mean-of-means": mean_of_means, "empty": empty, "no-count": no_count}
