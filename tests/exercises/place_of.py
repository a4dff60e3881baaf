MISTAKES = {"half-forgotten": lambda position, size, align_corners: (position + 1) / 2 * (size - 1 if align_corners else size),
            "swapped": lambda position, size, align_corners: (position + 1) / 2 * size - 0.5 if align_corners else (position + 1) / 2 * (size - 1),
            "fence-post": lambda position, size, align_corners: (position + 1) / 2 * size - (0 if align_corners else 0.5)}
