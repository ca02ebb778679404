/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz/vu_caps.c: the capabilities of vfio-user as text of a hostile peer's. What was understood is
 * written and read again as the same; what is agreed on is no more than either side said.
 */
#include "base/log.h"
#include "fuzz.h"
#include "vfio_user/caps.h"
#include "vfio_user/wire.h"

static const struct vu_caps ours = {
	.max_msg_fds = 16,
	.max_data_xfer_size = 1u << 20,
	.max_dma_maps = 1u << 20,
	.pgsizes = 4096,
	.write_multiple = true,
	.twin_socket = true,
	.twin_fd_index = -1,
	.migration = true,
	.mig_pgsize = 4096,
	.mig_max_bitmap = 1u << 28,
	.sparse_mmap_fds = true,
	.ring = true,
	.named = 0x1ff,
};

static bool same_lasting(const struct vu_lasting *a, const struct vu_lasting *b)
{
	bool has_seq = a->kind == VU_LASTING_RESUME || a->kind == VU_LASTING_NEW;

	if (a->kind != b->kind)
		return false;
	if (a->kind == VU_LASTING_NONE || a->kind == VU_LASTING_OFFER)
		return true;
	/* a reason is written without some characters, but no shorter */
	return !memcmp(a->id, b->id, sizeof(a->id)) && (!has_seq || a->seq == b->seq) &&
	       (a->kind != VU_LASTING_LOST || strlen(a->why) == strlen(b->why));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[VU_CAPS_MAX];
	struct vu_caps theirs, again, agreed;
	const char *why = NULL;
	/* a byte of its own behind the text would be read by a careless parser */
	char *copy = malloc(size ? size : 1);
	int rc;

	log_set(2, LOG_NONE);
	memcpy(copy, data, size);
	rc = vu_caps_parse(copy, size, &theirs, &why);
	free(copy);
	if (rc) {
		REQUIRE(rc == -22 && why && *why, "%d, and no reason", rc);
		return 0;
	}
	vu_caps_agree(&ours, &theirs, &agreed);
	REQUIRE(agreed.max_msg_fds <= ours.max_msg_fds, "%u", agreed.max_msg_fds);
	REQUIRE(agreed.max_data_xfer_size <= ours.max_data_xfer_size, "%u",
		agreed.max_data_xfer_size);
	REQUIRE(!agreed.twin_socket || theirs.twin_socket, "a twin socket that nobody asked for");
	REQUIRE(!agreed.write_multiple || theirs.write_multiple, "WRITE_MULTI");
	rc = vu_caps_write(&theirs, text, sizeof(text));
	REQUIRE(rc > 0 && rc <= (int)sizeof(text) && !text[rc - 1], "%d", rc);
	REQUIRE(!vu_caps_parse(text, (size_t)rc, &again, &why), "%s", why);
	REQUIRE(again.max_msg_fds == theirs.max_msg_fds &&
			again.max_data_xfer_size == theirs.max_data_xfer_size &&
			again.max_dma_maps == theirs.max_dma_maps &&
			again.pgsizes == theirs.pgsizes && again.migration == theirs.migration &&
			again.write_multiple == theirs.write_multiple &&
			again.twin_socket == theirs.twin_socket && again.named == theirs.named &&
			same_lasting(&theirs.lasting, &again.lasting),
		"written and read: another one");
	/* any part of the room, and not a byte more */
	for (int n = 0; n < rc; n += 1 + rc / 7) {
		char *small = malloc((size_t)n ? (size_t)n : 1);

		REQUIRE(vu_caps_write(&theirs, small, (size_t)n) == -7, "%d bytes of %d", n, rc);
		free(small);
	}
	return 0;
}
