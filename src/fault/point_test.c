/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fault/point_test.c: specs, which accesses they mean, when a fault happens, that a seed gives the
 * same faults again, and what is told of them.
 */
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault/test_fault_table.h"

/* ---- specs ---- */

static const char *wrong(const char *text)
{
	static char why[512];
	struct fault_spec spec;

	why[0] = '\0';
	assert_int_equal(fault_parse(text, &spec, why, sizeof(why)), -22);
	return why;
}

static void test_spec(void **state)
{
	struct fault_spec s;
	char why[512];

	assert_int_equal(fault_parse("dma", &s, why, sizeof(why)), 0);
	assert_int_equal(s.action, FAULT_ABORT);
	assert_int_equal(s.points, 1u << FAULT_DMA_READ | 1u << FAULT_DMA_WRITE);
	assert_int_equal(
		fault_parse("dma-read=delay:3ms,addr=0x1000-0x1fff,rate=1/4,times=2,after=7,"
			    "every=3,at=5s,device=01:00.0",
			    &s, why, sizeof(why)),
		0);
	assert_int_equal(s.action, FAULT_DELAY);
	assert_int_equal(s.param, 3000000);
	assert_int_equal(s.from, 0x1000);
	assert_int_equal(s.to, 0x1fff);
	assert_int_equal(s.rate, 1u << 30);
	assert_int_equal(s.times, 2);
	assert_int_equal(s.after, 7);
	assert_int_equal(s.every, 3);
	assert_int_equal(s.at_ns, 5000000000ull);
	assert_string_equal(s.device, "0000:01:00.0");
	assert_int_equal(fault_parse("map", &s, why, sizeof(why)), 0);
	assert_int_equal(s.err, -12);
	assert_int_equal(fault_parse("map=ENOSPC", &s, why, sizeof(why)), 0);
	assert_int_equal(s.err, -28);
	assert_int_equal(fault_parse("irqs=short:3", &s, why, sizeof(why)), 0);
	assert_int_equal(s.action, FAULT_SHORT);
	assert_int_equal(s.param, 3);
	assert_int_equal(fault_parse("read,bar=2,reg=CSTS", &s, why, sizeof(why)), 0);
	assert_int_equal(s.bar, 2);
	assert_string_equal(s.reg, "CSTS");
	assert_int_equal(fault_parse("intx=count", &s, why, sizeof(why)), 0);
	assert_int_equal(s.action, FAULT_COUNT);
}

static void test_wrong_specs(void **state)
{
	static const char *const bad[] = {
		"",
		"dma=",
		"dma,",
		"dma,after",
		"dma,after=",
		"dma,after=x",
		"dma,every=0",
		"dma,times=0",
		"dma,rate=0/3",
		"dma,rate=4/3",
		"dma,rate=1",
		"dma,at=5",
		"dma,at=5m",
		"dma,addr=9-3",
		"dma,addr=-3",
		"dma=delay",
		"dma=delay:61s",
		"read,bar=6",
		"irqs=short:0",
		"map=ENONE",
		"dma=ENOMEM",
		"dma,device=x",
		"dma,times=1,times=2",
		"msi,addr=3",
		"dma\n",
		"map,device=01:00.0",
		"dma,at=99999999999999999999s",
		"dma=abort:3",
		"read=delay:",
	};
	char text[300];

	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (!*wrong(bad[i]))
			fail_msg("%s", bad[i]);
	memset(text, 'd', sizeof(text));
	text[299] = '\0';
	assert_non_null(strstr(wrong(text), "longer"));
	assert_non_null(strstr(wrong("dmma"), "did you mean 'dma'?"));
	assert_non_null(strstr(wrong("dma,tims=1"), "did you mean times=?"));
	assert_non_null(strstr(wrong("msi=lose"), "delay:TIME, drop, duplicate, reorder"));
}

/* ---- when ---- */

static bool passes(uint64_t at, const char *device)
{
	const struct fault_where w = { .device = device, .at = at, .size = 4 };
	struct fault f;

	return fault_wanted(FAULT_DMA_READ) && fault_at(FAULT_DMA_READ, &w, &f);
}

/* Return which of the first 32 accesses go wrong, a bit each. */
static uint32_t pattern(const char *text, uint64_t seed, const char *device)
{
	uint32_t bits = 0;

	faults_begin(seed);
	faults_add(text);
	for (unsigned i = 0; i < 32; i++)
		bits |= (uint32_t)passes(0x1000, device) << i;
	faults_end();
	return bits;
}

static void test_when(void **state)
{
	uint32_t some, other;

	assert_int_equal(pattern("dma", 1, "a"), UINT32_MAX);
	assert_int_equal(pattern("dma-write", 1, "a"), 0);
	assert_int_equal(pattern("dma=count", 1, "a"), 0);
	assert_int_equal(pattern("dma,after=30", 1, "a"), 0xc0000000);
	assert_int_equal(pattern("dma,every=8", 1, "a"), 0x80808080);
	assert_int_equal(pattern("dma,after=4,every=8", 1, "a"), 0x08080800);
	assert_int_equal(pattern("dma,times=3", 1, "a"), 7);
	assert_int_equal(pattern("dma,after=2,times=1", 1, "a"), 4);
	assert_int_equal(pattern("dma,at=60s", 1, "a"), 0);
	assert_int_equal(pattern("dma,at=1ns", 1, "a") & 0xffff0000, 0xffff0000);
	some = pattern("dma,rate=1/2", 1, "a");
	assert_in_range(__builtin_popcount(some), 6, 26);
	assert_int_equal(some, pattern("dma,rate=1/2", 1, "a"));
	assert_int_not_equal(some, pattern("dma,rate=1/2", 2, "a"));
	other = pattern("dma,rate=1/2", 1, "b");
	assert_int_not_equal(some, other);
}

static void test_rate(void **state)
{
	unsigned n = 0;

	faults_begin(5);
	faults_add("dma,rate=1/100");
	for (unsigned i = 0; i < 100000; i++)
		n += passes(0, "a");
	faults_end();
	assert_in_range(n, 800, 1200);
}

/* What another device does changes nothing. */
static void test_devices_apart(void **state)
{
	uint32_t alone = pattern("dma,rate=1/2", 9, "a"), bits = 0;

	faults_begin(9);
	faults_add("dma,rate=1/2");
	for (unsigned i = 0; i < 32; i++) {
		passes(0, "b");
		bits |= (uint32_t)passes(0, "a") << i;
		passes(0, NULL);
	}
	faults_end();
	assert_int_equal(bits, alone);
}

/* ---- where ---- */

static void test_where(void **state)
{
	const struct fault_where reg = { .device = "a", .at = 8, .size = 4, .bar = 2, .reg = "ID" };
	struct fault f;

	faults_begin(1);
	faults_add("dma,addr=0x1000-0x1fff,device=01:00.0");
	assert_false(passes(0x1000, "a"));
	assert_false(passes(0xffc, "0000:01:00.0"));
	assert_true(passes(0xffd, "0000:01:00.0"));
	assert_true(passes(0x1fff, "0000:01:00.0"));
	assert_false(passes(0x2000, "0000:01:00.0"));
	assert_false(passes(0x1000, NULL));
	/* a read of memory is none of a register */
	assert_false(fault_wanted(FAULT_REG_READ));
	faults_add("read,bar=1");
	faults_add("read,reg=NO");
	assert_true(fault_wanted(FAULT_REG_READ));
	assert_false(fault_at(FAULT_REG_READ, &reg, &f));
	faults_add("read,reg=ID,bar=2,addr=11");
	assert_true(fault_at(FAULT_REG_READ, &reg, &f));
	assert_int_equal(f.action, FAULT_ONES);
	faults_end();
}

/* ---- what is told ---- */

static char told[1024];

static void say(void *arg, const char *line)
{
	strcat(told, line);
	strcat(told, "\n");
}

static void test_told(void **state)
{
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	faults_begin(77);
	faults_add("dma,times=2");
	faults_add("dma,after=2,times=1");
	faults_add("dma=count");
	faults_add("msi");
	for (unsigned i = 0; i < 5; i++)
		passes(0, "a");
	told[0] = '\0';
	fault_table_tell(test_faults, say, NULL);
	fault_table_write_json(test_faults, f);
	fclose(f);
	faults_end();
	assert_string_equal(told, "faults of --seed 77:\n"
				  "fault dma,times=2: happened twice, of 5 accesses\n"
				  "fault dma,after=2,times=1: happened once, of 5 accesses\n"
				  "fault dma=count: 5 accesses\n"
				  "fault msi: NEVER happened, of 0 accesses\n");
	assert_non_null(strstr(text, "{\"fault\":\"dma,times=2\",\"device\":\"a\",\"seed\":77,"
				     "\"accesses\":5,\"happened\":2}\n"));
	assert_non_null(strstr(text, "{\"fault\":\"msi\",\"device\":null,\"seed\":77,"
				     "\"accesses\":0,\"happened\":0}\n"));
	free(text);
}

/* ---- several threads, and processes ---- */

static atomic_uint hits;

static void *pass_many(void *arg)
{
	for (unsigned i = 0; i < 1000; i++)
		atomic_fetch_add(&hits, passes(0, arg));
	return NULL;
}

static void test_threads(void **state)
{
	static const char *const names[] = { "a", "b", "b", "c" };
	pthread_t thread[4];

	faults_begin(3);
	faults_add("dma,times=10");
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(
			pthread_create(&thread[i], NULL, pass_many, (void *)(uintptr_t)names[i]),
			0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(atomic_exchange(&hits, 0), 30);
	told[0] = '\0';
	fault_table_tell(test_faults, say, NULL);
	faults_end();
	assert_non_null(strstr(told, "happened 30 times, of 4000 accesses"));
}

static void test_many(void **state)
{
	struct fault_spec spec;
	char why[64], name[8];

	faults_begin(1);
	assert_int_equal(fault_parse("dma", &spec, why, sizeof(why)), 0);
	for (unsigned i = 0; i < FAULT_SLOTS; i++)
		assert_int_equal(fault_table_add(test_faults, &spec), 0);
	assert_int_equal(fault_table_add(test_faults, &spec), -28);
	fault_follow_table(test_faults);
	for (unsigned i = 0; i < 2 * FAULT_DEVICES; i++) {
		snprintf(name, sizeof(name), "%u", i);
		assert_true(passes(0, name));
	}
	faults_end();
}

static void test_file(void **state)
{
	char dir[] = "/tmp/uvfio-fault-XXXXXX", path[64];
	struct fault_table *one, *two;
	struct fault_spec spec;
	char why[64];
	int rc = 0;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(fault_follow(dir), 0);
	assert_false(passes(0, "a"));
	one = fault_table_open(dir, 4, &rc);
	two = fault_table_open(dir, 5, &rc);
	assert_int_equal(rc, 0);
	assert_int_equal(two->seed, 4);
	assert_int_equal(fault_parse("dma", &spec, why, sizeof(why)), 0);
	assert_int_equal(fault_table_add(two, &spec), 0);
	assert_int_equal(fault_follow(dir), 0);
	log_set(-1, LOG_NONE);
	assert_true(passes(0, "a"));
	log_set(2, LOG_WARN);
	assert_int_equal(atomic_load(&one->slot[0].of[1].fired), 1);
	fault_stop();
	fault_table_close(one);
	fault_table_close(two);
	/* not whole */
	snprintf(path, sizeof(path), "%s/" FAULT_FILE, dir);
	assert_int_equal(truncate(path, 100), 0);
	assert_int_equal(fault_follow(dir), -22);
	unlink(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spec),	      cmocka_unit_test(test_wrong_specs),
		cmocka_unit_test(test_when),	      cmocka_unit_test(test_rate),
		cmocka_unit_test(test_devices_apart), cmocka_unit_test(test_where),
		cmocka_unit_test(test_told),	      cmocka_unit_test(test_threads),
		cmocka_unit_test(test_many),	      cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
