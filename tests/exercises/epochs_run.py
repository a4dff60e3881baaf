def one_early(values, patience):
    best, age = float("inf"), 0
    for epoch, value in enumerate(values):
        if value < best: best, age = value, 0
        else: age += 1
        if age >= patience: return epoch + 1
    return len(values)


def compares_with_last(values, patience):
    before, age = float("inf"), 0
    for epoch, value in enumerate(values):
        age = 0 if value < before else age + 1
        before = value
        if age > patience: return epoch + 1
    return len(values)


def nan_is_better(values, patience):
    best, age = float("inf"), 0
    for epoch, value in enumerate(values):
        if value >= best: age += 1
        else: best, age = value, 0
        if age > patience: return epoch + 1
    return len(values)


def ties(values, patience):
    best, age = float("inf"), 0
    for epoch, value in enumerate(values):
        if value <= best: best, age = value, 0
        else: age += 1
        if age > patience: return epoch + 1
    return len(values)


MISTAKES = {"one-early": one_early, "compares-with-last": compares_with_last, "nan-is-better": nan_is_better, "ties": ties}
