"Planted mistakes for the exercise count_ways: each must get the hint of its own key."
import functools


def ways(parents, root, at_leaf=1, distinct=False):
    order, seen, stack = [], set(), [(root, False)]
    while stack:
        node, ready = stack.pop()
        if ready: order.append(node)
        elif node not in seen:
            seen.add(node)
            stack += [(node, True), *((p, False) for p in parents[node])]
    count = {}
    for node in order: count[node] = sum(count[p] for p in (set(parents[node]) if distinct else parents[node])) if parents[node] else at_leaf
    return count[root], order


def recursive(parents, root):
    @functools.cache
    def of(node): return sum(of(p) for p in parents[node]) if parents[node] else 1
    return of(root)

MISTAKES = {
    "recursion": recursive,
    "leaves": lambda parents, root: sum(not parents[n] for n in ways(parents, root)[1]),
    "links": lambda parents, root: sum(len(parents[n]) for n in ways(parents, root)[1]),
    "double-links": lambda parents, root: ways(parents, root, distinct=True)[0],
    "root": lambda parents, root: ways(parents, root)[0] if parents[root] else 0,
}
