def walk(counts, same=lambda a, b: a == b, skip=lambda c: c is None, close=True):
    found, first = [], 0
    for i in range(1, len(counts)):
        if not same(counts[i], counts[i - 1]):
            if not skip(counts[first]): found.append((first, i))
            first = i
    if close and counts and not skip(counts[first]): found.append((first, len(counts)))
    return found


MISTAKES = {"missing-kept": lambda counts: walk(counts, skip=lambda c: False), "steps-mixed": lambda counts: walk(counts, same=lambda a, b: (a is None) == (b is None)),
            "last-lost": lambda counts: walk(counts, close=False), "last-inside": lambda counts: [(a, b - 1) for a, b in walk(counts)],
            "zero-steps": lambda counts: walk(counts, skip=lambda c: not c)}
