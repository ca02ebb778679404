/* SPDX-License-Identifier: BSD-3-Clause */
/* conform/feature_tests.c: DEVICE_FEATURE, migration and its data, logging of DMA. */
#include <inttypes.h>
#include <string.h>

#include "base/util.h"
#include "conform/internal.h"

#define RW   (MAP_READ | MAP_WRITE)
#define AT   0x1000000ull
#define SIZE 0x200000ull

static void short_body(struct ct *t)
{
	ct_short_bodies(t, C_FEATURE, FEATURE_SIZE);
}

static void unknown(struct ct *t)
{
	static const uint32_t indexes[] = { 0, 3, 99, 0x7fff, 0xffff };
	static const uint32_t how[] = { FE_GET, FE_SET, FE_PROBE | FE_GET, FE_PROBE | FE_SET };
	struct ct_conn *c = ct_session(t);

	for (unsigned i = 0; i < ARRAY_SIZE(indexes); i++)
		for (unsigned k = 0; k < ARRAY_SIZE(how); k++) {
			struct ct_msg *m = ct_feature(c, how[k] | indexes[i], 64);

			if (!(how[k] & FE_PROBE))
				ct_add_zeros(m, 8);
			ct_refused(c, m, "feature %u with flags 0x%x", indexes[i], how[k]);
		}
	ct_still_there(c);
}

static void no_method(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct ct_msg *m;

	ct_refused(c, ct_feature(c, FE_MIGRATION, 64), "neither GET nor SET nor PROBE");
	m = ct_feature(c, FE_GET | FE_SET | FE_STATE, 64);
	ct_add32(m, ST_RUNNING);
	ct_add32(m, 0);
	ct_refused(c, m, "GET and SET without PROBE");
	for (unsigned bit = 19; bit < 32; bit++)
		ct_refused(c, ct_feature(c, FE_GET | FE_MIGRATION | 1u << bit, 64),
			   "flags with bit %u, which there is not", bit);
	ct_still_there(c);
}

/* ---- migration ---- */

static struct ct_conn *migration_session(struct ct *t)
{
	if (!t->device->migration)
		ct_skip(t, "the device has no migration");
	return ct_session(t);
}

static struct ct_msg *state_message(struct ct_conn *c, uint32_t state)
{
	struct ct_msg *m = ct_feature(c, FE_SET | FE_STATE, FEATURE_SIZE + 8);

	ct_add32(m, state);
	ct_add32(m, 0);
	return m;
}

static uint32_t get_state(struct ct_conn *c)
{
	struct ct_msg *r =
		ct_call(c, ct_feature(c, FE_GET | FE_STATE, FEATURE_SIZE + 8), FEATURE_SIZE + 8);

	return ct_body32(r, FEATURE_SIZE);
}

static void set_state(struct ct_conn *c, uint32_t state)
{
	struct ct_msg *m = state_message(c, state);

	ct_send(c, m);
	m = ct_reply(c, m);
	ct_check(c->t, !(ct_flags(m) & F_ERROR), "the change to state %u is refused with error %u",
		 state, ct_error(m));
	ct_check(c->t, m->size == HEADER + FEATURE_SIZE + 8 && ct_body32(m, FEATURE_SIZE) == state,
		 "the reply to SET of state %u is not the same as the command", state);
	ct_check(c->t, get_state(c) == state, "the state was set to %u, and is %u", state,
		 get_state(c));
}

/* Leave the device running, whatever state a test had it in; a reset does that in any case. */
static void run_again(struct ct_conn *c)
{
	struct ct_msg *m;

	if (get_state(c) == ST_RUNNING)
		return;
	m = state_message(c, ST_RUNNING);
	ct_send(c, m);
	if (ct_flags(ct_reply(c, m)) & F_ERROR && c->t->device->flags & INFO_RESET)
		ct_call(c, ct_command(c, C_RESET), 0);
	ct_check(c->t, get_state(c) == ST_RUNNING,
		 "neither the state RUNNING nor a reset makes the device run again: it is in state "
		 "%u",
		 get_state(c));
}

static void migration_get(struct ct *t)
{
	struct ct_conn *c = migration_session(t);
	struct ct_msg *m, *r;

	m = ct_feature(c, FE_PROBE | FE_GET | FE_MIGRATION, FEATURE_SIZE);
	r = ct_call(c, m, FEATURE_SIZE);
	ct_check(t, ct_body32(r, 4) == ct_body32(m, 4),
		 "the reply to PROBE has flags 0x%x: the command has 0x%x", ct_body32(r, 4),
		 ct_body32(m, 4));
	r = ct_call(c, ct_feature(c, FE_GET | FE_MIGRATION, FEATURE_SIZE + 8), FEATURE_SIZE + 8);
	ct_check(t, ct_body32(r, 0) == FEATURE_SIZE + 8, "argsz is %u: the reply has 16 bytes",
		 ct_body32(r, 0));
	ct_check(t, ct_body64(r, 8) & MIG_STOP_COPY, "flags are 0x%" PRIx64 ", without STOP_COPY",
		 ct_body64(r, 8));
	ct_check(t, !(ct_body64(r, 8) & ~7ull), "flags are 0x%" PRIx64, ct_body64(r, 8));
	ct_refused(c, ct_feature(c, FE_PROBE | FE_SET | FE_MIGRATION, FEATURE_SIZE),
		   "PROBE of SET of MIGRATION, which is read only");
}

static void argsz_small(struct ct *t)
{
	struct ct_conn *c = migration_session(t);

	for (uint32_t argsz = 0; argsz < FEATURE_SIZE; argsz += 4)
		ct_refused(c, ct_feature(c, FE_GET | FE_MIGRATION, argsz),
			   "GET of MIGRATION with argsz %u", argsz);
	for (uint32_t argsz = FEATURE_SIZE; argsz < FEATURE_SIZE + 8; argsz += 4) {
		struct ct_msg *m = ct_feature(c, FE_GET | FE_MIGRATION, argsz), *r;

		ct_send(c, m);
		r = ct_reply(c, m);
		ct_check(t,
			 ct_flags(r) & F_ERROR ||
				 (r->size <= HEADER + argsz && ct_body32(r, 0) == FEATURE_SIZE + 8),
			 "GET of MIGRATION with argsz %u: the reply has %zu bytes and argsz %u",
			 argsz, r->size - HEADER, ct_body32(r, 0));
	}
	ct_still_there(c);
}

static void states(struct ct *t)
{
	static const uint32_t path[] = { ST_STOP,    ST_RUNNING, ST_STOP,      ST_STOP_COPY,
					 ST_STOP,    ST_RUNNING, ST_STOP_COPY, ST_RUNNING,
					 ST_RUNNING, ST_STOP,	 ST_STOP };
	struct ct_conn *c = migration_session(t);

	ct_check(t, get_state(c) == ST_RUNNING, "the device begins in state %u, not RUNNING",
		 get_state(c));
	for (unsigned i = 0; i < ARRAY_SIZE(path); i++)
		set_state(c, path[i]);
	run_again(c);
}

static void pre_copy(struct ct *t)
{
	struct ct_conn *c = migration_session(t);
	uint32_t state;

	if (!(t->device->migration_flags & MIG_PRE_COPY))
		ct_skip(t, "the device has no PRE_COPY");
	set_state(c, ST_PRE_COPY);
	set_state(c, ST_RUNNING);
	set_state(c, ST_PRE_COPY);
	set_state(c, ST_STOP_COPY);
	ct_refused(c, state_message(c, ST_PRE_COPY), "STOP_COPY to PRE_COPY");
	state = get_state(c);
	ct_check(t, state == ST_STOP_COPY || state == ST_ERROR,
		 "a change that was refused has made the state %u", state);
	run_again(c);
}

static void states_wrong(struct ct *t)
{
	static const uint32_t wrong[] = { ST_ERROR, 8, 9, 100, 0x7fffffff, 0x80000000, 0xffffffff };
	struct ct_conn *c = migration_session(t);

	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		ct_refused(c, state_message(c, wrong[i]), "state 0x%x", wrong[i]);
		ct_check(t, get_state(c) == ST_RUNNING,
			 "state 0x%x was refused, and the state is %u", wrong[i], get_state(c));
	}
}

static void state_short(struct ct *t)
{
	struct ct_conn *c = migration_session(t);

	for (unsigned n = 0; n < 4; n++) {
		struct ct_msg *m = ct_feature(c, FE_SET | FE_STATE, FEATURE_SIZE + 8);

		ct_add_zeros(m, n);
		ct_refused(c, m, "SET of a state, of which %u bytes are there", n);
	}
	ct_check(t, get_state(c) == ST_RUNNING, "the state is %u", get_state(c));
}

static struct ct_msg *data_read(struct ct_conn *c, uint32_t argsz, uint32_t size)
{
	struct ct_msg *m = ct_command(c, C_MIG_READ);

	ct_add32(m, argsz);
	ct_add32(m, size);
	return m;
}

static struct ct_msg *data_write(struct ct_conn *c, uint32_t size, const void *data, size_t len)
{
	struct ct_msg *m = ct_command(c, C_MIG_WRITE);

	ct_add32(m, 8 + size);
	ct_add32(m, size);
	ct_add(m, data, len);
	return m;
}

static void data_wrong_state(struct ct *t)
{
	struct ct_conn *c = migration_session(t);
	uint32_t zero = 0;

	ct_refused(c, data_read(c, 8 + 4096, 4096), "MIG_DATA_READ while the device is running");
	ct_refused(c, data_write(c, 4, &zero, 4), "MIG_DATA_WRITE while the device is running");
	set_state(c, ST_STOP);
	ct_refused(c, data_read(c, 8 + 4096, 4096), "MIG_DATA_READ in STOP");
	ct_refused(c, data_write(c, 4, &zero, 4), "MIG_DATA_WRITE in STOP");
	set_state(c, ST_STOP_COPY);
	ct_refused(c, data_write(c, 4, &zero, 4), "MIG_DATA_WRITE in STOP_COPY");
	set_state(c, ST_RESUMING);
	ct_refused(c, data_read(c, 8 + 4096, 4096), "MIG_DATA_READ in RESUMING");
	ct_send(c, state_message(c, ST_STOP)); /* no data came: it may be refused */
	ct_take(c, &(struct ct_msg *){ NULL }, t->run->o->timeout_ms);
	run_again(c);
}

/* Read all data by pieces of @piece; return it in @data, at most @max bytes. */
static uint32_t read_data(struct ct_conn *c, uint32_t piece, uint8_t *data, uint32_t max)
{
	uint32_t total = 0;

	for (;;) {
		struct ct_msg *r = ct_call(c, data_read(c, 8 + piece, piece), -1);
		uint32_t n = ct_body32(r, 4);

		ct_check(c->t, n <= piece && r->size == HEADER + 8 + n,
			 "MIG_DATA_READ of %u bytes: size %u, and %zu came", piece, n,
			 r->size - HEADER - 8);
		ct_check(c->t, ct_body32(r, 0) == 8 + n, "MIG_DATA_READ: argsz is %u for %u bytes",
			 ct_body32(r, 0), n);
		ct_check(c->t, n <= max - total, "more than %u bytes of data", max);
		memcpy(data + total, r->data + HEADER + 8, n);
		total += n;
		if (n < piece)
			return total;
	}
}

static void data_moves(struct ct *t)
{
	struct ct_conn *c = migration_session(t);
	uint32_t max = 16u << 20, piece = 4096, total;
	uint8_t *data = ct_alloc(t, max), before[64], after[64];

	ct_need_region(t, CONFIG_REGION, 256, R_READ | R_WRITE);
	ct_read(c, CONFIG_REGION, 0, before, sizeof(before));
	set_state(c, ST_STOP_COPY);
	total = read_data(c, piece, data, max);
	ct_note(t, "%u bytes of state", total);
	set_state(c, ST_STOP);
	set_state(c, ST_RESUMING);
	for (uint32_t at = 0; at < total; at += piece) {
		uint32_t n = total - at < piece ? total - at : piece;

		ct_call(c, data_write(c, n, data + at, n), 0);
	}
	set_state(c, ST_STOP);
	set_state(c, ST_RUNNING);
	ct_read(c, CONFIG_REGION, 0, after, sizeof(after));
	ct_check(t, !memcmp(before, after, sizeof(before)),
		 "config space is another one after the state was loaded again");
}

static void data_sizes(struct ct *t)
{
	struct ct_conn *c = migration_session(t);
	uint8_t zeros[16] = { 0 };
	struct ct_msg *m;

	set_state(c, ST_STOP_COPY);
	for (unsigned n = 0; n < 8; n++) {
		m = ct_command(c, C_MIG_READ);
		ct_add_zeros(m, n);
		ct_refused(c, m, "MIG_DATA_READ with a body of %u bytes", n);
	}
	ct_refused(c, data_read(c, 8, 4096), "MIG_DATA_READ of 4096 bytes with argsz 8");
	ct_refused(c, data_read(c, 0xffffffff, 0xffffffff), "MIG_DATA_READ of 0xffffffff bytes");
	ct_refused(c, data_read(c, 7, 0xfffffff8), "MIG_DATA_READ of 0xfffffff8 bytes");
	set_state(c, ST_STOP);
	set_state(c, ST_RESUMING);
	for (unsigned n = 0; n < 8; n++) {
		m = ct_command(c, C_MIG_WRITE);
		ct_add_zeros(m, n);
		ct_refused(c, m, "MIG_DATA_WRITE with a body of %u bytes", n);
	}
	ct_refused(c, data_write(c, 17, zeros, 16), "MIG_DATA_WRITE of 17 bytes with 16");
	ct_refused(c, data_write(c, 0xffffffff, zeros, 16), "MIG_DATA_WRITE of 2^32 - 1 bytes");
	ct_refused(c, data_write(c, 0xfffffff8, zeros, 16), "MIG_DATA_WRITE of 2^32 - 8 bytes");
	m = state_message(c, ST_STOP);
	ct_send(c, m);
	ct_reply(c, m);
	run_again(c);
}

static void data_rubbish(struct ct *t)
{
	struct ct_conn *c = migration_session(t);
	uint8_t rubbish[512];
	struct ct_msg *m;
	bool refused;

	for (unsigned i = 0; i < sizeof(rubbish); i++)
		rubbish[i] = (uint8_t)(i * 131 + 7);
	set_state(c, ST_STOP);
	set_state(c, ST_RESUMING);
	m = data_write(c, sizeof(rubbish), rubbish, sizeof(rubbish));
	ct_send(c, m);
	refused = ct_flags(ct_reply(c, m)) & F_ERROR;
	m = state_message(c, ST_STOP);
	ct_send(c, m);
	refused |= !!(ct_flags(ct_reply(c, m)) & F_ERROR);
	run_again(c);
	ct_check(t, refused, "512 bytes of rubbish are loaded as the device's state");
}

static void state_and_reset(struct ct *t)
{
	struct ct_conn *c = migration_session(t);

	if (!(t->device->flags & INFO_RESET))
		ct_skip(t, "the device has no reset");
	set_state(c, ST_STOP);
	ct_call(c, ct_command(c, C_RESET), 0);
	ct_check(t, get_state(c) == ST_RUNNING, "after a reset the state is %u, not RUNNING",
		 get_state(c));
}

static void state_and_client(struct ct *t)
{
	struct ct_conn *c = migration_session(t);

	set_state(c, ST_STOP_COPY);
	ct_close(c);
	c = ct_session(t);
	ct_note(t, "the next client finds state %u", get_state(c));
	run_again(c);
}

/* ---- logging of DMA ---- */

static struct ct_conn *log_session(struct ct *t)
{
	struct ct_conn *c;

	if (!t->device->log_start)
		ct_skip(t, "the server does not log DMA");
	c = ct_session(t);
	ct_call(c, ct_dma_map(c, RW, 0, AT, SIZE, ct_memfd(t, SIZE)), 0);
	return c;
}

static struct ct_msg *log_start(struct ct_conn *c, uint64_t page, uint32_t n, uint64_t iova,
				uint64_t len)
{
	struct ct_msg *m = ct_feature(c, FE_SET | FE_LOG_START, FEATURE_SIZE + 16 + 16 * n);

	ct_add64(m, page);
	ct_add32(m, n);
	ct_add32(m, 0);
	if (n) {
		ct_add64(m, iova);
		ct_add64(m, len);
	}
	return m;
}

static struct ct_msg *log_stop(struct ct_conn *c)
{
	return ct_feature(c, FE_SET | FE_LOG_STOP, FEATURE_SIZE);
}

static struct ct_msg *log_report(struct ct_conn *c, uint64_t iova, uint64_t len, uint64_t page)
{
	uint64_t bits = page ? len / page : 0;
	struct ct_msg *m = ct_feature(c, FE_GET | FE_LOG_REPORT,
				      (uint32_t)(FEATURE_SIZE + 24 + (bits + 63) / 64 * 8));

	ct_add64(m, iova);
	ct_add64(m, len);
	ct_add64(m, page);
	return m;
}

static void check_report(struct ct_conn *c, uint64_t iova, uint64_t len, uint64_t page)
{
	uint64_t words = (len / page + 63) / 64;
	struct ct_msg *r = ct_call(c, log_report(c, iova, len, page), -1);

	ct_check(c->t, r->size == HEADER + FEATURE_SIZE + 24 + words * 8,
		 "the report of %" PRIu64 " pages of 0x%" PRIx64 " has %zu bytes, not %" PRIu64,
		 len / page, page, r->size - HEADER, FEATURE_SIZE + 24 + words * 8);
	ct_check(c->t, ct_body64(r, 8) == iova && ct_body64(r, 16) == len,
		 "the report is of other addresses than were asked for");
	for (uint64_t i = 0; i < words; i++)
		ct_check(c->t, !ct_body64(r, FEATURE_SIZE + 24 + i * 8),
			 "the device did no DMA, and word %" PRIu64 " of its log is 0x%" PRIx64, i,
			 ct_body64(r, FEATURE_SIZE + 24 + i * 8));
}

static void log_good(struct ct *t)
{
	struct ct_conn *c = log_session(t);

	ct_call(c, log_start(c, 4096, 1, AT, SIZE), FEATURE_SIZE + 32);
	check_report(c, AT, SIZE, 4096);
	ct_call(c, log_stop(c), FEATURE_SIZE);
	ct_call(c, log_start(c, 4096, 0, 0, 0), FEATURE_SIZE + 16);
	check_report(c, AT, SIZE, 4096);
	ct_call(c, log_stop(c), FEATURE_SIZE);
}

static void log_pages(struct ct *t)
{
	static const uint64_t pages[] = { 4096, 8192, 65536, 1 << 20 };
	struct ct_conn *c = log_session(t);

	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
		struct ct_msg *m = log_start(c, pages[i], 1, AT, SIZE);

		ct_send(c, m);
		if (ct_flags(ct_reply(c, m)) & F_ERROR) {
			ct_note(t, "pages of 0x%" PRIx64 " are refused", pages[i]);
			continue;
		}
		for (unsigned k = 0; k < ARRAY_SIZE(pages); k++)
			check_report(c, AT, SIZE, pages[k]);
		ct_call(c, log_stop(c), FEATURE_SIZE);
	}
}

static void log_part(struct ct *t)
{
	struct ct_conn *c = log_session(t);

	ct_call(c, log_start(c, 4096, 1, AT, SIZE), FEATURE_SIZE + 32);
	check_report(c, AT + 0x10000, 0x3000, 4096);
	check_report(c, AT, 0x1000, 4096);
	check_report(c, AT + SIZE - 0x41000, 0x41000, 4096);
	ct_call(c, log_stop(c), FEATURE_SIZE);
}

static void log_wrong(struct ct *t)
{
	struct ct_conn *c = log_session(t);
	struct ct_msg *m;

	ct_refused(c, log_report(c, AT, SIZE, 4096), "a report without a log");
	ct_refused(c, log_start(c, 4096, 1, UINT64_MAX - 0xfff, 0x2000),
		   "a log of a range that "
		   "wraps");
	ct_refused(c, log_start(c, 4096, 0xffffffff, AT, SIZE),
		   "a log of 2^32 - 1 ranges, of "
		   "which one is there");
	ct_refused(c, log_start(c, 4096, 2, AT, SIZE),
		   "a log of two ranges, of which one is "
		   "there");
	ct_call(c, log_start(c, 4096, 1, AT, SIZE), FEATURE_SIZE + 32);
	ct_refused(c, log_report(c, AT, SIZE, 0), "a report by pages of 0");
	ct_refused(c, log_report(c, AT, SIZE, 3000), "a report by pages of 3000");
	ct_refused(c, log_report(c, UINT64_MAX - 0xfff, 0x2000, 4096),
		   "a report of a range that "
		   "wraps");
	ct_refused(c, log_report(c, 0, UINT64_MAX, 1), "a report of all bytes");
	m = log_report(c, AT, SIZE, 4096);
	put32(m->data + HEADER, FEATURE_SIZE + 24);
	ct_refused(c, m, "a report without room for its bitmap");
	ct_call(c, log_stop(c), FEATURE_SIZE);
	ct_still_there(c);
}

static void log_short(struct ct *t)
{
	struct ct_conn *c = log_session(t);

	for (unsigned n = 0; n < 16; n++) {
		struct ct_msg *m = ct_feature(c, FE_SET | FE_LOG_START, FEATURE_SIZE + 16);

		ct_add_zeros(m, n);
		ct_refused(c, m, "LOGGING_START with %u bytes of data", n);
	}
	ct_call(c, log_start(c, 4096, 1, AT, SIZE), FEATURE_SIZE + 32);
	for (unsigned n = 0; n < 24; n++) {
		struct ct_msg *m = ct_feature(c, FE_GET | FE_LOG_REPORT, 4096);

		ct_add_zeros(m, n);
		ct_refused(c, m, "LOGGING_REPORT with %u bytes of data", n);
	}
	ct_call(c, log_stop(c), FEATURE_SIZE);
	ct_still_there(c);
}

static void log_no_map(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct ct_msg *m;

	if (!t->device->log_start)
		ct_skip(t, "the server does not log DMA");
	m = log_stop(c);
	ct_send(c, m);
	ct_reply(c, m);
	m = log_start(c, 4096, 0, 0, 0);
	ct_send(c, m);
	if (!(ct_flags(ct_reply(c, m)) & F_ERROR))
		ct_call(c, log_stop(c), FEATURE_SIZE);
	ct_still_there(c);
}

#define FEATURE	  "VFIO_USER_DEVICE_FEATURE"
#define MIGRATION "VFIO_DEVICE_FEATURE_MIGRATION"
#define STATE	  "VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE"
#define STATES	  "Direct State Transitions"
#define LOG	  "VFIO_DEVICE_FEATURE_DMA_LOGGING_START"
#define REPORT	  "VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT"
const struct ct_test ct_feature_tests[] = {
	{ "feature-short", MUST, FEATURE, "bodies of 0 to 7 bytes are refused", short_body },
	{ "feature-unknown", MUST, FEATURE, "features that there are not are refused", unknown },
	{ "feature-methods", MUST, FEATURE,
	  "no method, GET with SET, and flags that there are not are refused", no_method },
	{ "feature-argsz", SHOULD, "Message sizes",
	  "an argsz without room for the reply is refused, or gets the size that there is",
	  argsz_small },
	{ "migration", MUST, MIGRATION, "PROBE and GET; STOP_COPY is there", migration_get },
	{ "migration-states", MUST, STATES, "RUNNING, STOP and STOP_COPY, directly and by others",
	  states },
	{ "migration-pre-copy", MUST, STATES, "PRE_COPY, and no way back to it from STOP_COPY",
	  pre_copy },
	{ "migration-states-wrong", MUST, STATE, "ERROR and states that there are not are refused",
	  states_wrong },
	{ "migration-state-short", MUST, STATE, "0 to 3 bytes of a state are refused",
	  state_short },
	{ "migration-reset", MUST, STATES, "DEVICE_RESET leads to RUNNING", state_and_reset },
	{ "migration-client", PRACTICE, "Client Disconnection",
	  "a client that leaves in STOP_COPY leaves a device that can run", state_and_client },
	{ "migration-data", MUST, "VFIO_USER_MIG_DATA_READ",
	  "the state is read by pieces and loaded again", data_moves },
	{ "migration-data-state", MUST, "VFIO_USER_MIG_DATA_READ",
	  "data is read in STOP_COPY and written in RESUMING, and else refused", data_wrong_state },
	{ "migration-data-sizes", MUST, "VFIO_USER_MIG_DATA_WRITE",
	  "sizes that are not those of the message are refused", data_sizes },
	{ "migration-data-rubbish", SHOULD, STATES, "rubbish is not loaded as a state",
	  data_rubbish },
	{ "log", MUST, LOG, "START, REPORT and STOP, of a range and of all", log_good },
	{ "log-pages", MUST, REPORT, "the page size of the report need not be that of START",
	  log_pages },
	{ "log-part", MUST, REPORT, "a report of a part of a mapping", log_part },
	{ "log-wrong", MUST, LOG, "ranges, page sizes and rooms that are wrong are refused",
	  log_wrong },
	{ "log-short", MUST, LOG, "data that is not whole is refused", log_short },
	{ "log-no-map", MUST, "Security Considerations", "START and STOP without a mapping",
	  log_no_map },
	{ 0 }
};
