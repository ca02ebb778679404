/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/igb.c: the Intel 82576 Gigabit Ethernet Controller (8086:10c9), one port of it, after
 * its public datasheet (revision 2.61): what the drivers of Linux, DPDK and the kernel's VFIO
 * selftests use of it. This file has its life and its BARs; registers are in regs.c, and each part
 * has a file of its own (internal.h). Not there: wake up, IEEE 1588, LinkSec, IPsec, header
 * replication, mirroring between pools, manageability.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "models/igb/igb.h"
#include "models/igb/internal.h"

#define BAR2_SIZE 32u	 /* I/O: IOADDR, IODATA (8.1.1.2) */
#define BAR3_SIZE 16384u /* MSI-X */
#define MSIX_PBA  0x2000u

bool igb_is_master(struct igb_fn *fn)
{
	return uvfio_config_get(fn->dev, PCI_COMMAND, 2) & PCI_COMMAND_MASTER;
}

/* Stop all queues before anything else changes; the wire's threads find RCTL.EN clear. */
static void stop(struct igb *g)
{
	igb_put(g, IGB_RCTL, 0);
	igb_put(g, IGB_TCTL, 0);
	igb_tx_reset(g);
	igb_rx_reset(g);
	igb_irq_reset(g);
}

/* Reset all of the MAC, but not the PHY: 4.2.1.6. It takes no time: CTRL.RST is never seen set. */
void igb_software_reset(struct igb *g)
{
	stop(g);
	atomic_store(&g->kept->ctl.link, false);
	igb_regs_init(g);
	for (unsigned i = 0; i < 2; i++) {
		atomic_store(&g->wrong_base[i], 0);
		atomic_store(&g->wrong_length[i], 0);
	}
	igb_stats_reset(g);
	igb_nvm_load(g);
	igb_link_update(g, false);
}

static void reset(struct uvfio_dev *dev, enum uvfio_reset_kind kind)
{
	struct igb *g = uvfio_priv(dev);

	pthread_mutex_lock(&g->ctl);
	igb_kept_begin(g);
	igb_kept_reset(g);
	stop(g);
	igb_put(g, IGB_SW_FW_SYNC, 0);
	igb_put(g, IGB_SWSM, 0);
	igb_phy_reset(g);
	igb_software_reset(g);
	atomic_store(&g->unseen_reset, false);
	g->kept->ioaddr = 0;
	pthread_mutex_unlock(&g->ctl);
	igb_carrier_update(g);
	if (kind == UVFIO_RESET_POWER_ON)
		atomic_store(&g->host_driver.drives, false);
	if (atomic_load(&g->host_driver.drives))
		igb_host_driver_start(g);
}

static int bar_read(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		    uint64_t *value)
{
	struct igb *g = uvfio_priv(dev);
	uint32_t v;

	if (bar == 2) {
		if (size != 4)
			return -EINVAL;
		v = g->kept->ioaddr;
		*value = offset == 0 ? v : 0;
		if (offset == 4 && v < IGB_BAR0_SIZE)
			*value = igb_bar0_read(&g->fn[IGB_PF], v, 4);
		return 0;
	}
	if (bar == 3) { /* behind the MSI-X table and its pending bits: nothing */
		*value = 0;
		return 0;
	}
	*value = igb_bar0_read(&g->fn[IGB_PF], (uint32_t)offset, size);
	return 0;
}

static int bar_write(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		     uint64_t value)
{
	struct igb *g = uvfio_priv(dev);
	uint32_t addr;

	if (bar == 0)
		return igb_bar0_write(&g->fn[IGB_PF], (uint32_t)offset, size, value);
	if (bar == 2) {
		if (size != 4)
			return -EINVAL;
		igb_wake(&g->fn[IGB_PF]);
		if (offset == 0)
			g->kept->ioaddr = (uint32_t)value & ~3u;
		addr = g->kept->ioaddr; /* once: another thread may store to it */
		if (offset == 4 && addr < IGB_BAR0_SIZE)
			return igb_bar0_write(&g->fn[IGB_PF], addr, 4, value);
	}
	return 0;
}

static void config_written(struct uvfio_dev *dev, unsigned offset, unsigned size)
{
	struct igb *g = uvfio_priv(dev);

	if (offset >= 0x40 || offset == PCI_COMMAND)
		igb_irq_mode_changed(g);
	if (offset == PCI_COMMAND && igb_is_master(&g->fn[IGB_PF]))
		igb_tx_kick_all(g);
}

/* Take every queue's lock once: a thread that had it is done, one that comes sees the bit. */
void igb_halt(struct igb_fn *fn, unsigned bit)
{
	struct igb *g = fn->g;

	atomic_fetch_or(&fn->halt, bit);
	for (unsigned n = 0; n < IGB_QUEUES; n++) {
		pthread_mutex_lock(&g->txq[n].lock);
		pthread_mutex_unlock(&g->txq[n].lock);
		pthread_mutex_lock(&g->rxq[n].lock);
		pthread_mutex_unlock(&g->rxq[n].lock);
	}
}

static void quiesce(struct uvfio_dev *dev)
{
	struct igb *g = uvfio_priv(dev);

	igb_halt(&g->fn[IGB_PF], IGB_QUIET);
}

static bool net_receive(void *arg, const void *frame, size_t len)
{
	struct igb *g = arg;
	bool taken;

	if (atomic_load_explicit(&g->phy_loopback, memory_order_relaxed) ||
	    atomic_load_explicit(&g->unplugged, memory_order_relaxed))
		return true; /* the PHY does not listen to the wire */
	/* before the look at halt: who stops us either waits for this frame or is seen */
	atomic_fetch_add(&g->receiving, 1);
	if (igb_stopped(&g->fn[IGB_PF]))
		taken = false;
	else
		taken = igb_rx_frame(g, frame, len);
	atomic_fetch_sub(&g->receiving, 1);
	return taken;
}

static void net_link(void *arg, bool up)
{
	struct igb *g = arg;

	pthread_mutex_lock(&g->ctl);
	atomic_store(&g->wire, up);
	if (!igb_stopped(&g->fn[IGB_PF]))
		igb_link_update(g, false);
	pthread_mutex_unlock(&g->ctl);
	if (up)
		igb_tx_kick_all(g);
	igb_host_driver_link(g);
}

/* The cable goes out of the socket, or into it (struct uvfio_model). */
void igb_plug_cable(struct uvfio_dev *dev, bool in)
{
	struct igb *g = uvfio_priv(dev);

	if (atomic_exchange(&g->unplugged, !in) == !in)
		return;
	igb_carrier_update(g);
	pthread_mutex_lock(&g->ctl);
	if (!igb_stopped(&g->fn[IGB_PF]))
		igb_link_update(g, false);
	pthread_mutex_unlock(&g->ctl);
	if (in)
		igb_tx_kick_all(g);
	igb_host_driver_link(g);
}

static bool link_up(struct uvfio_dev *dev)
{
	struct igb *g = uvfio_priv(dev);

	return atomic_load(&g->kept->ctl.link);
}

static const struct net_ops net_ops = { .receive = net_receive, .link = net_link };

static void destroy(struct uvfio_dev *dev)
{
	struct igb *g = uvfio_priv(dev);

	if (g->port)
		net_close(g->port);
	igb_irq_fini(g);
	igb_tx_fini(g);
	igb_rx_fini(g);
	pthread_mutex_destroy(&g->host_driver.lock);
	pthread_mutex_destroy(&g->mbx);
	pthread_mutex_destroy(&g->ctl);
	free(g);
}

/*
 * "52:54:00:12:34:56"; without one, a locally administered address that no other device has, in
 * this run or another: what two runs have in common, a socket or a bridge, is one network.
 */
static int mac_address(struct uvfio_dev *dev, uint8_t mac[6])
{
	const char *s = uvfio_opt_string(dev, "mac", 0);
	uint64_t h = uvfio_unique(dev);
	char *end;

	if (!s) {
		mac[0] = 0x02;
		mac[1] = 0x1b;
		for (unsigned i = 0; i < 4; i++)
			mac[2 + i] = (uint8_t)(h >> 8 * i);
		return 0;
	}
	for (unsigned i = 0; i < 6; i++) {
		unsigned long v = strtoul(s, &end, 16);

		if (end != s + 2 || v > 0xff || *end != (i < 5 ? ':' : '\0'))
			return uvfio_error(dev, "mac: not of the form 52:54:00:12:34:56");
		mac[i] = (uint8_t)v;
		s = end + 1;
	}
	if (mac[0] & 1)
		return uvfio_error(dev, "mac: a group address cannot be a port's own");
	return 0;
}

/* Add the capability of PCI Express with a link of 2.5 GT/s and four lanes: 3.1 */
int igb_add_pcie(struct uvfio_dev *dev)
{
	int cap = uvfio_add_pcie(dev, true);
	unsigned at = (unsigned)cap;

	if (cap < 0)
		return cap;
	uvfio_config_set(dev, at + PCI_EXP_LNKCAP, 4,
			 (uvfio_config_get(dev, at + PCI_EXP_LNKCAP, 4) & ~PCI_EXP_LNKCAP_SLS) |
				 PCI_EXP_LNKCAP_SLS_2_5GB);
	uvfio_config_set(dev, at + PCI_EXP_LNKSTA, 2,
			 (uvfio_config_get(dev, at + PCI_EXP_LNKSTA, 2) & ~PCI_EXP_LNKSTA_CLS) |
				 PCI_EXP_LNKSTA_CLS_2_5GB);
	uvfio_config_set(dev, at + PCI_EXP_LNKCAP2, 4, PCI_EXP_LNKCAP2_SLS_2_5GB);
	uvfio_config_set(dev, at + PCI_EXP_LNKSTA2, 2, 0);  /* no equalization at this speed */
	if (uvfio_config_get(dev, at + PCI_EXP_LNKCTL2, 2)) /* a VF has none */
		uvfio_config_set(dev, at + PCI_EXP_LNKCTL2, 2, PCI_EXP_LNKCTL2_TLS_2_5GT);
	return cap;
}

static int describe(struct uvfio_dev *dev, const uint8_t mac[6], unsigned vectors)
{
	static const struct uvfio_ids ids = {
		.vendor = 0x8086,
		.device = 0x10c9,
		.subsystem_vendor = 0x8086,
		.subsystem = 0xa03c, /* Gigabit ET Dual Port Server Adapter */
		.class_code = 0x020000,
		.revision = 1,
	};
	/* The serial number: the MAC address with ff-ff in its middle */
	uint64_t serial = (uint64_t)mac[0] << 56 | (uint64_t)mac[1] << 48 | (uint64_t)mac[2] << 40 |
			  0xffffull << 24 | (uint64_t)mac[3] << 16 | (uint64_t)mac[4] << 8 | mac[5];
	int ret;

	ret = uvfio_set_ids(dev, &ids);
	if (ret < 0)
		return ret;
	ret = uvfio_add_bar(dev, 0, IGB_BAR0_SIZE, 0);
	if (ret < 0)
		return ret;
	ret = uvfio_add_bar(dev, 2, BAR2_SIZE, UVFIO_BAR_IO);
	if (ret < 0)
		return ret;
	ret = uvfio_add_bar(dev, 3, BAR3_SIZE, 0);
	if (ret < 0)
		return ret;
	ret = uvfio_add_intx(dev, 1, true);
	if (ret < 0)
		return ret;
	ret = uvfio_add_pm(dev, false);
	if (ret < 0)
		return ret;
	ret = uvfio_add_msi(dev, 1, true, true);
	if (ret < 0)
		return ret;
	ret = uvfio_add_msix(dev, vectors, 3, 0, 3, MSIX_PBA);
	if (ret < 0)
		return ret;
	ret = igb_add_pcie(dev);
	if (ret < 0)
		return ret;
	ret = uvfio_add_aer(dev);
	if (ret < 0)
		return ret;
	return uvfio_add_dsn(dev, serial);
}

static int create(struct uvfio_dev *dev)
{
	struct igb *g = calloc(1, sizeof(*g));
	int ret;

	if (!g)
		return -ENOMEM;
	g->dev = dev;
	g->vectors = (unsigned)uvfio_opt_uint(dev, "vectors", 0);
	ret = mac_address(dev, g->mac);
	if (!ret)
		ret = igb_kept_init(g);
	if (ret < 0) {
		free(g);
		return ret;
	}
	uvfio_set_priv(dev, g);
	pthread_mutex_init(&g->ctl, NULL);
	pthread_mutex_init(&g->mbx, NULL);
	for (unsigned i = 0; i < IGB_FUNCTIONS; i++) {
		g->fn[i].g = g;
		g->fn[i].index = i;
	}
	g->fn[IGB_PF].dev = dev;
	igb_tx_init(g);
	igb_rx_init(g);
	igb_host_driver_init(g, g->mac);
	igb_kept_begin(g);
	igb_phy_reset(g);
	igb_regs_init(g);
	ret = igb_irq_init(g);
	if (ret < 0)
		goto fail;
	ret = igb_faults_init(g) ?: igb_taken_init(g);
	if (ret < 0)
		goto fail;
	ret = describe(dev, g->mac, g->vectors);
	if (ret < 0)
		goto fail;
	ret = igb_vf_init(g);
	if (ret < 0)
		goto fail;
	ret = net_open(dev, &net_ops, g, &g->port);
	if (ret < 0)
		goto fail;
	return 0;
fail:
	destroy(dev);
	return ret;
}

static const struct uvfio_option options[] = {
	NET_OPTIONS,
	{ .name = "mac",
	  .type = UVFIO_OPT_STRING,
	  .help = "address in the EEPROM, as 52:54:00:12:34:56; default: 02:1b:..., another one "
		  "in each run" },
	{ .name = "vectors",
	  .type = UVFIO_OPT_UINT,
	  .def = "25",
	  .help = "MSI-X vectors; too few for Linux's driver: it uses MSI",
	  .min = 1,
	  .max = IGB_VECTORS },
	{ 0 },
};

const struct uvfio_model model_igb = {
	UVFIO_MODEL_INIT,
	.name = "igb",
	.summary = "Intel 82576 Gigabit Ethernet Controller",
	.options = options,
	.concurrent = true,
	.create = create,
	.destroy = destroy,
	.reset = reset,
	.bar_read = bar_read,
	.bar_write = bar_write,
	.config_written = config_written,
	.quiesce = quiesce,
	.regs = igb_reg_names,
	.kinds = igb_kinds,
	.faults = igb_faults,
	.state_version = 1,
	.stop = igb_stop,
	.resume = igb_resume,
	.describe = igb_describe,
	.save = igb_save,
	.load = igb_load,
	.carry_on = igb_carry_on,
	.link = igb_plug_cable,
	.link_up = link_up,
};
