/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/caps.h: what two sides agree on at first (VFIO_USER_VERSION, "Version Data Format"):
 * capabilities as JSON, from a text and to one. Unknown ones are passed over, as the specification
 * has it; known ones of a wrong type or value are refused.
 */
#ifndef VFIO_USER_CAPS_H
#define VFIO_USER_CAPS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A device that outlives its server's process (`uvfio serve --state`), so that who loses the
 * connection comes back and goes on. docs/vfio-user.md has the rules.
 */
enum vu_lasting_kind {
	VU_LASTING_NONE,
	VU_LASTING_OFFER,   /* a client's: it can come back */
	VU_LASTING_RESUME,  /* a client's that comes back: for @id, with @seq */
	VU_LASTING_NEW,	    /* a server's: the device is @id from now on, and its next @seq this */
	VU_LASTING_RESUMED, /* a server's answer to RESUME: it is the same device, and stopped */
	VU_LASTING_LOST,    /* it is not, but @id, as after a reset, for the reason @why */
};
#define VU_LASTING_ID  16u
#define VU_LASTING_WHY 96u
struct vu_lasting {
	enum vu_lasting_kind kind;
	uint8_t id[VU_LASTING_ID]; /* in the text 32 hexadecimal digits */
	uint16_t seq;
	char why[VU_LASTING_WHY]; /* written without what JSON has other characters for */
};

/* Those of one side, or those that were agreed on. */
struct vu_caps {
	uint32_t max_msg_fds, max_data_xfer_size, max_dma_maps;
	uint64_t pgsizes; /* a bit each */
	bool write_multiple;
	bool twin_socket;  /* the server's commands have a socket of their own */
	int twin_fd_index; /* of a reply: which descriptor it is; -1: none */
	bool migration;	   /* with these: */
	uint64_t mig_pgsize, mig_max_bitmap;
	bool sparse_mmap_fds;
	/* ours, which others pass over ("uvfio": {...}): */
	bool ring; /* registers by shared memory */
	struct vu_lasting lasting;
	/* which of all these the text named: VU_CAP_* */
	uint32_t named;
};
#define VU_CAP_FDS	  (1u << 0)
#define VU_CAP_DATA	  (1u << 1)
#define VU_CAP_DMA_MAPS	  (1u << 2)
#define VU_CAP_PGSIZES	  (1u << 3)
#define VU_CAP_MULTI	  (1u << 4)
#define VU_CAP_TWIN	  (1u << 5)
#define VU_CAP_MIGRATION  (1u << 6)
#define VU_CAP_SPARSE_FDS (1u << 7)
#define VU_CAP_UVFIO	  (1u << 8)

/** vu_caps_default - set @c to what a side has that says nothing */
void vu_caps_default(struct vu_caps *c);
/**
 * vu_caps_parse - read what follows struct vu_version
 * @text: @len bytes, with the null character, or nothing; changed
 * @why: gets words for the log if it fails, a constant
 *
 * Return: 0; -EINVAL: it is no such text.
 */
int vu_caps_parse(char *text, size_t len, struct vu_caps *out, const char **why);
/**
 * vu_caps_agree - what a server answers to a client's @theirs, if it has @ours
 *
 * Nothing that the client did not name but where the default would be too much for us, and no
 * more of it than the client said. What a server says of a device that lasts it says itself.
 */
void vu_caps_agree(const struct vu_caps *ours, const struct vu_caps *theirs, struct vu_caps *out);
/**
 * vu_caps_write - write them as JSON
 * @size: of @text. The whole reply may be no longer than a client's request (QEMU).
 *
 * Return: its length with the null character; -E2BIG: it does not fit.
 */
int vu_caps_write(const struct vu_caps *c, char *text, size_t size);
#endif
