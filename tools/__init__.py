"The commands of this repository: `run.py` is where they start."
