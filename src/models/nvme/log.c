/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/log.c: get Log Page (NVMe 1.4, 5.14), the error log behind it, and asynchronous
 * events (5.2).
 */
#include <string.h>

#include "models/nvme/internal.h"

#define BYTE_NSID  4u
#define BYTE_CDW10 40u
#define BYTE_CDW12 48u

/* ---- error log: 5.14.1.1 ---- */

uint64_t nvme_log_error(struct nvme *n, const struct nvme_error_entry *e)
{
	uint64_t number = atomic_load(&n->kept->error_count) + 1;
	struct nvme_error_entry *at = &n->kept->errors[(number - 1) % (2 * NVME_ERROR_LOG)];

	*at = *e;
	at->error_count = number;
	return number;
}

void nvme_log_count(struct nvme *n, uint64_t errors, uint64_t media_errors)
{
	if (errors <= atomic_load(&n->kept->error_count))
		return;
	atomic_store(&n->kept->media_errors, media_errors);
	atomic_store_explicit(&n->kept->error_count, errors, memory_order_release);
}

static void error_page(struct nvme *n, struct nvme_error_entry *page)
{
	uint64_t count;

	pthread_mutex_lock(&n->log_lock);
	count = atomic_load(&n->kept->error_count);
	for (uint64_t i = 0; i < NVME_ERROR_LOG && i < count; i++) /* the newest first */
		page[i] = n->kept->errors[(count - 1 - i) % (2 * NVME_ERROR_LOG)];
	pthread_mutex_unlock(&n->log_lock);
}

/* ---- asynchronous events: 5.2 ---- */

/* Return when an event may complete: its request was fetched long ago, so it counts from now. */
static uint64_t event_due(struct nvme *n)
{
	return n->delay.max ? nvme_delay_due(n, nvme_now_ns()) : 0;
}

/* The completion of an event: type 2:0, information 15:8, page 23:16. */
void nvme_event_told(struct nvme *n, uint32_t result)
{
	unsigned type = result & 7, info = result >> 8 & 7;

	n->kept->events &= ~(1ull << (type * 8 + info));
	n->kept->events_masked |= (uint8_t)(1u << type); /* until the log page is read */
}

/* Complete one request with one event. With admin. */
static bool deliver_one(struct nvme *n)
{
	static const uint8_t page[] = { NVME_LOG_ERROR, NVME_LOG_SMART };
	uint64_t events = atomic_load(&n->kept->new_events);
	uint32_t result;

	atomic_store(&n->events_due, false);
	n->kept->events |= events;
	atomic_fetch_and(&n->kept->new_events, ~events);
	if (atomic_load(&n->stopped))
		return false; /* resume comes back */
	for (unsigned bit = 0; n->num_aer && bit < 16; bit++) {
		unsigned type = bit / 8, info = bit % 8;

		if (!(n->kept->events >> bit & 1) || n->kept->events_masked >> type & 1)
			continue;
		if (!nvme_cq_reserve(n, &n->cq[0], 1, NULL))
			return false; /* the doorbell comes back */
		result = (uint32_t)page[type] << 16 | info << 8 | type;
		nvme_complete_later(n, n->aer[--n->num_aer], NVME_OK, result, event_due(n));
		nvme_event_told(n, result); /* one that is due later was not told of yet */
		return true;
	}
	return false;
}

void nvme_events_deliver(struct nvme *n)
{
	bool any = false;

	pthread_mutex_lock(&n->admin);
	while (deliver_one(n))
		any = true;
	pthread_mutex_unlock(&n->admin);
	if (any)
		nvme_cq_notify(n, &n->cq[0]);
}

void nvme_event_later(struct nvme *n, enum nvme_event ev)
{
	atomic_fetch_or(&n->kept->new_events, 1ull << ((ev >> 8) * 8 + (ev & 0xff)));
}

void nvme_event(struct nvme *n, enum nvme_event ev)
{
	nvme_event_later(n, ev);
	nvme_events_deliver(n);
}

void nvme_async_event_add(struct nvme *n, uint16_t tag)
{
	memmove(n->aer + 1, n->aer, n->num_aer * sizeof(n->aer[0]));
	n->aer[0] = tag; /* taken from the other end: the oldest first */
	n->num_aer++;
}

uint16_t nvme_async_event(struct nvme *n, uint16_t tag)
{
	uint16_t status = NVME_PENDING;

	pthread_mutex_lock(&n->admin);
	if (n->num_aer == NVME_AER_MAX) {
		status = NVME_AER_LIMIT | NVME_DNR;
	} else {
		/* its place is for others while it waits, but not its slot */
		nvme_cq_unreserve(&n->cq[0], 1, NULL);
		nvme_async_event_add(n, tag);
	}
	pthread_mutex_unlock(&n->admin);
	nvme_events_deliver(n);
	return status;
}

/*
 * Complete a waiting request with Command Abort Requested (5.1). False: none has @cid, and command
 * @by has not done it already, in a process that was killed then.
 */
bool nvme_async_event_abort(struct nvme *n, uint16_t cid, uint32_t by)
{
	bool found = false;
	uint16_t tag;

	pthread_mutex_lock(&n->admin);
	for (unsigned i = 0; i < n->num_aer && !found; i++) {
		tag = n->aer[i];
		if (nvme_slot_of(&n->sq[0], tag)->cmd.cid != cid ||
		    !nvme_cq_reserve(n, &n->cq[0], 1, NULL))
			continue;
		n->num_aer--;
		memmove(n->aer + i, n->aer + i + 1, (n->num_aer - i) * sizeof(n->aer[0]));
		n->kept->abort_by = by;
		nvme_complete_later(n, tag, NVME_ABORT_REQUESTED, 0, event_due(n));
		found = true;
	}
	found |= n->kept->abort_by == by;
	pthread_mutex_unlock(&n->admin);
	return found;
}

/* 5.14.1.2, 5.21.1.4: there is an event for each crossing that the driver wants to hear of. */
void nvme_check_temperature(struct nvme *n)
{
	bool hot = NVME_TEMPERATURE >= n->kept->feat.over,
	     cold = NVME_TEMPERATURE <= n->kept->feat.under;

	if (((hot && !n->kept->hot) || (cold && !n->kept->cold)) &&
	    n->kept->feat.async_event & NVME_SMART_TEMPERATURE)
		nvme_event_later(n, NVME_EV_SMART_TEMPERATURE);
	n->kept->hot = hot;
	n->kept->cold = cold;
}

/* Figure 195, critical warning bit 2. */
void nvme_warn_reliability(struct nvme *n)
{
	pthread_mutex_lock(&n->admin);
	if (n->kept->feat.async_event & NVME_SMART_RELIABILITY)
		nvme_event_later(n, NVME_EV_SMART_RELIABILITY);
	pthread_mutex_unlock(&n->admin);
	nvme_events_deliver(n);
}

void nvme_log_reset(struct nvme *n)
{
	pthread_mutex_lock(&n->admin);
	while (n->num_aer)
		nvme_cq_forget(&n->cq[0], n->aer[--n->num_aer]);
	n->kept->events = 0;
	n->kept->events_masked = 0;
	atomic_store(&n->kept->new_events, 0);
	n->kept->hot = n->kept->cold = false;
	pthread_mutex_unlock(&n->admin);
}

/* ---- log pages ---- */

/* In units of 1000 * 512 bytes, rounded up: figure 195. */
static uint64_t data_units(uint64_t bytes)
{
	return (bytes + 511999) / 512000;
}

/*
 * Of the namespace @only, or NULL: of all. LPA bit 0: what was read and written, and whether data
 * is lost, is known of each; the rest is the controller's.
 */
static void smart_page(struct nvme *n, const struct nvme_ns *only, struct nvme_smart *s)
{
	uint64_t read = 0, written = 0;

	for (unsigned i = 0; i < n->num_ns; i++) {
		struct nvme_ns *ns = &n->ns[i];

		if (only && ns != only)
			continue;
		for (unsigned q = 0; q < NVME_QUEUES; q++) {
			struct nvme_counters *c = &n->cq[q].kept->count[i];

			s->host_reads[0] += atomic_load(&c->commands[0]);
			s->host_writes[0] += atomic_load(&c->commands[1]);
			read += atomic_load(&c->bytes[0]);
			written += atomic_load(&c->bytes[1]);
		}
		if (nvme_cache_any_lost(ns))
			s->critical_warning |= NVME_SMART_RELIABILITY;
	}
	s->units_read[0] = data_units(read);
	s->units_written[0] = data_units(written);
	s->temperature = NVME_TEMPERATURE;
	s->spare = 100;
	s->spare_threshold = 10;
	s->power_cycles[0] = 1;
	s->power_hours[0] = (nvme_now_ns() - n->kept->started_ns) / 3600000000000ull;
	s->media_errors[0] = atomic_load(&n->kept->media_errors);
	s->error_entries[0] = atomic_load(&n->kept->error_count);
	pthread_mutex_lock(&n->admin);
	if (n->kept->hot || n->kept->cold)
		s->critical_warning |= NVME_SMART_TEMPERATURE;
	pthread_mutex_unlock(&n->admin);
}

/* 5.14.1.5: bit 0 supported, bit 1 changes data. Dwords 0-255 admin, 256-511 I/O. */
static void commands_page(uint32_t *page)
{
	static const uint8_t admin[] = {
		NVME_ADM_DELETE_SQ,   NVME_ADM_CREATE_SQ,	NVME_ADM_GET_LOG,
		NVME_ADM_DELETE_CQ,   NVME_ADM_CREATE_CQ,	NVME_ADM_IDENTIFY,
		NVME_ADM_ABORT,	      NVME_ADM_SET_FEATURES,	NVME_ADM_GET_FEATURES,
		NVME_ADM_ASYNC_EVENT, NVME_ADM_DOORBELL_BUFFER, NVME_ADM_KEEP_ALIVE,
	};

	for (size_t i = 0; i < sizeof(admin); i++)
		page[admin[i]] = 1;
	page[256 + NVME_IO_FLUSH] = page[256 + NVME_IO_READ] = 1;
	page[256 + NVME_IO_COMPARE] = page[256 + NVME_IO_VERIFY] = 1;
	page[256 + NVME_IO_WRITE] = page[256 + NVME_IO_WRITE_ZEROES] = 3;
	page[256 + NVME_IO_DATASET] = 3;
}

/* Let events of a page's type come again: the driver has seen the page. */
static void unmask_events(struct nvme *n, unsigned type)
{
	pthread_mutex_lock(&n->admin);
	n->kept->events_masked &= (uint8_t) ~(1u << type);
	pthread_mutex_unlock(&n->admin);
	/* after the command: done again it must not let more of them go */
	atomic_store(&n->events_due, true);
}

uint16_t nvme_get_log(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd,
		      uint16_t *location)
{
	union {
		uint8_t bytes[4096];
		struct nvme_error_entry errors[NVME_ERROR_LOG];
		struct nvme_smart smart;
		uint32_t dwords[1024];
	} page = { .bytes = { 0 } };
	uint64_t len = (((uint64_t)(cmd->cdw11 & 0xffff) << 16 | cmd->cdw10 >> 16) + 1) * 4;
	uint64_t offset = (uint64_t)cmd->cdw13 << 32 | cmd->cdw12, size;
	bool retain = cmd->cdw10 & 1u << 15;
	uint16_t status;
	int type = -1;

	switch (cmd->cdw10 & 0xff) {
	case NVME_LOG_ERROR:
		error_page(n, page.errors);
		size = sizeof(page.errors);
		type = 0;
		break;
	case NVME_LOG_SMART:
		if (cmd->nsid && cmd->nsid != NVME_NSID_ALL && !nvme_find_ns(n, cmd->nsid)) {
			*location = nvme_location(BYTE_NSID, 0);
			return NVME_INVALID_NAMESPACE | NVME_DNR;
		}
		smart_page(n, nvme_find_ns(n, cmd->nsid), &page.smart);
		size = sizeof(page.smart);
		type = 1;
		break;
	case NVME_LOG_FIRMWARE: /* 5.14.1.3: slot 1 runs */
		page.bytes[0] = 1;
		memcpy(page.bytes + 8, "1.0     ", 8);
		size = 512;
		break;
	case NVME_LOG_CHANGED_NS: /* 5.14.1.4: none ever changes */
		size = 4096;
		type = 2;
		break;
	case NVME_LOG_COMMANDS:
		commands_page(page.dwords);
		size = 4096;
		break;
	default:
		*location = nvme_location(BYTE_CDW10, 0);
		return NVME_INVALID_LOG | NVME_DNR;
	}
	if (offset & 3 || offset > size) { /* figure 192 */
		*location = nvme_location(BYTE_CDW12, 0);
		return NVME_INVALID_FIELD | NVME_DNR;
	}
	if (len > (uint64_t)NVME_PAGE_MIN << n->mdts) {
		*location = nvme_location(BYTE_CDW10 + 2, 0);
		return NVME_INVALID_FIELD | NVME_DNR;
	}
	/* The buffer beyond the page's end is undefined (5.14): it is left alone. */
	status = nvme_data_in(n, sq, cmd, page.bytes + offset,
			      len < size - offset ? len : size - offset, location);
	if (!status && !retain && type >= 0)
		unmask_events(n, (unsigned)type);
	return status;
}
