def one_late(step, length, mult):
    number = 0
    while step > length: number, step, length = number + 1, step - length, length * mult
    return number, step, length


def from_one(step, length, mult):
    number = 1
    while step >= length: number, step, length = number + 1, step - length, length * mult
    return number, step, length


def from_the_first(step, length, mult):
    number, first = 0, length
    while step >= length: number, step, length = number + 1, step - length, first * mult
    return number, step, length


MISTAKES = {"all-alike": lambda step, length, mult: (*divmod(step, length), length), "one-late": one_late, "from-one": from_one, "from-the-first": from_the_first}
