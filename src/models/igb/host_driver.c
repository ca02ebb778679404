/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/host_driver.c: stands for the driver of the host's kernel on the physical function
 * (driver=igb), so that virtual functions are usable while no program drives the PF: it brings the
 * link up, lets the pools switch between each other, and answers the mailbox as Linux's igb does.
 * It is a driver: it touches the device through its registers, in the thread of the VF whose
 * message comes. It wants no frames itself, so there is no default pool.
 *
 * One lock, outside of all others: messages are answered one at a time.
 */
#include <string.h>

#include "models/igb/internal.h"

#define MAILBOX_WORDS 16u
#define RAR(vf)	      ((vf) + 1) /* 0 is the port's own */
#define MAX_HASHES    30u	 /* what fits into a message */

/* The words of the drivers: linux/drivers/net/ethernet/intel/igb/e1000_mbx.h */
#define MSG_ACK		0x80000000u
#define MSG_NACK	0x40000000u
#define MSG_CTS		0x20000000u
#define MSG_INFO(m)	((m) >> 16 & 0xff)
#define VF_RESET	0x01u
#define VF_SET_MAC	0x02u
#define VF_SET_MULTI	0x03u
#define VF_SET_VLAN	0x04u
#define VF_SET_LPE	0x05u
#define VF_SET_PROMISC	0x06u
#define PF_CONTROL	0x0100u
#define PROMISC_UNICAST 0x01u
#define PROMISC_MULTI	0x02u
#define MULTI_OVERFLOW	0x80u

static uint32_t get(struct igb *g, uint32_t off)
{
	return igb_reg_read(g, off);
}
static void put(struct igb *g, uint32_t off, uint32_t v)
{
	igb_reg_write(g, off, v);
}
static void change(struct igb *g, uint32_t off, uint32_t clear, uint32_t bits)
{
	put(g, off, (get(g, off) & ~clear) | bits);
}

/* ---- what VFs ask for ---- */

static void set_address(struct igb *g, unsigned vf)
{
	const uint8_t *m = g->host_driver.vf[vf].mac;
	unsigned rar = RAR(vf);

	put(g, IGB_RAH(rar), 0);
	put(g, IGB_RAL(rar),
	    m[0] | (uint32_t)m[1] << 8 | (uint32_t)m[2] << 16 | (uint32_t)m[3] << 24);
	put(g, IGB_RAH(rar), m[4] | (uint32_t)m[5] << 8 | 1u << (18 + vf) | RAH_AV);
}

/* Make the table of all VFs' multicast addresses anew. */
static void set_multicast(struct igb *g)
{
	uint32_t mta[128] = { 0 };

	for (unsigned i = 0; i < IGB_VFS; i++) {
		for (unsigned k = 0; k < g->host_driver.vf[i].hashes; k++) {
			uint16_t h = g->host_driver.vf[i].hash[k] & 0xfff;

			mta[h >> 5] |= 1u << (h & 31);
		}
	}
	for (unsigned i = 0; i < 128; i++)
		put(g, IGB_MTA + 4 * i, mta[i]);
	for (unsigned i = 0; i < IGB_VFS; i++) {
		bool all = g->host_driver.vf[i].all_multicast;

		change(g, IGB_VMOLR(i), VMOLR_ROMPE | VMOLR_MPME,
		       all			     ? VMOLR_MPME
		       : g->host_driver.vf[i].hashes ? VMOLR_ROMPE
						     : 0);
	}
}

static bool multicast(struct igb *g, unsigned vf, const uint32_t *msg)
{
	unsigned n = MSG_INFO(msg[0]) & 0x1f;

	g->host_driver.vf[vf].all_multicast = n > MAX_HASHES || MSG_INFO(msg[0]) & MULTI_OVERFLOW;
	g->host_driver.vf[vf].hashes = n < MAX_HASHES ? n : MAX_HASHES;
	memcpy(g->host_driver.vf[vf].hash, msg + 1, g->host_driver.vf[vf].hashes * 2);
	set_multicast(g);
	return true;
}

static bool promiscuous(struct igb *g, unsigned vf, uint32_t info)
{
	g->host_driver.vf[vf].all_multicast = info & PROMISC_MULTI;
	set_multicast(g);
	return !(info & PROMISC_UNICAST); /* the chip has it for no pool */
}

/* True if a VF is in the VLAN of an entry that has the value @v. */
static bool in_vlan(uint32_t v, unsigned vf)
{
	return v & VLVF_ENABLE && VLVF_POOLS(v) >> vf & 1;
}

static void leave_vlan(struct igb *g, unsigned vf, unsigned entry)
{
	uint32_t v = get(g, IGB_VLVF(entry)) & ~(1u << (12 + vf)), vid = v & 0xfff;

	if (!(v & VLVF_ENABLE))
		return;
	if (!VLVF_POOLS(v)) {
		v = 0;
		change(g, IGB_VFTA + 4 * (vid >> 5), 1u << (vid & 31), 0);
	}
	put(g, IGB_VLVF(entry), v);
}

static bool vlan(struct igb *g, unsigned vf, uint32_t vid, bool add)
{
	unsigned entry = IGB_VLVFS, empty = IGB_VLVFS;
	uint32_t v;

	for (unsigned i = 0; i < IGB_VLVFS; i++) {
		v = get(g, IGB_VLVF(i));
		if (!(v & VLVF_ENABLE))
			empty = i;
		else if ((v & 0xfff) == vid)
			entry = i;
	}
	if (!add) {
		if (entry < IGB_VLVFS)
			leave_vlan(g, vf, entry);
		return true;
	}
	if (entry == IGB_VLVFS)
		entry = empty;
	if (entry == IGB_VLVFS)
		return false;
	change(g, IGB_VLVF(entry), 0, VLVF_ENABLE | vid | 1u << (12 + vf));
	change(g, IGB_VFTA + 4 * (vid >> 5), 0, 1u << (vid & 31));
	return true;
}

static bool long_frames(struct igb *g, unsigned vf, uint32_t max)
{
	if (max < 64 || max > IGB_FRAME_MAX)
		return false;
	change(g, IGB_VMOLR(vf), 0x3fff, max | VMOLR_LPE);
	return true;
}

/* Forget what a VF asked for: it was reset and begins anew. */
static void forget(struct igb *g, unsigned vf)
{
	g->host_driver.vf[vf].cts = false;
	g->host_driver.vf[vf].hashes = 0;
	g->host_driver.vf[vf].all_multicast = false;
	for (unsigned i = 0; i < IGB_VLVFS; i++)
		leave_vlan(g, vf, i);
	put(g, IGB_RAH(RAR(vf)), 0);
	put(g, IGB_VMVIR(vf), 0);
	put(g, IGB_VMOLR(vf), VMOLR_BAM | VMOLR_AUPE | VMOLR_STRVLAN | VMOLR_STRCRC);
	set_multicast(g);
}

/* Let a VF send and receive. */
static void let_in(struct igb *g, unsigned vf)
{
	set_address(g, vf);
	change(g, IGB_VFRE, 0, 1u << vf);
	change(g, IGB_VFTE, 0, 1u << vf);
	g->host_driver.vf[vf].cts = true;
}

static unsigned answer_reset(struct igb *g, unsigned vf, uint32_t *msg)
{
	forget(g, vf);
	let_in(g, vf);
	msg[0] = VF_RESET | MSG_ACK;
	memcpy(msg + 1, g->host_driver.vf[vf].mac, 6);
	return 3;
}

static bool set_mac(struct igb *g, unsigned vf, const uint32_t *msg)
{
	static const uint8_t zero[6];
	uint8_t mac[6];

	memcpy(mac, msg + 1, 6);
	if (MSG_INFO(msg[0]) || mac[0] & 1 || !memcmp(mac, zero, 6))
		return false; /* one address for each VF, no further filters */
	memcpy(g->host_driver.vf[vf].mac, mac, 6);
	set_address(g, vf);
	return true;
}

/* Make the answer to @msg in place; return its length in words. */
static unsigned answer(struct igb *g, unsigned vf, uint32_t *msg)
{
	bool done;

	if (msg[0] == VF_RESET)
		return answer_reset(g, vf, msg);
	if (!g->host_driver.vf[vf].cts) {
		msg[0] = MSG_NACK;
		return 1;
	}
	switch (msg[0] & 0xffff) {
	case VF_SET_MAC:
		done = set_mac(g, vf, msg);
		break;
	case VF_SET_MULTI:
		done = multicast(g, vf, msg);
		break;
	case VF_SET_VLAN:
		done = vlan(g, vf, msg[1] & 0xfff, MSG_INFO(msg[0]));
		break;
	case VF_SET_LPE:
		done = long_frames(g, vf, msg[1]);
		break;
	case VF_SET_PROMISC:
		done = promiscuous(g, vf, MSG_INFO(msg[0]));
		break;
	default:
		done = false;
		break;
	}
	msg[0] |= MSG_CTS | (done ? MSG_ACK : MSG_NACK);
	return 1;
}

/* ---- the mailbox ---- */

static bool take_buffer(struct igb *g, unsigned vf)
{
	put(g, IGB_P2VMAILBOX(vf), MAILBOX_PFU);
	return get(g, IGB_P2VMAILBOX(vf)) & MAILBOX_PFU;
}

static void say(struct igb *g, unsigned vf, const uint32_t *msg, unsigned words)
{
	for (unsigned i = 0; i < words; i++)
		put(g, IGB_VMBMEM(vf) + 4 * i, msg[i]);
	put(g, IGB_P2VMAILBOX(vf), MAILBOX_STS);
}

static void message(struct igb *g, unsigned vf)
{
	uint32_t msg[MAILBOX_WORDS];

	if (!take_buffer(g, vf))
		return;
	for (unsigned i = 0; i < MAILBOX_WORDS; i++)
		msg[i] = get(g, IGB_VMBMEM(vf) + 4 * i);
	put(g, IGB_P2VMAILBOX(vf), MAILBOX_ACK | MAILBOX_PFU);
	if (msg[0] & (MSG_ACK | MSG_NACK)) {
		put(g, IGB_P2VMAILBOX(vf), 0); /* an answer of the VF's: nothing to say to it */
		return;
	}
	say(g, vf, msg, answer(g, vf, msg));
}

void igb_host_driver_interrupt(struct igb *g)
{
	uint32_t news;

	if (!atomic_load_explicit(&g->host_driver.drives, memory_order_acquire))
		return;
	pthread_mutex_lock(&g->host_driver.lock);
	for (unsigned vf = 0; vf < IGB_VFS; vf++) {
		if (igb_stopped(&g->fn[vf]))
			continue;
		if (get(g, IGB_VFLRE) >> vf & 1) {
			put(g, IGB_VFLRE, 1u << vf);
			forget(g, vf);
		}
		news = get(g, IGB_MBVFICR) & (MBVFICR_REQ(vf) | MBVFICR_ACK(vf));
		put(g, IGB_MBVFICR, news);
		if (news & MBVFICR_REQ(vf))
			message(g, vf);
	}
	pthread_mutex_unlock(&g->host_driver.lock);
}

void igb_host_driver_vf_gone(struct igb *g, unsigned vf)
{
	if (!atomic_load_explicit(&g->host_driver.drives, memory_order_acquire))
		return;
	pthread_mutex_lock(&g->host_driver.lock);
	forget(g, vf);
	pthread_mutex_unlock(&g->host_driver.lock);
}

/* With the lock. */
static void tell_of_link(struct igb *g, unsigned vf)
{
	uint32_t msg = PF_CONTROL | (g->host_driver.vf[vf].cts ? MSG_CTS : 0);

	if (!igb_vf_enabled(g, vf) || igb_stopped(&g->fn[vf]) || !take_buffer(g, vf))
		return;
	/*
	 * With a message in it that waits for our lock, it is not ours to write to. The answer
	 * wakes the VF as well.
	 */
	if (get(g, IGB_MBVFICR) & MBVFICR_REQ(vf))
		put(g, IGB_P2VMAILBOX(vf), 0);
	else
		say(g, vf, &msg, 1);
}

void igb_host_driver_link(struct igb *g)
{
	if (!atomic_load_explicit(&g->host_driver.drives, memory_order_acquire))
		return;
	pthread_mutex_lock(&g->host_driver.lock);
	for (unsigned vf = 0; vf < IGB_VFS; vf++)
		tell_of_link(g, vf);
	pthread_mutex_unlock(&g->host_driver.lock);
}

/* ---- a VF that migrates ---- */

void igb_host_driver_leave(struct igb *g)
{
	pthread_mutex_lock(&g->host_driver.lock);
	pthread_mutex_unlock(&g->host_driver.lock);
}

void igb_host_driver_vf_moved(struct igb *g, unsigned vf)
{
	if (!atomic_load_explicit(&g->host_driver.drives, memory_order_acquire))
		return;
	pthread_mutex_lock(&g->host_driver.lock);
	/* what it has not read yet is not written over */
	if (!(igb_get(g, IGB_V2PMAILBOX(vf)) & V2PMAILBOX_PFSTS))
		tell_of_link(g, vf);
	pthread_mutex_unlock(&g->host_driver.lock);
}

void igb_host_driver_vf_save(struct igb *g, unsigned vf, struct uvfio_state *s)
{
	unsigned vlans = 0;
	uint32_t v;

	pthread_mutex_lock(&g->host_driver.lock);
	v = get(g, IGB_VMOLR(vf));
	uvfio_put8(s, g->host_driver.vf[vf].cts);
	uvfio_put8(s, g->host_driver.vf[vf].all_multicast);
	uvfio_put_bytes(s, g->host_driver.vf[vf].mac, 6);
	uvfio_put16(s, v & VMOLR_LPE ? (uint16_t)VMOLR_RLPML(v) : 0);
	uvfio_put8(s, (uint8_t)g->host_driver.vf[vf].hashes);
	for (unsigned i = 0; i < g->host_driver.vf[vf].hashes; i++)
		uvfio_put16(s, g->host_driver.vf[vf].hash[i]);
	for (unsigned i = 0; i < IGB_VLVFS; i++)
		vlans += in_vlan(get(g, IGB_VLVF(i)), vf);
	uvfio_put8(s, (uint8_t)vlans);
	for (unsigned i = 0; i < IGB_VLVFS; i++) {
		v = get(g, IGB_VLVF(i));
		if (in_vlan(v, vf))
			uvfio_put16(s, v & 0xfff);
	}
	pthread_mutex_unlock(&g->host_driver.lock);
}

/* Do what a VF asked another one for. With the lock. */
static int ask_again(struct igb *g, unsigned vf, struct uvfio_state *s)
{
	bool cts = uvfio_get8(s), all = uvfio_get8(s);
	unsigned max, n, vid;
	uint8_t mac[6];

	uvfio_get_bytes(s, mac, 6);
	max = uvfio_get16(s);
	n = uvfio_get8(s);
	if (mac[0] & 1 || n > MAX_HASHES)
		return uvfio_load_error(s, "a group address, or %u hashes", n);
	forget(g, vf);
	g->host_driver.vf[vf].all_multicast = all;
	g->host_driver.vf[vf].hashes = n;
	for (unsigned i = 0; i < n; i++)
		g->host_driver.vf[vf].hash[i] = uvfio_get16(s);
	set_multicast(g);
	memcpy(g->host_driver.vf[vf].mac, mac, 6);
	if (max && !long_frames(g, vf, max))
		return uvfio_load_error(s, "frames of %u bytes", max);
	n = uvfio_get8(s);
	for (unsigned i = 0; i < n; i++) {
		vid = uvfio_get16(s);
		if (vid > 0xfff || !vlan(g, vf, vid, true))
			return uvfio_load_error(s, "no room for VLAN %u in this port", vid);
	}
	if (cts)
		let_in(g, vf);
	return 0;
}

int igb_host_driver_vf_restore(struct igb *g, unsigned vf, struct uvfio_state *s)
{
	int err;

	pthread_mutex_lock(&g->host_driver.lock);
	err = ask_again(g, vf, s);
	pthread_mutex_unlock(&g->host_driver.lock);
	return err;
}

/* ---- life ---- */

/* Take the device from its state after a reset to the one in which VFs can be used. */
void igb_host_driver_start(struct igb *g)
{
	pthread_mutex_lock(&g->host_driver.lock);
	put(g, IGB_CTRL, get(g, IGB_CTRL) | CTRL_SLU);
	put(g, IGB_MRQC, MRQC_VMDQ_POOL);
	put(g, IGB_VT_CTL, VT_CTL_REPLICATE | VT_CTL_NO_DEFAULT);
	put(g, IGB_RPLOLR, VMOLR_STRVLAN | VMOLR_STRCRC);
	put(g, IGB_DTXSWC, DTXSWC_LOOPBACK);
	put(g, IGB_VFRE, 0);
	put(g, IGB_VFTE, 0);
	put(g, IGB_QDE, 0xffff);
	for (unsigned vf = 0; vf < IGB_VFS; vf++)
		forget(g, vf);
	put(g, IGB_RCTL, RCTL_EN | RCTL_BAM | RCTL_LPE | RCTL_SECRC | RCTL_VFE);
	put(g, IGB_TCTL, TCTL_EN | TCTL_PSP);
	put(g, IGB_CTRL_EXT, get(g, IGB_CTRL_EXT) | CTRL_EXT_PFRSTD);
	atomic_store_explicit(&g->host_driver.drives, true, memory_order_release);
	pthread_mutex_unlock(&g->host_driver.lock);
}

/* Give each VF the port's address, made locally administered, with its number added. */
void igb_host_driver_init(struct igb *g, const uint8_t mac[6])
{
	pthread_mutex_init(&g->host_driver.lock, NULL);
	for (unsigned vf = 0; vf < IGB_VFS; vf++) {
		uint8_t *m = g->host_driver.vf[vf].mac;

		memcpy(m, mac, 6);
		m[0] = (uint8_t)((mac[0] | 2) & ~1);
		m[1] ^= 0x80; /* even if the port's own is one, this is another */
		m[5] = (uint8_t)(mac[5] + vf);
	}
}
