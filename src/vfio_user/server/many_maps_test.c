/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/many_maps_test.c: a client with very many mappings: parts of two files, and
 * memory that messages reach. To map, to unmap and to reach one costs the same, however many there
 * are, and so does its memory. `make million` has as many as there can be.
 */
#include <time.h>

#include "base/sanitize.h"
#include "vfio/test_mappings.h"
#include "vfio_user/server/test_server.h"

#define RIGHTS	(VU_DMA_READABLE | VU_DMA_WRITEABLE)
#define PARTS	10u /* in which the work is timed */
#define BATCH	50u
#define PER_MAP 1400 /* bytes of memory, of all kinds */

static struct test_server t;
static struct reply r;
#if defined(SANITIZED_ADDRESS) || defined(SANITIZED_THREAD)
static unsigned many = 10000; /* what they cost says nothing */
#else
static unsigned many = 100000;
#endif
/* In the long form, which has the machine for itself, the costs are looked at, too. */
static bool costs;
static int fd, files[2];
static uint8_t *mem[2];

/* Mapping @i is far from the others: in its own 2 MiB or more of the 48 bits. */
static uint64_t addr_of(unsigned i)
{
	return RAM + i * ((1ull << 47) / many & ~(K4 - 1));
}

static double cpu_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static long anonymous_kb(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	long kb = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "RssAnon:", 8))
			kb = atol(line + 8);
	fclose(f);
	return kb;
}

static void send_map(unsigned i, int file)
{
	const struct vu_dma_map d = { .argsz = sizeof(d),
				      .flags = RIGHTS,
				      .addr = addr_of(i),
				      .size = K4,
				      /* of a file of 16 MiB, other parts again and again */
				      .offset = file >= 0 ? i % 4096 * K4 : 0 };

	client_send(fd, (uint16_t)i, VU_DMA_MAP, 0, &d, sizeof(d), &file, file >= 0 ? 1 : 0);
}

static void send_unmap(unsigned i, int file)
{
	const struct vu_dma_unmap d = { .argsz = sizeof(d), .addr = addr_of(i), .size = K4 };

	client_send(fd, (uint16_t)i, VU_DMA_UNMAP, 0, &d, sizeof(d), NULL, 0);
}

/*
 * Do it with mappings 0 to @many, in an order that is none, in parts. The last parts must not cost
 * more than the first ones: a part's processor time is that of both ends, and has noise, so the
 * best of a third counts, and eight times as much. A search of all would be more than that.
 */
static void do_all(void (*one)(unsigned i, int file), bool messages)
{
	double from, best[PARTS];

	for (unsigned p = 0, i = 0; p < PARTS; p++) {
		from = cpu_now();
		for (; i < (uint64_t)many * (p + 1) / PARTS; i += BATCH) {
			for (unsigned k = i; k < i + BATCH; k++)
				one((unsigned)(k * 7919ull % many), messages ? -1 : files[k % 2]);
			for (unsigned k = 0; k < BATCH; k++) {
				assert_true(client_receive(fd, &r));
				assert_int_equal(r.h.error, 0);
			}
		}
		best[p] = cpu_now() - from;
	}
	for (unsigned p = 1; p < 3; p++) {
		if (best[p] < best[0])
			best[0] = best[p];
		if (best[PARTS - 1 - p] < best[PARTS - 1])
			best[PARTS - 1] = best[PARTS - 1 - p];
	}
	print_message("%u mappings: %s%s: %.2f us each at first, %.2f us at last\n", many,
		      one == send_map ? "map" : "unmap", messages ? " (messages)" : "",
		      best[0] * 1e6 * PARTS / many, best[PARTS - 1] * 1e6 * PARTS / many);
	if (costs)
		assert_true(best[PARTS - 1] < 8 * best[0]);
}

static void many_maps(bool messages)
{
	char caps[64];
	long before;

	test_server_begin(&t, "testdev");
	vu_server_free(t.server);
	assert_int_equal(vu_server_limit(&t.cfg.limits, "maps", many + 1), 0);
	assert_int_equal(test_start(&t), 0);
	snprintf(caps, sizeof(caps), "{\"max_msg_fds\":8,\"max_dma_maps\":%u}", many + 1);
	fd = client_connect(&t);
	assert_int_equal(client_version(fd, caps, &r), 0);
	client_enable(fd);
	before = anonymous_kb();
	do_all(send_map, messages);
	print_message("%u mappings: %ld bytes each\n", many,
		      (anonymous_kb() - before) * 1024 / many);
	if (costs)
		assert_true((anonymous_kb() - before) * 1024 / many < PER_MAP);
	/* each is where it should be, and nothing is behind it */
	for (unsigned k = 0; !messages && k < 100; k++) {
		unsigned i = (unsigned)(k * 7919ull % many);
		uint8_t *at = mem[k % 2] + i % 4096 * K4;

		at[0] = (uint8_t)(i | 1);
		at[64] = 0;
		assert_int_equal(client_dma(fd, addr_of(i), addr_of(i) + 64, 1), TD_DMA_OK);
		assert_int_equal(at[64], (uint8_t)(i | 1));
		assert_int_not_equal(client_dma(fd, addr_of(i) + K4, addr_of(i), 1), TD_DMA_OK);
	}
	assert_int_equal(client_map(fd, addr_of(many / 2), K4, 0, RIGHTS, files[0], &r), EEXIST);
	if (!messages) {
		do_all(send_unmap, messages);
		assert_int_equal(client_unmap(fd, addr_of(7), K4, 0, &r), ENOENT);
	} /* else all at once, by a client that goes */
	close(fd);
	test_server_end(&t);
}

static void test_files(void **state)
{
	many_maps(false);
}

static void test_messages(void **state)
{
	many /= 4;
	many_maps(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_messages),
	};

	costs = getenv("UVFIO_TEST_MAPPINGS");
	if (costs)
		many = (unsigned)(test_mappings() / BATCH / PARTS * BATCH * PARTS);
	for (unsigned i = 0; i < 2; i++)
		files[i] = make_memory(4096 * K4, &mem[i]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
