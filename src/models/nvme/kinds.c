/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/kinds.c: what NVM Express forbids its hosts, as far as the controller sees it. Most
 * of it comes with a command that fails: the status says what was wrong. What a host may do to find
 * out what there is (a feature, a log page, an optional command) is none.
 */
#include "models/nvme/internal.h"

const struct uvfio_kind nvme_kinds[] = {
	[NVME_BAD_QUEUE_EXISTS] = {
		.name = "queue-exists",
		.line = "A queue is created whose identifier is in use",
		.section = "NVMe 1.4, 5.3 and 5.4",
		.fix = "Delete the queue first, or take another identifier; after a reset of the "
			"controller no I/O queue is left.",
	},
	[NVME_BAD_QUEUE_ID] = {
		.name = "queue-id",
		.line = "A queue is created whose identifier the controller does not have",
		.section = "NVMe 1.4, 5.3, 5.4 and 5.21.1.7",
		.fix = "Take identifiers from 1 to the number that Set Features (Number of Queues) "
			"returned; it counts from 0.",
	},
	[NVME_BAD_NO_QUEUE] = {
		.name = "no-queue",
		.line = "A command names a queue that does not exist",
		.section = "NVMe 1.4, 5.4 to 5.6",
		.fix = "Create the completion queue before the submission queue, and delete what "
			"exists, once: submission queues first.",
	},
	[NVME_BAD_QUEUE_SIZE] = {
		.name = "queue-size",
		.line = "A queue is created with one entry, or with more than CAP.MQES allows",
		.section = "NVMe 1.4, 5.3 and 5.4",
		.fix = "Give the size less one, which is at least 1, and at most CAP.MQES.",
	},
	[NVME_BAD_QUEUE_MEMORY] = {
		.name = "queue-memory",
		.line = "The memory of a queue is not contiguous, or not aligned to a page",
		.section = "NVMe 1.4, 5.3 and 5.4",
		.fix = "Set PC where CAP.CQR is 1, and give an address in PRP1 that is a multiple "
			"of the page size in CC.MPS.",
	},
	[NVME_BAD_QUEUE_VECTOR] = {
		.name = "queue-vector",
		.line = "A completion queue is created for an interrupt that the controller does "
			"not have",
		.section = "NVMe 1.4, 5.3",
		.fix = "Take a vector below the number of entries of the MSI-X table.",
	},
	[NVME_BAD_CQ_IN_USE] = {
		.name = "cq-in-use",
		.line = "A completion queue is deleted before its submission queues",
		.section = "NVMe 1.4, 5.5",
		.fix = "Delete all submission queues that complete there, wait for that, and then "
			"delete the completion queue.",
	},
	[NVME_BAD_ENTRY_SIZE] = {
		.name = "entry-size",
		.line = "An I/O queue is created, and CC does not say how large its entries are",
		.section = "NVMe 1.4, 3.1.5",
		.fix = "Set CC.IOSQES to 6 and CC.IOCQES to 4 before the first I/O queue is "
			"created.",
	},
	[NVME_BAD_QUEUES_LATE] = {
		.name = "queues-late",
		.line = "Set Features (Number of Queues) comes after I/O queues were created",
		.section = "NVMe 1.4, 5.21.1.7",
		.fix = "Ask for queues once, after the controller was enabled and before the first "
			"I/O queue is created.",
	},
	[NVME_BAD_DOORBELL_NO_QUEUE] = {
		.name = "doorbell-no-queue",
		.line = "A doorbell is rung of a queue that does not exist",
		.section = "NVMe 1.4, 3.1.24 and 3.1.25",
		.fix = "Look whether the queue was created, and not deleted since, and whether the "
			"doorbell's place is counted with CAP.DSTRD.",
	},
	[NVME_BAD_DOORBELL_RANGE] = {
		.name = "doorbell-range",
		.line = "A doorbell is rung with a value that is not less than the queue's size",
		.section = "NVMe 1.4, 3.1.24 and 3.1.25",
		.fix = "Write the index of an entry: it goes back to 0 after the last one.",
	},
	[NVME_BAD_SQ_OVERRUN] = {
		.name = "sq-overrun",
		.line = "The tail of a submission queue moves past its head",
		.section = "NVMe 1.4, 4.1",
		.fix = "Leave one entry free: the queue is full when the tail is one before the "
			"head, which is SQHD of the last completion.",
	},
	[NVME_BAD_CQ_HEAD] = {
		.name = "cq-head",
		.line = "The head of a completion queue moves past what was posted",
		.section = "NVMe 1.4, 3.1.25",
		.fix = "Take the entries whose phase is new, and move the head by their number "
			"only.",
	},
	[NVME_BAD_CID_IN_USE] = {
		.name = "cid-in-use",
		.line = "A command has the identifier of one that is under way in its queue",
		.section = "NVMe 1.4, 4.2",
		.fix = "Take an identifier again only when its completion was seen.",
	},
	[NVME_BAD_PRP_OFFSET] = {
		.name = "prp-offset",
		.line = "A PRP entry has an offset that it must not have",
		.section = "NVMe 1.4, 4.3",
		.fix = "Only PRP1 may begin in a page, at a multiple of 4; PRP2 as a second page, "
			"and entries of a list, begin at a page; a list is aligned to 8.",
	},
	[NVME_BAD_TRANSFER_SIZE] = {
		.name = "transfer-size",
		.line = "A command moves more than MDTS of Identify Controller allows",
		.section = "NVMe 1.4, 5.15.2.2",
		.fix = "Cut the transfer into commands of at most 2^MDTS pages of the size in "
			"CAP.MPSMIN.",
	},
	[NVME_BAD_NSID] = {
		.name = "nsid",
		.line = "A command of the NVM command set names a namespace that is not there",
		.section = "NVMe 1.4, 6.1",
		.fix = "Take namespaces from Identify (active namespace list); the first is 1.",
	},
	[NVME_BAD_LBA_RANGE] = {
		.name = "lba-range",
		.line = "A command reaches beyond the end of its namespace",
		.section = "NVMe 1.4, 6.1",
		.fix = "Compare the first block and the number of blocks, which counts from 0, "
			"with NSZE of Identify Namespace.",
	},
	[NVME_BAD_FLAGS] = {
		.name = "flags",
		.line = "A command asks for SGLs or is fused, which this controller does not have",
		.section = "NVMe 1.4, 4.2",
		.fix = "Use PRPs, unless SGLS of Identify Controller says otherwise; fuse commands "
			"only where FUSES has them.",
	},
	[NVME_BAD_OPCODE] = {
		.name = "opcode",
		.line = "A command has an opcode that is reserved",
		.section = "NVMe 1.4, 5 and 6",
		.fix = "Look whether the command was put into the right queue, and whether its "
			"entry was written at all before the doorbell.",
	},
	[NVME_BAD_AER_LIMIT] = {
		.name = "aer-limit",
		.line = "More Asynchronous Event Requests are under way than AERL allows",
		.section = "NVMe 1.4, 5.2",
		.fix = "Send AERL + 1 of them, as Identify Controller has it, and another one for "
			"each that completes.",
	},
	[NVME_BAD_CC_CHANGE] = {
		.name = "cc-change",
		.line = "CC.CSS, CC.MPS or CC.AMS changes while the controller is enabled",
		.section = "NVMe 1.4, 3.1.5",
		.fix = "Disable the controller, wait for CSTS.RDY to be 0, set them, and enable "
			"it.",
	},
	[NVME_BAD_CC_VALUE] = {
		.name = "cc-value",
		.line = "The controller is enabled with a setting in CC that it does not have",
		.section = "NVMe 1.4, 3.1.5",
		.fix = "Take CSS, MPS and AMS from what CAP offers; IOSQES is 6 and IOCQES 4, or 0 "
			"until I/O queues are wanted.",
	},
	[NVME_BAD_ADMIN_QUEUE] = {
		.name = "admin-queue",
		.line = "The admin queue has a size or an address that it must not have",
		.section = "NVMe 1.4, 3.1.8 to 3.1.10",
		.fix = "Give ASQ and ACQ addresses of pages, as large as CC.MPS says, and AQA two "
			"entries or more each, less one.",
	},
	[NVME_BAD_ADMIN_QUEUE_LATE] = {
		.name = "admin-queue-late",
		.line = "AQA, ASQ or ACQ is written while the controller is enabled",
		.section = "NVMe 1.4, 7.6.1",
		.fix = "Disable the controller first, and wait for CSTS.RDY to be 0.",
	},
	[NVME_BAD_CSTS_STORE] = {
		.name = "csts-store",
		.line = "CSTS is written, of which only NSSRO can be cleared",
		.section = "NVMe 1.4, 3.1.6",
		.fix = "Bits of CSTS follow CC and the controller's state: a fatal status ends "
			"with a reset (CC.EN to 0).",
	},
	[NVME_BAD_NSSR] = {
		.name = "nssr",
		.line = "NSSR is written, and the controller has no NVM subsystem reset",
		.section = "NVMe 1.4, 3.1.7",
		.fix = "Look at CAP.NSSRS first; reset the controller by CC.EN or the function by "
			"FLR instead.",
	},
	[NVME_BAD_INTMS_MSIX] = {
		.name = "intms-msix",
		.line = "INTMS or INTMC is written while MSI-X is enabled",
		.section = "NVMe 1.4, 3.1.3 and 3.1.4",
		.fix = "Mask a vector in the MSI-X table instead.",
	},
	{ 0 },
};

/* ---- commands ---- */

#define BYTE_FLAGS 1u
#define BYTE_CDW10 40u
#define BYTE_CDW11 44u
#define BYTE_CDW12 48u

/* True if no command set of 1.4 has it, nor a vendor: figures 139 and 346. */
static bool is_reserved(bool admin, uint8_t opc)
{
	/* a bit for each opcode below 0x20 */
	const uint32_t admin_has = 0x77333777, io_has = 0x00227337;

	if (opc >= 0x80)
		return false;
	if (opc >= 0x20)
		return !admin || (opc != 0x7c && opc != 0x7f);
	return !((admin ? admin_has : io_has) >> opc & 1);
}

/* Create and Delete of queues: 5.3 to 5.6. */
static int kind_of_queue(struct nvme *n, const struct nvme_cmd *cmd, uint16_t status, unsigned byte)
{
	unsigned qid = cmd->cdw10 & 0xffff;
	bool creates = cmd->opc == NVME_ADM_CREATE_SQ || cmd->opc == NVME_ADM_CREATE_CQ;

	switch (status) {
	case NVME_INVALID_QID:
		if (!creates || byte != BYTE_CDW10)
			return NVME_BAD_NO_QUEUE;
		return qid && qid <= n->max_queues ? NVME_BAD_QUEUE_EXISTS : NVME_BAD_QUEUE_ID;
	case NVME_CQ_INVALID:
		return NVME_BAD_NO_QUEUE;
	case NVME_INVALID_QSIZE:
		return NVME_BAD_QUEUE_SIZE;
	case NVME_INVALID_VECTOR:
		return NVME_BAD_QUEUE_VECTOR;
	case NVME_INVALID_QDELETE:
		return NVME_BAD_CQ_IN_USE;
	case NVME_INVALID_PRP_OFFSET:
		return NVME_BAD_QUEUE_MEMORY;
	case NVME_INVALID_FIELD:
		return byte == BYTE_CDW11 ? NVME_BAD_QUEUE_MEMORY : NVME_BAD_ENTRY_SIZE;
	default:
		return -1;
	}
}

static int kind_of(struct nvme *n, bool admin, const struct nvme_cmd *cmd, uint16_t status,
		   unsigned byte)
{
	if (status == NVME_INVALID_FIELD && byte == BYTE_FLAGS)
		return NVME_BAD_FLAGS;
	if (status == NVME_INVALID_OPCODE)
		return is_reserved(admin, cmd->opc) ? NVME_BAD_OPCODE : -1;
	if (admin && (cmd->opc == NVME_ADM_CREATE_SQ || cmd->opc == NVME_ADM_CREATE_CQ ||
		      cmd->opc == NVME_ADM_DELETE_SQ || cmd->opc == NVME_ADM_DELETE_CQ))
		return kind_of_queue(n, cmd, status, byte);
	if (status == NVME_INVALID_PRP_OFFSET)
		return NVME_BAD_PRP_OFFSET;
	if (admin && status == NVME_AER_LIMIT)
		return NVME_BAD_AER_LIMIT;
	if (admin && status == NVME_SEQUENCE_ERROR && cmd->opc == NVME_ADM_SET_FEATURES)
		return NVME_BAD_QUEUES_LATE;
	if (admin)
		return -1;
	if (status == NVME_INVALID_NAMESPACE)
		return NVME_BAD_NSID;
	if (status == NVME_LBA_RANGE)
		return NVME_BAD_LBA_RANGE;
	return status == NVME_INVALID_FIELD && byte == BYTE_CDW12 ? NVME_BAD_TRANSFER_SIZE : -1;
}

void nvme_judge_command(struct nvme *n, const struct nvme_sq *sq, const struct nvme_cmd *cmd,
			uint16_t status, uint16_t location)
{
	int kind = kind_of(n, !sq->id, cmd, status & 0x7ff, location & 0xff);

	if (kind < 0)
		return;
	switch (kind) {
	case NVME_BAD_PRP_OFFSET:
		uvfio_report(n->dev, (unsigned)kind,
			     "command %u of queue %u (opcode %02xh): PRP1 0x%llx, PRP2 0x%llx",
			     cmd->cid, sq->id, cmd->opc, (unsigned long long)cmd->prp1,
			     (unsigned long long)cmd->prp2);
		break;
	case NVME_BAD_NSID:
	case NVME_BAD_LBA_RANGE:
	case NVME_BAD_TRANSFER_SIZE:
		uvfio_report(n->dev, (unsigned)kind,
			     "command %u of queue %u (opcode %02xh): namespace %u, %u blocks at "
			     "block %llu",
			     cmd->cid, sq->id, cmd->opc, cmd->nsid, (cmd->cdw12 & 0xffff) + 1,
			     (unsigned long long)cmd->cdw11 << 32 | cmd->cdw10);
		break;
	default:
		uvfio_report(n->dev, (unsigned)kind,
			     "command %u of queue %u: opcode %02xh, flags %02xh, CDW10 0x%x, "
			     "CDW11 0x%x, PRP1 0x%llx",
			     cmd->cid, sq->id, cmd->opc, cmd->flags, cmd->cdw10, cmd->cdw11,
			     (unsigned long long)cmd->prp1);
	}
}

void nvme_judge_cid(struct nvme *n, const struct nvme_sq *sq, const struct nvme_cmd *cmd)
{
	uvfio_report(n->dev, NVME_BAD_CID_IN_USE,
		     "command %u of queue %u (opcode %02xh): one with this identifier is under way",
		     cmd->cid, sq->id, cmd->opc);
}

/* ---- registers ---- */

void nvme_judge_cc(struct nvme *n, uint64_t old, uint64_t cc)
{
	const uint32_t fields = 7u << 4 | 15u << 7 | 7u << 11; /* CSS, MPS, AMS */
	unsigned en = cc & NVME_CC_EN;

	/* 3.1.5: not before RDY has followed the last change */
	if ((old ^ cc) & NVME_CC_EN && !atomic_exchange(&n->seen_ready, false))
		uvfio_report_reg(n->dev, UVFIO_BEFORE_READY, 0, NVME_REG_CC, &cc,
				 "EN becomes %u, and CSTS.RDY was not read as %u since it became "
				 "%u (NVMe 1.4, 3.1.5)",
				 en, !en, !en);
	if (old & cc & NVME_CC_EN && (old ^ cc) & fields)
		uvfio_report_reg(n->dev, NVME_BAD_CC_CHANGE, 0, NVME_REG_CC, &cc,
				 "0x%llx, it was 0x%llx", (unsigned long long)cc,
				 (unsigned long long)old);
}

void nvme_judge_store(struct nvme *n, uint64_t offset, uint64_t value)
{
	switch (offset) {
	case NVME_REG_INTMS:
	case NVME_REG_INTMC:
		if (uvfio_irq_mode(n->dev) == UVFIO_IRQ_MSIX)
			uvfio_report_reg(n->dev, NVME_BAD_INTMS_MSIX, 0, offset, &value, "0x%llx",
					 (unsigned long long)value);
		break;
	case NVME_REG_CSTS:
		if (value & ~(1u << 4)) /* NSSRO */
			uvfio_report_reg(n->dev, NVME_BAD_CSTS_STORE, 0, offset, &value, "0x%llx",
					 (unsigned long long)value);
		break;
	case NVME_REG_NSSR:
		uvfio_report_reg(n->dev, NVME_BAD_NSSR, 0, offset, &value, "0x%llx",
				 (unsigned long long)value);
		break;
	case NVME_REG_ASQ:
	case NVME_REG_ACQ:
		if (value & 0xfff)
			uvfio_report_reg(n->dev, NVME_BAD_ADMIN_QUEUE, 0, offset, &value,
					 "0x%llx is no page's address", (unsigned long long)value);
		/* fall through */
	case NVME_REG_AQA:
	case NVME_REG_ASQ + 4:
	case NVME_REG_ACQ + 4:
		if (atomic_load(&n->kept->cc) & NVME_CC_EN)
			uvfio_report_reg(n->dev, NVME_BAD_ADMIN_QUEUE_LATE, 0, offset, &value,
					 "0x%llx, and CC.EN is 1", (unsigned long long)value);
		break;
	default:
		break;
	}
}

void nvme_judge_doorbell(struct nvme *n, enum nvme_bad kind, unsigned qid, bool cq, uint64_t value,
			 unsigned limit)
{
	uint64_t offset = NVME_DOORBELLS + 8ull * qid + 4 * cq;
	unsigned long long v = value;

	if (kind == NVME_BAD_DOORBELL_NO_QUEUE)
		uvfio_report_reg(n->dev, kind, 0, offset, &value, "%llu: there is no such queue",
				 v);
	else if (kind == NVME_BAD_DOORBELL_RANGE)
		uvfio_report_reg(n->dev, kind, 0, offset, &value, "%llu: the queue has %u entries",
				 v, limit);
	else
		uvfio_report_reg(n->dev, kind, 0, offset, &value, "%llu: it can go to %u at most",
				 v, limit);
}
