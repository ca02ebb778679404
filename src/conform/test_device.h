/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conform/test_device.h: the device behind test_server.h: interrupts, mappings, a DMA engine and
 * INTx as edu has them, migration and logging. It does what it is asked to, or the one thing wrong.
 */
#ifndef CONFORM_TEST_DEVICE_H
#define CONFORM_TEST_DEVICE_H
#include "conform/test_wire.h"

#define TD_MAPS	 1200
#define TD_STATE 64u /* bytes of data of a migration */

static struct {
	int irqs[PCI_IRQS][TS_MSIX];
	bool line, masked, pending;
	struct mapping {
		uint64_t addr, size, offset;
		uint32_t flags;
		int fd; /* 0: none */
		void *p;
	} maps[TD_MAPS];
	unsigned nmaps;
	uint64_t src, dst, len, cmd;
	uint8_t buffer[4096], answer[8192];
	uint32_t state, loaded, read;
	bool bad_data, logging;
} td;

/* ---- interrupts ---- */

static void td_signal(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	uint64_t one = 1;

	if (fd && (ts_is(Q_BLOCKS) || (poll(&p, 1, 0) == 1 && p.revents & (POLLOUT | POLLERR))))
		if (write(fd, &one, sizeof(one)) < 0)
			return;
}

static void td_line(bool up, bool was)
{
	td.line = up;
	if (!up || td.masked || (was && !ts_is(E_NO_AUTOMASK)))
		return;
	td.masked = !ts_is(E_NO_AUTOMASK);
	td_signal(td.irqs[IRQ_INTX][0]);
}

static void td_drop_irqs(uint32_t index)
{
	for (unsigned i = 0; i < TS_MSIX; i++) {
		if (td.irqs[index][i])
			close(td.irqs[index][i]);
		td.irqs[index][i] = 0;
	}
	if (index == IRQ_INTX)
		td.masked = false;
}

static int td_set_irqs(const uint8_t *in, size_t len)
{
	static const uint32_t counts[PCI_IRQS] = { 1, 0, TS_MSIX, 1, 1 };
	uint32_t argsz = get32(in), flags = get32(in + 4), index = get32(in + 8);
	uint32_t start = get32(in + 12), count = get32(in + 16), data = flags & 7;
	uint32_t action = flags & 0x38, size = index < PCI_IRQS ? counts[index] : 0;

	if (argsz < SET_IRQS_SIZE && !ts_is(Q_ARGSZ))
		return -EINVAL;
	if ((!is_pow2(data) || !is_pow2(action) || flags & ~0x3fu) && !ts_is(Q_FLAGS))
		return -EINVAL;
	if (!range_within(start, count, size) || index >= PCI_IRQS)
		return ts_is(Q_OUTSIDE) ? 0 : -EINVAL;
	if (data == S_BOOL && len < SET_IRQS_SIZE + count && !ts_is(Q_BOOL_SHORT))
		return -EINVAL;
	if (!count && ts_is(Q_TWICE) && !td.irqs[index][0])
		return -EINVAL;
	if (!count) {
		if (!ts_is(Q_DISABLE))
			td_drop_irqs(index);
		return 0;
	}
	if (action != S_TRIGGER) {
		if (index != IRQ_INTX || ts_is(Q_MASK))
			return -EINVAL;
		td.masked = action == S_MASK;
		if (!td.masked && !ts_is(E_NO_UNMASK))
			td_line(td.line, false);
		return 0;
	}
	if (data == S_EVENTFD && ts.nfds && ts.nfds != count && !ts_is(Q_FDS))
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++) {
		int *irq = &td.irqs[index][start + i];

		if (data == S_EVENTFD) {
			if (*irq && (ts_is(Q_REPLACE) || (ts_is(Q_DEASSIGN) && !ts.nfds)))
				continue;
			if (*irq)
				close(*irq);
			*irq = i < ts.nfds ? dup(ts.fds[i]) : 0;
			continue;
		}
		if (data == S_BOOL && !in[SET_IRQS_SIZE + i] && !ts_is(Q_BOOL_ALL))
			continue;
		if (!ts_is(Q_NO_TRIGGER))
			td_signal(td.irqs[index][ts_is(Q_FIRST) ? 0 : start + i]);
	}
	return 0;
}

/* ---- mappings ---- */

static void td_unmap(unsigned i)
{
	struct mapping *m = &td.maps[i];

	if (m->p && !ts_is(D_KEEPS))
		munmap(m->p, m->size);
	if (m->fd)
		close(m->fd);
	td.maps[i] = td.maps[--td.nmaps];
}

static int td_map(const uint8_t *in)
{
	struct mapping m = {
		ts_get64(in + 16), ts_get64(in + 24), ts_get64(in + 8), get32(in + 4), 0, NULL
	};

	if (get32(in) < DMA_MAP_SIZE && !ts_is(D_ARGSZ))
		return -EINVAL;
	if (m.flags & ~0xfu && !ts_is(D_FLAGS))
		return -EINVAL;
	if (m.flags & 0xc && (!ts.nfds || !is_pow2(m.flags & 0xc)) && !ts_is(D_MODES))
		return -EINVAL;
	if (ts.nfds > 1 && !ts_is(D_TWO_FDS))
		return -EINVAL;
	if (!ts_is(D_WRONG) && (!m.size || (m.addr | m.size | m.offset) & 4095 ||
				add_overflows(m.addr, m.size) || add_overflows(m.offset, m.size)))
		return -EINVAL;
	for (unsigned i = 0; i < td.nmaps; i++) {
		struct mapping *o = &td.maps[i];
		bool same = o->addr == m.addr && o->size == m.size;

		if (o->addr < m.addr + m.size + ts_is(D_TOUCHING) &&
		    m.addr < o->addr + o->size + ts_is(D_TOUCHING)) {
			if (ts_is(D_OVERLAP) || (same && ts_is(D_IDENTICAL)))
				return 0;
			return ts_is(D_ERRNO) ? -EINVAL : -EEXIST;
		}
	}
	if (td.nmaps == (ts_is(D_FEW) ? 10 : TD_MAPS))
		return -ENOSPC;
	if (ts.nfds) {
		struct stat st;

		if (fstat(ts.fds[0], &st) || !S_ISREG(st.st_mode)) {
			if (ts_is(D_ODD_FDS))
				abort();
			return -EINVAL;
		}
		m.fd = dup(ts.fds[0]);
		m.p = mmap(NULL, m.size ? m.size : 1, PROT_READ | PROT_WRITE, MAP_SHARED, m.fd,
			   (off_t)m.offset);
		if (m.p == MAP_FAILED)
			m.p = NULL;
	}
	td.maps[td.nmaps++] = m;
	return 0;
}

static int td_dma_unmap(const uint8_t *in, size_t len, uint8_t *out)
{
	uint64_t addr = ts_get64(in + 8), size = ts_get64(in + 16);
	uint32_t flags = get32(in + 4);

	if (get32(in) < DMA_UNMAP_SIZE && !ts_is(D_ARGSZ))
		return -EINVAL;
	if (ts_is(D_BITMAP) && flags == UNMAP_BITMAP && len > DMA_UNMAP_SIZE)
		abort();
	if (flags & ~UNMAP_ALL || (ts.nfds && ts_is(D_UNMAP_FD)))
		return -EINVAL;
	memcpy(out, in, DMA_UNMAP_SIZE);
	if (flags) {
		while (td.nmaps && !ts_is(D_ALL))
			td_unmap(td.nmaps - 1);
		return DMA_UNMAP_SIZE;
	}
	for (unsigned i = 0; i < td.nmaps; i++)
		if (td.maps[i].addr == addr && (td.maps[i].size == size || ts_is(D_UNMAP_ANY) ||
						(ts_is(D_UNMAP_MORE) && size > td.maps[i].size))) {
			td_unmap(i);
			return ts_is(D_NO_BODY) ? 0 : DMA_UNMAP_SIZE;
		}
	return -ENOENT;
}

/* ---- the engine ---- */

static bool ts_message(void);

/* Read what the client answers on the twin socket, or serve a message that comes meanwhile. */
static bool td_wait(void)
{
	struct pollfd p[2] = { { .fd = ts.conn, .events = POLLIN },
			       { .fd = ts.twin, .events = POLLIN } };
	int conn = ts.conn;

	if (ts.twin < 0 || ts_is(E_MAIN))
		return ts_message();
	poll(p, 2, -1);
	if (p[1].revents) {
		bool more;

		ts.conn = ts.twin;
		more = ts_message();
		ts.conn = conn;
		return more;
	}
	return ts_message();
}

/* Send DMA_READ or DMA_WRITE of @len bytes, and wait for the reply; false: it is not one. */
static bool td_ask(bool read, uint64_t addr, uint8_t *p, uint64_t len)
{
	uint8_t m[HEADER + DMA_RW_SIZE + 4096] = { 0 };
	size_t size = HEADER + DMA_RW_SIZE + (read ? 0 : len);

	ts.asked = 0x1234;
	ts.asked_cmd = read ? C_DMA_READ : C_DMA_WRITE;
	put16(m + H_ID, ts.asked);
	put16(m + H_CMD, ts.asked_cmd);
	put32(m + H_SIZE, (uint32_t)size);
	ts_put64(m + HEADER, addr);
	ts_put64(m + HEADER + 8, len);
	if (!read)
		memcpy(m + HEADER + DMA_RW_SIZE, p, len);
	if (send(ts.twin >= 0 && !ts_is(E_MAIN) ? ts.twin : ts.conn, m, size, MSG_NOSIGNAL) < 0)
		return false;
	ts.answered = 0;
	while (!ts.answered)
		if (!td_wait()) {
			ts.over = true;
			return false;
		}
	if (ts.answered < HEADER + DMA_RW_SIZE) {
		if (ts_is(E_TRUSTS))
			abort();
		return false;
	}
	if (get32(td.answer + H_FLAGS) & F_ERROR || ts_get64(td.answer + HEADER) != addr ||
	    ts_get64(td.answer + HEADER + 8) != len ||
	    ts.answered != HEADER + DMA_RW_SIZE + (read ? len : 0)) {
		if (ts_is(E_TRUSTS))
			abort();
		return false;
	}
	if (read)
		memcpy(p, td.answer + HEADER + DMA_RW_SIZE, len);
	return true;
}

static void td_transfer(bool read, uint64_t addr, uint8_t *p, uint64_t len)
{
	struct mapping none = { addr, len, 0, MAP_READ | MAP_WRITE, 0, NULL }, *m = NULL;

	if (!(ts.config[4] & 4) && !ts_is(E_MASTER))
		return;
	for (unsigned i = 0; i < td.nmaps; i++)
		if (addr >= td.maps[i].addr &&
		    range_within(addr - td.maps[i].addr, len, td.maps[i].size))
			m = &td.maps[i];
	if (!m && ts_is(E_UNMAPPED))
		m = &none;
	if (!m || (!(m->flags & (read ? MAP_READ : MAP_WRITE)) && !ts_is(E_RIGHTS)))
		return;
	if (m->fd) {
		off_t at = (off_t)(addr - m->addr + (ts_is(E_OFFSET) ? 0 : m->offset));
		ssize_t n;

		if (ts_is(E_SIGBUS) && m->p)
			((volatile uint8_t *)m->p)[0];
		if (!read && ts_is(E_BYTES))
			p[0] ^= 1;
		n = read ? pread(m->fd, p, len, at)
			 : pwrite(m->fd, p, lseek(m->fd, 0, SEEK_END) > at ? len : 0, at);
		if (n < 0)
			return;
		return;
	}
	while (len && !ts.over) {
		uint64_t piece = len > ts.max && !ts_is(E_BIG) ? ts.max : len;

		if (!td_ask(read, addr, p, piece))
			return;
		addr += piece;
		p += piece;
		len -= piece;
	}
}

/* Do the transfer that a write to the command register began. */
static void td_run(void)
{
	uint64_t cmd = td.cmd;

	if (!ts.start)
		return;
	ts.start = false;
	if (td.len <= sizeof(td.buffer))
		td_transfer(!(cmd & 2), cmd & 2 ? td.dst : td.src, td.buffer, td.len);
	td.cmd = 0;
	put32(ts.ram + 0x98, 0);
}

static void td_register(uint64_t off, const uint8_t *data, uint32_t count)
{
	uint64_t v = count == 8 ? ts_get64(data) : count == 4 ? get32(data) : 0;

	switch (off) {
	case 0x60:
		td_line(true, td.line);
		break;
	case 0x64:
		td.line = false;
		break;
	case 0x80:
		td.src = v;
		break;
	case 0x88:
		td.dst = v;
		break;
	case 0x90:
		td.len = v;
		break;
	case 0x98:
		td.cmd = v;
		ts.start = v & 1;
		break;
	}
	put32(ts.ram + 0x98, (uint32_t)td.cmd);
}

/* ---- features ---- */

static int td_migration(uint32_t flags, const uint8_t *in, size_t len, uint8_t *out)
{
	uint32_t state, argsz = get32(in);

	memcpy(out, in, FEATURE_SIZE);
	if ((flags & 0xffff) == FE_MIGRATION) {
		if (argsz < 16 && !ts_is(F_ARGSZ))
			return -EINVAL;
		put32(out, 16);
		ts_put64(out + 8, MIG_STOP_COPY | MIG_PRE_COPY);
		return 16;
	}
	if (flags & FE_SET) {
		if (len < 16 && !ts_is(F_STATE_SHORT))
			return -EINVAL;
		state = len < 12 ? ST_RUNNING : get32(in + 8);
		if ((state < ST_STOP || state > ST_PRE_COPY || state == ST_RUNNING_P2P) &&
		    !ts_is(F_ANY_STATE))
			return -EINVAL;
		if (td.state == ST_STOP_COPY && state == ST_PRE_COPY && !ts_is(F_ANY_ARC))
			return -EINVAL;
		if (state == ST_STOP_COPY && ts_is(F_NO_STOP_COPY))
			return -EINVAL;
		if (td.state == ST_RESUMING && td.bad_data && !ts_is(F_RUBBISH)) {
			td.state = ST_ERROR;
			return -EINVAL;
		}
		td.bad_data = false;
		td.state = state;
		td.read = td.loaded = 0;
	}
	put32(out, 16);
	put32(out + 8, td.state);
	put32(out + 12, 0);
	return 16;
}

static int td_log(uint32_t flags, const uint8_t *in, size_t len, uint8_t *out)
{
	uint64_t iova, size, page, words;
	uint32_t n;

	memcpy(out, in, len);
	switch (flags & 0xffff) {
	case FE_LOG_START:
		if (ts_is(L_NO_MAP) && !td.nmaps)
			abort();
		if (len < FEATURE_SIZE + 16)
			return ts_is(L_SHORT) ? 40 : -EINVAL;
		n = get32(in + 16);
		if (n > (len - FEATURE_SIZE - 16) / 16 && !ts_is(L_WRONG))
			return -EINVAL;
		if (n && add_overflows(ts_get64(in + 24), ts_get64(in + 32)) && !ts_is(L_WRONG))
			return -EINVAL;
		td.logging = true;
		return (int)len;
	case FE_LOG_STOP:
		td.logging = false;
		return FEATURE_SIZE;
	default:
		if (len < FEATURE_SIZE + 24 || (!td.logging && !ts_is(L_WRONG)))
			return -EINVAL;
		iova = ts_get64(in + 8);
		size = ts_get64(in + 16);
		page = ts_get64(in + 24);
		if (!is_pow2(page) || page < 4096 || add_overflows(iova, size))
			return -EINVAL;
		if (ts_is(L_PART) && size != 0x200000)
			return -EINVAL;
		if (ts_is(L_PAGES) && page != 4096)
			for (;;)
				pause();
		words = (size / page + 63) / 64;
		if (get32(in) < FEATURE_SIZE + 24 + words * 8)
			return -EINVAL;
		memset(out + FEATURE_SIZE + 24, 0, words * 8);
		return (int)(FEATURE_SIZE + 24 + words * 8 - (ts_is(L_BITMAP) ? 8 : 0));
	}
}

static int td_feature(const uint8_t *in, size_t len, uint8_t *out)
{
	uint32_t flags = get32(in + 4), index = flags & 0xffff, how = flags & 0x70000;
	uint32_t has = index == FE_MIGRATION || index == FE_LOG_REPORT ? FE_GET
		       : index == FE_STATE			       ? FE_GET | FE_SET
		       : index == FE_LOG_START || index == FE_LOG_STOP ? FE_SET
								       : 0;

	if (ts_is(F_METHOD) && (!how || how == (FE_GET | FE_SET))) {
		memset(out, 0, FEATURE_SIZE);
		return FEATURE_SIZE;
	}
	if (!has || how & ~FE_PROBE & ~has || flags & ~0x7ffffu || !(how & ~FE_PROBE)) {
		if (!ts_is(F_UNKNOWN) || has)
			return -ENOTTY;
		memset(out, 0, FEATURE_SIZE);
		return FEATURE_SIZE;
	}
	if (how & FE_PROBE) {
		memcpy(out, in, FEATURE_SIZE);
		if (ts_is(F_PROBE))
			put32(out + 4, 0);
		return FEATURE_SIZE;
	}
	if (how == (FE_GET | FE_SET))
		return -EINVAL;
	return index <= FE_STATE ? td_migration(flags, in, len, out) : td_log(flags, in, len, out);
}

static int td_data(bool write, const uint8_t *in, size_t len, uint8_t *out)
{
	uint32_t argsz = get32(in), size = get32(in + 4), n;

	if (td.state != (write ? ST_RESUMING : ST_STOP_COPY) && !ts_is(F_DATA_STATE))
		return -EINVAL;
	if (write) {
		if (size > len - 8 && !ts_is(F_DATA_SIZE))
			return -EINVAL;
		for (uint32_t i = 0; i < size && i < len - 8; i++)
			td.bad_data |= in[8 + i] != 0x77 || td.loaded++ >= TD_STATE;
		return 0;
	}
	if ((size > 65536 || argsz < 8 + size) && !ts_is(F_DATA_SIZE))
		return -EINVAL;
	n = TD_STATE - td.read < size ? TD_STATE - td.read : size;
	td.read += n;
	put32(out, 8 + n);
	put32(out + 4, ts_is(F_DATA_LIES) ? n + 1 : n);
	memset(out + 8, 0x77, n);
	return (int)(8 + n);
}

static void td_reset(void)
{
	put16(ts.config + 4, 0);
	if (ts_is(Z_ID))
		ts.config[0] ^= 1;
	while (ts_is(Z_DROPS) && td.nmaps)
		td_unmap(td.nmaps - 1);
	if (!ts_is(F_NO_RESET))
		td.state = ST_RUNNING;
	td.cmd = 0;
	td.line = false;
}

/* A client has left. */
static void td_client_left(void)
{
	for (uint32_t i = 0; i < PCI_IRQS && !ts_is(Q_KEPT); i++)
		td_drop_irqs(i);
	while (td.nmaps && !ts_is(D_KEPT))
		td_unmap(td.nmaps - 1);
	if (ts_is(C_STATE))
		ts.config[0x3c] = 0;
	td.logging = false;
	td.cmd = 0;
	ts.start = false;
}
#endif
