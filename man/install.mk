# SPDX-License-Identifier: BSD-3-Clause
# make install, make uninstall: DESTDIR for packagers, PREFIX for the rest. The shim is no library to link with: it stands in a folder of its own,
# where uvfio looks for it from its own place (../lib/uvfio), so that an installed tree can be moved.

BINDIR     ?= $(PREFIX)/bin
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR     ?= $(PREFIX)/share/man
BASHCOMPDIR ?= $(PREFIX)/share/bash-completion/completions
INSTALL    ?= install

headers := $(wildcard include/uvfio/*.h)

# $(PREFIX) becomes a variable of the file where it can, so that --define-variable=prefix= works
pc_path = $(patsubst $(PREFIX)/%,$${prefix}/%,$(1))
define pc_text
prefix=$(PREFIX)
libdir=$(call pc_path,$(LIBDIR))
includedir=$(call pc_path,$(INCLUDEDIR))

Name: uvfio
Description: VFIO in user space: PCI devices written in C, and their drivers
Version: $(VERSION)
Libs: -L$${libdir} -luvfio
Libs.private: $(LIBS)
Cflags: -I$${includedir}
endef

.PHONY: install uninstall
install: $(UVFIO) $(LIBUVFIO) $(SHIM)
	$(INSTALL) -d "$(DESTDIR)$(BINDIR)" "$(DESTDIR)$(LIBDIR)/uvfio" "$(DESTDIR)$(LIBDIR)/pkgconfig" "$(DESTDIR)$(INCLUDEDIR)/uvfio" \
		"$(DESTDIR)$(MANDIR)/man1" "$(DESTDIR)$(BASHCOMPDIR)"
	$(INSTALL) -m 755 $(UVFIO) "$(DESTDIR)$(BINDIR)/uvfio"
	$(INSTALL) -m 644 $(LIBUVFIO) "$(DESTDIR)$(LIBDIR)/$(notdir $(LIBUVFIO))"
	ln -sf $(notdir $(LIBUVFIO)) "$(DESTDIR)$(LIBDIR)/libuvfio.so"
	$(INSTALL) -m 644 $(SHIM) "$(DESTDIR)$(LIBDIR)/uvfio/$(notdir $(SHIM))"
	$(INSTALL) -m 644 $(headers) "$(DESTDIR)$(INCLUDEDIR)/uvfio"
	$(file >$(BUILD)/uvfio.pc,$(pc_text))
	$(INSTALL) -m 644 $(BUILD)/uvfio.pc "$(DESTDIR)$(LIBDIR)/pkgconfig/uvfio.pc"
	$(INSTALL) -m 644 man/uvfio.1 "$(DESTDIR)$(MANDIR)/man1/uvfio.1"
	$(INSTALL) -m 644 tools/completion/uvfio.bash "$(DESTDIR)$(BASHCOMPDIR)/uvfio"

uninstall:
	rm -f "$(DESTDIR)$(BINDIR)/uvfio" "$(DESTDIR)$(LIBDIR)/$(notdir $(LIBUVFIO))" "$(DESTDIR)$(LIBDIR)/libuvfio.so" \
		"$(DESTDIR)$(LIBDIR)/uvfio/$(notdir $(SHIM))" "$(DESTDIR)$(LIBDIR)/pkgconfig/uvfio.pc" \
		"$(DESTDIR)$(MANDIR)/man1/uvfio.1" "$(DESTDIR)$(BASHCOMPDIR)/uvfio" \
		$(patsubst include/uvfio/%,"$(DESTDIR)$(INCLUDEDIR)/uvfio/%",$(headers))
	-rmdir "$(DESTDIR)$(LIBDIR)/uvfio" "$(DESTDIR)$(INCLUDEDIR)/uvfio" 2>/dev/null || :
