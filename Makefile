# covey - build, install and test.  `make help` lists the targets.

PREFIX     ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR    ?=
CC         ?= gcc
VERSION    := 0.1.0

# What to build from, with and try it with, as Debian 12 names it: the only list there is.
BUILD_DEPS := gcc make pkg-config libc6-dev libcurl4-openssl-dev libyaml-dev libinih-dev \
              libsodium-dev libssl-dev libsystemd-dev libjansson-dev libzstd-dev libcrypt-dev curl
MODEL_DEPS := spin gcc libc6-dev
DEB_DEPS   := dpkg-dev binutils xz-utils
TEST_DEPS  := bats lintian jq attr iproute2 iputils-ping procps util-linux openssl clang libclang-rt-14-dev \
              clang-tidy mandoc shellcheck python3 apache2-utils nginx-light systemd rsync tar wget e2fsprogs patch \
              git libfaketime strace netbase zstd python3-fusepy debootstrap systemd-container $(DEB_DEPS) $(MODEL_DEPS)
BENCH_DEPS := wrk strace nginx-light lighttpd lighttpd-mod-webdav h2o etcd-server rsync python3 systemd \
              iproute2 util-linux
SOAK_DEPS  := valgrind binutils qemu-system-x86 debootstrap $(DEB_DEPS)
LONG_DEPS  := chromium xfsprogs btrfs-progs

PROGRAMS := covey covey-httpd covey-versiond covey-discoverd covey-syncd covey-check
LIBS     := libcurl yaml-0.1 inih libsodium libssl libcrypto libsystemd jansson libzstd libcrypt

# B is where one variant of the build lives; SANITIZE=1 is what the tests use, SANITIZE=thread finds races.
B ?= build
ifeq ($(SANITIZE),thread)
B         := build/tsan
HARDENING := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
else ifdef SANITIZE
B         := build/asan
HARDENING := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
else
# Whoever builds says it otherwise by CPPFLAGS and CFLAGS; of _FORTIFY_SOURCE there can be only one.
FORTIFY   := $(if $(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS))$(filter -O0,$(CFLAGS)),,-D_FORTIFY_SOURCE=3)
# Where calls and jumps may land; other processors have it by another name, or not.
LANDING   := $(if $(filter x86_64% i%86%,$(shell $(CC) -dumpmachine)),-fcf-protection)
# clang 14 has it on trial, and wants to be told that one knows.
ZEROED    := -ftrivial-auto-var-init=zero $(if $(findstring clang,$(shell $(CC) --version)),\
             -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang)
HARDENING := -O2 -g $(FORTIFY) -fstack-protector-strong -fstack-clash-protection $(LANDING) $(ZEROED) -fPIE
LINK      := -pie -Wl,-z,relro,-z,now
endif
# V=1 shows the commands.
ifndef V
Q := @
endif
ifdef CI
WERROR := -Werror
endif

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
            -Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef -Wvla -Wformat=2 \
            -Wswitch-enum -Wimplicit-fallthrough
COMPILE = $(CC) -std=c17 -D_GNU_SOURCE -DCOVEY_VERSION='"$(VERSION)"' -Iinclude -include banned.h \
          $(WARNINGS) $(WERROR) -fno-common -pthread $(HARDENING) $(CPPFLAGS) $(CFLAGS) -MMD -MP
LDLIBS  = -Wl,--as-needed $(shell pkg-config --libs $(LIBS)) -pthread

LIB_OBJECTS := $(patsubst %.c,$B/obj/%.o,$(wildcard lib/*/*.c))
UNIT_TESTS  := $(patsubst tests/unit/%.c,$B/unit/%,$(wildcard tests/unit/*.c))
SIM_SOURCES := $(wildcard tests/sim/*.c lib/base/*.c lib/protocol/*.c) lib/http/listing_text.c \
               lib/os/digest.c lib/os/sock.c lib/store/path.c lib/store/record.c lib/store/version.c
SIM_OBJECTS := $(SIM_SOURCES:%.c=$B/few/%.o)
FUZZERS     := $(patsubst tests/fuzz/%.c,$B/fuzz/%,$(wildcard tests/fuzz/*.c))

# A program is cmd/NAME.c, or every file of the folder cmd/NAME/ and of the rooms in it.
objects_of = $(patsubst %.c,$B/obj/%.o,$(wildcard cmd/$(1).c cmd/$(1)/*.c cmd/$(1)/*/*.c))

.PHONY: all units fuzzers deps test-deps test-packages run test test-long lint lint-deep fuzz model soak bench-deps bench-packages bench bench-json install deb uninstall help clean
.SECONDARY:
.SECONDEXPANSION:

all: $B/libcovey.a $(PROGRAMS:%=$B/bin/%)	## the library and every program

units: $(UNIT_TESTS)

$B/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo '  cc $<'
	$(Q)$(COMPILE) -c -o $@ $<

# The sample configuration is a string inside covey, so that `covey init` needs no file of an installation.
$B/sample.c: conf/covey.yaml
	@mkdir -p $(@D)
	$(Q){ echo 'extern const char covey_sample[];'; echo 'const char covey_sample[] ='; \
		sed 's/[\\"]/\\&/g; s/.*/"&\\n"/' $<; echo ';'; } >$@

$B/bin/covey: $B/obj/$B/sample.o
# There is nothing to debug in it, and without that its bytes do not tell where it was built.
$B/obj/$B/sample.o: override CFLAGS += -g0

$B/libcovey.a: $(LIB_OBJECTS)
	@rm -f $@
	@echo '  ar $@'
	$(Q)$(AR) rcs $@ $^

$B/bin/%: $$(call objects_of,%) $B/libcovey.a
	@mkdir -p $(@D)
	@echo '  ld $@'
	$(Q)$(CC) $(HARDENING) $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Some replace functions of libc, which must stay calls.
$B/obj/tests/unit/%.o: override CFLAGS += -U_FORTIFY_SOURCE

$B/unit/%: $B/obj/tests/unit/%.o $B/libcovey.a
	@mkdir -p $(@D)
	@echo '  ld $@'
	$(Q)$(CC) $(HARDENING) $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# The simulator, of the same sources with fewer partitions.
$B/few/%.o: %.c
	@mkdir -p $(@D)
	@echo '  cc $<'
	$(Q)$(COMPILE) -DPARTITION_BITS=4 -c -o $@ $<

$B/covey-sim: $(SIM_OBJECTS)
	@echo '  ld $@'
	$(Q)$(CC) $(HARDENING) $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$B/fuzz/%: $B/obj/tests/fuzz/%.o $B/libcovey.a
	@mkdir -p $(@D)
	@echo '  ld $@'
	$(Q)$(CC) $(HARDENING) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(LDLIBS)

fuzzers: $(FUZZERS)

# $(call install_missing,PACKAGES) asks apt for what dpkg lacks, and nobody when all is there.
define install_missing
@missing=$$(for p in $(1); do \
	dpkg-query -W -f='$${db:Status-Abbrev}' $$p 2>/dev/null | grep -q '^ii' || printf '%s ' $$p; done); \
[ -z "$$missing" ] || { \
	echo "missing packages: $$missing"; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	[ -z "$$sudo" ] || command -v sudo >/dev/null || \
		{ echo "as root, run: apt-get install $$missing" >&2; exit 1; }; \
	{ $$sudo apt-get update -q && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -q \
		--no-install-recommends $$missing; } </dev/null || \
		{ echo "apt could not install: $$missing" >&2; exit 1; }; }
endef

# $(call install_servers,GOAL,SERVERS): Debian starts servers as it installs them; those that came
# by the goal are stopped, and what was there before is left alone.
define install_servers
@new=$$(for u in $(2); do [ -e /lib/systemd/system/$$u.service ] || printf '%s ' $$u; done); \
$(MAKE) --no-print-directory $(1); status=$$?; \
sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
for u in $$new; do \
	[ -e /lib/systemd/system/$$u.service ] || continue; \
	if [ ! -d /run/systemd/system ]; then $$sudo service $$u stop >/dev/null 2>&1; \
	else $$sudo systemctl disable --quiet --now $$u.service || status=$$?; fi; done; \
exit $$status
endef

deps:			## install what building needs and dpkg lacks
	$(call install_missing,$(BUILD_DEPS))

test-deps: deps
	$(call install_servers,test-packages,nginx)

test-packages:
	$(call install_missing,$(TEST_DEPS))

run: deps		## build, and run a group of three nodes on this machine
	@$(MAKE) --no-print-directory all
	build/bin/covey up --nodes 3

# The tests ask for these; each part of a test run is a test of bats, so that its TAP is the only count.
export COVEY_CFLAGS := -std=c17 -D_GNU_SOURCE -DCOVEY_VERSION="$(VERSION)" -Iinclude -include banned.h $(WARNINGS)
export BATS_TEST_TIMEOUT ?= 240
export FUZZ_SECONDS ?= 3
# Unit tests that fork at each of a thousand system calls, which takes a sanitized program ten
# times as long: `make soak` runs them sanitized, too.
export UNSANITIZED := confine store_crash store_wal store_race survey
# Where tests/package has its release build.
export RELEASE_BUILD := $(CURDIR)/build/tests/package/deb/work/build
FUZZ_MAKE  = $(MAKE) B=build/fuzz CC=clang WERROR=-Werror LINK= \
             HARDENING='-O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined'
BATS       = bats --timing --print-output-on-failure
TEST_FILES = $(wildcard tests/*.bats)

# Most of it against a sanitized build: see tests/helpers.bash and tests/cases.
test: test-deps		## lint, unit tests, short fuzzing and the bats suite
	@$(MAKE) --no-print-directory SANITIZE=1 all units
	@tests/package
	@$(MAKE) --no-print-directory build/covey-sim
	@$(MAKE) --no-print-directory B=$(RELEASE_BUILD) $(UNSANITIZED:%=$(RELEASE_BUILD)/unit/%)
	+@$(FUZZ_MAKE) --no-print-directory fuzzers
	@tests/cases lint unit fuzz
	tests/suite build/tests/lint.bats build/tests/unit.bats build/tests/fuzz.bats $(TEST_FILES)

test-long: test-deps	## README's commands in a bare Debian, models, more of systemd, power cuts, and mutants: an hour
	$(call install_missing,$(LONG_DEPS))
	@$(MAKE) --no-print-directory SANITIZE=1 all
	BATS_TEST_TIMEOUT=3600 $(BATS) tests/long/*.bats

lint: test-deps		## layers, headers, names, shell, manuals
	+@$(FUZZ_MAKE) --no-print-directory fuzzers
	@tests/cases lint
	$(BATS) build/tests/lint.bats

lint-deep: test-deps	## static analysis by gcc and clang-tidy: minutes
	@tests/cases lint/deep
	BATS_TEST_TIMEOUT=1200 $(BATS) build/tests/lint-deep.bats

fuzz: test-deps		## every fuzz target for FUZZ_SECONDS
	+@$(FUZZ_MAKE) --no-print-directory fuzzers
	@tests/cases fuzz
	BATS_TEST_TIMEOUT=$$(($(FUZZ_SECONDS) + 60)) $(BATS) build/tests/fuzz.bats

model:			## prove the protocol's models with spin, and that their mutants fail: 8 minutes
	$(call install_missing,$(MODEL_DEPS))
	tests/model/run

soak: lint-deep		## what takes long: static analysis, fuzzing, valgrind, threads, a machine under qemu, chaos
	@$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=300
	@$(MAKE) --no-print-directory sim SEED=$$(date +%s) SEEDS=50000
	@$(MAKE) --no-print-directory sim SANITIZE=1 SEED=$$(date +%s) SEEDS=3000
	@$(MAKE) --no-print-directory model
	$(call install_missing,$(SOAK_DEPS))
	@tests/soak

sim: $B/covey-sim	## simulate SEEDS (10000) schedules of a group, from SEED (1) on
	$B/covey-sim $(or $(SEED),1) $(or $(SEEDS),10000)

bench-deps: deps
	$(call install_servers,bench-packages,nginx lighttpd h2o etcd)

bench-packages:
	$(call install_missing,$(BENCH_DEPS))

bench: bench-deps	## compare the release build with others on this machine; PARTS="get put"
	@$(MAKE) --no-print-directory all
	@tests/bench/bench $(PARTS)

bench-json:		## the same as one JSON object on standard output
	@$(MAKE) --no-print-directory bench-deps >&2
	@$(MAKE) --no-print-directory all >&2
	@tests/bench/bench --json $(PARTS)

# What goes where; @bindir@ in a unit is where the programs are.
bindir      = $(DESTDIR)$(PREFIX)/bin
unitdir     = $(DESTDIR)$(PREFIX)/lib/systemd/system
generators  = $(DESTDIR)$(PREFIX)/lib/systemd/system-generators
mandir      = $(DESTDIR)$(PREFIX)/share/man
confdir     = $(DESTDIR)$(SYSCONFDIR)/covey
SYSUSERS    = $(DESTDIR)$(PREFIX)/lib/sysusers.d/covey.conf
TMPFILES    = $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/covey.conf
PRESET      = $(DESTDIR)$(PREFIX)/lib/systemd/system-preset/50-covey.preset
COMPLETIONS = $(DESTDIR)$(PREFIX)/share/bash-completion/completions/covey
UNITS       = $(wildcard systemd/*.service systemd/*.socket systemd/*.target systemd/*.timer)
DROP_INS    = $(wildcard systemd/*.d/*.conf)
MANUALS     = $(wildcard cmd/*.[1-8] conf/*.[1-8])

install: all		## programs, units, manuals, sample configuration; DESTDIR= PREFIX=
	install -d $(bindir) $(unitdir) $(generators) $(confdir)
	install $(PROGRAMS:%=$B/bin/%) $(bindir)
	for u in $(UNITS); do sed 's,@bindir@,$(PREFIX)/bin,' $$u > $(unitdir)/$${u#*/} || exit; done
	for d in $(DROP_INS); do install -D -m 644 $$d $(unitdir)/$${d#*/} || exit; done
	ln -sf covey-httpd.socket $(unitdir)/covey-http.socket
	sed 's,@bindir@,$(PREFIX)/bin,' systemd/covey-generator > $(generators)/covey-generator
	chmod 755 $(generators)/covey-generator
	for m in $(MANUALS); do install -D -m 644 $$m $(mandir)/man$${m##*.}/$${m##*/} || exit; done
	install -D -m 644 conf/covey.sysusers $(SYSUSERS)
	install -D -m 644 conf/covey.tmpfiles $(TMPFILES)
	install -D -m 644 systemd/covey.preset $(PRESET)
	install -D -m 644 conf/covey.completion $(COMPLETIONS)
	[ -e $(confdir)/covey.yaml ] || install -m 644 conf/covey.yaml $(confdir)

deb: deps		## a Debian package, build/deb/covey_VERSION_ARCH.deb; VERSION= B=
	$(call install_missing,$(DEB_DEPS))
	+@conf/deb/build $B $(VERSION)

uninstall:		## what install brought, but not the configuration
	rm -f $(PROGRAMS:%=$(bindir)/%) $(UNITS:systemd/%=$(unitdir)/%) $(SYSUSERS) $(TMPFILES) $(COMPLETIONS)
	rm -f $(PRESET) $(unitdir)/covey-http.socket $(generators)/covey-generator
	rm -rf $(sort $(dir $(DROP_INS:systemd/%=$(unitdir)/%)))
	for m in $(MANUALS); do rm -f $(mandir)/man$${m##*.}/$${m##*/}; done

clean:			## remove everything built
	rm -rf build

help:			## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | expand -t 12

-include $(shell find $(wildcard $B/obj $B/few) /dev/null -name '*.d')
