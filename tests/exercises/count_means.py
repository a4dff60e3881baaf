def numbers_in_each(kind, shape, groups):
    n, c, h, w = shape
    return {"batch": n * h * w, "layer": c * h * w, "instance": h * w, "group": c // groups * h * w}[kind]


def once(kind, shape, groups): return {"batch": shape[1], "layer": shape[0], "instance": shape[0] * shape[1]}.get(kind, groups)
def in_a_group(kind, shape, groups): return {"batch": shape[1], "layer": shape[0], "instance": shape[0] * shape[1]}.get(kind, shape[0] * shape[1] // groups)
def swapped(kind, shape, groups): return {"batch": shape[0], "layer": shape[1], "instance": shape[0] * shape[1]}.get(kind, shape[0] * groups)


MISTAKES = {"how-many-averaged": numbers_in_each, "group-forgets-pictures": once, "channels-in-a-group": in_a_group, "batch-and-layer-swapped": swapped}
