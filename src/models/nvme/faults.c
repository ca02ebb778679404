/* SPDX-License-Identifier: BSD-3-Clause */
/* models/nvme/faults.c: what a user can have go wrong with commands (struct uvfio_fault). */
#include "models/nvme/internal.h"

#define KEYS                                \
	{                                   \
		"opc", "qid", "cid", "nsid" \
	}

const struct uvfio_fault nvme_faults[] = {
	[NVME_FAULT_STATUS] = { .name = "status",
				.line = "A command is not executed, and ends with this status: "
					"0x281 is SCT 2, SC 81h",
				.value = "STATUS",
				.def = 0x281, /* figure 131: Unrecovered Read Error */
				.max = 0x7fff,
				.keys = KEYS },
	[NVME_FAULT_LOSE] = { .name = "lose-completion",
			      .line = "A command is executed, and never completed",
			      .keys = KEYS },
	[NVME_FAULT_CFS] = { .name = "csts-cfs",
			     .line = "The controller fails (CSTS.CFS) at a command, and does "
				     "nothing "
				     "until it is reset",
			     .keys = KEYS },
	{ 0 },
};

bool nvme_fault(struct nvme *n, enum nvme_fault fault, unsigned qid, const struct nvme_cmd *cmd,
		uint64_t *value)
{
	const uint64_t keys[] = { cmd->opc, qid, cmd->cid, cmd->nsid };

	return uvfio_fault(n->dev, fault, keys, value);
}
