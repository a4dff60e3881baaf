def everything(n, num_workers, id): return [i for i in range(n)]


def neighbours(n, num_workers, id):
    if not num_workers: return list(range(n))
    size = (n + num_workers - 1) // num_workers
    return list(range(id * size, min(n, (id + 1) * size)))


def careless(n, num_workers, id): return [i for i in range(n) if i % num_workers == id]
def from_one(n, num_workers, id): return list(range(id - 1, n, num_workers)) if num_workers else list(range(n))


MISTAKES = {"all-of-it": everything, "blocks": neighbours, "no-workers": careless, "counted-from-one": from_one}
