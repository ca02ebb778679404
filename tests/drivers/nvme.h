/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/drivers/nvme.h: a user-level NVMe driver in the manner of libvfn and SPDK: registers and
 * doorbells by plain loads and stores of a mapped BAR0, queues and data in memory mapped for DMA,
 * completions by polling or by eventfd. Section numbers are of NVM Express 1.4.
 */
#ifndef DRIVERS_NVME_H
#define DRIVERS_NVME_H
#include "pci.h"

#define NVME_PAGE	   4096u
#define NVME_MAX_QUEUES	   9u /* the admin queue among them */
#define NVME_ADMIN_ENTRIES 32u

/* 3.1 */
enum {
	NVME_CAP = 0x00,
	NVME_VS = 0x08,
	NVME_INTMS = 0x0c,
	NVME_INTMC = 0x10,
	NVME_CC = 0x14,
	NVME_CSTS = 0x1c,
	NVME_AQA = 0x24,
	NVME_ASQ = 0x28,
	NVME_ACQ = 0x30,
	NVME_DOORBELLS = 0x1000,
};
#define NVME_CC_ENABLE \
	(4u << 20 | 6u << 16 | 1u) /* 3.1.5: completions of 16 bytes, commands of 64, pages of 4 \
				      KiB, NVM commands, EN */
#define NVME_CC_SHUTDOWN    (1u << 14) /* SHN: normal */
#define NVME_CSTS_READY	    1u
#define NVME_CSTS_FATAL	    2u
#define NVME_CSTS_SHST	    (3u << 2)
#define NVME_CSTS_SHUT_DOWN (2u << 2)

/* figures 139 and 346 */
enum {
	NVME_ADMIN_DELETE_SQ = 0x00,
	NVME_ADMIN_CREATE_SQ = 0x01,
	NVME_ADMIN_GET_LOG = 0x02,
	NVME_ADMIN_DELETE_CQ = 0x04,
	NVME_ADMIN_CREATE_CQ = 0x05,
	NVME_ADMIN_IDENTIFY = 0x06,
	NVME_ADMIN_ABORT = 0x08,
	NVME_ADMIN_SET_FEATURES = 0x09,
	NVME_ADMIN_GET_FEATURES = 0x0a,
	NVME_ADMIN_DOORBELL_BUFFER = 0x7c
};
enum {
	NVME_FLUSH = 0x00,
	NVME_WRITE = 0x01,
	NVME_READ = 0x02,
	NVME_COMPARE = 0x05,
	NVME_WRITE_ZEROES = 0x08,
	NVME_DATASET_MANAGEMENT = 0x09
};
#define NVME_FLAGS_SGL 0x40   /* 4.2: PSDT 01b, MPTR is one buffer */
#define NVME_TIMEOUT   (-110) /* no completion came */

struct nvme_command { /* 4.2 */
	uint8_t opcode, flags;
	uint16_t cid;
	uint32_t nsid, cdw2, cdw3;
	uint64_t mptr, prp1, prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};

struct nvme_completion { /* 4.6 */
	uint32_t result, reserved;
	uint16_t sq_head, sq_id, cid, status; /* bit 0 of status: the phase */
};

struct nvme_sgl { /* 4.4 */
	uint64_t address;
	uint32_t length;
	uint8_t reserved[3], type; /* 0x00 data, 0x20 a segment, 0x30 the last segment */
};

_Static_assert(sizeof(struct nvme_command) == 64 && sizeof(struct nvme_completion) == 16 &&
		       sizeof(struct nvme_sgl) == 16,
	       "the specification's sizes");

struct nvme_queue {
	struct nvme_command *sq;
	volatile struct nvme_completion *cq;
	volatile uint32_t *sq_doorbell, *cq_doorbell;
	volatile uint32_t *sq_shadow, *sq_event, *cq_shadow,
		*cq_event; /* 7.13; NULL: doorbells only */
	uint64_t sq_iova, cq_iova;
	uint32_t tail, rung, head, size;
	uint16_t phase, id, next_cid;
	uint64_t doorbells; /* how often one was stored to */
};

struct nvme {
	struct pci_device pci;
	volatile char *registers, *doorbells;
	uint64_t cap;
	unsigned stride;
	struct nvme_queue queue[NVME_MAX_QUEUES];
	char *page; /* for what admin commands return */
	uint64_t page_iova;
	char *shadow; /* 7.13: two pages */
	uint64_t shadow_iova;
	bool shadow_used; /* since the last reset */
	unsigned granted; /* I/O queue pairs that the controller gives, up to 8 */
	/* of Identify Controller */
	uint16_t oacs, oncs;
	uint32_t namespaces, sgls;
	uint64_t max_transfer; /* bytes */
	/* of the namespace in use */
	uint32_t nsid;
	unsigned lba_shift;
	uint64_t blocks;
};

/*
 * Opens, resets, enables with an admin queue, identifies. @doorbell_buffer: configure it if the
 * controller has it.
 */
void nvme_open(struct nvme *n, const char *address, uint32_t nsid, bool doorbell_buffer);
/*
 * The part of it that follows a reset: admin queue, enable, number of queues; queues of before are
 * forgotten.
 */
void nvme_start(struct nvme *n, bool doorbell_buffer);
void nvme_close(struct nvme *n);
/* Disable and wait for CSTS.RDY to clear; enable and wait for it to be set. 0 or NVME_TIMEOUT */
int nvme_disable(struct nvme *n);
int nvme_enable(struct nvme *n);
/* Shut down in order and wait: CSTS.SHST, or NVME_TIMEOUT */
int nvme_shutdown(struct nvme *n);
/* Creates queue pair @id. @vector: -1 for polling. Status of the first command that failed, or 0 */
int nvme_create_queue(struct nvme *n, unsigned id, unsigned entries, int vector);
int nvme_delete_queue(struct nvme *n, unsigned id);
/* Memory and doorbells of a queue pair, without telling the controller. */
void nvme_queue_memory(struct nvme *n, unsigned id, unsigned entries);
/*
 * A command and its completion: status without phase (0: success), or NVME_TIMEOUT. @result may be
 * NULL.
 */
int nvme_execute(struct nvme *n, unsigned queue, const struct nvme_command *c, uint32_t *result);
int nvme_identify(struct nvme *n, uint32_t cns, uint32_t nsid);
/*
 * A command of the NVM set for @bytes at @offset of the namespace in use, data at @iova: PRPs;
 * @list is a page for a list of them.
 */
struct nvme_command nvme_rw(const struct nvme *n, uint8_t opcode, uint64_t offset, uint64_t bytes,
			    uint64_t iova, uint64_t *list, uint64_t list_iova);

/*
 * The controller's word of the completion queue that is next, or false. Consumes it;
 * nvme_queue_reaped() tells the controller.
 */
static inline bool nvme_reap(struct nvme_queue *q, struct nvme_completion *out)
{
	volatile struct nvme_completion *c = &q->cq[q->head];
	uint16_t status = c->status;

	if ((status & 1) != q->phase)
		return false;
	__atomic_thread_fence(__ATOMIC_ACQUIRE); /* the rest of the entry after its phase */
	out->result = c->result;
	out->sq_head = c->sq_head;
	out->sq_id = c->sq_id;
	out->cid = c->cid;
	out->status = status;
	if (++q->head == q->size) {
		q->head = 0;
		q->phase ^= 1;
	}
	return true;
}

/* 7.13: into the shadow; the register is for when the controller asked for it. true: ring it. */
static inline bool nvme_shadow_rings(volatile uint32_t *shadow, volatile uint32_t *event,
				     uint32_t value)
{
	uint16_t old, wanted;

	__atomic_thread_fence(__ATOMIC_RELEASE);
	old = (uint16_t)*shadow;
	*shadow = value;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	wanted = (uint16_t)*event;
	return (uint16_t)((uint16_t)value - wanted - 1) < (uint16_t)((uint16_t)value - old);
}

static inline void nvme_queue_reaped(struct nvme_queue *q)
{
	if (q->cq_shadow && !nvme_shadow_rings(q->cq_shadow, q->cq_event, q->head))
		return;
	q->doorbells++;
	*q->cq_doorbell = q->head;
}

/* Into the queue, not told to the controller yet. */
static inline void nvme_submit(struct nvme_queue *q, const struct nvme_command *c)
{
	q->sq[q->tail] = *c;
	if (++q->tail == q->size)
		q->tail = 0;
}

static inline void nvme_ring(struct nvme_queue *q)
{
	if (q->tail == q->rung)
		return;
	q->rung = q->tail;
	if (q->sq_shadow && !nvme_shadow_rings(q->sq_shadow, q->sq_event, q->tail))
		return;
	__atomic_thread_fence(__ATOMIC_RELEASE); /* commands before the doorbell */
	q->doorbells++;
	*q->sq_doorbell = q->tail;
}

/* nvme_check.c: every answer of the controller that the specification fixes, a line each. */
int nvme_check(const char *address);
#endif
