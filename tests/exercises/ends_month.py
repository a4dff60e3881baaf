LENGTHS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]


def fourth(year, month, day): return day == (29 if month == 2 and year % 4 == 0 else LENGTHS[month - 1])


MISTAKES = {"thirty-one": lambda year, month, day: day == 31, "no-leap-years": lambda year, month, day: day == LENGTHS[month - 1], "every-fourth-year": fourth}
