# pop3d: `make help` lists the targets.
#
# pop3d itself is linked statically and position-independent, with the small C library where
# musl-gcc is installed (it starts faster), else with the system's. LIBC=glibc or LIBC=dynamic
# chooses by hand. pop3d-checkpw is linked in the same way where there is a static libcrypt, else
# it is dynamic; CHECKPW_LINK=static or CHECKPW_LINK=dynamic chooses. pop3d-checkpw-host, which it
# runs for the accounts of the host, and pop3d-admin are always dynamic: PAM and the look-up of
# accounts load libraries that the host configures.

PREFIX ?= /usr/local
DESTDIR ?=
# give the same SYSCONFDIR to "make" and to "make install": pop3d-checkpw knows it
SYSCONFDIR ?= /etc
SBINDIR ?= $(PREFIX)/sbin
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/pop3d
LIBEXECDIR ?= $(PREFIX)/libexec/pop3d
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
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
# are. TLS=no leaves it out; TLS_LINK=static puts the library into the program (a session costs a
# quarter less, but a new library then needs a new program).
TLS_CC ?= $(CC)
TLS ?= $(shell printf '%s\n' '\#include <openssl/opensslv.h>' '\#if OPENSSL_VERSION_MAJOR < 3' \
	'\#error' '\#endif' | $(TLS_CC) $(CPPFLAGS) -E -xc - >/dev/null 2>&1 && echo yes || echo no)
TLS_LINK ?= dynamic
HASH := \#
# for archives that were compiled for the system's C library
MUSL_CALLS = os/musl/glibc_calls.c
TLS_PROGRAM = $(if $(filter yes,$(TLS)),$(O)/pop3d-tls)
TLS_SOURCES = $(wildcard tls/*.c) $(LIB)
# With libcrypto first the dynamic linker finds most symbols of it at its first attempt.
TLS_LIBS = -pie -lcrypto -lssl
TLS_OBJECTS = $(O)/tls
TLS_FLAGS = $(CHARDEN_SYSTEM)
ifeq ($(TLS_LINK),static)
# The archives of OpenSSL, and of what they may have been built with. They were compiled for the
# system's C library, but need little of it: os/musl and tls/musl have those functions that musl does
# not have.
TLS_ARCHIVES := $(filter /%,$(foreach name,ssl crypto z zstd brotlienc brotlidec brotlicommon,$(shell \
	$(CC) -print-file-name=lib$(name).a)))
TLS_LIBS = $(if $(SANITIZE),-pie,-static-pie) $(TLS_ARCHIVES)
TLS_HEADERS := $(if $(filter musl,$(LIBC)),$(sort $(shell echo '$(HASH)include <openssl/ssl.h>' | $(CC) -M -xc - | \
	tr ' ' '\n' | sed -n 's,/openssl/[a-z0-9_]*\.h$$,,p')))
TLS_MUSL_FLAGS = -DWITH_MUSL $(addprefix -idirafter ,$(TLS_HEADERS))
# libcrypto's own start stands between the two files
TLS_MUSL_LIBS = $(MUSL_CRT)crti.o $(TLS_ARCHIVES) $(POP3D_LINK) $(MUSL_CRT)crtn.o
TLS_MUSL := $(if $(filter musl,$(LIBC)),$(shell printf '%s\n' '$(HASH)include <openssl/ssl.h>' \
	'int main(void) { return SSL_CTX_new(TLS_server_method()) == 0; }' | \
	$(POP3D_CC) $(CPPFLAGS) $(TLS_MUSL_FLAGS) -w -fPIE -o /dev/null -xc - $(MUSL_CALLS) \
	tls/musl/glibc_calls.c -xnone $(TLS_MUSL_LIBS) >/dev/null 2>&1 && echo yes))
ifeq ($(TLS_MUSL),yes)
TLS_CC := $(POP3D_CC)
TLS_SOURCES += $(MUSL_CALLS) $(wildcard tls/musl/*.c)
TLS_OBJECTS = $(O)/tls-musl
TLS_FLAGS = $(TLS_MUSL_FLAGS)
TLS_LIBS = $(TLS_MUSL_LIBS)
endif
endif
# pop3d-admin is dynamic: it looks up accounts where the host has them.
ADMIN = $(wildcard admin/*.c)
CHECKPW = $(wildcard checkpw/*.c)
# These come from an archive, so that the linker takes only what is used.
ADMIN_BELOW = $(wildcard maildir/*.c pop3/*.c checkpw/*.c) maildir.c options.c $(LIB)
CHECKPW_BELOW = $(wildcard lib/*.c os/*.c)
UNITS = $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/*/test_*.c))
SOURCES = $(wildcard *.[ch] */*.[ch] os/musl/*.c checkpw/musl/*.c tls/musl/*.[ch] tests/*/*.[ch] tests/unit/*/*.[ch])
CHECKPW_DEFS = $(if $(filter-out /etc,$(SYSCONFDIR)),-DPWFILE_DEFAULT='"$(SYSCONFDIR)/pop3d/passwd"')
HOST_DEFS = -DWITH_HOST $(if $(filter yes,$(PAM)),-DWITH_PAM)
HOST_LIBS = -lcrypt $(if $(filter yes,$(PAM)),-lpam)
# The system's libcrypt.a needs few functions of its C library, and os/musl and checkpw/musl have
# those that musl does not have. CRYPT_ARCHIVE names another archive.
CRYPT_ARCHIVE ?= $(shell $(CC) -print-file-name=libcrypt.a)
CRYPT_H ?= $(shell echo '$(HASH)include <crypt.h>' | $(CC) -E -xc - 2>/dev/null | \
	sed -n 's,^$(HASH) 1 "\(/.*/crypt\.h\)".*,\1,p')
MUSL_CRYPT = $(if $(filter musl,$(LIBC)),$(MUSL_CALLS) checkpw/musl/glibc_calls.c)
MUSL_CRYPT_FLAGS = $(if $(MUSL_CRYPT),-isystem checkpw/musl -DCRYPT_H='"$(CRYPT_H)"')
ifndef CHECKPW_LINK
CHECKPW_LINK := $(if $(filter dynamic,$(LIBC)),dynamic,$(shell printf '%s\n' '$(HASH)include <crypt.h>' \
	'int main(void) { static struct crypt_data data;' \
	'return crypt_r("", crypt_gensalt_rn("$$y$$", 0, 0, 0, data.output, 384), &data) == 0; }' | \
	$(POP3D_CC) $(CPPFLAGS) $(MUSL_CRYPT_FLAGS) -w -fPIE -o /dev/null -xc - $(MUSL_CRYPT) \
	-xnone $(CRYPT_ARCHIVE) $(POP3D_LINK) >/dev/null 2>&1 && echo static || echo dynamic))
endif
ifeq ($(CHECKPW_LINK),static)
CHECKPW_CC = $(POP3D_CC)
CHECKPW_FLAGS = $(MUSL_CRYPT_FLAGS) $(if $(filter musl,$(LIBC)),,$(CHARDEN_SYSTEM))
CHECKPW_EXTRA = $(MUSL_CRYPT)
CHECKPW_LIBS = $(CRYPT_ARCHIVE) $(POP3D_LINK)
else
CHECKPW_CC = $(CC)
CHECKPW_FLAGS = $(CHARDEN_SYSTEM)
CHECKPW_LIBS = -lcrypt -pie
endif

all: $(O)/pop3d $(O)/pop3d-checkpw $(O)/pop3d-checkpw-host $(O)/pop3d-admin $(TLS_PROGRAM) ## build pop3d, its companions and (with OpenSSL 3) pop3d-tls into build/

$(O)/%.o: %.c
	@mkdir -p $(@D)
	$(POP3D_CC) $(CPPFLAGS) $(CFLAGS) $(CHARDEN) $(if $(filter musl,$(LIBC)),,$(CHARDEN_SYSTEM)) $(CWARN) $(SANITIZE) -fPIE -std=c11 -MMD -MP -c -o $@ $<

$(O)/pop3d: $(CORE:%.c=$(O)/%.o) lib/large.ld
	$(POP3D_CC) $(CFLAGS) $(SANITIZE) $(LHARDEN) -o $@ $(filter %.o,$^) -Wl,-T,lib/large.ld $(POP3D_LINK)

$(O)/checkpw/%.o: %.c
	@mkdir -p $(@D)
	$(CHECKPW_CC) $(CPPFLAGS) $(CHECKPW_DEFS) $(CHECKPW_FLAGS) $(CFLAGS) $(CHARDEN) $(CWARN) $(SANITIZE) -fPIE -std=c11 -MMD -MP -c -o $@ $<

$(O)/checkpw/below.a: $(CHECKPW_BELOW:%.c=$(O)/checkpw/%.o)
	@rm -f $@
	ar rcs $@ $^

$(O)/pop3d-checkpw: $(patsubst %.c,$(O)/checkpw/%.o,$(CHECKPW) $(CHECKPW_EXTRA)) $(O)/checkpw/below.a
	$(CHECKPW_CC) $(CFLAGS) $(SANITIZE) $(LHARDEN) -o $@ $^ $(CHECKPW_LIBS)

$(O)/checkpw-host/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CHECKPW_DEFS) $(HOST_DEFS) $(CFLAGS) $(CHARDEN) $(CHARDEN_SYSTEM) $(CWARN) $(SANITIZE) -fPIE -std=c11 -MMD -MP -c -o $@ $<

$(O)/checkpw-host/below.a: $(CHECKPW_BELOW:%.c=$(O)/checkpw-host/%.o)
	@rm -f $@
	ar rcs $@ $^

$(O)/pop3d-checkpw-host: $(CHECKPW:%.c=$(O)/checkpw-host/%.o) $(O)/checkpw-host/below.a
	$(CC) $(CFLAGS) $(SANITIZE) $(LHARDEN) -pie -o $@ $^ $(HOST_LIBS)

$(O)/admin/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CHECKPW_DEFS) $(CFLAGS) $(CHARDEN) $(CHARDEN_SYSTEM) $(CWARN) $(SANITIZE) -fPIE -std=c11 -MMD -MP -c -o $@ $<

$(O)/admin/below.a: $(ADMIN_BELOW:%.c=$(O)/admin/%.o)
	@rm -f $@
	ar rcs $@ $^

$(O)/pop3d-admin: $(ADMIN:%.c=$(O)/admin/%.o) $(O)/admin/below.a
	$(CC) $(CFLAGS) $(SANITIZE) $(LHARDEN) -pie -o $@ $^

$(TLS_OBJECTS)/%.o: %.c
	@mkdir -p $(@D)
	$(TLS_CC) $(CPPFLAGS) $(TLS_FLAGS) $(CFLAGS) $(CHARDEN) $(CWARN) $(SANITIZE) -fPIE -std=c11 -MMD -MP -c -o $@ $<

$(O)/pop3d-tls: $(TLS_SOURCES:%.c=$(TLS_OBJECTS)/%.o)
	$(TLS_CC) $(CFLAGS) $(SANITIZE) $(LHARDEN) -o $@ $^ $(TLS_LIBS)

# The part of pop3d-tls that needs no OpenSSL.
UNIT_TLS = tls/policy.c

# Unit tests run against the system's libc, always under the sanitizers where they are asked for.
$(O)/unit/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(CWARN) $(SANITIZE) -fPIE -std=c11 -MMD -MP -c -o $@ $<

$(O)/unit/lib.a: $(patsubst %.c,$(O)/unit/%.o,$(filter-out pop3d.c,$(CORE)) $(UNIT_TLS))
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
	@POP3D_UNIT_ALL=1 $(MAKE) -s unit UNIT_JOBS=$(PROCESSORS)

# Some wait for most of their time. In make check they have the processors for themselves.
PROCESSORS = $(shell getconf _NPROCESSORS_ONLN)
UNIT_JOBS ?= $(shell expr 8 \* $(PROCESSORS))

check: all unit-all ## run every test: units, sessions, superservers, clients, adversity
	POP3D_BUILD=$(abspath $(O)) $(PYTEST) -q -p no:cacheprovider $(PYTEST_JOBS) $(PYTEST_ARGS) tests

.PHONY: check-clients
check-clients: all ## run every mail program of doc/CLIENTS, and write that table anew
	./bootstrap clients
	rm -rf $(O)/clients && mkdir -p $(O)/clients
	-POP3D_CHECK_CLIENTS=$(abspath $(O))/clients POP3D_BUILD=$(abspath $(O)) $(PYTEST) -q \
		-p no:cacheprovider $(PYTEST_JOBS) $(PYTEST_ARGS) tests/clients/test_matrix.py
	tests/clients/table $(O)/clients

.PHONY: check-migration
check-migration: all ## move mailboxes from other servers (as root); the table of doc/MIGRATION anew
	./bootstrap migration
	rm -rf $(O)/migration && mkdir -p $(O)/migration
	POP3D_CHECK_MIGRATION=$(abspath $(O))/migration POP3D_BUILD=$(abspath $(O)) $(PYTEST) -q \
		-p no:cacheprovider $(PYTEST_JOBS) $(PYTEST_ARGS) tests/migration
	tests/migration/table $(O)/migration

.PHONY: check-nfs
check-nfs: all ## sessions on two hosts over real NFS, in a kernel of its own (some 40 minutes)
	./bootstrap nfs
	tests/nfs/campaign $(abspath $(O)) $(PYTEST) $(PYTEST_ARGS)

.PHONY: check-cluster
check-cluster: all ## three nodes with GlusterFS behind HAProxy, with faults under load (as root)
	tests/cluster/run --build $(abspath $(O)) $(CLUSTER_ARGS)

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

check-package: ## build the Debian packages, install them into machines, log in (root, long)
	tests/package/machines $(RELEASE)

check-asan: ## the same tests with AddressSanitizer and UBSan (dynamic, system libc)
	ASAN_OPTIONS=detect_leaks=0 $(MAKE) O=$(O)/asan LIBC=dynamic SANITIZE="$(ASAN)" CHARDEN= check

# The fuzz targets need clang's libFuzzer. What they find stays in $(O)/fuzz; an input worth keeping
# goes to fuzz/corpus/TARGET by hand.
FUZZ_CC ?= clang
FUZZ_SECONDS ?= 60
FUZZ = $(patsubst fuzz/fuzz_%.c,%,$(wildcard fuzz/fuzz_*.c))
FUZZ_FLAGS = $(CPPFLAGS) -O1 -g $(CWARN) -std=c11 -fno-sanitize-recover=all

$(O)/fuzz/objects/%.o: %.c
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link,address,undefined -MMD -MP -c -o $@ $<

# what pop3d-checkpw takes apart, and makes no system call for
FUZZ_CHECKPW = checkpw/auth_line.c checkpw/entry.c checkpw/mail.c checkpw/name.c

$(O)/fuzz/objects.a: $(patsubst %.c,$(O)/fuzz/objects/%.o,$(filter-out pop3d.c,$(CORE)) $(FUZZ_CHECKPW))
	@rm -f $@
	ar rcs $@ $^

$(O)/fuzz/fuzz_%: fuzz/fuzz_%.c $(wildcard fuzz/*.h tests/unit/*.h *.h */*.h) $(O)/fuzz/objects.a
	$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=fuzzer,address,undefined -o $@ $< $(O)/fuzz/objects.a

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

lint: ## formatting, static analysis, man pages, length and complexity of functions
	clang-format --dry-run -Werror $(SOURCES)
	cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability \
		--inline-suppr --suppress=missingIncludeSystem -DVERSION='"x"' -DWITH_HOST -DWITH_PAM -I. $(wildcard *.c */*.c)
	mandoc -Tlint -Wwarning doc/*.8
	@pmccabe $(filter %.c,$(SOURCES)) | awk '$$1 > 15 || $$5 > 50 { print; bad = 1 } END { \
		if (bad) print "lint: at most 50 lines a function, and a cyclomatic complexity of 15"; exit bad }'
	$(MAKE) -s O=$(O) layers

# The files that doc/TESTING lists as proved.
PROVED = $(shell sed -n '/^WHAT IS PROVED/,/^WHAT IS TESTED/s/^    \([a-z0-9]*\/[a-z0-9_]*\.c\) .*/\1/p' doc/TESTING)

prove: ## prove with Frama-C that the functions of PROVED="lib/bits.c ..." keep their contracts
	tests/prove $(PROVED)

layers: all ## check the direction of the rooms: no edge upward, no circle, lib/ without system calls
	tests/layers . $(O)

# The shipped files name these places; installed files name those of the variables above.
ADAPT = sed -e 's,/usr/local/sbin,$(SBINDIR),g' -e 's,/usr/local/libexec/pop3d,$(LIBEXECDIR),g' \
	-e 's,/usr/local/share,$(PREFIX)/share,g' -e 's,/etc/pop3d,$(SYSCONFDIR)/pop3d,g' \
	-e 's,/etc/default,$(SYSCONFDIR)/default,g'
# adapt (MODE, FILE, INSTALLED)
define adapt
$(ADAPT) $(2) >$(DESTDIR)$(3)
chmod $(1) $(DESTDIR)$(3)

endef
# The same for a file that an administrator edits: one that is there stays as it is.
define adapt_kept
test -e $(DESTDIR)$(3) || { $(ADAPT) $(4) $(2) >$(DESTDIR)$(3) && chmod $(1) $(DESTDIR)$(3); }

endef

install: all ## install programs, manuals and recipes below $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(MANDIR)/man8 $(DESTDIR)$(DOCDIR)
	install -m 755 $(O)/pop3d $(O)/pop3d-checkpw $(O)/pop3d-checkpw-host $(O)/pop3d-admin $(TLS_PROGRAM) \
		$(DESTDIR)$(SBINDIR)/
	$(foreach page,$(wildcard doc/*.8),$(call adapt,644,$(page),$(MANDIR)/man8/$(notdir $(page))))
	install -m 644 CHANGES LICENSE $(DESTDIR)$(DOCDIR)/
	$(foreach file,README $(filter-out %.8 doc/examples,$(wildcard doc/*)),$(call \
		adapt,644,$(file),$(DOCDIR)/$(notdir $(file))))
	cp -r xinetd.d systemd pam.d $(wildcard fail2ban) doc/examples contrib $(DESTDIR)$(DOCDIR)/
	$(foreach file,$(filter-out contrib/alpine,$(wildcard xinetd.d/* systemd/* contrib/*)),$(call adapt,$(if \
		$(filter %/serve %/prepare,$(file)),755,644),$(file),$(DOCDIR)/$(file)))
	$(foreach file,$(wildcard doc/examples/cluster/*),$(call adapt,644,$(file),$(DOCDIR)/$(file:doc/%=%)))

# With TLS=no nothing of pop3d-tls is installed.
SERVICES_UNITS = systemd/pop3d.socket systemd/pop3d@.service systemd/pop3d.target \
	$(if $(TLS_PROGRAM),systemd/pop3s.socket systemd/pop3s@.service systemd/pop3d-tickets.service \
	systemd/pop3d-tickets.timer)
SERVICES_USERS = pop3d $(if $(TLS_PROGRAM),pop3d-tls)
SERVICES_XINETD = pop3 $(if $(TLS_PROGRAM),pop3s)
# The options come from a file, and nothing is served before an administrator says so.
XINETD_DEFAULT = -e 's/^\tserver/\#&/' -e 's/^\#DEFAULT//' -e '/^\#\(STLS\|\tserver\)/d' \
	-e 's/^\tdisable\t.*= no/\tdisable\t\t= yes/'

install-services: all ## install units, xinetd files, PAM and fail2ban files, /etc/default/pop3d
	install -d $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(UNITDIR) $(DESTDIR)$(SYSUSERSDIR) \
		$(addprefix $(DESTDIR)$(SYSCONFDIR)/,default pam.d xinetd.d fail2ban/filter.d pop3d)
	$(foreach script,serve prepare,$(call adapt,755,contrib/$(script),$(LIBEXECDIR)/$(script)))
	$(foreach unit,$(SERVICES_UNITS),$(call adapt,644,$(unit),$(UNITDIR)/$(notdir $(unit))))
	$(if $(TLS_PROGRAM),install -d $(DESTDIR)$(UNITDIR)/pop3d@.service.d)
	$(if $(TLS_PROGRAM),$(call adapt,644,systemd/pop3d-stls.conf,$(UNITDIR)/pop3d@.service.d/stls.conf))
	$(foreach user,$(SERVICES_USERS),$(call \
		adapt,644,contrib/sysusers-$(user).conf,$(SYSUSERSDIR)/$(user).conf))
	$(foreach service,$(SERVICES_XINETD),$(call \
		adapt_kept,644,xinetd.d/$(service),$(SYSCONFDIR)/xinetd.d/$(service),$(XINETD_DEFAULT)))
	$(call adapt_kept,644,pam.d/pop3,$(SYSCONFDIR)/pam.d/pop3)
	$(call adapt_kept,644,contrib/pop3d.default,$(SYSCONFDIR)/default/pop3d)
	$(call adapt_kept,644,fail2ban/filter.d/pop3d.conf,$(SYSCONFDIR)/fail2ban/filter.d/pop3d.conf)

# What would be installed is made in a directory outside the build, and removed where it was
# installed; a file below SYSCONFDIR that was edited stays.
uninstall: all ## remove what both installed, but not files in /etc that were edited
	@stage=$$(mktemp -d) && trap 'rm -rf "$$stage"' EXIT && \
	$(MAKE) -s install install-services DESTDIR="$$stage" && cd "$$stage" && \
	find . -type f | sed 's,^\.,,' | while read -r file; do \
		case $$file in \
		$(SYSCONFDIR)/*) [ ! -e "$(DESTDIR)$$file" ] || cmp -s "$$stage$$file" "$(DESTDIR)$$file" || \
			{ echo "kept, because it was edited: $(DESTDIR)$$file"; continue; } ;; \
		esac; \
		rm -f "$(DESTDIR)$$file" || exit 1; \
	done && \
	find . -depth -type d -path '*pop3d*' | sed 's,^\.,,' | while read -r place; do \
		rmdir "$(DESTDIR)$$place" 2>/dev/null || :; \
	done

dist: ## pack what is committed into build/pop3d-VERSION.tar.gz
	@mkdir -p $(O)
	git archive --prefix=pop3d-$(VERSION)/ HEAD | gzip -9n >$(O)/pop3d-$(VERSION).tar.gz

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

simulate: ## the capacity table and the plots of doc/SCALING, from measured service times
	bench/simulate.py --table
	bench/simulate.py --plots

.PHONY: all bench bench-quick simulate fuzz fuzz-seeds unit unit-all check check-large check-asan check-package check-fresh check-booted demo format lint layers prove install install-services uninstall dist clean help
.SECONDARY:
-include $(wildcard $(O)/*.d $(O)/*/*.d $(O)/*/*/*.d $(O)/fuzz/objects/*/*.d $(O)/unit/tests/unit/*/*.d)
