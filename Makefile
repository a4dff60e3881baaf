# A thin wrapper: each command is `python3 tools/run.py COMMAND`, which works without make too.
PYTHON ?= python3

.PHONY: help setup lab test notebooks results
.DEFAULT_GOAL := help

# make exports what it is given: LAB_ARGS="--no-browser --port 8899" reaches JupyterLab through the environment
help setup lab:
	@"$(PYTHON)" tools/run.py $@

# NB=nbs/01_matmul.ipynb: only this one; make test SEED=3: with other random numbers
test notebooks:
	@"$(PYTHON)" tools/run.py $@ $(NB)

# NB as above; SEEDS=3: how often each long run is repeated
results:
	@"$(PYTHON)" tools/run.py results $(NB) --seeds $(or $(SEEDS),1)
