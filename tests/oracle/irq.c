/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/oracle/irq.c: VFIO_DEVICE_SET_IRQS: the checks of its arguments, then each index with
 * interrupts that the device raises.
 */
#include "oracle.h"

#define NONE	VFIO_IRQ_SET_DATA_NONE
#define BOOL	VFIO_IRQ_SET_DATA_BOOL
#define EFD	VFIO_IRQ_SET_DATA_EVENTFD
#define MASK	VFIO_IRQ_SET_ACTION_MASK
#define UNMASK	VFIO_IRQ_SET_ACTION_UNMASK
#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER
#define INTX	VFIO_PCI_INTX_IRQ_INDEX
#define MSI	VFIO_PCI_MSI_IRQ_INDEX
#define MSIX	VFIO_PCI_MSIX_IRQ_INDEX
#define ERR	VFIO_PCI_ERR_IRQ_INDEX
#define REQ	VFIO_PCI_REQ_IRQ_INDEX

#define QUIET 30   /* ms in which nothing may come */
#define SOON  2000 /* ms in which something must */

/* edu: a write to 0x60 raises the interrupt, one to 0x64 acknowledges it (QEMU docs/specs/edu) */
#define EDU_RAISE 0x60
#define EDU_ACK	  0x64

static const uint8_t one = 1, zero;

static int efd_new(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	MUST(fd >= 0);
	return fd;
}

void test_irq_args(void)
{
	struct setup s = set_up(&edu, NULL, VFIO_TYPE1v2_IOMMU);
	int d = open_device(&s, &edu), fd = efd_new(), file = open("/dev/null", O_RDWR), neg = -1,
	    n2 = -2, bad = 9999;
	struct vfio_irq_set q = { .argsz = sizeof(q), .flags = NONE | TRIGGER, .index = INTX };
	static const char *const names[] = { "intx", "msi", "msix", "err", "req" };

	saw(ioctl(d, VFIO_DEVICE_SET_IRQS, NOWHERE), "irq.bad pointer");
	q.argsz = 19;
	saw(ioctl(d, VFIO_DEVICE_SET_IRQS, &q), "irq.argsz 19");
	q = (struct vfio_irq_set){
		.argsz = sizeof(q), .flags = EFD | TRIGGER, .index = INTX, .count = 1
	};
	saw(ioctl(d, VFIO_DEVICE_SET_IRQS, &q), "irq.argsz without data");
	q.flags = BOOL | TRIGGER;
	saw(ioctl(d, VFIO_DEVICE_SET_IRQS, &q), "irq.argsz without a bool");
	saw(vfio_set_irqs(d, NONE | TRIGGER, 5, 0, 0, NULL), "irq.index 5");
	saw(vfio_set_irqs(d, NONE | TRIGGER, UINT32_MAX, 0, 0, NULL), "irq.index -1");
	saw(vfio_set_irqs(d, NONE | TRIGGER, INTX, 0, UINT32_MAX, NULL), "irq.count -1");
	saw(vfio_set_irqs(d, NONE | TRIGGER, INTX, UINT32_MAX, 1, NULL), "irq.start -1");
	saw(vfio_set_irqs(d, NONE | TRIGGER, INTX, UINT32_MAX, UINT32_MAX, NULL),
	    "irq.start and count -1");
	saw(vfio_set_irqs(d, NONE | TRIGGER | 0x40, INTX, 0, 0, NULL), "irq.unknown flag");
	saw(vfio_set_irqs(d, NONE | TRIGGER | 0x80000000, INTX, 0, 0, NULL),
	    "irq.unknown high flag");
	saw(vfio_set_irqs(d, TRIGGER, INTX, 0, 0, NULL), "irq.no data type");
	saw(vfio_set_irqs(d, NONE | BOOL | TRIGGER, INTX, 0, 0, NULL), "irq.two data types");
	for (uint32_t x = 0; x < 5; x++) {
		saw(vfio_set_irqs(d, NONE, x, 0, 0, NULL), "irq.%s no action", names[x]);
		saw(vfio_set_irqs(d, NONE | TRIGGER | MASK, x, 0, 0, NULL), "irq.%s two actions",
		    names[x]);
		saw(vfio_set_irqs(d, NONE | TRIGGER, x, 0, 0, NULL), "irq.%s disable", names[x]);
		saw(vfio_set_irqs(d, NONE | TRIGGER, x, 0, 1, NULL), "irq.%s trigger none",
		    names[x]);
		saw(vfio_set_irqs(d, BOOL | TRIGGER, x, 0, 1, &one), "irq.%s trigger bool 1",
		    names[x]);
		saw(vfio_set_irqs(d, BOOL | TRIGGER, x, 0, 1, &zero), "irq.%s trigger bool 0",
		    names[x]);
		saw(vfio_set_irqs(d, BOOL | TRIGGER, x, 0, 0, NULL), "irq.%s trigger bool count 0",
		    names[x]);
		saw(vfio_set_irqs(d, EFD | TRIGGER, x, 0, 0, NULL), "irq.%s eventfd count 0",
		    names[x]);
		saw(vfio_set_irqs(d, NONE | TRIGGER, x, 1, 0, NULL), "irq.%s start 1 count 0",
		    names[x]);
		saw(vfio_set_irqs(d, NONE | TRIGGER, x, 1, 1, NULL), "irq.%s start 1", names[x]);
		saw(vfio_set_irqs(d, NONE | TRIGGER, x, 0, 4096, NULL), "irq.%s count 4096",
		    names[x]);
		saw(vfio_set_irqs(d, NONE | MASK, x, 0, 1, NULL), "irq.%s mask", names[x]);
		saw(vfio_set_irqs(d, NONE | UNMASK, x, 0, 1, NULL), "irq.%s unmask", names[x]);
		saw(vfio_set_irqs(d, EFD | TRIGGER, x, 0, 1, &file), "irq.%s no eventfd", names[x]);
		saw(vfio_set_irqs(d, EFD | TRIGGER, x, 0, 1, &bad), "irq.%s closed fd", names[x]);
		saw(vfio_set_irqs(d, NONE | TRIGGER, x, 0, 0, NULL),
		    "irq.%s disable after the bad ones", names[x]);
		if (x != INTX && x != MSI)
			saw(vfio_set_irqs(d, EFD | TRIGGER, x, 0, 1, &neg), "irq.%s fd -1",
			    names[x]);
		if (x == ERR || x == REQ)
			saw(vfio_set_irqs(d, EFD | TRIGGER, x, 0, 1, &n2), "irq.%s fd -2",
			    names[x]);
	}
	/*
	 * -1 enables INTx and MSI without a trigger (INTx: since 6.9 and the stable kernels of
	 * 2024)
	 */
	saw(vfio_set_irqs(d, EFD | TRIGGER, INTX, 0, 1, &neg), "irq.intx fd -1");
	saw(vfio_set_irqs(d, NONE | TRIGGER, INTX, 0, 0, NULL), "irq.intx disable after fd -1");
	saw(vfio_set_irqs(d, EFD | TRIGGER, MSI, 0, 1, &neg), "irq.msi fd -1");
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSI, 0, 0, NULL), "irq.msi disable after fd -1");
	/* one at a time */
	saw(set_eventfd(d, INTX, 0, fd), "irq.intx on");
	saw(set_eventfd(d, MSI, 0, fd), "irq.msi while intx");
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSI, 0, 0, NULL), "irq.msi disable while intx");
	saw(vfio_set_irqs(d, NONE | TRIGGER, INTX, 0, 0, NULL), "irq.intx off");
	saw(set_eventfd(d, MSI, 0, fd), "irq.msi on");
	saw(set_eventfd(d, INTX, 0, fd), "irq.intx while msi");
	saw(vfio_set_irqs(d, NONE | TRIGGER, INTX, 0, 0, NULL), "irq.intx disable while msi");
	saw(vfio_set_irqs(d, NONE | MASK, INTX, 0, 1, NULL), "irq.intx mask while msi");
	saw(vfio_set_irqs(d, NONE | MASK, MSI, 0, 1, NULL), "irq.msi mask while msi");
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSI, 0, 0, NULL), "irq.msi off");
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSI, 0, 0, NULL), "irq.msi off again");
	close(fd);
	close(file);
}

void test_intx(void)
{
	struct setup s = set_up(&edu, NULL, VFIO_TYPE1v2_IOMMU);
	int d = open_device(&s, &edu), a = efd_new(), b = efd_new(), u = efd_new(), neg = -1, tmp,
	    file = open("/dev/null", O_RDWR);
	uint64_t v = 1;

	saw(set_eventfd(d, INTX, 0, a), "intx.enable");
	saw(eventfd_wait(a, QUIET), "intx.quiet");
	bar_write(d, 0, EDU_RAISE, 1);
	saw(eventfd_wait(a, SOON), "intx.raised");
	saw(eventfd_wait(a, QUIET), "intx.masked by itself");
	bar_write(d, 0, EDU_RAISE, 2);
	saw(eventfd_wait(a, QUIET), "intx.raised more while masked");
	saw(vfio_set_irqs(d, NONE | UNMASK, INTX, 0, 1, NULL), "intx.unmask while raised");
	saw(eventfd_wait(a, SOON), "intx.unmask while raised: fired");
	saw(eventfd_wait(a, QUIET), "intx.and only once");
	bar_write(d, 0, EDU_ACK, 3);
	saw(eventfd_wait(a, QUIET), "intx.acknowledged");
	saw(vfio_set_irqs(d, NONE | UNMASK, INTX, 0, 1, NULL), "intx.unmask");
	saw(eventfd_wait(a, QUIET), "intx.unmask: quiet");
	saw(vfio_set_irqs(d, NONE | UNMASK, INTX, 0, 1, NULL), "intx.unmask again");
	saw(vfio_set_irqs(d, NONE | MASK, INTX, 0, 1, NULL), "intx.mask");
	saw(vfio_set_irqs(d, NONE | MASK, INTX, 0, 1, NULL), "intx.mask again");
	bar_write(d, 0, EDU_RAISE, 1);
	saw(eventfd_wait(a, QUIET), "intx.raised while masked");
	saw(vfio_set_irqs(d, BOOL | UNMASK, INTX, 0, 1, &zero), "intx.unmask bool 0");
	saw(eventfd_wait(a, QUIET), "intx.unmask bool 0: quiet");
	saw(vfio_set_irqs(d, BOOL | UNMASK, INTX, 0, 1, &one), "intx.unmask bool 1");
	saw(eventfd_wait(a, SOON), "intx.unmask bool 1: fired");
	bar_write(d, 0, EDU_ACK, 1);
	saw(vfio_set_irqs(d, NONE | UNMASK, INTX, 0, 1, NULL), "intx.unmask after ack");
	saw(vfio_set_irqs(d, NONE | MASK, INTX, 0, 0, NULL), "intx.mask count 0");
	saw(vfio_set_irqs(d, NONE | UNMASK, INTX, 0, 0, NULL), "intx.unmask count 0");
	saw(vfio_set_irqs(d, EFD | MASK, INTX, 0, 1, &u), "intx.mask eventfd");
	saw(vfio_set_irqs(d, BOOL | MASK, INTX, 0, 1, &zero), "intx.mask bool 0");
	bar_write(d, 0, EDU_RAISE, 1);
	saw(eventfd_wait(a, SOON), "intx.mask bool 0 masks nothing");
	bar_write(d, 0, EDU_ACK, 1);
	saw(vfio_set_irqs(d, NONE | UNMASK, INTX, 0, 1, NULL), "intx.unmask after that");

	/* unmask by eventfd */
	saw(vfio_set_irqs(d, EFD | UNMASK, INTX, 0, 1, &file), "intx.unmask eventfd: no eventfd");
	tmp = 9999;
	saw(vfio_set_irqs(d, EFD | UNMASK, INTX, 0, 1, &tmp), "intx.unmask eventfd: closed fd");
	saw(vfio_set_irqs(d, EFD | UNMASK, INTX, 0, 1, &u), "intx.unmask eventfd");
	saw(vfio_set_irqs(d, EFD | UNMASK, INTX, 0, 1, &u), "intx.unmask eventfd twice");
	bar_write(d, 0, EDU_RAISE, 1);
	saw(eventfd_wait(a, SOON), "intx.with unmask eventfd: fired");
	MUST(write(u, &v, 8) == 8);
	saw(eventfd_wait(a, SOON), "intx.unmask by eventfd while raised: fired");
	bar_write(d, 0, EDU_ACK, 1);
	MUST(write(u, &v, 8) == 8);
	saw(eventfd_wait(a, QUIET), "intx.unmask by eventfd: quiet");
	bar_write(d, 0, EDU_RAISE, 1);
	saw(eventfd_wait(a, SOON), "intx.unmasked by eventfd: fired");
	bar_write(d, 0, EDU_ACK, 1);
	saw(vfio_set_irqs(d, EFD | UNMASK, INTX, 0, 1, &neg), "intx.unmask eventfd -1");
	MUST(write(u, &v, 8) == 8);
	usleep(20000);
	bar_write(d, 0, EDU_RAISE, 1);
	saw(eventfd_wait(a, QUIET), "intx.the eventfd no longer unmasks");
	bar_write(d, 0, EDU_ACK, 1);
	saw(vfio_set_irqs(d, NONE | UNMASK, INTX, 0, 1, NULL), "intx.unmask by ioctl");
	/*
	 * a closed one goes by itself: QEMU with KVM counts on it when the interrupt's route
	 * changes
	 */
	MUST((tmp = efd_new()) >= 0);
	saw(vfio_set_irqs(d, EFD | UNMASK, INTX, 0, 1, &tmp), "intx.unmask eventfd again");
	close(tmp);
	saw(vfio_set_irqs(d, EFD | UNMASK, INTX, 0, 1, &u),
	    "intx.unmask eventfd after the first was closed");
	tmp = dup(u);
	close(u);
	MUST((u = efd_new()) >= 0);
	saw(vfio_set_irqs(d, EFD | UNMASK, INTX, 0, 1, &u),
	    "intx.unmask eventfd while a duplicate of the first is open");
	saw(vfio_set_irqs(d, EFD | UNMASK, INTX, 0, 1, &neg), "intx.unmask eventfd: the last goes");
	saw(vfio_set_irqs(d, NONE | MASK, INTX, 0, 1, NULL), "intx.mask for a signalled one");
	MUST(write(u, &v, 8) == 8);
	saw(vfio_set_irqs(d, EFD | UNMASK, INTX, 0, 1, &u),
	    "intx.unmask eventfd that is signalled");
	usleep(20000);
	bar_write(d, 0, EDU_RAISE, 1);
	saw(eventfd_wait(a, SOON), "intx.unmask eventfd that is signalled unmasks");
	bar_write(d, 0, EDU_ACK, 1);
	saw(eventfd_wait(u, 0), "intx.unmask eventfd that is signalled: its counter");
	saw(vfio_set_irqs(d, EFD | UNMASK, INTX, 0, 1, &neg), "intx.unmask eventfd: that goes too");
	saw(vfio_set_irqs(d, NONE | UNMASK, INTX, 0, 1, NULL), "intx.unmask by ioctl again");
	close(tmp);

	/* COMMAND.DisINTx is the same mask */
	cfg_write(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	bar_write(d, 0, EDU_RAISE, 1);
	saw(eventfd_wait(a, QUIET), "intx.disintx masks");
	saw(vfio_set_irqs(d, NONE | UNMASK, INTX, 0, 1, NULL), "intx.unmask under disintx");
	saw(eventfd_wait(a, QUIET), "intx.unmask under disintx: quiet");
	saw(vfio_set_irqs(d, NONE | TRIGGER, INTX, 0, 1, NULL), "intx.trigger under disintx");
	saw(eventfd_wait(a, QUIET), "intx.trigger under disintx: fired");
	cfg_write(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	saw(eventfd_wait(a, SOON), "intx.disintx cleared: fired");
	bar_write(d, 0, EDU_ACK, 1);
	saw(vfio_set_irqs(d, NONE | UNMASK, INTX, 0, 1, NULL), "intx.unmask after disintx");
	saw(vfio_set_irqs(d, NONE | MASK, INTX, 0, 1, NULL), "intx.mask before disintx");
	cfg_write(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	cfg_write(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	bar_write(d, 0, EDU_RAISE, 1);
	saw(eventfd_wait(a, SOON), "intx.disintx off and on lifts the ioctl's mask");
	bar_write(d, 0, EDU_ACK, 1);
	saw(vfio_set_irqs(d, NONE | UNMASK, INTX, 0, 1, NULL), "intx.unmask after that too");

	/* triggering by software; replacing and removing the eventfd */
	saw(vfio_set_irqs(d, NONE | TRIGGER, INTX, 0, 1, NULL), "intx.trigger none");
	saw(eventfd_wait(a, SOON), "intx.trigger none: fired");
	saw(vfio_set_irqs(d, BOOL | TRIGGER, INTX, 0, 1, &one), "intx.trigger bool");
	saw(eventfd_wait(a, SOON), "intx.trigger bool: fired");
	saw(vfio_set_irqs(d, BOOL | TRIGGER, INTX, 0, 1, &zero), "intx.trigger bool 0");
	saw(eventfd_wait(a, QUIET), "intx.trigger bool 0: fired");
	saw(set_eventfd(d, INTX, 0, b), "intx.replace");
	bar_write(d, 0, EDU_RAISE, 1);
	saw(eventfd_wait(b, SOON), "intx.replaced: new");
	saw(eventfd_wait(a, QUIET), "intx.replaced: old");
	bar_write(d, 0, EDU_ACK, 1);
	saw(vfio_set_irqs(d, NONE | UNMASK, INTX, 0, 1, NULL), "intx.replaced: unmask");
	saw(set_eventfd(d, INTX, 0, file), "intx.replace by no eventfd");
	saw(set_eventfd(d, INTX, 0, -1), "intx.no trigger");
	saw(vfio_set_irqs(d, NONE | TRIGGER, INTX, 0, 1, NULL), "intx.no trigger: trigger none");
	bar_write(d, 0, EDU_RAISE, 1);
	saw(eventfd_wait(b, QUIET), "intx.no trigger: quiet");
	bar_write(d, 0, EDU_ACK, 1);
	saw(set_eventfd(d, INTX, 0, a), "intx.trigger again");
	saw(vfio_set_irqs(d, NONE | UNMASK, INTX, 0, 1, NULL), "intx.trigger again: unmask");
	bar_write(d, 0, EDU_RAISE, 1);
	saw(eventfd_wait(a, SOON), "intx.trigger again: fired");
	/* the eventfd lives on behind the number */
	close(b);
	b = dup(a);
	close(a);
	saw(ioctl(d, VFIO_DEVICE_RESET), "intx.reset while raised");
	/* QEMU's edu forgets the level of its line in a reset, but not its status */
	bar_write(d, 0, EDU_ACK, 7);
	saw(vfio_set_irqs(d, NONE | UNMASK, INTX, 0, 1, NULL), "intx.reset: unmask");
	bar_write(d, 0, EDU_RAISE, 1);
	saw(eventfd_wait(b, SOON), "intx.after a reset and a closed number: fired");
	saw(vfio_set_irqs(d, NONE | TRIGGER, INTX, 0, 0, NULL), "intx.disable");
	saw(eventfd_wait(b, QUIET), "intx.disable: quiet");
	saw(vfio_set_irqs(d, NONE | UNMASK, INTX, 0, 1, NULL), "intx.unmask when off");
	bar_write(d, 0, EDU_ACK, 1);
	saw(set_eventfd(d, INTX, 0, b), "intx.enable for the last close");
	close(d);
	bar_write(d = open_device(&s, &edu), 0, EDU_RAISE, 1);
	saw(eventfd_wait(b, QUIET), "intx.after the last close: quiet");
	bar_write(d, 0, EDU_ACK, 1);
}

void test_msi(void)
{
	struct setup s = set_up(&edu, NULL, VFIO_TYPE1v2_IOMMU);
	int d = open_device(&s, &edu), a = efd_new(), b = efd_new(), two[2] = { a, b },
	    file = open("/dev/null", O_RDWR);

	cfg_write(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	saw(vfio_set_irqs(d, EFD | TRIGGER, MSI, 0, 2, two), "msi.two of one");
	saw(set_eventfd(d, MSI, 1, a), "msi.the second of one");
	saw(set_eventfd(d, MSI, 0, a), "msi.enable");
	bar_write(d, 0, EDU_RAISE, 1);
	saw(eventfd_wait(a, SOON), "msi.raised");
	bar_write(d, 0, EDU_RAISE, 1);
	saw(eventfd_wait(a, SOON), "msi.raised again");
	bar_write(d, 0, EDU_ACK, 1);
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSI, 0, 1, NULL), "msi.trigger none");
	saw(eventfd_wait(a, SOON), "msi.trigger none: fired");
	saw(vfio_set_irqs(d, BOOL | TRIGGER, MSI, 0, 1, &one), "msi.trigger bool");
	saw(eventfd_wait(a, SOON), "msi.trigger bool: fired");
	saw(vfio_set_irqs(d, BOOL | TRIGGER, MSI, 0, 1, &zero), "msi.trigger bool 0");
	saw(eventfd_wait(a, QUIET), "msi.trigger bool 0: fired");
	saw(set_eventfd(d, MSI, 0, b), "msi.replace");
	bar_write(d, 0, EDU_RAISE, 1);
	saw(eventfd_wait(b, SOON), "msi.replaced: new");
	saw(eventfd_wait(a, QUIET), "msi.replaced: old");
	bar_write(d, 0, EDU_ACK, 1);
	saw(set_eventfd(d, MSI, 0, -1), "msi.deassign");
	bar_write(d, 0, EDU_RAISE, 1);
	saw(eventfd_wait(b, QUIET), "msi.deassigned: quiet");
	bar_write(d, 0, EDU_ACK, 1);
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSI, 0, 1, NULL), "msi.deassigned: trigger none");
	saw(set_eventfd(d, MSI, 0, a), "msi.assign again");
	saw(set_eventfd(d, MSI, 0, file), "msi.replace by no eventfd");
	bar_write(d, 0, EDU_RAISE, 1);
	saw(eventfd_wait(a, QUIET), "msi.after a bad replacement: quiet");
	bar_write(d, 0, EDU_ACK, 1);
	saw(set_eventfd(d, MSI, 0, a), "msi.assign after it");
	saw(ioctl(d, VFIO_DEVICE_RESET), "msi.reset");
	cfg_write(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	bar_write(d, 0, EDU_RAISE, 1);
	saw(eventfd_wait(a, SOON), "msi.after reset: fired");
	bar_write(d, 0, EDU_ACK, 1);
	cfg_write(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	bar_write(d, 0, EDU_RAISE, 1);
	saw(eventfd_wait(a, QUIET), "msi.without bus master: fired");
	bar_write(d, 0, EDU_ACK, 1);
	close(a);
	close(b);
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSI, 0, 0, NULL),
	    "msi.disable after the eventfds were closed");
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSI, 0, 1, NULL), "msi.trigger when off");
}

void test_msix(void)
{
	struct setup s = set_up(&nvme, NULL, VFIO_TYPE1v2_IOMMU);
	int d = open_device(&s, &nvme), e[4], bad[4], file = open("/dev/null", O_RDWR),
	    neg[3] = { -1, -1, -1 };
	struct vfio_irq_info q = { .argsz = sizeof(q), .index = MSIX };
	uint8_t some[3] = { 1, 0, 1 };

	for (int i = 0; i < 4; i++)
		e[i] = efd_new();
	MUST(ioctl(d, VFIO_DEVICE_GET_IRQ_INFO, &q) == 0 && q.count >= 8);
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSIX, 0, 0, NULL), "msix.disable before enable");
	saw(set_eventfd(d, MSIX, q.count, e[0]), "msix.vector behind the last");
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSIX, q.count - 1, 2, NULL),
	    "msix.range over the end");
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSIX, q.count, 0, NULL),
	    "msix.start at the end, count 0");
	saw(vfio_set_irqs(d, EFD | TRIGGER, MSIX, 0, 3, e), "msix.enable 3");
	for (uint32_t i = 0; i < 3; i++) {
		saw(vfio_set_irqs(d, NONE | TRIGGER, MSIX, i, 1, NULL), "msix.trigger %u", i);
		saw(eventfd_wait(e[i], SOON), "msix.trigger %u: fired", i);
	}
	saw(vfio_set_irqs(d, BOOL | TRIGGER, MSIX, 0, 3, some), "msix.trigger bools");
	for (uint32_t i = 0; i < 3; i++)
		saw(eventfd_wait(e[i], QUIET), "msix.trigger bools: %u", i);
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSIX, 0, 3, NULL), "msix.trigger all three");
	for (uint32_t i = 0; i < 3; i++)
		saw(eventfd_wait(e[i], QUIET), "msix.trigger all three: %u", i);
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSIX, 0, 4, NULL), "msix.trigger four of three");
	for (uint32_t i = 0; i < 3; i++)
		saw(eventfd_wait(e[i], QUIET), "msix.trigger four of three: %u", i);
	saw(set_eventfd(d, MSIX, 6, e[3]), "msix.a vector behind the first three");
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSIX, 6, 1, NULL), "msix.trigger 6");
	saw(eventfd_wait(e[3], QUIET), "msix.trigger 6: fired");
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSIX, 7, 1, NULL), "msix.trigger 7, not set");
	saw(set_eventfd(d, MSIX, 1, -1), "msix.deassign 1");
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSIX, 0, 3, NULL), "msix.trigger with a hole");
	for (uint32_t i = 0; i < 3; i++)
		saw(eventfd_wait(e[i], QUIET), "msix.trigger with a hole: %u", i);
	saw(set_eventfd(d, MSIX, 1, e[0]), "msix.one eventfd for two");
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSIX, 0, 2, NULL), "msix.trigger one eventfd for two");
	saw(eventfd_wait(e[0], QUIET), "msix.one eventfd for two: fired");
	/* a bad one in the middle takes the whole block away */
	memcpy(bad, e, sizeof(bad));
	bad[1] = file;
	saw(vfio_set_irqs(d, EFD | TRIGGER, MSIX, 0, 3, bad), "msix.a bad one in the middle");
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSIX, 0, 3, NULL), "msix.trigger after the bad one");
	for (uint32_t i = 0; i < 3; i++)
		saw(eventfd_wait(e[i], QUIET), "msix.trigger after the bad one: %u", i);
	saw(vfio_set_irqs(d, EFD | TRIGGER, MSIX, 0, 3, neg), "msix.deassign all");
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSIX, 0, 0, NULL), "msix.disable");
	saw(vfio_set_irqs(d, EFD | TRIGGER, MSIX, 0, 3, bad), "msix.enable with a bad one");
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSIX, 0, 1, NULL),
	    "msix.trigger after a failed enable");
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSIX, 0, 0, NULL),
	    "msix.disable after a failed enable");
	saw(vfio_set_irqs(d, EFD | TRIGGER, MSIX, 2, 1, &e[2]), "msix.enable from 2");
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSIX, 0, 3, NULL), "msix.trigger from 2");
	saw(eventfd_wait(e[2], QUIET), "msix.trigger from 2: fired");
	saw(vfio_set_irqs(d, EFD | TRIGGER, MSIX, 0, 0, NULL), "msix.eventfd count 0 while on");
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSIX, 1, 0, NULL), "msix.start 1 count 0 while on");
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSIX, 0, 0, NULL), "msix.disable at the end");
	/* a full counter must not block the one who signals */
	MUST(set_eventfd(d, MSIX, 0, e[0]) == 0);
	MUST(write(e[0], &(uint64_t){ UINT64_MAX - 1 }, 8) == 8);
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSIX, 0, 1, NULL), "msix.trigger a full counter");
	saw(eventfd_wait(e[0], QUIET) != 0, "msix.trigger a full counter: fired");
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSIX, 0, 0, NULL), "msix.off");
	saw(set_eventfd(d, INTX, 0, e[0]), "msix.intx of the same device");
	saw(set_eventfd(d, MSIX, 0, e[0]), "msix.while intx");
}

void test_err_req(void)
{
	struct setup s = set_up(&nvme, NULL, VFIO_TYPE1v2_IOMMU);
	int d = open_device(&s, &nvme), a = efd_new(), file = open("/dev/null", O_RDWR), neg = -1,
	    neg2 = -2, bad = 9999;
	static const uint32_t index[] = { ERR, REQ };
	static const char *const names[] = { "err", "req" };

	for (int i = 0; i < 2; i++) {
		uint32_t x = index[i];
		const char *n = names[i];

		saw(vfio_set_irqs(d, NONE | TRIGGER, x, 0, 0, NULL), "%s.disable before", n);
		saw(vfio_set_irqs(d, NONE | TRIGGER, x, 0, 1, NULL), "%s.trigger before", n);
		saw(vfio_set_irqs(d, BOOL | TRIGGER, x, 0, 1, &one), "%s.trigger bool before", n);
		saw(vfio_set_irqs(d, EFD | TRIGGER, x, 0, 1, &neg), "%s.remove before", n);
		saw(vfio_set_irqs(d, EFD | TRIGGER, x, 0, 1, &neg2), "%s.fd -2", n);
		saw(vfio_set_irqs(d, EFD | TRIGGER, x, 0, 1, &bad), "%s.closed fd", n);
		saw(vfio_set_irqs(d, EFD | TRIGGER, x, 0, 1, &file), "%s.no eventfd", n);
		saw(vfio_set_irqs(d, EFD | TRIGGER, x, 0, 1, &a), "%s.set", n);
		saw(vfio_set_irqs(d, EFD | TRIGGER, x, 0, 1, &a), "%s.set again", n);
		saw(vfio_set_irqs(d, EFD | TRIGGER, x, 1, 1, &a), "%s.set 1", n);
		saw(vfio_set_irqs(d, NONE | TRIGGER, x, 0, 1, NULL), "%s.trigger", n);
		saw(eventfd_wait(a, SOON), "%s.trigger: fired", n);
		saw(vfio_set_irqs(d, BOOL | TRIGGER, x, 0, 1, &one), "%s.trigger bool", n);
		saw(eventfd_wait(a, SOON), "%s.trigger bool: fired", n);
		saw(vfio_set_irqs(d, BOOL | TRIGGER, x, 0, 1, &zero), "%s.trigger bool 0", n);
		saw(eventfd_wait(a, QUIET), "%s.trigger bool 0: fired", n);
		saw(vfio_set_irqs(d, NONE | MASK, x, 0, 1, NULL), "%s.mask", n);
		saw(vfio_set_irqs(d, NONE | TRIGGER, x, 0, 0, NULL), "%s.disable", n);
		saw(vfio_set_irqs(d, NONE | TRIGGER, x, 0, 0, NULL), "%s.disable again", n);
		saw(vfio_set_irqs(d, EFD | TRIGGER, x, 0, 1, &a), "%s.set after disable", n);
		saw(vfio_set_irqs(d, EFD | TRIGGER, x, 0, 1, &neg), "%s.remove", n);
		saw(vfio_set_irqs(d, NONE | TRIGGER, x, 0, 1, NULL), "%s.trigger after remove", n);
		saw(vfio_set_irqs(d, EFD | TRIGGER, x, 0, 1, &a), "%s.set for the reset", n);
		saw(ioctl(d, VFIO_DEVICE_RESET), "%s.reset", n);
		saw(vfio_set_irqs(d, NONE | TRIGGER, x, 0, 1, NULL), "%s.trigger after reset", n);
		saw(eventfd_wait(a, SOON), "%s.trigger after reset: fired", n);
	}
	close(d);
	d = open_device(&s, &nvme);
	saw(vfio_set_irqs(d, NONE | TRIGGER, REQ, 0, 1, NULL), "req.trigger after the last close");
}
