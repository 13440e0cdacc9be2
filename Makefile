# weir: `make help` lists what can be built.
#
# One set of rules serves every variant: a variant is a build directory with
# its own compiler and sanitizer (`make BUILD=build/asan SANITIZE=address,undefined`),
# and the targets `asan`, `tsan`, `clang` and `fuzz` below are such calls.

ifeq ($(origin CC),default)
CC := gcc
endif
BUILD ?= build
SANITIZE ?=
PREFIX ?= /usr/local
SYSCONFDIR ?= $(PREFIX)/etc
UNITDIR ?= $(PREFIX)/lib/systemd/system
DESTDIR ?=
PYTHON ?= /usr/bin/python3
PKG_CONFIG ?= pkg-config
JOBS ?= $(shell nproc)

# ---- flags

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Werror
HARDEN := -fPIE -fstack-protector-strong -fstack-clash-protection
ifeq ($(SANITIZE),)
OPT ?= -O2 -g
HARDEN += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
else
OPT ?= -O1 -g -fno-omit-frame-pointer
INSTRUMENT := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all
endif

# libev has no pkg-config file.
PACKAGES := hiredis inih libmicrohttpd jansson libxxhash
PACKAGE_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PACKAGES) 2>/dev/null)
PACKAGE_LIBS := $(shell $(PKG_CONFIG) --libs $(PACKAGES) 2>/dev/null) -lev

# What make does is shown in short; `make V=1` shows the commands.
ifeq ($(V),)
Q := @
say = @printf '  %-5s %s\n' $(1) $(2)
endif

COMPILE = $(CC) -std=c11 -D_GNU_SOURCE $(OPT) $(WARN) $(HARDEN) $(INSTRUMENT) -pthread $(PACKAGE_CFLAGS) $(CPPFLAGS) $(CFLAGS)
LINK = $(CC) -pie -Wl,-z,relro,-z,now $(INSTRUMENT) -pthread $(LDFLAGS)

# ---- files

SOURCES := $(wildcard protocol/*.c topology/*.c proxy/*.c proxy/*/*.c)
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
MODULES := $(filter-out $(BUILD)/proxy/main.o,$(OBJECTS))
LIBRARY := $(BUILD)/libweir.a

UNITS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_*.c))
FUZZERS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))
BENCHES := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bench/*.c))
RELAY_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/consistency/relay/*.c))
LOAD_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/consistency/load/*.c))
CHECKER := $(BUILD)/consistency/relay $(BUILD)/consistency/load

# The page at /: its scripts in the order in which they need one another, and
# the chart library that `make deps` fetches. UPLOT may name another place of it.
UPLOT ?= build/uplot/node_modules/uplot
UPLOT_FILES := $(wildcard $(UPLOT)/dist/uPlot.iife.min.js $(UPLOT)/dist/uPlot.min.css $(UPLOT)/LICENSE)
PAGE_SCRIPTS := $(addprefix proxy/admin/page/,dom.js format.js past.js picture.js charts.js events.js page.js)
PAGE := $(addprefix $(BUILD)/page/,index.html page.css page.js icon.svg)

.DEFAULT_GOAL := weir
.DELETE_ON_ERROR:
.SECONDARY:

# ---- build

weir: $(BUILD)/weir ## build ./weir (this is what plain `make` does)
	@cp -f $< $@

$(BUILD)/weir: $(BUILD)/proxy/main.o $(LIBRARY)
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ $(PACKAGE_LIBS)

# Everything but main, for the binary, the unit tests and the fuzzers alike.
$(LIBRARY): $(MODULES)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(COMPILE) -MMD -MP -c -o $@ $<

# The page's files are put together, zipped, and taken in by the assembler.
$(BUILD)/proxy/admin/assets.o: $(PAGE) $(PAGE:%=%.gz)
$(BUILD)/proxy/admin/assets.o: override CPPFLAGS += -Wa,-I$(BUILD)/page

$(BUILD)/page/page.js: $(PAGE_SCRIPTS) $(BUILD)/page/library
	$(Q)$(if $(UPLOT_FILES),{ echo '/*!'; cat $(filter %LICENSE,$(UPLOT_FILES)); echo '*/'; cat $(filter %.js,$(UPLOT_FILES)); echo; } > $@,: > $@)
	$(Q){ echo '(() => {'; cat $(PAGE_SCRIPTS); echo '})();'; } >> $@
	$(if $(UPLOT_FILES),,@echo "  NOTE  the page will have no charts: its library is not in $(UPLOT) (make deps fetches it)")

$(BUILD)/page/page.css: proxy/admin/page/page.css $(BUILD)/page/library
	$(Q)cat $(filter %.css,$(UPLOT_FILES)) $< > $@

$(BUILD)/page/%: proxy/admin/page/% $(BUILD)/page/library
	$(Q)cp $< $@

%.gz: %
	$(Q)gzip -9 -n -c $< > $@

# Changes when the library comes or goes.
$(BUILD)/page/library: always
	@mkdir -p $(@D)
	@echo '$(UPLOT_FILES)' | cmp -s - $@ || echo '$(UPLOT_FILES)' > $@

# Holds the commands in use; it changes, and everything is built anew, when the
# compiler or a flag does.
FLAGS = $(COMPILE) / $(LINK) / $(PACKAGE_LIBS)
$(BUILD)/flags: always
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(FLAGS))' | cmp -s - $@ || echo '$(subst ','\'',$(FLAGS))' > $@

# A unit test takes from the library what it uses.
$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(LIBRARY)
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ $(PACKAGE_LIBS) -lcmocka

$(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o $(LIBRARY)
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ $(PACKAGE_LIBS)

# What the consistency tests disturb and load with.
$(BUILD)/consistency/relay: $(RELAY_OBJECTS) $(LIBRARY)
$(BUILD)/consistency/load: $(LOAD_OBJECTS) $(LIBRARY)
$(CHECKER):
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ -lev

# Loaded into weir it lets one allocation or system call fail (WEIR_INJECT).
INJECTOR := build/inject.so
$(INJECTOR): tests/inject/inject.c
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O2 -g $(WARN) -Wno-missing-prototypes -shared -fPIC -o $@ $<

$(BUILD)/tests/fuzz/fuzz_console: LDFLAGS += -Wl,--wrap=control_line_post
$(BUILD)/tests/fuzz/fuzz_config: LDFLAGS += -Wl,--wrap=read
# Only with CC=clang and SANITIZE=fuzzer-no-link,... as `make fuzz` does.
$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(LIBRARY)
	$(call say,LINK,$@)
	$(Q)$(LINK) -fsanitize=fuzzer -o $@ $^ $(PACKAGE_LIBS)

asan: ## build build/asan/weir: address and undefined-behaviour sanitizers
	+@$(ASAN) build/asan/weir
tsan: ## build build/tsan/weir: thread sanitizer
	+@$(TSAN) build/tsan/weir
clang: ## build build/clang/weir: does clang accept it too
	+@$(CLANG) build/clang/weir

ASAN := $(MAKE) --no-print-directory BUILD=build/asan SANITIZE=address,undefined
TSAN := $(MAKE) --no-print-directory BUILD=build/tsan SANITIZE=thread
CLANG := $(MAKE) --no-print-directory BUILD=build/clang CC=clang
FUZZ := $(MAKE) --no-print-directory BUILD=build/fuzz CC=clang SANITIZE=fuzzer-no-link,address,undefined

# ---- try and use

deps: ## install what building, running and testing need (Debian packages, and three from npm)
	@tests/deps.sh

demo: ## a master, three replicas and weir, followed in this terminal
	@tests/deps.sh run
	@$(MAKE) --no-print-directory -j$(JOBS) weir
	@deploy/demo

install: weir $(BUILD)/proxy.ini.5 ## install under PREFIX (/usr/local), DESTDIR honoured
	install -D -m 755 weir $(DESTDIR)$(PREFIX)/bin/weir
	install -D -m 644 README.md $(DESTDIR)$(PREFIX)/share/doc/weir/README.md
	install -D -m 644 LICENSE $(DESTDIR)$(PREFIX)/share/doc/weir/LICENSE
	install -D -m 644 proxy.ini $(DESTDIR)$(PREFIX)/share/doc/weir/proxy.ini
	install -D -m 644 deploy/weir.8 $(DESTDIR)$(PREFIX)/share/man/man8/weir.8
	install -D -m 644 $(BUILD)/proxy.ini.5 $(DESTDIR)$(PREFIX)/share/man/man5/proxy.ini.5
	install -d $(DESTDIR)$(UNITDIR)
	sed 's|@BINDIR@|$(PREFIX)/bin|; s|@CONFIG@|$(SYSCONFDIR)/weir/proxy.ini|' deploy/systemd/weir.service.in > $(DESTDIR)$(UNITDIR)/weir.service
	@# The administrator's own file stays as it is.
	test -e $(DESTDIR)$(SYSCONFDIR)/weir/proxy.ini || install -D -m 644 proxy.ini $(DESTDIR)$(SYSCONFDIR)/weir/proxy.ini

uninstall: ## remove what install put there; the configuration stays
	rm -rf $(DESTDIR)$(PREFIX)/bin/weir $(DESTDIR)$(PREFIX)/share/doc/weir $(DESTDIR)$(UNITDIR)/weir.service \
		$(DESTDIR)$(PREFIX)/share/man/man8/weir.8 $(DESTDIR)$(PREFIX)/share/man/man5/proxy.ini.5

# The manual of the file is written from the table of its keys, as that is compiled.
$(BUILD)/proxy.ini.5: $(BUILD)/deploy/manual
	@$< > $@
$(BUILD)/deploy/manual: $(BUILD)/deploy/manual.o $(LIBRARY)
	@$(LINK) -o $@ $^ $(PACKAGE_LIBS)

clean: ## remove everything that was built; what make deps fetched stays
	rm -rf $(filter-out build/uplot build/node build/packages,$(wildcard build/*)) $(filter-out build,$(BUILD)) weir

# ---- test

STAGE := tests/stage.sh
# Of a directory: $(call pytest,tests/integration)
pytest = $(PYTHON) -m pytest -q -c $(1)/pytest.ini $(1)
# Tests wait more than they work: three files at a time. Not the plain ones, which
# assert memory and speed.
SIDE_BY_SIDE := -n 3 --dist loadfile -m "not plain"

test: deps ## everything below, stage by stage: about twenty minutes on two cores
	@$(STAGE) "build with gcc"           300 $(MAKE) --no-print-directory -j$(JOBS) weir
	@$(STAGE) "layers"                    60 $(MAKE) --no-print-directory layers
	@$(STAGE) "compile check with clang" 300 $(CLANG) -j$(JOBS) build/clang/weir
	@$(STAGE) "analyzers"                300 $(MAKE) --no-print-directory -j$(JOBS) lint
	@$(STAGE) "build with sanitizers"    600 $(MAKE) --no-print-directory -j$(JOBS) asan tsan
	@$(STAGE) "unit tests"               180 $(MAKE) --no-print-directory -j$(JOBS) unit
	@$(STAGE) "unit tests, ASan+UBSan"   300 $(ASAN) -j$(JOBS) unit
	@$(STAGE) "instructions counted"     120 $(MAKE) --no-print-directory bench-instructions
	@$(STAGE) "the judge of compat"       60 $(MAKE) --no-print-directory compat-judge
	@$(STAGE) "fuzz smoke"               300 $(MAKE) --no-print-directory fuzz-smoke
	@$(STAGE) "integration, ASan+UBSan"  900 $(MAKE) --no-print-directory integration-asan
	@$(STAGE) "integration, TSan"        900 $(MAKE) --no-print-directory integration-tsan
	@$(STAGE) "integration"              900 $(MAKE) --no-print-directory integration
	@$(STAGE) "integration, Valkey"      300 $(MAKE) --no-print-directory integration-valkey
	@$(STAGE) "integration, valgrind"    300 $(MAKE) --no-print-directory valgrind
	@$(STAGE) "failures injected"        180 $(MAKE) --no-print-directory inject-asan INJECT="--sample 50"
	@$(STAGE) "consistency"              300 $(MAKE) --no-print-directory consistency
	@$(STAGE) "failovers"                120 $(MAKE) --no-print-directory failovers-smoke
	@$(STAGE) "client libraries"         300 $(MAKE) --no-print-directory libraries
	@$(STAGE) "the page in a browser"    300 $(MAKE) --no-print-directory page

# What is fetched once and kept (Redis' own suite, Valkey): where caches are, or with what is built.
FETCHED := $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME)/weir,build/compat)

unit: $(UNITS) ## unit tests (cmocka)
	@tests/unit/run.sh $(UNITS)

# An expression of several words needs no quotes of its own: TESTS="-k split or session".
EXPRESSION := $(wordlist 2,$(words $(TESTS)),$(TESTS))
CHOSEN = $(if $(filter -%,$(EXPRESSION))$(filter-out -k,$(firstword $(TESTS))),$(TESTS),$(if $(EXPRESSION),-k "$(subst ',,$(EXPRESSION))"))

integration: weir ## tests against real servers (pytest); TESTS="-k word" chooses
	@$(call pytest,tests/integration) $(or $(CHOSEN),$(SIDE_BY_SIDE))
	@$(if $(TESTS),,$(call pytest,tests/integration) -m plain)
integration-asan: asan
	@WEIR_BIN=build/asan/weir WEIR_TEST_PATIENCE=3 $(call pytest,tests/integration) $(SIDE_BY_SIDE) $(CHOSEN)
integration-tsan: tsan
	@WEIR_BIN=build/tsan/weir WEIR_TEST_PATIENCE=3 $(call pytest,tests/integration) $(SIDE_BY_SIDE) $(CHOSEN)

# The ordinary build, and the libraries with it: what ASan does not see, above all memory
# that nothing was written to. VALGRIND="split scripts" chooses files.
VALGRIND ?= transactions rows session
valgrind: weir ## some of them under valgrind
	@WEIR_BIN=tests/valgrind.sh WEIR_TEST_PATIENCE=10 $(PYTHON) -m pytest -q -c tests/integration/pytest.ini -m "not plain" -n 2 --dist loadfile \
		$(VALGRIND:%=tests/integration/test_%.py)

# What a client sees of a server goes for Valkey too; what is particular of
# redis-server (its words, its files, its failures) is left to the tests above.
LIKE_REDIS := split session wiring transactions blocks scripts waiting order cursors users isolation client_pause other_servers
integration-valkey: weir ## many of them against Valkey, unpacked from its package if it is not installed
	@if server=$$(tests/integration/valkey.sh $(FETCHED)); \
	then REDIS_SERVER=$$server $(PYTHON) -m pytest -q -c tests/integration/pytest.ini $(SIDE_BY_SIDE) \
		$(or $(TESTS),$(LIKE_REDIS:%=tests/integration/test_%.py)); \
	else echo "skipped: Valkey cannot be had"; fi

libraries: weir ## client libraries and tools through weir, compared with a bare server; TESTS="-k word" chooses
	@$(call pytest,tests/libraries) $(CHOSEN)
libraries-asan: asan
	@WEIR_BIN=build/asan/weir WEIR_TEST_PATIENCE=3 $(call pytest,tests/libraries) $(CHOSEN)

page: weir ## the page at / in a real browser; TESTS="-k word" chooses
	@$(call pytest,tests/page) $(CHOSEN)
# SHOTS is how many seconds of history the pictures show.
SHOTS ?= 60
screenshots: weir ## new pictures of the page in deploy/screenshots
	@$(PYTHON) tests/page/screenshots.py deploy/screenshots $(SHOTS)

# What is promised under faults. A run that fails says how it is repeated.
SOAK_RUN = $(PYTHON) tests/consistency/run.py $(if $(SEED),--seed $(SEED))
consistency: SEED ?= 1
consistency: weir $(CHECKER) ## the history checker: its own tests, twelve seconds of each level under all faults, seven of failovers
	@$(call pytest,tests/consistency) $(CHOSEN)
	@$(SOAK_RUN) --level all --seconds 12
	@$(SOAK_RUN) --level session --seconds 7 --nemeses failover
SECONDS ?= 600
LEVEL ?= session
SCOPE ?= weir
NEMESES ?= all
soak: weir $(CHECKER) ## the same for SECONDS=600 at LEVEL=session SCOPE=weir, NEMESES=all SEED=n
	@$(SOAK_RUN) --level $(LEVEL) --scope $(SCOPE) --seconds $(SECONDS) --nemeses $(NEMESES) $(SOAK)

# Without INJECT: every n from 1 to 2000. INJECT="--sample 40 --seed 1" takes some.
inject: weir $(INJECTOR) ## the n-th allocation and the n-th system call fail: weir serves, or ends in good order
	@$(PYTHON) tests/inject/inject.py $(INJECT)
inject-asan: asan $(INJECTOR)
	@WEIR_BIN=build/asan/weir $(PYTHON) tests/inject/inject.py $(INJECT)

# What is counted; or CHAOS="soak --minutes 60".
chaos: weir $(CHECKER) ## clients vanish, servers are killed, weir is restarted: mix-ups, doubled writes, leaks
	@$(PYTHON) tests/chaos/chaos.py $(CHAOS)

switchovers: weir ## 200 switchovers under load: lost, doubled, errors, hold times; SWITCHOVERS="--count 20 --server PATH"
	@$(PYTHON) tests/switchovers/figures.py $(SWITCHOVERS)

failovers: weir $(CHECKER) ## 100 kill -9 of the master, 50 SIGSTOP and more under load: every write lost, told; FAILOVERS="kill=5 --seed 2"
	@$(PYTHON) tests/failovers/figures.py $(FAILOVERS)
failovers-smoke: weir $(CHECKER)
	@$(call pytest,tests/failovers)
	@$(PYTHON) tests/failovers/figures.py kill=2 stop=1 --seed 9

figures-limits: weir ## what rude clients cost: memory, and the latency of others; LIMITS="claims loris" chooses
	@$(PYTHON) tests/limits/figures.py $(LIMITS)

# Leaks are left to LeakSanitizer, which sees all tests: gcc 12's analyzer loses
# what is stored through a pointer, and so finds many that are none. Nor is NULL
# at the end of variable arguments wrong: POSIX makes it a pointer.
ANALYZE := $(MAKE) --no-print-directory BUILD=build/analyze CC=gcc OPT="-O1 -fanalyzer -Wno-analyzer-malloc-leak"
CPPCHECK := cppcheck --quiet --std=c11 -j$(JOBS) --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	-D_GNU_SOURCE --suppress=missingIncludeSystem --suppress=varFuncNullUB
lint: ## gcc's analyzer and cppcheck have nothing to say
	+@$(ANALYZE) build/analyze/libweir.a
	@$(CPPCHECK) protocol topology proxy
# Two minutes, and finds little that gcc does not: not among the tests.
lint-clang: ## clang's analyzer has nothing to say either
	@printf '%s\n' $(SOURCES) | xargs -P $(JOBS) -I {} clang --analyze -Xclang -analyzer-werror \
		-Xclang -analyzer-output=text -std=c11 -D_GNU_SOURCE $(PACKAGE_CFLAGS) {} -o /dev/null

layers: $(OBJECTS) ## includes go one way, and nothing keeps global state
	@$(PYTHON) tests/layers.py --prove
	@$(PYTHON) tests/layers.py . $(BUILD)

# A fuzzer reads the corpus in the tree and writes what it finds beside itself.
# The seconds are for each of them.
SECONDS_EACH ?= 60
fuzz: ## fuzz every parser, SECONDS_EACH=60 for each
	@$(FUZZ) -j$(JOBS) fuzzers
	@tests/fuzz/run.sh build/fuzz/tests/fuzz $(SECONDS_EACH)
fuzz-smoke: ## replay the fuzzing corpora, and a few seconds more
	@$(MAKE) --no-print-directory fuzz SECONDS_EACH=3
fuzzers: $(FUZZERS)

compat: weir ## Redis' own test suite, bare and through weir; COMPAT="unit/scan" chooses, WORKERS=2 is harder on it
	@tests/compat/fetch.sh $(FETCHED)
	@$(PYTHON) tests/compat/compat.py $(FETCHED)/suite build/compat $(if $(COMPAT),--units $(COMPAT)) $(if $(WORKERS),--workers $(WORKERS))
compat-valkey: weir ## the units of it that end against a bare Valkey (tests/compat/valkey.txt), through weir in front of Valkey
	@tests/compat/fetch.sh $(FETCHED)
	@server=$$(tests/integration/valkey.sh $(FETCHED)) && REDIS_SERVER=$$server $(PYTHON) tests/compat/compat.py \
		$(FETCHED)/suite build/compat/valkey-output --units-of tests/compat/valkey.txt
compat-judge:
	@$(call pytest,tests/compat)

bench: weir $(BENCHES) ## beside a direct connection, HAProxy and nutcracker; then workers, mixed load and idle memory: BENCH="--rounds 9" CASES="--only mixed"
	@$(PYTHON) tests/bench/bench.py $(BENCH)
	@$(PYTHON) tests/bench/cases.py $(CASES)
bench-instructions: weir $(BENCHES) ## instructions per operation, against tests/bench/baseline.json
	@$(PYTHON) tests/bench/instructions.py $(BENCH)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

always:
.PHONY: always asan bench bench-instructions chaos clang clean compat compat-judge compat-valkey consistency demo deps failovers failovers-smoke figures-limits fuzz fuzzers fuzz-smoke help inject inject-asan install \
	integration integration-asan integration-tsan integration-valkey layers libraries libraries-asan lint lint-clang page screenshots soak switchovers test tsan uninstall unit valgrind
-include $(OBJECTS:.o=.d) $(UNITS:=.d) $(FUZZERS:=.d) $(BENCHES:=.d) $(RELAY_OBJECTS:.o=.d) $(LOAD_OBJECTS:.o=.d)
