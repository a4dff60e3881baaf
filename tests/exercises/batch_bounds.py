def over(n, batch_size, drop_last):
    bounds = [(start, start + batch_size) for start in range(0, n, batch_size)]
    return [b for b in bounds if b[1] <= n] if drop_last else bounds


def kept(n, batch_size, drop_last): return [(start, min(start + batch_size, n)) for start in range(0, n, batch_size)]
def dropped(n, batch_size, drop_last): return [(start, start + batch_size) for start in range(0, n - batch_size + 1, batch_size)]


def last_one_lost(n, batch_size, drop_last):
    bounds = kept(n, batch_size, drop_last)
    return bounds[:-1] if drop_last else bounds


MISTAKES = {"over-the-end": over, "never-dropped": kept, "always-dropped": dropped, "whole-one-dropped": last_one_lost}
