MISTAKES = {"one-too-far": lambda i, side, step, margin, size: (max(i * step - margin, 0), min(i * step - margin + side, size)),
            "below-zero": lambda i, side, step, margin, size: (i * step - margin, min(i * step - margin + side, size) - 1),
            "beyond": lambda i, side, step, margin, size: (max(i * step - margin, 0), i * step - margin + side - 1),
            "margin-forgotten": lambda i, side, step, margin, size: (i * step, min(i * step + side, size) - 1)}
