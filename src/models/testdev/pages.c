/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/testdev/pages.c: testdev's page requests: one that a register raises, whatever it says,
 * and its answer; and those of the DMA engine, which asks for a page that is not there, waits, and
 * goes on.
 */
#include <errno.h>

#include "models/testdev/internal.h"

void testdev_page_command(struct uvfio_dev *dev, uint32_t cmd)
{
	struct testdev *td = uvfio_priv(dev);
	struct testdev_pages *p = &td->pages;
	uint32_t group = cmd >> TD_PAGE_GROUP_SHIFT;
	int ret = -EINVAL;

	p->cmd = cmd;
	if (!(cmd & ~TD_PAGE_CMD_BITS) && group != TD_PAGE_ENGINE)
		ret = uvfio_page_request(dev, p->addr, cmd & TD_PAGE_PERM, p->pasid, group,
					 cmd & TD_PAGE_LAST);
	if (ret)
		p->status = group << TD_PAGE_GROUP_SHIFT | TD_PAGE_REFUSED;
	else if (cmd & TD_PAGE_LAST)
		p->status = group << TD_PAGE_GROUP_SHIFT | TD_PAGE_WAITING;
}

void testdev_page_response(struct uvfio_dev *dev, unsigned group, uint32_t pasid,
			   enum uvfio_page_answer answer)
{
	struct testdev *td = uvfio_priv(dev);
	struct testdev_pages *p = &td->pages;

	if (group == TD_PAGE_ENGINE) {
		p->asking = false;
		testdev_dma_continue(dev, answer == UVFIO_PAGE_SUCCESS);
		return;
	}
	p->answers++;
	p->status = group << TD_PAGE_GROUP_SHIFT |
		    (answer == UVFIO_PAGE_SUCCESS ? TD_PAGE_SUCCESS : TD_PAGE_INVALID);
	if (p->cmd & TD_PAGE_IRQ)
		testdev_interrupt(dev, td->dma.vector);
}

/* A page that is not there after a good answer is not asked for again: the access is a fault. */
bool testdev_page_ask(struct uvfio_dev *dev, uint64_t addr, bool write)
{
	struct testdev *td = uvfio_priv(dev);
	unsigned perm = write ? UVFIO_PAGE_WRITE : UVFIO_PAGE_READ;
	uint64_t what = (addr & ~4095ull) | 1u | (write ? 2u : 0);

	if (td->dma.asked == what || uvfio_page_present(dev, addr, perm, td->dma.pasid) ||
	    uvfio_page_request(dev, addr, perm, td->dma.pasid, TD_PAGE_ENGINE, true))
		return false;
	td->dma.asked = what;
	td->dma.addr = addr;
	td->pages.asking = true;
	return true;
}

/* ---- a migration: what was asked on the other side is asked again here, or has failed ---- */

void testdev_pages_save(struct uvfio_dev *dev, struct uvfio_state *s)
{
	const struct testdev *td = uvfio_priv(dev);
	const struct testdev_pages *p = &td->pages;

	uvfio_section(s, "pages");
	uvfio_put64(s, p->addr);
	uvfio_put32(s, p->cmd);
	uvfio_put32(s, p->status);
	uvfio_put32(s, p->answers);
	uvfio_put8(s, p->asking);
}

void testdev_pages_load(struct uvfio_dev *dev, struct uvfio_state *s)
{
	struct testdev *td = uvfio_priv(dev);
	struct testdev_pages *p = &td->pages;

	uvfio_section(s, "pages");
	p->addr = uvfio_get64(s);
	p->cmd = uvfio_get32(s);
	p->status = uvfio_get32(s);
	p->answers = uvfio_get32(s);
	if ((p->status & TD_PAGE_STATE) == TD_PAGE_WAITING)
		p->status ^= TD_PAGE_WAITING ^ TD_PAGE_INVALID;
	if (uvfio_get8(s) && td->dma.status == TD_DMA_BUSY)
		uvfio_timer_set(td->dma.timer, 0);
}
