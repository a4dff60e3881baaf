def hook_left(make, index, x):
    net, found = make(), []
    net[index].register_forward_hook(lambda module, inputs, output: found.append(output.detach()))
    net(x)
    return found[0], len(net[index]._forward_hooks)


def inputs(make, index, x):
    net, found = make(), []
    with net[index].register_forward_hook(lambda module, inputs, output: found.append(inputs[0].detach())): net(x)
    return found[0], len(net[index]._forward_hooks)


def whole_network(make, index, x):
    net = make()
    return net(x).detach(), len(net[index]._forward_hooks)


MISTAKES = {"hook-left": hook_left, "inputs": inputs, "whole-network": whole_network}
