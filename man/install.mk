# SPDX-License-Identifier: BSD-3-Clause
# make install, make uninstall: DESTDIR for packagers, PREFIX for the rest. The shim is no library
# to link with: it stands in a folder of its own, where uvfio looks for it from its own place
# (../lib/uvfio), so that an installed tree can be moved.

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

# A shell's words for each link to page $(1): the functions of its header, in section 3
man_links = $(if $(man_header_$(1)),$$($(HEADER_AWK) -v names=1 $(man_header_$(1))))
section_of = man$(patsubst .%,%,$(suffix $(1)))
# where a link in man3 finds the page
from_man3 = $(if $(filter %.3,$(1)),$(1),../$(call section_of,$(1))/$(1))
define install_page
	$(INSTALL) -m 644 $(BUILD)/man/$(1) "$(DESTDIR)$(MANDIR)/$(section_of)/$(1)"
	for name in $(man_links); do \
		ln -sf $(from_man3) "$(DESTDIR)$(MANDIR)/man3/$$name.3" || exit 1; done

endef
define uninstall_page
	rm -f "$(DESTDIR)$(MANDIR)/$(section_of)/$(1)"
	for name in $(man_links); do rm -f "$(DESTDIR)$(MANDIR)/man3/$$name.3"; done

endef

# what stands below $(DESTDIR), but for the pages of headers
installed := $(BINDIR)/uvfio $(LIBDIR)/$(notdir $(LIBUVFIO)) $(LIBDIR)/libuvfio.so \
	$(LIBDIR)/uvfio/$(notdir $(SHIM)) $(LIBDIR)/pkgconfig/uvfio.pc $(MANDIR)/man1/uvfio.1 \
	$(BASHCOMPDIR)/uvfio $(headers:include/%=$(INCLUDEDIR)/%)
quoted = $(foreach f,$(1),"$(DESTDIR)$(f)")

.PHONY: install uninstall
install: $(UVFIO) $(LIBUVFIO) $(SHIM) man
	$(INSTALL) -d $(call quoted,$(sort $(patsubst %/,%,$(dir $(installed)))) \
		$(MANDIR)/man3 $(MANDIR)/man7)
	$(INSTALL) -m 755 $(UVFIO) "$(DESTDIR)$(BINDIR)/uvfio"
	$(INSTALL) -m 644 $(LIBUVFIO) "$(DESTDIR)$(LIBDIR)/$(notdir $(LIBUVFIO))"
	ln -sf $(notdir $(LIBUVFIO)) "$(DESTDIR)$(LIBDIR)/libuvfio.so"
	$(INSTALL) -m 644 $(SHIM) "$(DESTDIR)$(LIBDIR)/uvfio/$(notdir $(SHIM))"
	$(INSTALL) -m 644 $(headers) "$(DESTDIR)$(INCLUDEDIR)/uvfio"
	$(file >$(BUILD)/uvfio.pc,$(pc_text))
	$(INSTALL) -m 644 $(BUILD)/uvfio.pc "$(DESTDIR)$(LIBDIR)/pkgconfig/uvfio.pc"
	$(INSTALL) -m 644 man/uvfio.1 "$(DESTDIR)$(MANDIR)/man1/uvfio.1"
	$(foreach p,$(man_pages),$(call install_page,$(p)))
	$(INSTALL) -m 644 tools/completion/uvfio.bash "$(DESTDIR)$(BASHCOMPDIR)/uvfio"

uninstall:
	rm -f $(call quoted,$(installed))
	$(foreach p,$(man_pages),$(call uninstall_page,$(p)))
	-rmdir "$(DESTDIR)$(LIBDIR)/uvfio" "$(DESTDIR)$(INCLUDEDIR)/uvfio" 2>/dev/null || :
