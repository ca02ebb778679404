/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/shown.c: what a run's view shows of buses that devices share. A machine to which a device
 * comes while programs run makes none of the others: it learns from the view which bridges there
 * are.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/sys.h"
#include "machine/internal.h"
#include "machine/run/run.h"

/*
 * Read the config space of the function at @addr that is in @where. Returns how many bytes, or 0.
 */
static unsigned read_config(const struct machine *m, const char *where, const char *addr,
			    uint8_t config[PCI_CFG_EXP_SIZE])
{
	char path[PATH_MAX];
	int fd, n;
	long len;

	if (!m->run_dir)
		return 0;
	n = snprintf(path, sizeof(path), "%s/%s/%s/config", m->run_dir, where, addr);
	if (n < 0 || n >= PATH_MAX)
		return 0;
	fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	len = sys_read(fd, config, PCI_CFG_EXP_SIZE);
	sys_close(fd);
	return len < 0 ? 0 : (unsigned)len;
}

unsigned machine_shown_config(const struct machine *m, const char *addr,
			      uint8_t config[PCI_CFG_EXP_SIZE])
{
	return read_config(m, "sys/bus/pci/devices", addr, config);
}

bool machine_shown_has_acs(const struct machine *m, const char *addr, uint32_t *id)
{
	uint8_t config[PCI_CFG_EXP_SIZE];
	unsigned size = machine_shown_config(m, addr, config), at = PCI_CFG_SPACE_SIZE;

	*id = size < 4 ? ~0u : get32(config);
	/* no more capabilities than fit */
	for (unsigned i = 0; i < PCI_CFG_EXP_SIZE / 8 && at >= 0x100 && at + 4 <= size; i++) {
		uint32_t header = get32(config + at);

		if (PCI_EXT_CAP_ID(header) == PCI_EXT_CAP_ID_ACS)
			return true;
		at = PCI_EXT_CAP_NEXT(header);
	}
	return false;
}

/* Return the device that came last behind the bridge with buses @first to @last, or NULL. */
static const struct plugged *last_behind(const struct machine *m, unsigned first, unsigned last)
{
	for (unsigned i = m->num_plugged; i--;) {
		const struct pci_address *a = &m->plugged[i]->d.address;

		if (!a->segment && a->bus >= first && a->bus <= last)
			return m->plugged[i];
	}
	return NULL;
}

int machine_shown_buses(struct machine *m)
{
	struct pci_address a = { 0 };
	char addr[PCI_ADDRESS_TEXT];
	uint8_t c[PCI_CFG_EXP_SIZE];
	int rc = 0;

	for (a.device = 1; a.device < MACHINE_ROOT_DEVICES && !rc; a.device++) {
		const struct plugged *dev;
		bool removed;

		pci_address_print(&a, addr);
		removed = machine_shown_config(m, addr, c) < PCI_STD_HEADER_SIZEOF;
		/* a rescan brings it back, with its numbers */
		if (removed && read_config(m, RUN_REMOVED, addr, c) < PCI_STD_HEADER_SIZEOF)
			continue;
		/* it has the name under which a device was put there */
		dev = last_behind(m, c[PCI_SECONDARY_BUS], c[PCI_SUBORDINATE_BUS]);
		if (dev && dev->spec.bus)
			rc = machine_bus_known(m, dev, a.device, c[PCI_SECONDARY_BUS],
					       c[PCI_SUBORDINATE_BUS], removed);
	}
	return rc;
}
