/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/aer.c: advanced Error Reporting, and a model that signals an error. Status, mask and severity
 * are sticky: the driver that resets the device because of an error must still find out which one
 * it was.
 */
#include <errno.h>

#include "pci/internal.h"

#define AER_LEN 0x48u /* version 2: with the TLP prefix log. PCIe 6.0, 7.8.4 */

/* The errors of an endpoint without ACS, poisoned-egress blocking and the like. 7.8.4.2 */
#define UNCORRECTABLE                                                                         \
	(PCI_ERR_UNC_DLP | PCI_ERR_UNC_POISON_TLP | PCI_ERR_UNC_FCP | PCI_ERR_UNC_COMP_TIME | \
	 PCI_ERR_UNC_COMP_ABORT | PCI_ERR_UNC_UNX_COMP | PCI_ERR_UNC_RX_OVER |                \
	 PCI_ERR_UNC_MALF_TLP | PCI_ERR_UNC_ECRC | PCI_ERR_UNC_UNSUP | PCI_ERR_UNC_INTN)
/* Fatal at power-on. 7.8.4.4 */
#define SEVERITY_INIT                                                                     \
	(PCI_ERR_UNC_DLP | PCI_ERR_UNC_FCP | PCI_ERR_UNC_RX_OVER | PCI_ERR_UNC_MALF_TLP | \
	 PCI_ERR_UNC_INTN)
/* 7.8.4.5 */
#define CORRECTABLE                                                                             \
	(PCI_ERR_COR_RCVR | PCI_ERR_COR_BAD_TLP | PCI_ERR_COR_BAD_DLLP | PCI_ERR_COR_REP_ROLL | \
	 PCI_ERR_COR_REP_TIMER | PCI_ERR_COR_ADV_NFAT | PCI_ERR_COR_INTERNAL)

int uvfio_add_aer(struct uvfio_dev *dev)
{
	static const struct {
		uint8_t reg;
		bool w1c;
		uint32_t bits, init;
	} regs[] = {
		{ PCI_ERR_UNCOR_STATUS, true, UNCORRECTABLE, 0 },
		{ PCI_ERR_UNCOR_MASK, false, UNCORRECTABLE, PCI_ERR_UNC_INTN },
		{ PCI_ERR_UNCOR_SEVER, false, UNCORRECTABLE, SEVERITY_INIT },
		{ PCI_ERR_COR_STATUS, true, CORRECTABLE, 0 },
		{ PCI_ERR_COR_MASK, false, CORRECTABLE,
		  PCI_ERR_COR_ADV_NFAT | PCI_ERR_COR_INTERNAL },
	};
	int off;

	off = pci_ext_cap_new(dev, PCI_EXT_CAP_ID_ERR, 2, AER_LEN, NULL, NULL);
	if (off < 0)
		return off;
	dev->cap.aer = (unsigned)off;
	for (size_t i = 0; i < ARRAY_SIZE(regs); i++) {
		unsigned at = (unsigned)off + regs[i].reg;

		put32(dev->cfg.bytes + at, regs[i].init);
		put32((regs[i].w1c ? dev->cfg.w1c : dev->cfg.wmask) + at, regs[i].bits);
		put32(dev->cfg.sticky + at, regs[i].bits);
	}
	/* First Error Pointer is sticky too; the ECRC switches read 0: not capable. 7.8.4.7 */
	dev->cfg.sticky[off + PCI_ERR_CAP] = 0x1f;
	return off;
}

/*
 * The Error Enable bits of Device Control are not asked: the platform, as Linux does, switches
 * reporting on for every function, and there is none under us that would. The mask registers are:
 * they are what a driver uses to say that it does not care.
 */
void uvfio_report_error(struct uvfio_dev *dev, unsigned bit, bool fatal)
{
	uint32_t error = bit < 32 ? 1u << bit : 0, status, severity = SEVERITY_INIT;
	const struct pci_irq_sink *sink;
	bool masked = false;
	uint16_t devsta;
	uint8_t *c;

	if (!(error & (fatal ? UNCORRECTABLE : CORRECTABLE))) {
		report_err("model-aer-bit", dev->name, 0,
			   "model %s reports %s error %u: AER has no such bit", dev->model->name,
			   fatal ? "uncorrectable" : "correctable", bit);
		return;
	}
	pthread_mutex_lock(&dev->lock);
	if (dev->cap.aer) {
		c = dev->cfg.bytes + dev->cap.aer;
		masked = get32(c + (fatal ? PCI_ERR_UNCOR_MASK : PCI_ERR_COR_MASK)) & error;
		severity = get32(c + PCI_ERR_UNCOR_SEVER);
		status = get32(c + (fatal ? PCI_ERR_UNCOR_STATUS : PCI_ERR_COR_STATUS));
		/* The pointer keeps to the first error until that one is cleared. */
		if (fatal && !masked && !(status & 1u << (c[PCI_ERR_CAP] & 0x1f)))
			c[PCI_ERR_CAP] = (uint8_t)((c[PCI_ERR_CAP] & ~0x1f) | bit);
		put32(c + (fatal ? PCI_ERR_UNCOR_STATUS : PCI_ERR_COR_STATUS), status | error);
	}
	if (dev->cap.exp) {
		c = dev->cfg.bytes + dev->cap.exp + PCI_EXP_DEVSTA;
		devsta = PCI_EXP_DEVSTA_CED;
		if (fatal)
			devsta = severity & error ? PCI_EXP_DEVSTA_FED : PCI_EXP_DEVSTA_NFED;
		if (fatal && error == PCI_ERR_UNC_UNSUP)
			devsta |= PCI_EXP_DEVSTA_URD;
		put16(c, get16(c) | devsta);
	}
	if (fatal && !masked && get16(dev->cfg.bytes + PCI_COMMAND) & PCI_COMMAND_SERR)
		put16(dev->cfg.bytes + PCI_STATUS,
		      get16(dev->cfg.bytes + PCI_STATUS) | PCI_STATUS_SIG_SYSTEM_ERROR);
	pthread_mutex_unlock(&dev->lock);

	report_info("aer-error", dev->name, 0, "%s error, AER bit %u%s",
		    fatal ? "uncorrectable" : "correctable", bit, masked ? " (masked)" : "");
	if (masked)
		return;
	rcu_read_begin();
	sink = pci_sink(dev);
	if (sink && sink->err)
		sink->err(sink->arg, fatal);
	rcu_read_end();
}

int pci_function_error(pci_function *fn, enum pci_severity severity)
{
	static const uint32_t bits[] = {
		[PCI_CORRECTABLE] = CORRECTABLE,
		[PCI_NONFATAL] = UNCORRECTABLE,
		[PCI_FATAL] = UNCORRECTABLE,
	};
	uint32_t can = bits[severity], fatal = SEVERITY_INIT;
	const uint8_t *aer;

	if (!pci_present(fn))
		return -ENODEV;
	pthread_mutex_lock(&fn->lock);
	if (fn->cap.aer) {
		aer = fn->cfg.bytes + fn->cap.aer;
		fatal = get32(aer + PCI_ERR_UNCOR_SEVER);
		can &= ~get32(aer + (severity ? PCI_ERR_UNCOR_MASK : PCI_ERR_COR_MASK));
	}
	pthread_mutex_unlock(&fn->lock);
	if (severity == PCI_FATAL)
		can &= fatal;
	else if (severity == PCI_NONFATAL)
		can &= ~fatal;
	if (!can)
		return -EINVAL;
	uvfio_report_error(fn, (unsigned)__builtin_ctz(can), severity != PCI_CORRECTABLE);
	return 0;
}
