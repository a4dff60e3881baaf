def none_taken(forward, pre_hooks, hooks, x):
    for hook in pre_hooks: x = hook(x)
    output = forward(x)
    for hook in hooks: output = hook(output)
    return output


def ignored(forward, pre_hooks, hooks, x):
    for hook in pre_hooks: hook(x)
    output = forward(x)
    for hook in hooks: hook(output)
    return output


def by_or(forward, pre_hooks, hooks, x):
    for hook in pre_hooks: x = hook(x) or x
    output = forward(x)
    for hook in hooks: output = hook(output) or output
    return output


def backwards(forward, pre_hooks, hooks, x):
    for hook in reversed(pre_hooks):
        if (new := hook(x)) is not None: x = new
    output = forward(x)
    for hook in reversed(hooks):
        if (new := hook(output)) is not None: output = new
    return output


MISTAKES = {"none-taken": none_taken, "ignored": ignored, "or": by_or, "backwards": backwards}
