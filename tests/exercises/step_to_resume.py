def newest(files): return max([step for step, whole in files], default=0)


def silent(files): return max([step for step, whole in files if whole], default=0)


def first_whole(files):
    if not files: return 0
    for step, whole in files:
        if whole: return step
    raise ValueError("none is whole")


MISTAKES = {"newest": newest, "silent": silent, "first-whole": first_whole}
