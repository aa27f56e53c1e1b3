# Two commands for a newcomer: `make run` and `make test`. Every target except `clean` installs what is missing.
# `make check` and `make test-fast` are parts of `make test`, for work on guestd.

export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
# As typed: `$` in CMD is the command's, not make's.
ifdef CMD
override CMD := $(value CMD)
export CMD
endif
export VOLUME MEM CPUS KERNEL NET AGENT INCLUDE

.PHONY: run vm image test test-fast soak crash bench build dist check clean vm-tools

run: build
	@node scripts/demo.ts

# VOLUME=FILE MEM=MIB CPUS=N KERNEL=FILE NET=1, and those of `image`
vm: build vm-tools
	@node vm/run-vm.ts

# INCLUDE="PACKAGES" AGENT=DIR OUT=DIR (build/image)
image: build vm-tools
	@node rootfs/build.ts $(if $(INCLUDE),--include "$(INCLUDE)") $(if $(AGENT),--agent "$(AGENT)") $(if $(OUT),--out "$(OUT)")

test: build vm-tools
	@node test/run.ts

# All tests but those of machines and power cuts.
test-fast: build
	@node test/run.ts fast

# The long forms of some tests: thousands of commands more, minutes of output, all unit tests in a machine.
soak: build vm-tools
	@node test/run.ts soak soak-vm

# Power cuts: the same as in `test`, at 1,000 points.
crash: build vm-tools
	@GUESTD_CRASH_POINTS=1000 node test/run.ts crash

bench: build vm-tools
	@node test/bench/main.ts

build: node_modules/.installed
	@node scripts/build.ts

# The package of guestd for a Debian guest, and the same files as a tarball, in dist/packages.
dist: build
	@node scripts/dist.ts

# Lint, types and unit tests.
check: build
	@node test/run.ts lint types unit

vm-tools:
	@sh scripts/install-deps.sh vm

# The lock file names Node 24 too, so the machine's own Node only has to run npm.
node_modules/.installed: package.json package-lock.json .npmrc .taprc scripts/install-deps.sh scripts/npm.sh
	@sh scripts/install-deps.sh base
	@sh scripts/npm.sh ci --ignore-scripts --loglevel=error
	@tap build >/dev/null
	@touch $@

clean:
	rm -rf build dist node_modules/.installed src/sys/native/build
