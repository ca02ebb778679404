/* SPDX-License-Identifier: BSD-3-Clause */
/* conform/message.c: messages are made here byte by byte, right ones and wrong ones. */
#include <stdlib.h>
#include <string.h>

#include "conform/internal.h"

uint64_t ct_get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void make_room(struct ct_msg *m, size_t len)
{
	uint8_t *data;

	if (m->size + len <= m->room)
		return;
	m->room = (m->size + len) * 2;
	data = ct_alloc(m->t, m->room);
	if (m->size)
		memcpy(data, m->data, m->size);
	m->data = data;
}

void ct_add(struct ct_msg *m, const void *bytes, size_t len)
{
	make_room(m, len);
	if (len)
		memcpy(m->data + m->size, bytes, len);
	m->size += len;
	if (!m->size_given)
		put32(m->data + H_SIZE, (uint32_t)m->size);
}

void ct_add_zeros(struct ct_msg *m, size_t len)
{
	make_room(m, len);
	memset(m->data + m->size, 0, len);
	m->size += len;
	if (!m->size_given)
		put32(m->data + H_SIZE, (uint32_t)m->size);
}

void ct_add16(struct ct_msg *m, uint16_t v)
{
	ct_add(m, &v, sizeof(v));
}

void ct_add32(struct ct_msg *m, uint32_t v)
{
	ct_add(m, &v, sizeof(v));
}

void ct_add64(struct ct_msg *m, uint64_t v)
{
	ct_add(m, &v, sizeof(v));
}

void ct_add_fd(struct ct_msg *m, int fd)
{
	m->fds[m->nfds++] = fd;
}

void ct_set_flags(struct ct_msg *m, uint32_t flags)
{
	put32(m->data + H_FLAGS, flags);
}

void ct_set_size(struct ct_msg *m, uint32_t size)
{
	m->size_given = true;
	put32(m->data + H_SIZE, size);
}

uint32_t ct_flags(const struct ct_msg *m)
{
	return get32(m->data + H_FLAGS);
}

uint16_t ct_cmd(const struct ct_msg *m)
{
	return get16(m->data + H_CMD);
}

uint32_t ct_error(const struct ct_msg *m)
{
	return get32(m->data + H_ERROR);
}

uint32_t ct_body32(const struct ct_msg *m, size_t off)
{
	return m->size >= HEADER + off + 4 ? get32(m->data + HEADER + off) : 0;
}

uint64_t ct_body64(const struct ct_msg *m, size_t off)
{
	return m->size >= HEADER + off + 8 ? ct_get64(m->data + HEADER + off) : 0;
}

struct ct_msg *ct_command(struct ct_conn *c, uint16_t cmd)
{
	struct ct_msg *m = ct_alloc(c->t, sizeof(*m));
	uint8_t header[HEADER] = { 0 };

	m->t = c->t;
	put16(header + H_ID, c->next_id++);
	put16(header + H_CMD, cmd);
	ct_add(m, header, sizeof(header));
	return m;
}

struct ct_msg *ct_version(struct ct_conn *c, uint16_t major, uint16_t minor, const char *json)
{
	struct ct_msg *m = ct_command(c, C_VERSION);

	ct_add16(m, major);
	ct_add16(m, minor);
	if (json)
		ct_add(m, json, strlen(json) + 1);
	return m;
}

struct ct_msg *ct_get_info(struct ct_conn *c)
{
	struct ct_msg *m = ct_command(c, C_GET_INFO);

	ct_add32(m, INFO_SIZE);
	ct_add_zeros(m, 12);
	return m;
}

struct ct_msg *ct_region_info(struct ct_conn *c, uint32_t index, uint32_t argsz)
{
	struct ct_msg *m = ct_command(c, C_REGION_INFO);

	ct_add32(m, argsz);
	ct_add32(m, 0);
	ct_add32(m, index);
	ct_add_zeros(m, 20);
	return m;
}

struct ct_msg *ct_irq_info(struct ct_conn *c, uint32_t index)
{
	struct ct_msg *m = ct_command(c, C_IRQ_INFO);

	ct_add32(m, IRQ_INFO_SIZE);
	ct_add32(m, 0);
	ct_add32(m, index);
	ct_add32(m, 0);
	return m;
}

struct ct_msg *ct_set_irqs(struct ct_conn *c, uint32_t flags, uint32_t index, uint32_t start,
			   uint32_t count)
{
	struct ct_msg *m = ct_command(c, C_SET_IRQS);

	ct_add32(m, SET_IRQS_SIZE);
	ct_add32(m, flags);
	ct_add32(m, index);
	ct_add32(m, start);
	ct_add32(m, count);
	return m;
}

struct ct_msg *ct_region_read(struct ct_conn *c, uint32_t region, uint64_t off, uint32_t count)
{
	struct ct_msg *m = ct_command(c, C_REGION_READ);

	ct_add64(m, off);
	ct_add32(m, region);
	ct_add32(m, count);
	return m;
}

struct ct_msg *ct_region_write(struct ct_conn *c, uint32_t region, uint64_t off, const void *data,
			       uint32_t count)
{
	struct ct_msg *m = ct_command(c, C_REGION_WRITE);

	ct_add64(m, off);
	ct_add32(m, region);
	ct_add32(m, count);
	ct_add(m, data, count);
	return m;
}

struct ct_msg *ct_dma_map(struct ct_conn *c, uint32_t flags, uint64_t off, uint64_t addr,
			  uint64_t size, int fd)
{
	struct ct_msg *m = ct_command(c, C_DMA_MAP);

	ct_add32(m, DMA_MAP_SIZE);
	ct_add32(m, flags);
	ct_add64(m, off);
	ct_add64(m, addr);
	ct_add64(m, size);
	if (fd >= 0)
		ct_add_fd(m, fd);
	return m;
}

struct ct_msg *ct_dma_unmap(struct ct_conn *c, uint32_t flags, uint64_t addr, uint64_t size)
{
	struct ct_msg *m = ct_command(c, C_DMA_UNMAP);

	ct_add32(m, DMA_UNMAP_SIZE);
	ct_add32(m, flags);
	ct_add64(m, addr);
	ct_add64(m, size);
	return m;
}

struct ct_msg *ct_feature(struct ct_conn *c, uint32_t flags, uint32_t argsz)
{
	struct ct_msg *m = ct_command(c, C_FEATURE);

	ct_add32(m, argsz);
	ct_add32(m, flags);
	return m;
}
