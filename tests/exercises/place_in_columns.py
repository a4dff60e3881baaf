def steps_of(size, columns): return (size - 1) // columns


def swapped(place, size, columns):
    column, step = divmod(place, steps_of(size, columns))
    return None if column >= columns else (column, step)


def across(place, size, columns):
    step, column = place // columns, place % columns
    return None if step >= steps_of(size, columns) else (step, column)


def last_character(place, size, columns):
    steps = size // columns
    return (place % steps, place // steps) if place // steps < columns else None


def no_such_column(place, size, columns): return place % steps_of(size, columns), place // steps_of(size, columns)


MISTAKES = {"swapped": swapped, "across": across, "last-character": last_character, "no-such-column": no_such_column}
