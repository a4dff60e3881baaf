def no_dots(tree):
    found = []
    for name, value in tree.items():
        if isinstance(value, dict): found.extend((name + path, number) for path, number in no_dots(value))
        else: found.append((name, value))
    return found


def last_name_only(tree):
    found = []
    for name, value in tree.items():
        if isinstance(value, dict): found += last_name_only(value)
        else: found.append((name, value))
    return found


def own_first(tree, prefix=""):
    found = [(prefix + name, value) for name, value in tree.items() if not isinstance(value, dict)]
    for name, value in tree.items():
        if isinstance(value, dict): found += own_first(value, prefix + name + ".")
    return found


MISTAKES = {"no-dots": no_dots, "last-name-only": last_name_only, "own-first": own_first}
