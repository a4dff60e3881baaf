def number_of_tensors(tensors): return len({id(t) for t in tensors if t.requires_grad})


def with_repeats(tensors): return sum(t.numel() for t in tensors if t.requires_grad)


def by_value(tensors):
    seen, total = set(), 0
    for t in tensors:
        key = (tuple(t.shape), tuple(t.flatten().tolist()))
        if key not in seen and t.requires_grad: total += t.numel()
        seen.add(key)
    return total


def frozen_too(tensors): return sum(t.numel() for t in {id(t): t for t in tensors}.values())


MISTAKES = {"tensors-not-numbers": number_of_tensors, "counted-twice": with_repeats, "equal-is-not-the-same": by_value, "frozen-counted": frozen_too}
