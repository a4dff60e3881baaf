MISTAKES = {"only-the-head": lambda names, head: [n for n in names if n.split(".")[0] == head],
            "too-many": lambda names, head: [n for n in names if not n.startswith(head)],
            "too-few": lambda names, head: [n for n in names if n != f"{head}.weight"]}
