MISTAKES = {"fence-post": lambda height, width, padding, size, flip: (height + 2 * padding - size) * (width + 2 * padding - size) * (1 + flip),
            "mirror-forgotten": lambda height, width, padding, size, flip: (height + 2 * padding - size + 1) * (width + 2 * padding - size + 1),
            "one-margin": lambda height, width, padding, size, flip: (height + padding - size + 1) * (width + padding - size + 1) * (1 + flip),
            "doubled-always": lambda height, width, padding, size, flip: 2 * (height + 2 * padding - size + 1) * (width + 2 * padding - size + 1)}
