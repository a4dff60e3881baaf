def cut(order, batch_size): return [order[i:i + batch_size] for i in range(0, len(order), batch_size)]
def longest_first(lengths, batch_size): return cut(sorted(range(len(lengths)), key=lambda i: -lengths[i]), batch_size)
def the_lengths(lengths, batch_size): return cut(sorted(lengths), batch_size)
def complete_ones(lengths, batch_size): return [b for b in cut(sorted(range(len(lengths)), key=lengths.__getitem__), batch_size) if len(b) == batch_size]
def turned(lengths, batch_size): return cut(sorted(reversed(range(len(lengths))), key=lengths.__getitem__), batch_size)
def uncut(lengths, batch_size): return sorted(range(len(lengths)), key=lengths.__getitem__)


MISTAKES = {"longest-first": longest_first, "lengths-not-indices": the_lengths, "last-lost": complete_ones, "equals-turned": turned, "one-list": uncut}
