def halved(size, times):
    sides = []
    for _ in range(times):
        size = -(-size // 2)
        sides.append(size)
    return sides


def rounded_down(size):
    a = size // 2
    b = a // 2
    return [a, b, b, b // 2, b // 2 // 2, b // 2 // 2 // 2]


def pool_forgotten(size):
    stem, *rest = halved(size, 4)
    return [stem, stem, stem, *rest]


MISTAKES = {"rounded-down": rounded_down, "pool-forgotten": pool_forgotten, "first-stage": lambda size: halved(size, 6)}
