def by_name(callbacks): return [name for order, name in sorted((order, name) for name, order in callbacks)]
def as_added(callbacks): return [name for name, order in callbacks]
def backwards(callbacks): return [name for name, order in sorted(callbacks, key=lambda pair: pair[1], reverse=True)]


MISTAKES = {"backwards": backwards, "by-name": by_name, "as-added": as_added}
