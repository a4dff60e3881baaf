import math


def ends(values, room, below=True):
    low, high = min(values), max(values)
    return low - (high - low) * room * below, high + (high - low) * room


def prices_first(prices, room):
    low, high = ends(prices, room)
    return math.log(max(low, 1e-9)), math.log(high)


MISTAKES = {"in-prices": ends, "room-in-prices": prices_first, "top-only": lambda prices, room: ends([math.log(p) for p in prices], room, False),
            "base-ten": lambda prices, room: ends([math.log10(p) for p in prices], room)}
