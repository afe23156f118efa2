# SPDX-License-Identifier: GPL-2.0-only
# The workbench of the unmapped page allocator. 'make' lists what there is.

bin := workbench/bin
VARIANT ?= plain
SIZE ?= 64
BASE ?=
CASE ?=
QUICK ?=
ACCEL ?= tcg
KERNEL_SRC ?=
CONFIG ?=
DEBUG ?=
DISK ?=
export KERNEL_SRC CONFIG DEBUG
# Debian's python has the modules that the kernel's scripts need.
export PATH := /usr/sbin:/usr/bin:/sbin:/bin:$(PATH)

# Kernels with what finds mistakes, see workbench/config; no test has run on race
# yet, and small lacks what some groups need.
checking := debug rt
variants := base plain debug race rt small off
parameters := VARIANT SIZE BASE CASE QUICK ACCEL KERNEL_SRC CONFIG DEBUG DISK
image = $(if $(filter plain,$1),build/x86_64,build/x86_64-$1)

# Refuse what nobody would ever notice to have no effect.
unknown := $(filter-out $(parameters),$(foreach word,$(MAKEOVERRIDES),\
	$(if $(findstring =,$(word)),$(firstword $(subst =, ,$(word))))))
ifneq ($(unknown),)
$(error there is no parameter $(unknown); there are: $(parameters))
endif
ifeq ($(filter $(VARIANT),$(variants)),)
$(error there is no variant '$(VARIANT)'; there are: $(variants))
endif
ifneq ($(shell echo '$(SIZE)' | grep -cx '[1-9][0-9]*'),1)
$(error SIZE=$(SIZE) is no number of MiB)
endif

ifeq ($(filter 0 1,$(or $(DISK),0)),)
$(error DISK=$(DISK) is neither 0 nor 1)
endif

run_variant := $(if $(filter-out 0,$(BASE)),base,$(VARIANT))

.PHONY: help
help: ## list the targets
	@echo "Targets:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null || \
		sed -n 's/^\([a-z-]*\):.*## /  \1: /p' $(MAKEFILE_LIST)
	@echo "Parameters:"
	@echo "  VARIANT=     of the kernel: $(variants); default plain"
	@echo "  SIZE=        of the secrets in 'make run', MiB; default 64"
	@echo "  BASE=1       'make run' and 'make vm' with the untouched kernel"
	@echo "  CASE=        'make test' for these groups of tests only, 'make check' and 'make bench' for these cases, 'make others' for these machines"
	@echo "  QUICK=1      'make bench' with the most important cases only"
	@echo "  ACCEL=kvm    'make bench' in real time, on a processor with virtualization; default tcg, the emulator"
	@echo "  CONFIG=      'make deb' from this configuration, such as /boot/config-...; default: the workbench's for Debian"
	@echo "  DEBUG=1      'make deb' with debug symbols, in a package of their own"
	@echo "  DISK=1       'make vm' with a Debian system on a disk, in which the package of 'make deb' is installed"
	@echo "  KERNEL_SRC=  a tarball or tree of Linux to take instead of Debian's"

.PHONY: run
run: $(if $(filter base,$(run_variant)),base-kernel) kernel ## the main job: secrets in a VM, and what the kernel tells about it
	@$(bin)/image $(run_variant)
	@workbench/vm.py $(call image,$(run_variant)) story $(SIZE)

.PHONY: vm
ifeq ($(DISK),1)
vm: disk ## a shell in the booted kernel
	@workbench/vm.py --disk $(disk_folder)
else
vm: $(if $(filter base,$(run_variant)),base-kernel) kernel
	@$(bin)/image $(run_variant)
	@workbench/vm.py $(call image,$(run_variant))
endif

.PHONY: test
test: $(if $(filter base,$(VARIANT)),base-kernel) kernel ## everything that guards the project, but what takes long
	@workbench/test.py --variant $(VARIANT) $(CASE)

.PHONY: test-all
test-all: $(if $(filter base,$(VARIANT)),base-kernel) kernel ## the same, and what takes long; and on kernels with all checks (hours)
	@status=0; workbench/test.py --variant $(VARIANT) --all || status=1; \
	for variant in $(if $(filter plain,$(VARIANT)),$(checking)); do \
		$(bin)/kernel $$variant && workbench/test.py --variant $$variant || status=1; \
	done; exit $$status

# What installing finds to be missing need not wait for a kernel.
.PHONY: check
check: check-deps kernel ## what a command can decide of what maintainers ask for (checkpatch to other architectures)
	@workbench/check.py $(CASE)

.PHONY: check-deps
check-deps:
	@$(bin)/deps check

.PHONY: mutations
mutations: kernel ## see that a test fails for each promise that is broken (more than three hours)
	@workbench/mutate.py

bench_options = --accel $(ACCEL) $(if $(filter-out 0,$(QUICK)),--quick) $(CASE)

# A wrong name is refused before anything is built.
.PHONY: bench-check
bench-check:
	@workbench/bench.py --check $(bench_options)

.PHONY: bench
bench: bench-check base-kernel kernel ## what it costs and saves, next to the untouched kernel (45 min; QUICK=1: less)
	@$(bin)/image base bench
	@$(bin)/image plain bench
	@workbench/bench.py $(bench_options)

.PHONY: bench-page
bench-page: ## BENCHMARKS.md and its pictures, from what 'make bench' left in build/bench
	@workbench/bench.py --page

# Packages are of the kernel with the series, or of the untouched one.
deb_series = $(or $(filter plain base,$(run_variant)),\
	$(error VARIANT=$(VARIANT) is for tests only; there are packages of: plain base))
disk_folder = build/disk/$(if $(CONFIG),given-)$(deb_series)$(if $(filter 1,$(DEBUG)),-debug)

# Wrong parameters are refused before anything is built.
.PHONY: deb-check
deb-check:
	@: $(deb_series)
	@$(bin)/deb check

.PHONY: deb-deps
deb-deps: deb-check
	@$(bin)/deps $(if $(filter-out 0,$(DISK)),disk,deb)

.PHONY: deb
deb: deb-check deb-deps tree ## Debian packages of the kernel, in build/deb
	@$(bin)/deb $(deb_series)

.PHONY: disk
disk: override DISK := 1
disk: deb
	@$(bin)/disk $(deb_series)

.PHONY: others
others: disk ## programs of others on a Debian machine, and OTHERS.md with what became of them (long; CASE= for a part)
	@workbench/others.py $(deb_series) $(CASE)

.PHONY: others-page
others-page: ## OTHERS.md, from what 'make others' left in build/others
	@workbench/others.py

.PHONY: deps
deps: ## install the Debian packages that are missing
	@$(bin)/deps

.PHONY: fetch
fetch: deps ## get the source of the base kernel
	@$(bin)/fetch

.PHONY: tree
tree: fetch ## assemble build/linux, a commit for each patch of the series
	@$(bin)/tree

.PHONY: kernel
kernel: tree ## build the patched kernel
	@$(bin)/kernel plain
ifneq ($(filter-out plain base,$(VARIANT)),)
	@$(bin)/kernel $(VARIANT)
endif

.PHONY: base-kernel
base-kernel: tree ## build the untouched kernel with the same options
	@$(bin)/kernel base

.PHONY: refresh
refresh: tree-exists ## write the commits of build/linux back to patches/
	@$(bin)/refresh

.PHONY: series
series: tree ## the series as mails, each a thread with its cover letter, in build/series
	@$(bin)/series

.PHONY: clean
clean: ## remove all that was built; refuses if build/linux has unsaved edits
	@$(bin)/clean

.PHONY: tree-exists
tree-exists:
	@test -d build/linux/.git || { echo "there is no build/linux; 'make tree' makes it" >&2; exit 1; }

.DEFAULT:
	@echo "there is no target $@; 'make' lists those that there are" >&2; exit 2
