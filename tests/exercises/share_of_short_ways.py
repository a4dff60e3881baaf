from math import comb


def count(blocks, lengths): return sum(comb(blocks, n) for n in lengths)


MISTAKES = {"only-that-length": lambda blocks, longest: comb(blocks, longest) / 2**blocks,
            "way-around-all": lambda blocks, longest: count(blocks, range(1, longest + 1)) / 2**blocks,
            "one-too-few": lambda blocks, longest: count(blocks, range(longest)) / 2**blocks,
            "not-a-share": lambda blocks, longest: count(blocks, range(longest + 1))}
