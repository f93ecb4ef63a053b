# weir. `make help` lists the targets; README.md explains them.
#
# One static library, build/libweir.a, holds everything but main(); the daemon, tests, fuzzers and benches link it.
# FUZZING=1    (make fuzz) instrument for libFuzzer
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
SANFLAGS += $(if $(FUZZING),-fsanitize=fuzzer-no-link$(comma)address$(comma)undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
HARDEN := $(if $(SAN)$(FUZZING),,-D_FORTIFY_SOURCE=2) -fstack-protector-strong -fPIE
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
REPLAY_BIN := $(FUZZ_SRC:tests/fuzz/%_fuzz.c=$(B)/tests/fuzz/%_replay)

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

# These two put their own functions in the place of what tcp and udp lean on; the first definition counts.
$(B)/tests/unit/tcp_test $(B)/tests/unit/udp_test: LDFLAGS += -Wl,-z,muldefs

# These count calls.
$(B)/tests/cost/denial_test: LDFLAGS += -Wl,--wrap=node_rrset -Wl,--wrap=dnssec_nsec3_hash
$(B)/tests/cost/sign_nsec3_test: LDFLAGS += -Wl,--wrap=dnssec_nsec3_hash -Wl,--wrap=node_builder_seal -Wl,--wrap=snapshot_status
$(B)/tests/unit/sign_nsec3_test: LDFLAGS += -Wl,--wrap=dnssec_nsec3_hash
$(B)/tests/cost/ixfr_test: LDFLAGS += -Wl,--wrap=rdata_cmp -Wl,--wrap=snapshot_get
$(B)/tests/cost/sign_change_test $(B)/tests/unit/sign_test: LDFLAGS += -Wl,--wrap=dnssec_sign
$(B)/tests/unit/chain_test: LDFLAGS += -Wl,--wrap=changeset_between

# The journal with small sizes, and a disk that fails where it is told to (tests/faults/faults.h): for a unit test, and as a weir for
# scenarios. The objects come before the library's own.
SMALL_OBJ  := $(patsubst %.c,$(B)/small/%.o,$(wildcard pipeline/run/journal*.c)) $(B)/tests/faults/faults.o
FAULTS_BIN := $(B)/tests/faults/weir
$(B)/small/%.o: %.c | $(B)/gen/extra_stages.def
	@echo "  CC    $< (small)"
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) -DJOURNAL_SHRINK=8 $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(FAULTS_BIN): $(MAIN_OBJ) $(SMALL_OBJ) $(B)/libweir.a
	@echo "  LD    $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(EXTRA_OBJ) $(PKG_LIBS)
$(B)/tests/unit/journal_crash_test $(B)/tests/unit/journal_damage_test: TESTLIB_OBJ += $(SMALL_OBJ)
$(B)/tests/unit/journal_crash_test $(B)/tests/unit/journal_damage_test: $(SMALL_OBJ)

# ---- tests -------------------------------------------------------------------------------------------------
.PHONY: check unit cost corpora net prove
check: all $(UNIT_BIN) $(COST_BIN) $(REPLAY_BIN) $(FAULTS_BIN) ## all tests: unit, laws, golden, cost, fuzz corpora, scenarios with real peers
	$(Q)B=$(B) tests/lib/run-all --corpora "$(REPLAY_BIN)" --net $(UNIT_BIN) $(COST_BIN)

unit: $(UNIT_BIN) ## unit, law and golden tests only
	$(Q)B=$(B) tests/lib/run-all $(UNIT_BIN)

cost: $(COST_BIN) ## cost counts only
	$(Q)B=$(B) tests/lib/run-all $(COST_BIN)

corpora: $(REPLAY_BIN)
	$(Q)B=$(B) tests/lib/run-all --corpora "$(REPLAY_BIN)"

net: all $(FAULTS_BIN) $(B)/tests/laws/sign_test ## scenarios with real peers only
	$(Q)B=$(B) tests/lib/run-all --net

# Campaigns that are too long for check: the same scenarios with more rounds.
SOAK_NET := 29-tsig 30-ixfr-in 31-ixfr-out
.PHONY: soak
soak: all $(B)/tests/unit/journal_crash_test $(FAULTS_BIN) ## long campaigns: hundreds of random updates through real secondaries
	$(Q)WEIR_CRASHES=all $(B)/tests/unit/journal_crash_test
	$(Q)WEIR=$(abspath $(B)/weir) WEIR_KILLS=150 tests/net/33-crash/run
	$(Q)WEIR=$(abspath $(B)/weir) WEIR_ROLLS=all tests/net/37-rollovers/run
	$(Q)WEIR=$(abspath $(B)/weir) WEIR_ROLLS=all tests/net/38-multisigner/run
	$(Q)WEIR=$(abspath $(B)/weir) WEIR_ROLLS=all tests/net/42-three-signers/run
	$(Q)WEIR=$(abspath $(B)/weir) WEIR_ROLLS=all tests/net/35-keys/run
	$(Q)for t in $(SOAK_NET); do WEIR=$(abspath $(B)/weir) WEIR_UPDATES=200 tests/net/$$t/run || exit 1; done

.PHONY: asan tsan
asan: ## unit, law, golden and scenario tests under AddressSanitizer and UBSan
	$(Q)$(MAKE) SAN=address all sanitized
tsan: ## the same under ThreadSanitizer
	$(Q)$(MAKE) SAN=thread all sanitized
.PHONY: sanitized
sanitized: $(UNIT_BIN) $(REPLAY_BIN) $(FAULTS_BIN)
	$(Q)B=$(B) NET_TIMEOUT=900 tests/lib/run-all --corpora "$(REPLAY_BIN)" --net $(UNIT_BIN)

# Fuzzers: clang's libFuzzer; FUZZ_S seconds each. Their corpora are replayed by `make check` without clang.
# Each run of validate_fuzz has so many features that to weigh them (-entropic) takes half of its time.
FUZZ_S ?= 60
.PHONY: fuzz
fuzz: ## run every fuzzer for FUZZ_S seconds (clang)
	$(Q)$(MAKE) CC=clang B=build-fuzz FUZZING=1 fuzz-run
.PHONY: fuzz-run
fuzz-run: $(FUZZ_BIN)
	$(Q)for f in $(FUZZ_BIN); do n=$$(basename $$f); echo "== $$n"; mkdir -p $(B)/corpus/$$n; more=; \
	  [ $$n != validate_fuzz ] || more=-entropic=0; \
	  $$f -max_total_time=$(FUZZ_S) -timeout=10 -rss_limit_mb=4096 $$more -print_final_stats=1 $(B)/corpus/$$n tests/fuzz/$$n.in 2>&1 | tail -n 12; done
$(B)/tests/fuzz/%_fuzz: $(B)/tests/fuzz/%_fuzz.o $(B)/libweir.a
	@echo "  LD    $@"
	$(Q)$(CC) $(LDFLAGS) $(if $(FUZZING),-fsanitize=fuzzer) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(PKG_LIBS)
$(B)/tests/fuzz/%_replay: $(B)/tests/fuzz/%_fuzz.o $(B)/tests/fuzz/replay_main.o $(B)/libweir.a
	@echo "  LD    $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(PKG_LIBS)

# answer_fuzz asks zones that the test library holds.
$(B)/tests/fuzz/answer_fuzz $(B)/tests/fuzz/answer_replay: $(B)/tests/lib/held.o $(B)/tests/lib/forge.o
# These two feed transfers.
$(foreach f,transfer ixfr,$(B)/tests/fuzz/$(f)_fuzz $(B)/tests/fuzz/$(f)_replay): $(B)/tests/lib/fed.o
$(B)/tests/fuzz/imported_fuzz $(B)/tests/fuzz/imported_replay: $(B)/tests/lib/stageplay.o
# validate_fuzz plays the stage on zones that the test library signs.
$(B)/tests/fuzz/validate_fuzz $(B)/tests/fuzz/validate_replay: $(patsubst %,$(B)/tests/lib/%.o,signer stageplay types)

.PHONY: bench
bench: all $(BENCH_BIN) ## figures as ratios against NSD and Knot in the same run
	$(Q)B=$(B) tests/bench/run $(BENCH_BIN)
	$(Q)B=$(B) tests/bench/changes
	$(Q)B=$(B) tests/bench/signing

# ---- lint --------------------------------------------------------------------------------------------------
.PHONY: lint format
lint: all ## layers, headers, stage purity, cppcheck, clang-tidy, shellcheck, format, manual pages
	$(Q)B=$(B) CC=$(CC) tests/lint/run
format: ## clang-format every C file
	clang-format -i $$(git ls-files '*.c')

# ---- what people run ---------------------------------------------------------------------------------------
DEPS_RUN  := gcc make pkg-config libldns-dev libev-dev libssl-dev libconfig-dev liburcu-dev liblmdb-dev libpcap-dev \
             ldnsutils bind9-dnsutils
DEPS_TEST := check nsd knot knot-dnsutils knot-dnssecutils bind9 bind9-utils pdns-server pdns-backend-bind pdns-backend-lmdb pdns-ixfrdist unbound dnsperf tshark \
             tcpdump clang libclang-rt-14-dev clang-tidy clang-format cppcheck shellcheck valgrind python3 xz-utils \
             iproute2 mandoc git softhsm2 opensc libengine-pkcs11-openssl
.PHONY: deps deps-run
deps-run: ## install what building and running need (Debian packages)
	$(Q)tests/lib/apt-missing $(DEPS_RUN)
deps: ## that, and the peers and tools that the tests use
	$(Q)tests/lib/apt-missing $(DEPS_RUN) $(DEPS_TEST)

.PHONY: run demo demo-live demo-multisigner
run: deps-run ## build, sign the quick-start zone afresh and serve it on 127.0.0.1@5353
	$(Q)$(MAKE) --no-print-directory all
	$(Q)B=$(B) conf/quickstart.sh
demo: deps ## a tour with NSD and Knot: a broken version is refused, a mended one passes
	$(Q)$(MAKE) --no-print-directory all
	$(Q)B=$(B) tests/demo/run
demo-live: deps ## another with unbound: weir signs what an unsigned primary has, shows the DS, sends a change out by IXFR
	$(Q)$(MAKE) --no-print-directory all
	$(Q)B=$(B) tests/demo/live
demo-multisigner: deps ## a third: weir and Knot sign one zone, and a resolver finds the keys of one and the answers of the other good
	$(Q)$(MAKE) --no-print-directory all
	$(Q)B=$(B) tests/demo/multisigner

PREFIX ?= /usr/local
.PHONY: install
install: all ## install the daemon, manual pages and a systemd unit (DESTDIR, PREFIX)
	install -D -m 755 $(B)/weir $(DESTDIR)$(PREFIX)/sbin/weir
	install -D -m 644 docs/weir.8 $(DESTDIR)$(PREFIX)/share/man/man8/weir.8
	install -D -m 644 docs/weir.conf.5 $(DESTDIR)$(PREFIX)/share/man/man5/weir.conf.5
	install -D -m 644 docs/weir.service $(DESTDIR)$(PREFIX)/lib/systemd/system/weir.service
	install -D -m 644 conf/example.conf $(DESTDIR)$(PREFIX)/share/doc/weir/example.conf

.PHONY: clean
clean: ## remove what was built
	rm -rf build build-*

.PHONY: help
help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

-include $(LIB_OBJ:.o=.d) $(SMALL_OBJ:.o=.d) $(MAIN_OBJ:.o=.d) $(TESTLIB_OBJ:.o=.d) $(UNIT_BIN:=.d) $(COST_BIN:=.d) $(BENCH_BIN:=.d)
