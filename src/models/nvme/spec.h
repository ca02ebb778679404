/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/spec.h: the NVM Express Base Specification 1.4 as constants and structures, each with
 * its section.
 *
 * Everything is little-endian, as on the wire; the hosts that uvfio runs on are, too (asserted
 * below).
 */
#ifndef MODELS_NVME_SPEC_H
#define MODELS_NVME_SPEC_H

#include <stdint.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "structures are used as they lie in guest memory");

/* ---- controller registers: NVMe 1.4, 3.1 ---- */

#define NVME_REG_CAP   0x00u   /* 3.1.1 */
#define NVME_REG_VS    0x08u   /* 3.1.2 */
#define NVME_REG_INTMS 0x0cu   /* 3.1.3 */
#define NVME_REG_INTMC 0x10u   /* 3.1.4 */
#define NVME_REG_CC    0x14u   /* 3.1.5 */
#define NVME_REG_CSTS  0x1cu   /* 3.1.6 */
#define NVME_REG_NSSR  0x20u   /* 3.1.7 */
#define NVME_REG_AQA   0x24u   /* 3.1.8 */
#define NVME_REG_ASQ   0x28u   /* 3.1.9 */
#define NVME_REG_ACQ   0x30u   /* 3.1.10 */
#define NVME_DOORBELLS 0x1000u /* 3.1.24, 3.1.25 */

#define NVME_CAP_CQR	   (1ull << 16)
#define NVME_CAP_TO(n)	   ((uint64_t)(n) << 24) /* units of 500 ms */
#define NVME_CAP_CSS_NVM   (1ull << 37)
#define NVME_CAP_MPSMAX(n) ((uint64_t)(n) << 52)
#define NVME_VS_1_4	   0x00010400u

#define NVME_CC_EN	   (1u << 0)
#define NVME_CC_CSS(cc)	   ((cc) >> 4 & 7u)
#define NVME_CC_MPS(cc)	   ((cc) >> 7 & 15u)
#define NVME_CC_AMS(cc)	   ((cc) >> 11 & 7u)
#define NVME_CC_SHN(cc)	   ((cc) >> 14 & 3u)
#define NVME_CC_IOSQES(cc) ((cc) >> 16 & 15u)
#define NVME_CC_IOCQES(cc) ((cc) >> 20 & 15u)
#define NVME_CC_WRITABLE   0x00fffff1u

#define NVME_CSTS_RDY	    (1u << 0)
#define NVME_CSTS_CFS	    (1u << 1)
#define NVME_CSTS_SHST_MASK (3u << 2)
#define NVME_CSTS_SHST_BUSY (1u << 2)
#define NVME_CSTS_SHST_DONE (2u << 2)

#define NVME_SQES 6u /* log2 of 64 */
#define NVME_CQES 4u /* log2 of 16 */

/* ---- queue entries ---- */

/* 4.2, figure 105 */
struct nvme_cmd {
	uint8_t opc;
	uint8_t flags; /* FUSE 1:0, PSDT 7:6 */
	uint16_t cid;
	uint32_t nsid;
	uint32_t cdw2, cdw3;
	uint64_t mptr;
	uint64_t prp1, prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};
_Static_assert(sizeof(struct nvme_cmd) == 64, "4.2");

/* 4.6, figure 122 */
struct nvme_cqe {
	uint32_t result;
	uint32_t reserved;
	uint16_t sq_head, sq_id;
	uint16_t cid, status; /* bit 0: phase */
};
_Static_assert(sizeof(struct nvme_cqe) == 16, "4.6");

/* ---- status: 4.6.1, without the phase bit: SC 7:0, SCT 10:8, CRD 12:11, More 13, DNR 14 ---- */

#define NVME_MORE 0x2000u
#define NVME_DNR  0x4000u

enum nvme_status {
	/* generic command status, figure 126 */
	NVME_OK = 0x000,
	NVME_INVALID_OPCODE = 0x001,
	NVME_INVALID_FIELD = 0x002,
	NVME_DATA_TRANSFER_ERROR = 0x004,
	NVME_INTERNAL_ERROR = 0x006,
	NVME_ABORT_REQUESTED = 0x007,
	NVME_INVALID_NAMESPACE = 0x00b,
	NVME_SEQUENCE_ERROR = 0x00c,
	NVME_INVALID_PRP_OFFSET = 0x013,
	NVME_KEEP_ALIVE_EXPIRED = 0x014,
	NVME_WRITE_PROTECTED = 0x020,
	/* NVM command set, figure 127 */
	NVME_LBA_RANGE = 0x080,
	NVME_CAPACITY_EXCEEDED = 0x081,
	/* command specific, figures 128 and 129 */
	NVME_CQ_INVALID = 0x100,
	NVME_INVALID_QID = 0x101,
	NVME_INVALID_QSIZE = 0x102,
	NVME_ABORT_LIMIT = 0x103,
	NVME_AER_LIMIT = 0x105,
	NVME_INVALID_VECTOR = 0x108,
	NVME_INVALID_LOG = 0x109,
	NVME_INVALID_QDELETE = 0x10c,
	NVME_NOT_SAVEABLE = 0x10d,
	NVME_NOT_CHANGEABLE = 0x10e,
	NVME_NOT_NS_SPECIFIC = 0x10f,
	/* media and data integrity, figure 131 */
	NVME_WRITE_FAULT = 0x280,
	NVME_READ_ERROR = 0x281,
	NVME_COMPARE_FAILURE = 0x285,
	/* not a status: the command completes later */
	NVME_PENDING = 0xffff,
};

/* ---- admin commands: 5, figure 139 ---- */

enum nvme_admin_opcode {
	NVME_ADM_DELETE_SQ = 0x00,
	NVME_ADM_CREATE_SQ = 0x01,
	NVME_ADM_GET_LOG = 0x02,
	NVME_ADM_DELETE_CQ = 0x04,
	NVME_ADM_CREATE_CQ = 0x05,
	NVME_ADM_IDENTIFY = 0x06,
	NVME_ADM_ABORT = 0x08,
	NVME_ADM_SET_FEATURES = 0x09,
	NVME_ADM_GET_FEATURES = 0x0a,
	NVME_ADM_ASYNC_EVENT = 0x0c,
	NVME_ADM_KEEP_ALIVE = 0x18,
	NVME_ADM_DOORBELL_BUFFER = 0x7c,
};

/*
 * 5.2.1, figure 146: asynchronous event types, and their information as type << 8 | info in this
 * model
 */
enum nvme_event {
	NVME_EV_INVALID_DB_REGISTER = 0x000,
	NVME_EV_INVALID_DB_VALUE = 0x001,
	NVME_EV_SMART_RELIABILITY = 0x100,
	NVME_EV_SMART_TEMPERATURE = 0x101,
};

enum nvme_log_id { /* 5.14.1, figure 193 */
		   NVME_LOG_ERROR = 0x01,
		   NVME_LOG_SMART = 0x02,
		   NVME_LOG_FIRMWARE = 0x03,
		   NVME_LOG_CHANGED_NS = 0x04,
		   NVME_LOG_COMMANDS = 0x05,
};

enum nvme_feature { /* 5.21.1, figure 275 */
		    NVME_FEAT_ARBITRATION = 0x01,
		    NVME_FEAT_POWER = 0x02,
		    NVME_FEAT_TEMPERATURE = 0x04,
		    NVME_FEAT_ERROR_RECOVERY = 0x05,
		    NVME_FEAT_WRITE_CACHE = 0x06,
		    NVME_FEAT_QUEUES = 0x07,
		    NVME_FEAT_IRQ_COALESCE = 0x08,
		    NVME_FEAT_IRQ_VECTOR = 0x09,
		    NVME_FEAT_ATOMICITY = 0x0a,
		    NVME_FEAT_ASYNC_EVENT = 0x0b,
		    NVME_FEAT_TIMESTAMP = 0x0e,
		    NVME_FEAT_KEEP_ALIVE = 0x0f,
		    NVME_FEAT_HOST_BEHAVIOR = 0x16,
};

/* ---- NVM commands: 6, figure 346 ---- */

enum nvme_io_opcode {
	NVME_IO_FLUSH = 0x00,
	NVME_IO_WRITE = 0x01,
	NVME_IO_READ = 0x02,
	NVME_IO_COMPARE = 0x05,
	NVME_IO_WRITE_ZEROES = 0x08,
	NVME_IO_DATASET = 0x09,
	NVME_IO_VERIFY = 0x0c,
};

#define NVME_RW_FUA	 (1u << 30)	   /* CDW12 of Read, Write, Compare, Write Zeroes, Verify */
#define NVME_WZ_DEAC	 (1u << 25)	   /* 6.17 */
#define NVME_RW_DTYPE(c) ((c) >> 20 & 15u) /* 6.15 */
#define NVME_DSM_AD	 (1u << 2)	   /* 6.7 */

struct nvme_dsm_range { /* 6.7, figure 368 */
	uint32_t attributes;
	uint32_t blocks;
	uint64_t lba;
};

/* ---- Identify: 5.15 ---- */

#define NVME_NSID_ALL 0xffffffffu
#define NVME_KAS      1u /* figure 247: the keep alive timer counts in units of 100 ms */

struct nvme_psd { /* figure 248 */
	uint16_t mp;
	uint8_t reserved2, flags;
	uint32_t enlat, exlat;
	uint8_t rrt, rrl, rwt, rwl;
	uint16_t idlp;
	uint8_t ips, reserved19;
	uint16_t actp;
	uint8_t aps, reserved23[9];
};
_Static_assert(sizeof(struct nvme_psd) == 32, "figure 248");

struct nvme_id_ctrl { /* figure 247 */
	uint16_t vid, ssvid;
	char sn[20], mn[40], fr[8];
	uint8_t rab, ieee[3], cmic, mdts;
	uint16_t cntlid;
	uint32_t ver, rtd3r, rtd3e, oaes, ctratt;
	uint16_t rrls;
	uint8_t reserved102[9], cntrltype, fguid[16];
	uint16_t crdt1, crdt2, crdt3;
	uint8_t reserved134[119], nvmsr, vwci, mec;
	uint16_t oacs; /* byte 256 */
	uint8_t acl, aerl, frmw, lpa, elpe, npss, avscc, apsta;
	uint16_t wctemp, cctemp, mtfa;
	uint32_t hmpre, hmmin;
	uint8_t tnvmcap[16], unvmcap[16];
	uint32_t rpmbs;
	uint16_t edstt;
	uint8_t dsto, fwug;
	uint16_t kas, hctma, mntmt, mxtmt;
	uint32_t sanicap, hmminds;
	uint16_t hmmaxd, nsetidmax, endgidmax;
	uint8_t anatt, anacap;
	uint32_t anagrpmax, nanagrpid, pels;
	uint8_t reserved356[156];
	uint8_t sqes, cqes; /* byte 512 */
	uint16_t maxcmd;
	uint32_t nn;
	uint16_t oncs, fuses;
	uint8_t fna, vwc;
	uint16_t awun, awupf;
	uint8_t nvscc, nwpc;
	uint16_t acwu, reserved534;
	uint32_t sgls, mnan;
	uint8_t reserved544[224];
	char subnqn[256]; /* byte 768 */
	uint8_t reserved1024[1024];
	struct nvme_psd psd[32]; /* byte 2048 */
	uint8_t vs[1024];
} __attribute__((packed));
_Static_assert(sizeof(struct nvme_id_ctrl) == 4096, "figure 247");
_Static_assert(__builtin_offsetof(struct nvme_id_ctrl, oacs) == 256, "figure 247");
_Static_assert(__builtin_offsetof(struct nvme_id_ctrl, sqes) == 512, "figure 247");
_Static_assert(__builtin_offsetof(struct nvme_id_ctrl, subnqn) == 768, "figure 247");

struct nvme_lbaf { /* figure 246 */
	uint16_t ms;
	uint8_t lbads, rp;
};

struct nvme_id_ns { /* figure 245 */
	uint64_t nsze, ncap, nuse;
	uint8_t nsfeat, nlbaf, flbas, mc, dpc, dps, nmic, rescap, fpi, dlfeat;
	uint16_t nawun, nawupf, nacwu, nabsn, nabo, nabspf, noiob;
	uint8_t nvmcap[16];
	uint16_t npwg, npwa, npdg, npda, nows;
	uint8_t reserved74[18];
	uint32_t anagrpid;
	uint8_t reserved96[3], nsattr;
	uint16_t nvmsetid, endgid;
	uint8_t nguid[16], eui64[8];
	struct nvme_lbaf lbaf[16];
	uint8_t reserved192[192], vs[3712];
} __attribute__((packed));
_Static_assert(sizeof(struct nvme_id_ns) == 4096, "figure 245");
_Static_assert(__builtin_offsetof(struct nvme_id_ns, nguid) == 104, "figure 245");

/* ---- log pages: 5.14.1 ---- */

struct nvme_error_entry { /* figure 194 */
	uint64_t error_count;
	uint16_t sqid, cid, status, location;
	uint64_t lba;
	uint32_t nsid;
	uint8_t vs, trtype;
	uint16_t reserved30;
	uint64_t cs;
	uint16_t ttsi;
	uint8_t reserved42[22];
} __attribute__((packed));
_Static_assert(sizeof(struct nvme_error_entry) == 64, "figure 194");

struct nvme_smart { /* figure 195 */
	uint8_t critical_warning;
	uint16_t temperature; /* kelvin */
	uint8_t spare, spare_threshold, used, egcw, reserved7[25];
	uint64_t units_read[2], units_written[2], host_reads[2], host_writes[2];
	uint64_t busy_minutes[2], power_cycles[2], power_hours[2], unsafe_shutdowns[2];
	uint64_t media_errors[2], error_entries[2];
	uint32_t warning_minutes, critical_minutes;
	uint16_t sensor[8];
	uint8_t reserved216[296];
} __attribute__((packed));
_Static_assert(sizeof(struct nvme_smart) == 512, "figure 195");

#define NVME_SMART_TEMPERATURE 0x02u /* critical warning bit 1 */
#define NVME_SMART_RELIABILITY 0x04u /* critical warning bit 2 */

#endif
