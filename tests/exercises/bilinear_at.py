import math


def look(picture, row, column, near=True, floor=math.floor, clamp=False):
    top, left, total = floor(row), floor(column), 0.0
    for i, down in ((top, 1 - (row - top)), (top + 1, row - top)):
        for j, right in ((left, 1 - (column - left)), (left + 1, column - left)):
            weight = down * right if near else (1 - down) * (1 - right)
            if floor is int: weight = (1 - abs(row - i)) * (1 - abs(column - j))
            if clamp: total += weight * picture[min(max(i, 0), len(picture) - 1), min(max(j, 0), len(picture[0]) - 1)].item()
            elif 0 <= i < len(picture) and 0 <= j < len(picture[0]): total += weight * picture[i, j].item()
    return total


MISTAKES = {"border": lambda picture, row, column: look(picture, row, column, clamp=True), "crossed": lambda picture, row, column: look(picture, column, row),
            "far-weighted": lambda picture, row, column: look(picture, row, column, near=False), "cut-towards-zero": lambda picture, row, column: look(picture, row, column, floor=int)}
