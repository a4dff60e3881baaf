def nothing_changes(make, index, channel, x):
    def hook(module, inputs, output):
        output = output.clone()
        output[:, channel] = 0
    net = make()
    with net[index].register_forward_hook(hook): return net(x).detach()


def an_example(make, index, channel, x):
    def hook(module, inputs, output):
        output = output.clone()
        output[min(channel, len(output) - 1)] = 0
        return output
    net = make()
    with net[index].register_forward_hook(hook): return net(x).detach()


MISTAKES = {"nothing-changes": nothing_changes, "an-example": an_example}
