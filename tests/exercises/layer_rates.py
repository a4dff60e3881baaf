def layers_of(names, part):
    seen = []
    for name in names:
        if part(name) not in seen: seen.append(part(name))
    return seen


def owner(name): return ".".join(name.split(".")[:-1])


def from_the_front(names, lr, factor):
    layers = layers_of(names, owner)
    return {name: lr * factor ** layers.index(owner(name)) for name in names}


def each_parameter(names, lr, factor):
    rates = {}
    for name in reversed(names):
        rates[name] = lr
        lr = lr * factor
    return rates


def top_level(names, lr, factor):
    part = lambda name: name.split(".")[0] if "." in name else ""
    layers = layers_of(names, part)[::-1]
    return {name: lr * factor ** layers.index(part(name)) for name in names}


def by_text(names, lr, factor):
    layers = sorted({owner(name) for name in names}, reverse=True)
    return {name: lr * factor ** layers.index(owner(name)) for name in names}


def shifted(names, lr, factor):
    layers = layers_of(names, owner)[::-1]
    return {name: lr * factor ** (layers.index(owner(name)) + 1) for name in names}


MISTAKES = {"wrong-end": from_the_front, "by-parameter": each_parameter, "first-dot": top_level, "sorted": by_text, "one-too-many": shifted}
