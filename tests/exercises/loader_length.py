def one_too_many(n, batch_size, drop_last):
    if batch_size is None: return n
    return n // batch_size + (not drop_last)


def forgotten(n, batch_size, drop_last): return n if batch_size is None else n // batch_size
def ignoring(n, batch_size, drop_last): return n if batch_size is None else (n + batch_size - 1) // batch_size
def without_none(n, batch_size, drop_last): return n // batch_size if drop_last else (n + batch_size - 1) // batch_size


MISTAKES = {"one-too-many": one_too_many, "last-forgotten": forgotten, "drop-ignored": ignoring, "no-batch-size": without_none}
