# pop3d: `make help` lists the targets.
#
# pop3d itself is linked statically and position-independent, with the small C library where
# musl-gcc is installed (it starts faster), else with the system's. LIBC=glibc or LIBC=dynamic
# chooses by hand. pop3d-checkpw is dynamic: libcrypt and PAM load what the host configured.

PREFIX ?= /usr/local
DESTDIR ?=
SBINDIR ?= $(PREFIX)/sbin
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/pop3d
O ?= build
VERSION := 0.1

HAVE_MUSL := $(shell command -v musl-gcc 2>/dev/null)
LIBC ?= $(if $(HAVE_MUSL),musl,glibc)
PAM ?= yes

CWARN = -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
	-Wformat=2 -Wpointer-arith -Wvla $(if $(filter yes,$(WERROR)),-Werror)
CFLAGS ?= -O2 -g
CHARDEN = -fstack-protector-strong -fstack-clash-protection -fno-strict-aliasing
# what only the system's C library can do: checked string functions, and marks for indirect jumps
CHARDEN_SYSTEM = $(if $(CHARDEN),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 \
	$(if $(filter x86_64 i686,$(shell uname -m)),-fcf-protection))
LHARDEN = -Wl,-z,relro,-z,now,-z,noexecstack
CPPFLAGS += -I. -D_GNU_SOURCE -DVERSION='"$(VERSION)"'
SANITIZE ?=
# warnings are errors where .ci/run asks for it
WERROR ?= no

# the compiler of pop3d, and how it links
ifeq ($(LIBC),musl)
POP3D_CC ?= musl-gcc
# musl-gcc does not know -static-pie: the start file is named here (it lies beside the specs)
MUSL_CRT := $(dir $(shell musl-gcc -v 2>&1 | sed -n 's/^Reading specs from //p' | tail -n 1))
POP3D_LINK = -static -nostartfiles -Wl,-pie,--no-dynamic-linker,-z,text $(MUSL_CRT)rcrt1.o
else ifeq ($(LIBC),glibc)
POP3D_CC ?= $(CC)
POP3D_LINK = -static-pie
else
POP3D_CC ?= $(CC)
POP3D_LINK = -pie
endif

# A room is a folder, with the file of its name at the top: a new file needs no edit here.
LIB = $(wildcard lib/*.c os/*.c confine/*.c peer/*.c)
CORE = $(wildcard *.c auth/*.c session/*.c maildir/*.c pop3/*.c) $(LIB)
# pop3d-tls is the only program that links OpenSSL (3 or later), and is built where its headers
# are. TLS=no leaves it out; TLS_LINK=static puts the library into the program (a start costs half
# as much, but a new library then needs a new program).
TLS_CC ?= $(CC)
TLS ?= $(shell printf '%s\n' '\#include <openssl/opensslv.h>' '\#if OPENSSL_VERSION_MAJOR < 3' \
	'\#error' '\#endif' | $(TLS_CC) $(CPPFLAGS) -E -xc - >/dev/null 2>&1 && echo yes || echo no)
TLS_LINK ?= dynamic
TLS_PROGRAM = $(if $(filter yes,$(TLS)),$(O)/pop3d-tls)
TLS_SOURCES = $(wildcard tls/*.c) $(LIB)
TLS_LIBS = $(if $(filter static,$(TLS_LINK)),-l:libssl.a -l:libcrypto.a,-lssl -lcrypto)
CHECKPW = $(wildcard checkpw/*.c lib/*.c) os/log.c
UNITS = $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/*/test_*.c))
SOURCES = $(wildcard *.[ch] */*.[ch] tests/*/*.[ch] tests/unit/*/*.[ch])
CHECKPW_LIBS = -lcrypt $(if $(filter yes,$(PAM)),-lpam)
CHECKPW_DEFS = $(if $(filter yes,$(PAM)),-DWITH_PAM)

all: $(O)/pop3d $(O)/pop3d-checkpw $(TLS_PROGRAM) ## build pop3d, pop3d-checkpw and (with OpenSSL 3) pop3d-tls into build/

$(O)/%.o: %.c
	@mkdir -p $(@D)
	$(POP3D_CC) $(CPPFLAGS) $(CFLAGS) $(CHARDEN) $(if $(filter musl,$(LIBC)),,$(CHARDEN_SYSTEM)) $(CWARN) $(SANITIZE) -fPIE -std=c11 -MMD -MP -c -o $@ $<

$(O)/pop3d: $(CORE:%.c=$(O)/%.o)
	$(POP3D_CC) $(CFLAGS) $(SANITIZE) $(LHARDEN) -o $@ $^ $(POP3D_LINK)

$(O)/checkpw/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CHECKPW_DEFS) $(CFLAGS) $(CHARDEN) $(CHARDEN_SYSTEM) $(CWARN) $(SANITIZE) -fPIE -std=c11 -MMD -MP -c -o $@ $<

$(O)/pop3d-checkpw: $(CHECKPW:%.c=$(O)/checkpw/%.o)
	$(CC) $(CFLAGS) $(SANITIZE) $(LHARDEN) -pie -o $@ $^ $(CHECKPW_LIBS)

$(O)/tls/%.o: %.c
	@mkdir -p $(@D)
	$(TLS_CC) $(CPPFLAGS) $(CFLAGS) $(CHARDEN) $(CHARDEN_SYSTEM) $(CWARN) $(SANITIZE) -fPIE -std=c11 -MMD -MP -c -o $@ $<

$(O)/pop3d-tls: $(TLS_SOURCES:%.c=$(O)/tls/%.o)
	$(TLS_CC) $(CFLAGS) $(SANITIZE) $(LHARDEN) -pie -o $@ $^ $(TLS_LIBS)

# Unit tests run against the system's libc, always under the sanitizers where they are asked for.
$(O)/unit/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(CWARN) $(SANITIZE) -fPIE -std=c11 -MMD -MP -c -o $@ $<

$(O)/unit/lib.a: $(patsubst %.c,$(O)/unit/%.o,$(filter-out pop3d.c,$(CORE)))
	@rm -f $@
	ar rcs $@ $^

$(UNITS:%=$(O)/unit/%): $(O)/unit/%: $(O)/unit/tests/unit/%.o $(O)/unit/lib.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SANITIZE) -o $@ $^ -lcmocka

# A unit's output is shown as a whole, when it has ended. One program alone: build/unit/ROOM/test_NAME.
unit: $(patsubst %,$(O)/unit/%,$(or $(T),$(UNITS))) ## run the unit tests (cmocka); T=maildir/test_index runs one of them
	@printf '%s\n' $^ | xargs -P $(UNIT_JOBS) -I {} sh -c \
		'{} >{}.log 2>&1 || { cat {}.log; echo "FAILED: {}"; exit 255; }'
	@cat $(^:%=%.log) | awk '/^\[ *OK/ { ok++ } END { printf "%d passed, 0 failed\n", ok }'

unit-all: ## the same, with every case of those tests that take a sample otherwise
	@POP3D_UNIT_ALL=1 $(MAKE) -s unit

UNIT_JOBS ?= $(shell getconf _NPROCESSORS_ONLN)

check: all unit-all ## run every test: units, sessions, superservers, clients, adversity
	POP3D_BUILD=$(abspath $(O)) $(PYTEST) -q -p no:cacheprovider $(PYTEST_JOBS) $(PYTEST_ARGS) tests

check-large: all ## test the index with a million messages (on a tmpfs, as root)
	POP3D_CHECK_LARGE=1000000 POP3D_BUILD=$(abspath $(O)) $(PYTEST) -q -p no:cacheprovider \
		$(PYTEST_ARGS) tests/maildrop/test_index.py -k million

PYTEST ?= pytest-3
# several at a time where pytest can: most of them wait most of the time
PYTEST_JOBS ?= $(shell $(PYTEST) -p xdist --version >/dev/null 2>&1 && printf '%s' '-n 4')
# Some five minutes each: two releases of Debian, as root and through sudo.
check-fresh: ## run the commands of README on fresh machines: Debian 12 and 13, root and sudo
	@for release in bookworm trixie; do for who in root sudo; do \
		tests/fresh-machine $$release $$who || exit 1; \
	done; done

check-booted: ## boot a Debian with the shipped units and run doc/SETUP there (systemd-nspawn)
	tests/booted

ASAN = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

check-asan: ## the same tests with AddressSanitizer and UBSan (dynamic, system libc)
	ASAN_OPTIONS=detect_leaks=0 $(MAKE) O=$(O)/asan LIBC=dynamic SANITIZE="$(ASAN)" CHARDEN= check

# The fuzz targets need clang's libFuzzer. What they find stays in $(O)/fuzz; an input worth keeping
# goes to fuzz/corpus/TARGET by hand.
FUZZ_CC ?= clang
FUZZ_SECONDS ?= 60
FUZZ_SOURCES = $(wildcard lib/*.c) pop3/sasl.c pop3/command.c pop3/reply.c pop3/text.c pop3/wire.c \
	peer/proxy_header.c maildir/index_read.c maildir/snapshot.c maildir/order.c maildir/name.c \
	os/log.c os/clock.c
FUZZ = $(patsubst fuzz/fuzz_%.c,%,$(wildcard fuzz/fuzz_*.c))

$(O)/fuzz/fuzz_%: fuzz/fuzz_%.c fuzz/fuzz.h $(FUZZ_SOURCES) $(wildcard *.h */*.h)
	@mkdir -p $(@D)
	$(FUZZ_CC) $(CPPFLAGS) -O1 -g $(CWARN) -std=c11 -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -o $@ $< $(FUZZ_SOURCES)

fuzz-seeds: $(FUZZ:%=$(O)/fuzz/fuzz_%) ## run the fuzz targets on their corpora only
	@for t in $(FUZZ); do \
		echo "== $$t"; $(O)/fuzz/fuzz_$$t -runs=0 -timeout=10 fuzz/corpus/$$t || exit 1; \
	done

fuzz: fuzz-seeds ## fuzz each target for FUZZ_SECONDS=60
	@for t in $(FUZZ); do \
		echo "== $$t, $(FUZZ_SECONDS) s"; mkdir -p $(O)/fuzz/$$t; \
		$(O)/fuzz/fuzz_$$t -max_total_time=$(FUZZ_SECONDS) -max_len=20000 -timeout=10 \
			-print_final_stats=1 -artifact_prefix=$(O)/fuzz/found-$$t- \
			$(O)/fuzz/$$t fuzz/corpus/$$t || exit 1; \
	done

demo: all ## serve a demonstration mailbox on 127.0.0.1:1110 through xinetd
	tests/demo $(abspath $(O))

compile_commands.json: Makefile ## for clangd and other tools, made with bear
	bear --output $@ -- $(MAKE) -B O=$(O)/compile all $(UNITS:%=$(O)/compile/unit/tests/unit/%.o)

format: ## apply .clang-format
	clang-format -i $(SOURCES)

lint: ## formatting, static analysis, man pages
	clang-format --dry-run -Werror $(SOURCES)
	cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability \
		--inline-suppr --suppress=missingIncludeSystem -DVERSION='"x"' -DWITH_PAM -I. $(wildcard *.c */*.c)
	mandoc -Tlint -Wwarning doc/*.8
	$(MAKE) -s O=$(O) layers

layers: all ## check the direction of the rooms: no edge upward, no circle, lib/ without system calls
	tests/layers . $(O)

install: all ## install below $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(MANDIR)/man8 $(DESTDIR)$(DOCDIR)
	install -m 755 $(O)/pop3d $(O)/pop3d-checkpw $(TLS_PROGRAM) $(DESTDIR)$(SBINDIR)/
	install -m 644 doc/*.8 $(DESTDIR)$(MANDIR)/man8/
	install -m 644 README CHANGES LICENSE $(filter-out %.8 doc/examples,$(wildcard doc/*)) $(DESTDIR)$(DOCDIR)/
	cp -r xinetd.d systemd pam.d $(wildcard fail2ban) doc/examples $(DESTDIR)$(DOCDIR)/
	sed -i 's,/usr/local/sbin,$(SBINDIR),g' $(DESTDIR)$(DOCDIR)/xinetd.d/* $(DESTDIR)$(DOCDIR)/systemd/*

clean: ## remove what was built
	rm -rf $(O)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 14

.DEFAULT_GOAL := all
bench: all ## measure pop3d and its neighbours, takes long; results in bench/results/
	./bootstrap bench
	bench/run --build $(abspath $(O))

bench-quick: all ## the same, less of it, in about two minutes
	./bootstrap bench
	bench/run --quick --build $(abspath $(O))

.PHONY: all bench bench-quick fuzz fuzz-seeds unit unit-all check check-large check-asan check-fresh check-booted demo format lint layers install clean help
.SECONDARY:
-include $(wildcard $(O)/*.d $(O)/*/*.d $(O)/*/*/*.d $(O)/unit/tests/unit/*/*.d)
