def replaced(keys): return [key.replace("module.", "") for key in keys]


def cut(keys): return [key[len("module."):] for key in keys]


def stripped(keys): return [key.lstrip("module.") for key in keys]


def filtered(keys):
    kept = []
    for key in keys:
        if key.startswith("module."): kept.append(key[len("module."):])
    return kept


MISTAKES = {"everywhere": replaced, "seven-letters": cut, "stripped": stripped, "dropped": filtered}
