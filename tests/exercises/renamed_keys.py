import re


def gap(keys, deleted): return [(key, key) for key in keys if not key.startswith(f"{deleted}.")]


def all_moved(keys, deleted):
    pairs = []
    for key in keys:
        number, rest = key.split(".", 1)
        if int(number) != deleted: pairs.append((key, f"{int(number) - 1}.{rest}"))
    return pairs


def one_digit(keys, deleted):
    pairs = []
    for key in keys:
        number = int(key[0])
        if number != deleted: pairs.append((key, str(number - 1 if number > deleted else number) + key[1:]))
    return pairs


def inner_numbers(keys, deleted):
    def lower(match): return str(int(match[0]) - 1) if int(match[0]) > deleted else match[0]
    return [(key, re.sub(r"\d+", lower, key)) for key in keys if int(key.split(".")[0]) != deleted]


MISTAKES = {"gap": gap, "all-moved": all_moved, "one-digit": one_digit, "inner-numbers": inner_numbers}
