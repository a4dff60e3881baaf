MISTAKES = {"of-prices": lambda answers: answers.sum(0) / len(answers), "still-logarithms": lambda answers: answers.log().sum(0) / len(answers),
            "over-rows": lambda answers: (answers.log().sum(1) / answers.shape[1]).exp()}
