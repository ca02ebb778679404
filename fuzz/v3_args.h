/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz/v3_args.h: one call of the interface of 2010 with whatever arguments an input says. For
 * v3.c, and for threads that make such calls at the same time (src/uapi/v3_race_test.c).
 */
#ifndef FUZZ_V3_ARGS_H
#define FUZZ_V3_ARGS_H
#include "uvfio/vfio_v3.h"
#include "hostile.h"
#include "models/testdev/regs.h"
#include "uapi/uapi.h"
#include "v3/v3.h"

static const unsigned int v3_cmds[] = {
	VFIO_DMA_MAP_IOVA,  VFIO_DMA_UNMAP,	  VFIO_EVENTFD_IRQ, VFIO_EVENTFD_MSI,
	VFIO_EVENTFDS_MSIX, VFIO_BAR_LEN,	  VFIO_DOMAIN_SET,  VFIO_DOMAIN_UNSET,
	VFIO_V3_RESET,	    VFIO_V3_EVENTFDS_MSI, VFIO_V3_BAR_INFO, VFIO_V3_EVENTS,
};
#define NUM_V3_CMDS (sizeof(v3_cmds) / sizeof(v3_cmds[0]))

/* Return an offset: mostly in a space that is there, near a place where something changes. */
static uint64_t v3_offset(struct in *in)
{
	static const uint32_t places[] = { 0, 4, 0x10, 0x40, 0x8c, 0x1000, 0x8000, 0x10000 };
	uint8_t how = in8(in);

	if (how == 255)
		return in64(in);
	return (uint64_t)(how & 15) << 32 | (uint32_t)(places[how >> 5] + (int8_t)in8(in));
}

static void v3_ioctl(struct in *in, struct uapi_file *f)
{
	unsigned int cmd = in8(in) < 250 ? v3_cmds[in8(in) % NUM_V3_CMDS] : in32(in);
	struct vfio_dma_map map;
	int32_t list[40];
	void *arg;

	switch (cmd) {
	case VFIO_DMA_MAP_IOVA:
	case VFIO_DMA_UNMAP:
		/* no other memory than the pool's may be a device's */
		map = (struct vfio_dma_map){ some_vaddr(in), some_iova(in), some_size(in),
					     in8(in) };
		arg = place(in, &map, sizeof(map));
		break;
	case VFIO_EVENTFDS_MSIX:
	case VFIO_V3_EVENTFDS_MSI:
		list[0] = in8(in) < 240 ? in8(in) % 40 : (int32_t)in32(in);
		for (unsigned i = 1; i < 40; i++)
			list[i] = i < 4 ? some_fd(in) : events[i % 4];
		arg = place(in, list, sizeof(list));
		break;
	default:
		list[0] = in8(in) & 1 ? some_fd(in) : (int32_t)(in8(in) % 8);
		memset(list + 1, 0, 16);
		arg = place(in, list, 16);
	}
	uapi_ioctl(f, cmd, (unsigned long)arg);
}

static void v3_transfer(struct in *in, struct uapi_file *f)
{
	uint8_t how = in8(in), bytes[64];
	uint64_t pos = v3_offset(in);
	size_t n = how & 32 ? in16(in) : how >> 3 & 15;

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = in8(in);
	switch (how & 7) {
	case 0:
		uapi_lseek(f, (int64_t)pos, how >> 3 & 3);
		break;
	case 1:
		uapi_read(f, place(in, bytes, n < 64 ? n : 64), n);
		break;
	case 2:
		uapi_write(f, place(in, bytes, n < 64 ? n : 64), n);
		break;
	case 3:
	case 4:
		uapi_pread(f, place(in, bytes, n < 64 ? n : 64), n, pos);
		break;
	default:
		uapi_pwrite(f, place(in, bytes, n < 64 ? n : 64), n, pos);
	}
}

/* Map a part of a space, as the shim does, and make an access in it. */
static void v3_map_and_use(struct in *in, struct uapi_file *f)
{
	uint64_t pos = v3_offset(in) & ~(PAGE - 1), at, value = in64(in);
	size_t len = in8(in) & 1 ? PAGE : some_size(in);
	unsigned size = 1 + in8(in) % 8;
	bool write = in8(in) & 1;

	if (uapi_mmap_check(f, len, write ? PROT_READ | PROT_WRITE : PROT_READ,
			    in8(in) < 250 ? MAP_SHARED : MAP_PRIVATE, pos))
		return;
	at = uapi_mmap_pos(f, pos);
	uapi_mmap_may_write(f, at, len);
	uapi_mmio(f, at + in16(in) % (PAGE - 8), size, &value, write);
}

/* Have testdev act: DMA, with an interrupt at its end, and interrupts alone. */
static void v3_act(struct in *in, struct uapi_file *f)
{
	const struct {
		unsigned reg, size;
		uint64_t value;
	} writes[] = {
		{ TD_DMA_SRC, 8, some_iova(in) },
		{ TD_DMA_DST, 8, some_iova(in) },
		{ TD_DMA_LEN, 8, in16(in) % 0x9000 },
		{ TD_DMA_CMD, 4, (in8(in) & 7) | (in8(in) & 7) << 8 },
		{ TD_INTX, 4, in8(in) & 1 },
		{ TD_MSI, 4, in8(in) },
		{ TD_TIMER, 4, in8(in) },
	};
	uint16_t command = 7 | (in8(in) & 1) << 10;
	unsigned which = in8(in) % 4;

	memcpy(arena, &command, 2);
	uapi_pwrite(f, arena, 2, VFIO_V3_OFFSET(VFIO_V3_SPACE_CONFIG, 4));
	for (unsigned i = which ? 4 : 0; i < (which ? 7 : 4); i++) {
		memcpy(arena, &writes[i].value, 8);
		uapi_pwrite(f, arena, writes[i].size, VFIO_V3_OFFSET(2, writes[i].reg));
	}
}

static void v3_call(struct in *in, struct uapi_file *f)
{
	uint8_t what = in8(in);

	if (what < 120)
		v3_ioctl(in, f);
	else if (what < 180)
		v3_transfer(in, f);
	else if (uapi_file_kind(f) != VFIO_FILE_V3_DEVICE)
		return;
	else if (what < 200)
		v3_map_and_use(in, f);
	else
		v3_act(in, f);
}
#endif
