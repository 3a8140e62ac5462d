# edgernn: `make` builds the environment and takes the scenarios demand and truck from raw rows to their reports; `make help`
# says the rest.
# Every stage is a file under build/<scenario>/; what is up to date is not done again.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.SECONDARY:

SCENARIO ?= demand truck
DRAWS ?= 200
DAMAGED ?= 2000
SCENARIOS := $(patsubst scenarios/%.toml,%,$(wildcard scenarios/*.toml))
# With attention, built when asked for by name only: a quarter and half an hour.
LONG := multi30k translate_attention
SHORT := $(filter-out $(LONG),$(SCENARIOS))
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(shell $(p) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 14); print("$(p)")' 2>/dev/null)))
EDGERNN := .venv/bin/edgernn

PIPELINE := $(shell find pipeline -name '*.py')
KERAS := $(shell find keras_models -name '*.py')
TFLITE := $(shell find tflite -name '*.py' -not -path '*/report/*')

.PHONY: all help env run $(SCENARIOS) test gates bench matrix generated-c firmware arm64 android-assets android-test android-screenshots apk system-packages slow seeds long-run horizon against-transformer fault-limits nightly engines lint lock clean

all: run

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|'
	@for name in $(SCENARIOS); do echo "  make $$name   the whole road of scenarios/$$name.toml"; done

run: $(SCENARIO) ## the whole road of SCENARIO (default demand and truck): reports, then their gates

$(SCENARIOS): %: build/%/gates.passed

env: .venv/ready ## the environment in .venv, from requirements.lock

.venv/ready: requirements.lock installer.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "edgernn: no Python 3.11, 3.12 or 3.13 found; install one, or say make PYTHON=/path/to/python" >&2; exit 2; }
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r installer.lock
	VIRTUAL_ENV=$(CURDIR)/.venv .venv/bin/uv pip install --quiet --compile-bytecode --require-hashes -r requirements.lock
	VIRTUAL_ENV=$(CURDIR)/.venv .venv/bin/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Write-if-changed: `stages` touches a stage's file only when what that stage reads of the scenario changed. The note takes
# the time before that, so that the files are newer than it.
build/%/stages/noted: scenarios/%.toml .venv/ready
	@mkdir -p $(@D) && touch $(@D)/.noting
	@$(EDGERNN) stages $<
	@mv $(@D)/.noting $@

build/%/stages/preprocess.json build/%/stages/train.json build/%/stages/quantize.json build/%/stages/gates.json: build/%/stages/noted ;

build/%/dataset/dataset.json: build/%/stages/preprocess.json $(PIPELINE) ## rows to windows and streams (Apache Beam)
	$(EDGERNN) preprocess scenarios/$*.toml

build/%/model/float.json: build/%/dataset/dataset.json build/%/stages/train.json $(KERAS) ## the float model (Keras)
	$(EDGERNN) train scenarios/$*.toml

build/%/model/qat.json: build/%/model/float.json build/%/stages/quantize.json ## calibration and fine-tuning (TFMOT, Keras)
	$(EDGERNN) quantize scenarios/$*.toml

build/%/tflite/seconds.json: build/%/model/qat.json $(TFLITE) ## the .tflite and artifact.json
	$(EDGERNN) convert scenarios/$*.toml

build/%/validation.json: build/%/tflite/seconds.json ## proof on LiteRT and TFLite Micro
	$(EDGERNN) validate scenarios/$*.toml

build/%/bench.json: build/%/tflite/seconds.json ## step time against ONNX Runtime
	$(EDGERNN) bench scenarios/$*.toml

build/%/gates.json: build/%/validation.json build/%/bench.json build/%/stages/gates.json ## measured against allowed
	@$(EDGERNN) gates scenarios/$*.toml || test $$? -eq 1  # the report shows a broken gate; gates.passed fails on it

build/%/report.html: build/%/gates.json $(shell find tflite/report -type f) ## one page a person enjoys
	$(EDGERNN) report scenarios/$*.toml

build/%/gates.passed: build/%/report.html
	@if grep -q '"ok": false' build/$*/gates.json; then $(EDGERNN) gates scenarios/$*.toml; fi
	@touch $@

test: env ## the tests
	.venv/bin/python -m pytest -n logical --maxprocesses 4 --dist loadfile

nightly: env ## prove DRAWS random Keras models (default 200), and DAMAGED damaged files (2000) against generated C
	EDGERNN_DRAWS=$(DRAWS) EDGERNN_DAMAGED=$(DAMAGED) .venv/bin/python -m pytest -n logical --maxprocesses 4 \
		tests/test_random_models.py tests/tflite/codegen/test_damaged_files.py

gates: $(SHORT) ## size, quality, parity and latency budgets of every scenario; exit status 1 if one is broken

bench: $(SHORT:%=build/%/tflite/seconds.json) ## steps against ONNX Runtime, training against Keras, simulator, rows against pyarrow
	@for name in $(SHORT); do $(EDGERNN) bench scenarios/$$name.toml; done
	@$(EDGERNN) bench-step
	@$(EDGERNN) bench-qat
	@$(EDGERNN) bench-fleet
	@$(EDGERNN) bench-preprocess

matrix: env ## every cell in every form: size, time, parity, contract; exit status 1 if one fails
	$(EDGERNN) matrix

generated-c: env ## generated C beside TFLite Micro, 100,000 steps in every form; exit status 1 if one integer differs
	$(EDGERNN) generated-c

firmware: env ## generated C on six emulated Cortex-M cores; exit status 1 if one differs from TFLM or costs 1 % more
	$(EDGERNN) firmware

arm64: env build/arm64/root ## LiteRT and generated C on emulated ARM64; exit status 1 if one integer differs from x86 or TFLM
	$(EDGERNN) arm64

ANDROID_SCENARIOS ?= demand truck translate
ASSETS := android_demo/app/src/main/assets
MVN := mvn --batch-mode --no-transfer-progress -Dstyle.color=never -f android_demo

android-assets: $(ASSETS)/index.json ## models, recorded telemetry and what the models say of it, for the Android app

$(ASSETS)/index.json: $(ANDROID_SCENARIOS:%=build/%/gates.json) $(wildcard tflite/phone/*.py)
	$(EDGERNN) android-assets $(ANDROID_SCENARIOS:%=scenarios/%.toml) --out $(@D)

LITERT = $(CURDIR)/$(wildcard .venv/lib/python3*/site-packages/ai_edge_litert/libLiteRt.so)

android-test: android-assets ## the Android app without a phone: compiled, and tested with LiteRT of this machine (Maven, Java 17, aapt2)
	$(MVN) test -Dlitert.library=$(LITERT) 2>&1 | sed --regexp-extended '/^(INFO|WARNING): /d'  # LiteRT says how it starts
	@grep --count --invert-match --extended-regexp '^\s*$$|^\s*(//|/?\*)' android_demo/app/src/main/kotlin/dev/edgernn/demo/*.kt | \
		awk -F: '{ lines += $$2 } END { print "the app: " lines " lines of Kotlin"; exit lines >= 1500 }'

android-screenshots: android-test ## the pictures of the README, drawn anew
	cp android_demo/jvm/app/target/screenshots/{live,live_dark,forecast,translate,models}.png android_demo/screenshots/

apk: android-assets ## a signed debug APK without an Android SDK (D8, aapt2, zipalign, apksigner)
	$(MVN) package -Papk -Dmaven.test.skip=true -Dlitert.library=$(LITERT)

build/arm64/root: tflite/arm64/wheels.lock tflite/arm64/unpack.sh | .venv/ready
	tflite/arm64/unpack.sh $(@D) $< .venv/bin/uv
	@touch $@

# The compiler's sanitizers are a package of its version; a compilation tells whether they are there.
PROGRAMS := gcc g++ clang arm-none-eabi-gcc qemu-system-arm aarch64-linux-gnu-gcc qemu-aarch64 \
	aapt2 zipalign apksigner mvn keytool
PACKAGES := gcc g++ libc6-dev clang gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm \
	gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user aapt zipalign apksigner maven openjdk-17-jdk-headless

system-packages: ## compilers, cross-compilers, emulators and Android's packers of Debian or Ubuntu, where they are missing (as root)
	@type -P $(PROGRAMS) > /dev/null && test -e /usr/lib/arm-none-eabi/newlib || \
		{ apt-get update --quiet=2 && apt-get install --quiet=2 --yes --no-install-recommends $(PACKAGES); }
	@echo 'int main(void) { return 0; }' | clang -fsanitize=address -x c -o /dev/null - 2> /dev/null || \
		{ apt-get update --quiet=2 && apt-get install --quiet=2 --yes --no-install-recommends \
		libclang-rt-$$(clang -dumpversion | cut -d. -f1)-dev; }

slow: env ## how slow states stall, in every integer form (5 minutes)
	$(EDGERNN) slow

seeds: $(SHORT:%=build/%/dataset/dataset.json) ## float, calibrated, fine-tuned over three seeds (two hours)
	@for name in $(SHORT); do $(EDGERNN) seeds scenarios/$$name.toml; done

fault-limits: env ## how soon the faults of truck could be noticed at all
	$(EDGERNN) fault-limits scenarios/truck.toml

long-run: build/demand/tflite/seconds.json ## do errors add up? 100,000 steps of the demand model without a reset
	$(EDGERNN) long-run scenarios/demand.toml

horizon: build/demand/model/float.json ## how far back the demand model, and each kind of cell, remembers
	$(EDGERNN) horizon scenarios/demand.toml

against-transformer: build/demand/model/float.json ## memory, time and quality of a Transformer on the demand stream
	$(EDGERNN) against-transformer scenarios/demand.toml

engines: build/engines/prism build/engines/flink-job-server.jar build/engines/spark-job-server.jar ## Prism, embedded Flink and Spark for the tests (Go, Maven, Java 17)

BEAM := $(shell sed -n 's/^apache-beam==\([0-9.]*\).*/\1/p' requirements.lock)

build/engines/prism: requirements.lock
	GOBIN=$(CURDIR)/$(@D) go install github.com/apache/beam/sdks/v2/go/cmd/prism@v$(BEAM)
	@touch $@

build/engines/%-job-server.jar: engines/%-job-server.xml
	mvn --quiet --batch-mode -Dstyle.color=never -f $< package
	@touch $@

lint: env ## ruff
	.venv/bin/ruff check .

lock: env ## write requirements.lock and installer.lock anew from pyproject.toml
	.venv/bin/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-header --quiet -o requirements.lock
	.venv/bin/uv pip compile --group pyproject.toml:installer --universal --python-version 3.11 --generate-hashes --no-header --quiet -o installer.lock

clean: ## remove what was built, keep the environment
	rm -rf build android_demo/jvm/*/target $(ASSETS)
