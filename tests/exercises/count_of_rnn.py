def one_bias(i, h, n, bias, two):
    ways = 1 + two
    return ways * (h * i + h * h + h * bias) + (n - 1) * ways * (h * ways * h + h * h + h * bias)


def above_reads_inputs(i, h, n, bias, two): return n * (1 + two) * (h * i + h * h + 2 * h * bias)
def half_read(i, h, n, bias, two): return (1 + two) * (h * i + h * h + 2 * h * bias + (n - 1) * (2 * h * h + 2 * h * bias))
def one_direction(i, h, n, bias, two): return h * i + h * h + 2 * h * bias + (n - 1) * (2 * h * h + 2 * h * bias)


MISTAKES = {"one-bias": one_bias, "above-reads-inputs": above_reads_inputs, "half-read": half_read, "one-direction": one_direction}
