/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/identify.c: the Identify command (NVMe 1.4, 5.15): what the controller says about
 * itself.
 */
#include <string.h>

#include "models/nvme/internal.h"

#define BYTE_NSID  4u
#define BYTE_CDW10 40u
#define BYTE_CDW11 44u

static void put_text(char *to, size_t size, const char *text)
{
	size_t len = strlen(text);

	memset(to, ' ', size); /* 1.5: padded with spaces, no terminator */
	memcpy(to, text, len < size ? len : size);
}

static void put_uuid(char *to, const uint8_t *u)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < 16; i++) {
		*to++ = digits[u[i] >> 4];
		*to++ = digits[u[i] & 15];
		if (i == 3 || i == 5 || i == 7 || i == 9)
			*to++ = '-';
	}
}

static void controller(const struct nvme *n, struct nvme_id_ctrl *id)
{
	static const char nqn[] = "nqn.2014-08.org.nvmexpress:uuid:";

	id->vid = 0x1b36;
	id->ssvid = 0x1af4;
	put_text(id->sn, sizeof(id->sn), n->serial);
	put_text(id->mn, sizeof(id->mn), "uvfio NVMe Controller");
	put_text(id->fr, sizeof(id->fr), "1.0");
	id->rab = 6;
	id->ieee[0] = 0x00; /* 52-54-00, the locally administered range that emulators use */
	id->ieee[1] = 0x54;
	id->ieee[2] = 0x52;
	id->mdts = (uint8_t)n->mdts;
	id->ver = NVME_VS_1_4;
	id->cntrltype = 1; /* I/O controller */
	id->oacs = 1 << 8; /* Doorbell Buffer Config */
	id->acl = 3;
	id->aerl = NVME_AER_MAX - 1;
	id->frmw = 1 << 1 | 1; /* one slot, read-only */
	/* offsets and long lengths; Commands Supported and Effects; SMART of a namespace */
	id->lpa = 1 << 2 | 1 << 1 | 1 << 0;
	id->elpe = NVME_ERROR_LOG - 1;
	id->wctemp = 343;
	id->cctemp = 373;
	id->kas = NVME_KAS;
	id->sqes = NVME_SQES << 4 | NVME_SQES;
	id->cqes = NVME_CQES << 4 | NVME_CQES;
	id->nn = n->num_ns;
	/* Compare, Dataset Management, Write Zeroes, Save and Select fields, Timestamp, Verify */
	id->oncs = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 6 | 1 << 7;
	id->vwc = 3 << 1 | 1; /* there is a cache; Flush takes FFFFFFFFh */
	memcpy(id->subnqn, nqn, sizeof(nqn) - 1);
	put_uuid(id->subnqn + sizeof(nqn) - 1, n->subsystem_uuid);
	id->psd[0].mp = 2500; /* 25 W */
	id->psd[0].enlat = 16;
	id->psd[0].exlat = 4;
}

static void namespace(const struct nvme_ns *ns, struct nvme_id_ns *id)
{
	uint16_t page = (uint16_t)((4096u >> ns->shift) - 1);

	id->nsze = id->ncap = id->nuse = ns->blocks;
	id->nsfeat = 1 << 4; /* NPWG to NOWS are there: the page cache works in pages of 4 KiB */
	id->npwg = id->npwa = id->npdg = id->npda = id->nows = page;
	id->dlfeat = 1 << 3 | 1; /* holes read as zeroes; Write Zeroes has DEAC */
	id->nsattr = ns->readonly;
	id->lbaf[0].lbads = (uint8_t)ns->shift;
	id->lbaf[0].rp = 0;
	memcpy(id->nvmcap, &(uint64_t){ ns->blocks << ns->shift }, 8);
}

/* Fill in the list of identifiers: a UUID (NIDT 3) of 16 bytes. Figure 249 */
static void descriptors(const struct nvme_ns *ns, uint8_t *list)
{
	list[0] = 3;
	list[1] = 16;
	memcpy(list + 4, ns->uuid, 16);
}

uint16_t nvme_identify(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd,
		       uint16_t *location)
{
	union {
		uint8_t bytes[4096];
		uint32_t list[1024];
		struct nvme_id_ctrl ctrl;
		struct nvme_id_ns ns;
	} page = { .bytes = { 0 } };
	struct nvme_ns *ns = nvme_find_ns(n, cmd->nsid);

	switch (cmd->cdw10 & 0xff) {
	case 0x12: /* controllers of the namespace from CNTID on: this one, which has number 0 */
		if (!ns)
			goto bad_namespace;
		/* fall through */
	case 0x13: /* those of the subsystem */
		page.bytes[0] = !(cmd->cdw10 >> 16);
		break;
	case 0x05: /* what the NVM command set says of the namespace beyond 00h: nothing */
		if (cmd->cdw11 >> 24)
			goto bad_command_set;
		if (!ns)
			goto bad_namespace;
		break;
	case 0x06: /* what it says of the controller: limits of commands, and there are none */
		if (cmd->cdw11 >> 24)
			goto bad_command_set;
		break;
	case 0x00: /* the namespace */
	case 0x11: /* an allocated namespace: all are active */
		if (!ns)
			goto bad_namespace;
		namespace(ns, &page.ns);
		break;
	case 0x01:
		controller(n, &page.ctrl);
		break;
	case 0x02:			     /* active namespaces above NSID */
	case 0x10:			     /* allocated ones */
		if (cmd->nsid >= 0xfffffffe) /* 5.15.2.3 */
			goto bad_namespace;
		for (uint32_t id = cmd->nsid + 1, i = 0; id <= n->num_ns; id++)
			page.list[i++] = id;
		break;
	case 0x03: /* identification descriptors */
		if (!ns)
			goto bad_namespace;
		descriptors(ns, page.bytes);
		break;
	default:
		*location = nvme_location(BYTE_CDW10, 0);
		return NVME_INVALID_FIELD | NVME_DNR;
	}
	return nvme_data_in(n, sq, cmd, &page, sizeof(page), location);
bad_command_set: /* TP 4056, CSI; Linux asks for the NVM command set's whatever CAP.CSS says */
	*location = nvme_location(BYTE_CDW11 + 3, 0);
	return NVME_INVALID_FIELD | NVME_DNR;
bad_namespace:
	*location = nvme_location(BYTE_NSID, 0);
	return NVME_INVALID_NAMESPACE | NVME_DNR;
}
