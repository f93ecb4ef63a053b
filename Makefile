# weir. `make help` lists the targets; README.md explains them.
#
# One static library, build/libweir.a, holds everything but main(); the daemon, tests, fuzzers and benches link it.
# B=DIR        another build folder          SAN=address|thread  a sanitizer build (folder build-$(SAN))
# EXTRA_STAGES="path/a.c path/b.c"           builds stages kept outside the tree in (symbol stage_<file name>)

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS   += --no-builtin-rules

SAN  ?=
B    ?= build$(if $(SAN),-$(SAN))
V    ?= 0
Q    := $(if $(filter 1,$(V)),,@)
EXTRA_STAGES ?=

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual -Wwrite-strings \
        -Wundef -Wvla -Wformat=2
OPT  ?= -O2 -g
comma := ,
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN)$(if $(filter address,$(SAN)),$(comma)undefined -fno-sanitize-recover=undefined) -fno-omit-frame-pointer)
HARDEN := $(if $(SAN),,-D_FORTIFY_SOURCE=2) -fstack-protector-strong -fPIE
PKGS := openssl libconfig liburcu-qsbr liburcu-cds lmdb libpcap
PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS) check 2>/dev/null)
PKG_LIBS   = $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lldns -lev -lpthread -lm
CPPFLAGS += -I. -I$(B)/gen -D_GNU_SOURCE
CFLAGS   := -std=gnu17 $(WARN) $(OPT) $(HARDEN) $(SANFLAGS)
LDFLAGS  := -pie -Wl,-z,relro,-z,now $(SANFLAGS)

LIB_SRC   := $(wildcard pipeline/base/*.c pipeline/zone/*.c pipeline/run/*.c pipeline/net/*.c stages/*.c stages/*/*.c)
LIB_OBJ   := $(LIB_SRC:%.c=$(B)/%.o)
EXTRA_OBJ := $(foreach s,$(EXTRA_STAGES),$(B)/extra/$(notdir $(s:.c=.o)))
MAIN_SRC  := $(wildcard pipeline/*.c)
MAIN_OBJ  := $(MAIN_SRC:%.c=$(B)/%.o)
TESTLIB_SRC := $(wildcard tests/lib/*.c)
TESTLIB_OBJ := $(TESTLIB_SRC:%.c=$(B)/%.o)
UNIT_BIN  := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/unit/*_test.c tests/laws/*_test.c tests/golden/*_test.c))
COST_BIN  := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/cost/*_test.c))
BENCH_BIN := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/bench/*_bench.c))
FUZZ_SRC  := $(wildcard tests/fuzz/*_fuzz.c)
FUZZ_BIN  := $(FUZZ_SRC:tests/fuzz/%.c=$(B)/tests/fuzz/%)

.PHONY: all
all: $(B)/weir ## build the daemon: build/weir

$(B)/weir: $(MAIN_OBJ) $(EXTRA_OBJ) $(B)/libweir.a
	@echo "  LD    $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $(MAIN_OBJ) $(EXTRA_OBJ) $(B)/libweir.a $(PKG_LIBS)

$(B)/libweir.a: $(LIB_OBJ)
	@echo "  AR    $@"
	$(Q)rm -f $@ && ar rcs $@ $(LIB_OBJ)

$(B)/%.o: %.c | $(B)/gen/extra_stages.def
	@echo "  CC    $<"
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# Stages kept outside the tree: a generated list that run/registry.c includes after stages/stages.def.
$(B)/gen/extra_stages.def: FORCE
	$(Q)mkdir -p $(@D); new="$(foreach s,$(EXTRA_STAGES),STAGE($(notdir $(s:.c=))))"; \
	 [ -f $@ ] && [ "$$(cat $@)" = "$$new" ] || echo "$$new" > $@
define extra_rule
$(B)/extra/$(notdir $(1:.c=.o)): $(1)
	@echo "  CC    $$<"
	$(Q)mkdir -p $$(@D) && $(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) -c -o $$@ $$<
endef
$(foreach s,$(EXTRA_STAGES),$(eval $(call extra_rule,$(s))))
.PHONY: FORCE
FORCE:

# Tests: each *_test.c is one Check program.
$(B)/tests/%: $(B)/tests/%.o $(TESTLIB_OBJ) $(B)/libweir.a
	@echo "  LD    $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(TESTLIB_OBJ) $(EXTRA_OBJ) $(B)/libweir.a $(PKG_LIBS) $(shell pkg-config --libs check)

.PHONY: unit
unit: $(UNIT_BIN) ## unit, law and golden tests
	$(Q)tests/lib/run-all $(UNIT_BIN)

.PHONY: clean
clean: ## remove what was built
	rm -rf build build-*

.PHONY: help
help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

-include $(LIB_OBJ:.o=.d) $(MAIN_OBJ:.o=.d) $(TESTLIB_OBJ:.o=.d) $(UNIT_BIN:=.d) $(COST_BIN:=.d) $(BENCH_BIN:=.d)
