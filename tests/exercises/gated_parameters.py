def one_bias(gates, input_size, hidden_size, num_layers, ways):
    first = ways * gates * hidden_size * (input_size + hidden_size + 1)
    return first + (num_layers - 1) * ways * gates * hidden_size * (ways * hidden_size + hidden_size + 1)


def none(gates, input_size, hidden_size, num_layers, ways):
    rows = ways * gates * hidden_size
    return rows * (input_size + hidden_size) + (num_layers - 1) * rows * (ways + 1) * hidden_size


def one_below(gates, input_size, hidden_size, num_layers, ways):
    rows = ways * gates * hidden_size
    return rows * (input_size + hidden_size + 2) + (num_layers - 1) * rows * (2 * hidden_size + 2)


def all_read_input(gates, input_size, hidden_size, num_layers, ways): return num_layers * ways * gates * hidden_size * (input_size + hidden_size + 2)


def single(gates, input_size, hidden_size, num_layers, ways):
    rows = gates * hidden_size
    return rows * (input_size + hidden_size + 2) + (num_layers - 1) * rows * ((ways + 1) * hidden_size + 2)


MISTAKES = {"one-bias": one_bias, "no-bias": none, "upper-reads-one": one_below, "upper-reads-input": all_read_input, "one-direction": single}
