# weir: `make help` lists what can be built.

CC ?= gcc
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=

PKGS := hiredis inih libmicrohttpd jansson libxxhash
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Werror
HARDEN := -fstack-protector-strong -fstack-clash-protection -fPIE
ifeq ($(SANITIZE),)
OPT ?= -O2 -g
HARDEN += -D_FORTIFY_SOURCE=2
else
OPT ?= -O1 -g -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=all
LDSAN := -fsanitize=$(SANITIZE)
endif
CFLAGS_ALL = -std=c11 -D_GNU_SOURCE $(OPT) $(WARN) $(HARDEN) -pthread $(shell pkg-config --cflags $(PKGS)) -MMD -MP $(CFLAGS)
LDFLAGS_ALL = -pie -Wl,-z,relro,-z,now $(LDSAN) -pthread $(LDFLAGS)
LIBS = $(shell pkg-config --libs $(PKGS)) -lev

SOURCES := $(wildcard protocol/*.c topology/*.c proxy/*.c)
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
LIBRARY_OBJECTS := $(filter-out $(BUILD)/proxy/main.o,$(OBJECTS))

UNIT_SOURCES := $(wildcard tests/unit/test_*.c)
UNITS := $(UNIT_SOURCES:%.c=$(BUILD)/%)

weir: $(BUILD)/weir
	@cp -f $< $@

$(BUILD)/weir: $(OBJECTS)
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -c -o $@ $<

# A unit test links every module but main; it includes only what it tests.
$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(LIBRARY_OBJECTS)
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS) -lcmocka

unit: $(UNITS)
	@for test in $(UNITS); do echo "== $$test"; timeout 120 $$test || exit 1; done

clean:
	rm -rf $(BUILD) weir

.PHONY: unit clean
.SECONDARY:
-include $(OBJECTS:.o=.d) $(UNITS:=.d)
