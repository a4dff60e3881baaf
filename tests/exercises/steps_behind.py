def drops_the_rest(batches, count): return list(range(count - 1, batches, count))


def too_early(batches, count): return [i for i in range(batches) if i % count == 0 or i == batches - 1]


def too_early_and_drops(batches, count): return list(range(0, batches, count))


def twice(batches, count):
    steps = list(range(count - 1, batches, count))
    if batches: steps.append(batches - 1)
    return steps


MISTAKES = {"drops-the-rest": drops_the_rest, "too-early": too_early, "too-early-and-drops": too_early_and_drops, "twice": twice}
