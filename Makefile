# covey - build, install and test.  `make help` lists the targets.

PREFIX  ?= /usr/local
DESTDIR ?=
CC      ?= gcc
VERSION := 0.1.0

# What to build from and with, as Debian 12 names it: the only list there is.
BUILD_DEPS := gcc make pkg-config libc6-dev libcurl4-openssl-dev libyaml-dev libinih-dev \
              libsodium-dev libssl-dev libsystemd-dev libjansson-dev
TEST_DEPS  := bats curl jq attr iproute2 nftables procps util-linux netcat-openbsd openssl \
              clang libclang-rt-14-dev clang-tidy mandoc shellcheck python3-minimal systemd ca-certificates
BENCH_DEPS := nginx-light wrk bc valgrind

PROGRAMS := covey covey-httpd covey-versiond covey-discoverd covey-syncd covey-check
LIBS     := libcurl yaml-0.1 inih libsodium libcrypto libsystemd jansson

# B is where one variant of the build lives; SANITIZE=1 is what the tests use.
B ?= build
ifdef SANITIZE
B         := build/asan
HARDENING := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
else
HARDENING := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
LINK      := -pie -Wl,-z,relro,-z,now
endif
ifdef CI
WERROR := -Werror
endif

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
            -Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef -Wvla -Wformat=2 \
            -Wswitch-enum -Wimplicit-fallthrough
COMPILE = $(CC) -std=c17 -D_GNU_SOURCE -DCOVEY_VERSION='"$(VERSION)"' -Iinclude -include banned.h \
          $(WARNINGS) $(WERROR) -fno-common -pthread $(HARDENING) $(CFLAGS) -MMD -MP
LDLIBS  = -Wl,--as-needed $(shell pkg-config --libs $(LIBS)) -pthread

LIB_OBJECTS := $(patsubst %.c,$B/obj/%.o,$(wildcard lib/*/*.c))
UNIT_TESTS  := $(patsubst tests/unit/%.c,$B/unit/%,$(wildcard tests/unit/*.c))

# A program is cmd/NAME.c, or every file of the folder cmd/NAME/.
objects_of = $(patsubst %.c,$B/obj/%.o,$(wildcard cmd/$(1).c cmd/$(1)/*.c))

.PHONY: all units help clean
.SECONDARY:
.SECONDEXPANSION:

# Those whose sources are there yet.
PRESENT := $(foreach p,$(PROGRAMS),$(if $(wildcard cmd/$p.c cmd/$p/*.c),$p))

all: $B/libcovey.a $(PRESENT:%=$B/bin/%)

units: $(UNIT_TESTS)

$B/obj/%.o: %.c
	@mkdir -p $(@D)
	$(COMPILE) -c -o $@ $<

$B/libcovey.a: $(LIB_OBJECTS)
	@rm -f $@
	$(AR) rcs $@ $^

$B/bin/%: $$(call objects_of,%) $B/libcovey.a
	@mkdir -p $(@D)
	$(CC) $(HARDENING) $(LINK) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$B/unit/%: $B/obj/tests/unit/%.o $B/libcovey.a
	@mkdir -p $(@D)
	$(CC) $(HARDENING) $(LINK) $(LDFLAGS) -o $@ $^ $(LDLIBS)

clean:
	rm -rf build

-include $(shell [ -d $B/obj ] && find $B/obj -name '*.d')
