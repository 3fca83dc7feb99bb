# Programs for the tests that are pop3d or pop3d-tls with one part replaced:
#     make -f Makefile -f tests/support/doubles.mk build/sandbox-probe build/hostile-greeter build/tls-probe

SANDBOX_PROBE_WRAPS = command_loop confine_monitor
HOSTILE_GREETER_WRAPS = login_run auth_serve confine_greeter request_permitted

LINK_DOUBLE = $(POP3D_CC) $(CFLAGS) $(SANITIZE) $(LHARDEN) -o $@ $^

$(O)/sandbox-probe: $(O)/tests/support/sandbox-probe.o $(O)/tests/support/attempts.o $(CORE:%.c=$(O)/%.o)
	$(LINK_DOUBLE) $(SANDBOX_PROBE_WRAPS:%=-Wl,--wrap=%) $(POP3D_LINK)

$(O)/hostile-greeter: $(O)/tests/support/hostile-greeter.o $(CORE:%.c=$(O)/%.o)
	$(LINK_DOUBLE) $(HOSTILE_GREETER_WRAPS:%=-Wl,--wrap=%) $(POP3D_LINK)

$(O)/tls-probe: $(O)/tls/tests/support/tls-probe.o $(O)/tls/tests/support/attempts.o $(TLS_SOURCES:%.c=$(O)/tls/%.o)
	$(TLS_CC) $(CFLAGS) $(SANITIZE) $(LHARDEN) -pie -Wl,--wrap=tls_handshake -o $@ $^ $(TLS_LIBS)
