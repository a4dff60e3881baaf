def codes(values, classes, first, unknown):
    place = {value: i + first for i, value in enumerate(classes)}
    return [place.get(value, unknown) for value in values]


MISTAKES = {"from-zero": lambda values, classes: codes(values, classes, 0, 0), "minus-one": lambda values, classes: codes(values, classes, 0, -1),
            "sorted-anew": lambda values, classes: codes(values, sorted(classes), 1, 0), "unknown-last": lambda values, classes: codes(values, classes, 1, len(classes) + 1)}
