/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/mailbox.c: the mailboxes between the physical function and its virtual ones (82576
 * datasheet, 7.10.2): for each VF 64 bytes that both see, the side that has them, and a word to the
 * other that there is a message, or that one was read. V2PMAILBOX holds the state; P2VMAILBOX, the
 * other end, shows the part that both share. What is in a message is the drivers' own agreement.
 */
#include "models/igb/internal.h"

#define SHARED	     (MAILBOX_VFU | MAILBOX_PFU)
#define READ_CLEARED (V2PMAILBOX_PFSTS | V2PMAILBOX_PFACK | V2PMAILBOX_RSTD)

bool igb_mbx_reg(uint32_t off)
{
	return off >= IGB_P2VMAILBOX(0) && off <= IGB_VFLRE;
}

/* Return which VF's register @off is, of those from @base on; IGB_VFS: no VF's. */
static unsigned which(uint32_t off, uint32_t base)
{
	return off >= base && off < base + 4 * IGB_VFS ? (off - base) >> 2 : IGB_VFS;
}

static void set(struct igb *g, uint32_t off, uint32_t clear, uint32_t bits)
{
	igb_put(g, off, (igb_get(g, off) & ~clear) | bits);
}

uint32_t igb_mbx_read(struct igb *g, uint32_t off)
{
	unsigned vf = which(off, IGB_P2VMAILBOX(0));
	uint32_t v;

	pthread_mutex_lock(&g->mbx);
	if (vf < IGB_VFS) {
		v = igb_get(g, IGB_V2PMAILBOX(vf)) & SHARED;
	} else {
		v = igb_get(g, off);
		if (which(off, IGB_V2PMAILBOX(0)) < IGB_VFS)
			set(g, off, READ_CLEARED, 0);
	}
	pthread_mutex_unlock(&g->mbx);
	return v;
}

/* Take or give back the buffer; it stays with the other side while that has it. */
static void own(struct igb *g, unsigned vf, uint32_t value, uint32_t mine, uint32_t other)
{
	uint32_t off = IGB_V2PMAILBOX(vf);

	if (!(value & mine))
		set(g, off, mine, 0);
	else if (!(igb_get(g, off) & other))
		set(g, off, 0, mine);
}

/*
 * A VF's driver that is not answered within a second says nothing more until it is started again
 * (Linux's igbvf, DPDK's), and nobody sees why: so what became of its message is said here.
 */
#define PATIENCE_NS 1000000000ull

static void message_done(struct igb *g, unsigned vf, uint64_t asked, bool read)
{
	uint64_t took = igb_now_ns() - asked;

	if (!read)
		uvfio_log(g->dev, UVFIO_LOG_WARN,
			  "virtual function %u: its message to the physical function is lost: that "
			  "one's driver wrote over it and had not read it",
			  vf);
	else if (took > PATIENCE_NS)
		uvfio_log(
			g->dev, UVFIO_LOG_WARN,
			"virtual function %u: its message to the physical function was read after "
			"%llu ms: its driver may not wait any more",
			vf, (unsigned long long)(took / 1000000));
}

static void from_pf(struct igb *g, unsigned vf, uint32_t value)
{
	uint64_t asked = 0;
	uint32_t news = 0;

	pthread_mutex_lock(&g->mbx);
	if (value & (MAILBOX_ACK | MAILBOX_STS | P2VMAILBOX_RVFU)) {
		asked = g->asked[vf];
		g->asked[vf] = 0;
	}
	if (value & MAILBOX_STS)
		news |= V2PMAILBOX_PFSTS;
	if (value & MAILBOX_ACK)
		news |= V2PMAILBOX_PFACK;
	set(g, IGB_V2PMAILBOX(vf), 0, news);
	own(g, vf, value, MAILBOX_PFU, MAILBOX_VFU);
	if (value & P2VMAILBOX_RVFU) {
		set(g, IGB_V2PMAILBOX(vf), MAILBOX_VFU, 0);
		set(g, IGB_MBVFICR, MBVFICR_REQ(vf) | MBVFICR_ACK(vf), 0);
	}
	pthread_mutex_unlock(&g->mbx);
	if (asked && value & (MAILBOX_ACK | MAILBOX_STS))
		message_done(g, vf, asked, value & MAILBOX_ACK);
	if (news)
		igb_irq_mailbox(g, vf);
}

static void tell_pf(struct igb *g)
{
	igb_irq_cause(g, ICR_VMMB);
	igb_host_driver_interrupt(g);
}

static void from_vf(struct igb *g, unsigned vf, uint32_t value)
{
	uint32_t news = 0;
	bool wanted;

	pthread_mutex_lock(&g->mbx);
	if (value & MAILBOX_REQ) {
		news |= MBVFICR_REQ(vf);
		g->asked[vf] = igb_now_ns();
	}
	if (value & MAILBOX_ACK)
		news |= MBVFICR_ACK(vf);
	set(g, IGB_MBVFICR, 0, news);
	own(g, vf, value, MAILBOX_VFU, MAILBOX_PFU);
	wanted = igb_get(g, IGB_MBVFIMR) >> vf & 1 && !igb_stopped(&g->fn[vf]);
	pthread_mutex_unlock(&g->mbx);
	if (news && wanted)
		tell_pf(g);
}

void igb_mbx_write(struct igb *g, uint32_t off, uint32_t value)
{
	if (which(off, IGB_P2VMAILBOX(0)) < IGB_VFS) {
		from_pf(g, which(off, IGB_P2VMAILBOX(0)), value);
		return;
	}
	if (which(off, IGB_V2PMAILBOX(0)) < IGB_VFS) {
		from_vf(g, which(off, IGB_V2PMAILBOX(0)), value);
		return;
	}
	pthread_mutex_lock(&g->mbx);
	if (off == IGB_MBVFICR || off == IGB_VFLRE) /* written 1 to clear */
		set(g, off, value, 0);
	else if (off == IGB_MBVFIMR)
		igb_put(g, off, value & 0xff);
	pthread_mutex_unlock(&g->mbx);
}

/* Show the VFs once that the PF was in reset, instead of that it is: 7.10.2 */
void igb_mbx_pf_ready(struct igb *g)
{
	pthread_mutex_lock(&g->mbx);
	for (unsigned vf = 0; vf < IGB_VFS; vf++)
		set(g, IGB_V2PMAILBOX(vf), V2PMAILBOX_RSTI, V2PMAILBOX_RSTD);
	pthread_mutex_unlock(&g->mbx);
}

/* Tell the PF, in the way in which it learns of a message. */
void igb_mbx_vf_reset(struct igb *g, unsigned vf)
{
	pthread_mutex_lock(&g->mbx);
	set(g, IGB_V2PMAILBOX(vf), MAILBOX_VFU | V2PMAILBOX_PFSTS | V2PMAILBOX_PFACK, 0);
	g->asked[vf] = 0;
	set(g, IGB_VFLRE, 0, 1u << vf);
	pthread_mutex_unlock(&g->mbx);
	tell_pf(g);
}

/* ---- migration of a VF ---- */

/*
 * What the other side has in its hands stays with it: the PF has the buffer of the VF that it had,
 * and is in reset, or not, here as it is.
 */
#define VF_STATE (MAILBOX_VFU | V2PMAILBOX_PFSTS | V2PMAILBOX_PFACK | V2PMAILBOX_RSTD)

void igb_mbx_vf_save(struct igb *g, unsigned vf, struct uvfio_state *s)
{
	uint32_t news;

	pthread_mutex_lock(&g->mbx);
	news = igb_get(g, IGB_MBVFICR);
	uvfio_put32(s, igb_get(g, IGB_V2PMAILBOX(vf)) & VF_STATE);
	uvfio_put8(s, !!(news & MBVFICR_REQ(vf)));
	uvfio_put8(s, !!(news & MBVFICR_ACK(vf)));
	pthread_mutex_unlock(&g->mbx);
}

void igb_mbx_vf_restore(struct igb *g, unsigned vf, struct uvfio_state *s)
{
	uint32_t state = uvfio_get32(s) & VF_STATE, news = 0;

	if (uvfio_get8(s))
		news |= MBVFICR_REQ(vf);
	if (uvfio_get8(s))
		news |= MBVFICR_ACK(vf);
	pthread_mutex_lock(&g->mbx);
	set(g, IGB_V2PMAILBOX(vf), VF_STATE | MAILBOX_PFU, state);
	set(g, IGB_MBVFICR, MBVFICR_REQ(vf) | MBVFICR_ACK(vf), news);
	g->asked[vf] = news & MBVFICR_REQ(vf) ? igb_now_ns() : 0;
	pthread_mutex_unlock(&g->mbx);
}

void igb_mbx_vf_resume(struct igb *g, unsigned vf)
{
	bool news;

	pthread_mutex_lock(&g->mbx);
	news = igb_get(g, IGB_VFLRE) >> vf & 1 ||
	       (igb_get(g, IGB_MBVFICR) & (MBVFICR_REQ(vf) | MBVFICR_ACK(vf)) &&
		igb_get(g, IGB_MBVFIMR) >> vf & 1);
	pthread_mutex_unlock(&g->mbx);
	if (news)
		tell_pf(g);
}
