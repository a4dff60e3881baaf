def without_input(layers, x):
    seen = []
    for layer in layers:
        x = layer(x)
        seen.append(x)
    return seen


def last_only(layers, x):
    for layer in layers: x = layer(x)
    return x


MISTAKES = {"without-input": without_input, "all-on-x": lambda layers, x: [x] + [layer(x) for layer in layers], "last-only": last_only}
