/* SPDX-License-Identifier: BSD-3-Clause */
/* From events to text: the recorder, the writer of a file, and its reader. */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "uvfio/model.h"
#include "base/guard.h"
#include "base/json.h"
#include "base/log.h"
#include "base/report.h"
#include "trace/show/internal.h"
#include "trace/trace.h"
#include "vfio/nodes.h"

#define DEV "0000:01:00.0"

static const struct trace_filter all = { .to_ns = INT64_MAX };
static char dir[] = "/tmp/uvfio-log_test-XXXXXX", file[64];
static struct trace_drain *drain;
static bool started;

static const struct uvfio_reg regs[] = {
	{ .name = "CTRL", .offset = 0, .bar = 0, .width = 4 },
	{ .name = "RING", .offset = 0x100, .count = 4, .stride = 8, .bar = 0, .width = 4 },
	{ 0 },
};

/* Begin a trace; @drains: and have it written at once. */
static void begin(struct trace_drain_options o, bool drains)
{
	char *why;

	o.file = file;
	assert_int_equal(trace_drain_new(dir, &o, &drain, &why), 0);
	started = drains;
	if (drains)
		assert_int_equal(trace_drain_start(drain), 0);
	assert_int_equal(trace_start(dir), 0);
	EVENT(EVENT_DEVICE, .who = DEV, .text = "model", .data = regs);
}

/* End it, and read it. */
static struct trace_log *end(void)
{
	struct trace_log *log;
	char *why, path[128];

	trace_stop();
	if (!started)
		trace_drain_start(drain);
	trace_drain_free(drain);
	snprintf(path, sizeof(path), "%s/" TRACE_FILE, dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(trace_log_read(file, &log, &why), 0);
	assert_true(log->whole);
	assert_int_equal(log->damaged, 0);
	return log;
}

/* Return the line of event @i, without time and thread; static. */
static const char *line(const struct trace_log *log, unsigned i)
{
	static char text[1024];
	FILE *f = fmemopen(text, sizeof(text), "w");

	assert_true(i < log->n);
	fprintf(f, "%s %s ", trace_device_name(log, log->event[i].r),
		trace_kind_name(log->event[i].r));
	trace_describe(f, log, &log->event[i]);
	fclose(f);
	return text;
}

static void store(uint64_t at, uint32_t value)
{
	EVENT(EVENT_ACCESS, .who = DEV, .at = at, .size = 4, .data = &value, .write = true,
	      .what = true);
}

static void test_text(void **state)
{
	static const uint8_t data[20] = { 1, 2, 3 };
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map), .flags = 3, .vaddr = 0x7000, .iova = 0x1000, .size = 4096
	};
	struct {
		struct vfio_irq_set s;
		int32_t fds[2];
	} set = { { .argsz = sizeof(set), .flags = 0x24, .index = 2, .count = 2 }, { 5, -1 } };
	uint16_t word = 0x406;
	struct trace_log *log;

	begin((struct trace_drain_options){ .of_dma = 16 }, true);
	store(0, 1);
	store(0x10a, 2);
	store(0x200, 3);
	EVENT(EVENT_ACCESS, .who = DEV, .bar = VFIO_PCI_CONFIG_REGION_INDEX, .at = 4, .size = 2,
	      .data = &word);
	EVENT(EVENT_ACCESS, .who = DEV, .at = 0, .size = 4, .err = -EIO);
	EVENT(EVENT_DMA, .who = DEV, .at = 0x1000, .size = 20, .data = data, .write = true);
	EVENT(EVENT_IRQ, .who = DEV, .at = 3, .what = EVENT_SIGNALLED);
	EVENT(EVENT_IRQ, .who = DEV, .at = UINT64_MAX, .what = EVENT_MASKED);
	EVENT(EVENT_CALL, .who = "/dev/vfio/vfio", .what = VFIO_FILE_CONTAINER,
	      .at = VFIO_IOMMU_MAP_DMA, .mem = &map);
	EVENT(EVENT_MAP, .space = (void *)0x10, .at = 0x1000, .size = 4096, .mem = (void *)0x7000);
	EVENT(EVENT_RETURN, .who = "/dev/vfio/vfio", .what = VFIO_FILE_CONTAINER,
	      .at = VFIO_IOMMU_MAP_DMA, .mem = &map, .value = (uint64_t)-EEXIST);
	EVENT(EVENT_CALL, .who = DEV, .what = VFIO_FILE_DEVICE, .at = VFIO_DEVICE_SET_IRQS,
	      .mem = &set);
	EVENT(EVENT_RESET, .who = DEV, .what = UVFIO_RESET_FLR);
	EVENT(EVENT_BEGIN, .who = DEV, .bar = 1, .at = 7, .text = "Read", .value = 0x10, .size = 8);
	EVENT(EVENT_END, .who = DEV, .bar = 1, .at = 7);
	report_warn("a-code", DEV, -EINVAL, "a text");
	log = end();
	assert_int_equal(log->n, 16);
	assert_string_equal(line(log, 0), DEV " bar BAR0 write CTRL (0x0000) of 4 <- 0x00000001");
	assert_string_equal(line(log, 1),
			    DEV " bar BAR0 write RING[1]+2 (0x010a) of 4 <- 0x00000002");
	assert_string_equal(line(log, 2), DEV " bar BAR0 write 0x0200 of 4 <- 0x00000003");
	assert_string_equal(line(log, 3), DEV " config read COMMAND (0x0004) of 2 -> 0x0406");
	assert_string_equal(line(log, 4), DEV " bar BAR0 read CTRL (0x0000) of 4 failed: EIO");
	assert_string_equal(line(log, 5),
			    DEV " dma write of 20 at IOVA 0x1000: 01 02 03 00 00 00 00 00 00 00 "
				"00 00 00 00 00 00 ...");
	assert_string_equal(line(log, 6), DEV " irq vector 3 signalled");
	assert_string_equal(line(log, 7), DEV " irq INTx masked");
	assert_non_null(strstr(line(log, 8),
			       "/dev/vfio/vfio ioctl VFIO_IOMMU_MAP_DMA({argsz=32, flags=0x3, "
			       "vaddr=0x7000, iova=0x1000, size=0x1000}) = -EEXIST after "));
	assert_string_equal(line(log, 9),
			    " map space 00000001: [0x1000, 0x2000) is mapped to 0x7000");
	assert_string_equal(line(log, 11),
			    DEV " ioctl VFIO_DEVICE_SET_IRQS({argsz=28, flags=0x24, index=2, "
				"start=0, count=2, eventfds {5, -1}}) does not return");
	assert_string_equal(line(log, 12), DEV " reset FLR");
	assert_string_equal(line(log, 13),
			    DEV " command queue 1 command 7 begins: Read of 8 at 0x10");
	assert_non_null(strstr(line(log, 14), "queue 1 command 7 ends with status 0x0 after "));
	assert_string_equal(line(log, 15), DEV " report warn a-code: a text: EINVAL");
	trace_log_free(log);
}

/* All of a DMA, in several records. */
static void test_dma_all(void **state)
{
	static uint8_t data[10000];
	struct trace_log *log;
	uint64_t at = 0x5000;

	memset(data, 0xab, sizeof(data));
	begin((struct trace_drain_options){ .of_dma = UINT32_MAX }, true);
	EVENT(EVENT_DMA, .who = DEV, .at = at, .size = sizeof(data), .data = data);
	log = end();
	assert_int_equal(log->n, 3);
	for (unsigned i = 0; i < 3; i++) {
		const struct trace_record *r = log->event[i].r;

		assert_int_equal(r->at, at);
		assert_int_equal(r->data, r->size);
		assert_memory_equal(trace_data(r), data, r->size);
		at += r->size;
	}
	assert_int_equal(at, 0x5000 + sizeof(data));
	trace_log_free(log);
}

/* A ring that nobody drains keeps what it has, and the rest is counted. */
static void test_full(void **state)
{
	struct trace_log *log;

	begin((struct trace_drain_options){ .memory = TRACE_MEMORY_MIN }, false);
	for (unsigned i = 0; i < 1000; i++)
		store(0, i);
	log = end();
	assert_int_equal(log->n, TRACE_MEMORY_MIN / TRACE_RINGS / sizeof(struct trace_record));
	assert_int_equal(log->dropped, 1000 - log->n);
	for (unsigned i = 0; i < log->n; i++)
		assert_int_equal(log->event[i].r->value, i);
	trace_log_free(log);
}

/* Rings are used round and round. */
static void test_round(void **state)
{
	struct trace_log *log;
	unsigned next = 0;

	begin((struct trace_drain_options){ .memory = TRACE_MEMORY_MIN, .of_dma = 16 }, true);
	for (unsigned i = 0; i < 20000; i++) {
		uint32_t data[3] = { i };

		EVENT(EVENT_DMA, .who = DEV, .at = i, .size = sizeof(data), .data = data);
	}
	log = end();
	assert_int_equal(log->n + log->dropped, 20000);
	for (unsigned i = 0; i < log->n; i++) {
		const struct trace_record *r = log->event[i].r;

		assert_true(r->at >= next);
		assert_int_equal(r->data, 12);
		assert_memory_equal(trace_data(r), &(uint32_t){ (uint32_t)r->at }, 4);
		next = (unsigned)r->at + 1;
	}
	trace_log_free(log);
}

static void *storer(void *arg)
{
	for (unsigned i = 0; i < 2000; i++)
		store((uintptr_t)arg, i);
	return NULL;
}

/* More threads than rings; each event is there once. */
static void test_threads(void **state)
{
	static unsigned next[TRACE_RINGS + 16];
	pthread_t threads[TRACE_RINGS + 16];
	struct trace_log *log;

	memset(next, 0, sizeof(next));
	begin((struct trace_drain_options){ .of_dma = 16, .memory = 64ull << 20 }, true);
	for (uintptr_t i = 0; i < TRACE_RINGS + 16; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, storer, (void *)i), 0);
	for (unsigned i = 0; i < TRACE_RINGS + 16; i++)
		pthread_join(threads[i], NULL);
	log = end();
	assert_int_equal(log->dropped, 0);
	for (unsigned i = 0; i < log->n; i++) {
		const struct trace_record *r = log->event[i].r;

		assert_int_equal(r->value, next[r->at]++);
	}
	for (unsigned i = 0; i < TRACE_RINGS + 16; i++)
		assert_int_equal(next[i], 2000);
	trace_log_free(log);
}

/* A child that is killed leaves what it wrote, as a thread of its own. */
static void test_killed(void **state)
{
	struct trace_log *log;
	pid_t pid;

	begin((struct trace_drain_options){ .of_dma = 16 }, true);
	store(0, 0);
	pid = fork();
	if (!pid) {
		trace_forked();
		for (unsigned i = 1; i < 101; i++)
			store(0, i);
		kill(getpid(), SIGKILL);
	}
	waitpid(pid, NULL, 0);
	log = end();
	assert_int_equal(log->n, 101);
	for (unsigned i = 0; i < log->n; i++)
		assert_int_equal(log->event[i].r->value, i);
	assert_int_equal(trace_thread(log, log->event[0].r)->pid, getpid());
	assert_int_equal(trace_thread(log, log->event[100].r)->pid, pid);
	trace_log_free(log);
}

/* One that was killed while it wrote leaves a hole: what others wrote behind it is there. */
static void test_hole(void **state)
{
	struct trace_shared *s;
	struct trace_log *log;

	begin((struct trace_drain_options){ .of_dma = 16 }, false);
	s = trace_drain_shared(drain);
	store(0, 0);
	for (unsigned i = 0; i < TRACE_RINGS; i++)
		atomic_fetch_add(&s->ring[i].head, 64);
	store(0, 1);
	log = end();
	assert_int_equal(log->n, 2);
	assert_int_equal(log->event[1].r->value, 1);
	trace_log_free(log);
}

/* ---- files that are not whole ---- */

/* Write all of what @bytes say somewhere: it must not crash. */
static void digest(const void *bytes, size_t size)
{
	struct trace_log *log;
	FILE *f = fopen("/dev/null", "w");

	if (!trace_log_parse(bytes, size, &log)) {
		trace_text(f, log, &all);
		trace_json(f, log, &all);
		trace_perfetto(f, log, &all);
		trace_stats(f, log, &all);
		trace_report(f, log, &all, "x");
		trace_log_free(log);
	}
	fclose(f);
}

static uint8_t *whole_file(size_t *size)
{
	struct stat st;
	uint8_t *bytes;
	int fd = open(file, O_RDONLY);

	assert_int_equal(fstat(fd, &st), 0);
	*size = (size_t)st.st_size;
	bytes = malloc(*size);
	assert_int_equal(read(fd, bytes, *size), st.st_size);
	close(fd);
	return bytes;
}

static void test_damaged(void **state)
{
	struct trace_log *log;
	uint8_t *bytes;
	size_t size;
	char *why;

	test_text(NULL);
	bytes = whole_file(&size);
	for (size_t n = 0; n < size; n++)
		digest(bytes, n);
	srand(1);
	for (unsigned i = 0; i < 3000; i++) {
		size_t at = (size_t)rand() % size;
		uint8_t was = bytes[at];

		bytes[at] = (uint8_t)rand();
		digest(bytes, size);
		bytes[at] = was;
	}
	/* a cut one has what came before */
	assert_int_equal(trace_log_parse(bytes, size - 50, &log), 0);
	assert_false(log->whole);
	assert_int_equal(log->n, 16);
	trace_log_free(log);
	free(bytes);
	assert_int_equal(trace_log_read("/dev/null", &log, &why), -EINVAL);
	assert_string_equal(why, "/dev/null: it is no trace of `uvfio run --trace`");
	free(why);
	assert_int_equal(trace_log_read("/nowhere", &log, &why), -ENOENT);
	free(why);
}

/* Return what @show makes of the log of test_text(), to be freed. */
static char *shown(void (*show)(FILE *f, const struct trace_log *log))
{
	struct trace_log *log;
	char *text, *why;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	test_text(NULL);
	assert_int_equal(trace_log_read(file, &log, &why), 0);
	show(f, log);
	fclose(f);
	trace_log_free(log);
	return text;
}

static void as_json(FILE *f, const struct trace_log *log)
{
	trace_json(f, log, &all);
}

static void test_json(void **state)
{
	char *text = shown(as_json), *save = NULL;
	struct json nodes[64];
	unsigned n = 0;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		assert_int_equal(json_parse(line, strlen(line), nodes, 64), 0);
		assert_non_null(json_text(&nodes[0], "thread"));
		n++;
		if (n == 2) {
			assert_string_equal(json_text(&nodes[0], "register"), "RING[1]+2");
			assert_string_equal(json_text(&nodes[0], "value"), "0x2");
		}
	}
	/* all but the return */
	assert_int_equal(n, 15);
	free(text);
}

static void as_stats(FILE *f, const struct trace_log *log)
{
	assert_int_equal(trace_stats(f, log, &all), 0);
}

static void test_stats(void **state)
{
	char *text = shown(as_stats);

	assert_non_null(strstr(text, DEV ", model\n  accesses: 4 of 14 bytes\n"));
	assert_non_null(strstr(text, "DMA: 0 reads of 0 bytes, 1 writes of 20 bytes\n"));
	assert_non_null(strstr(text, "interrupts: 1 signalled 1 masked\n"));
	assert_non_null(strstr(text, "commands: 1, each with 4.00 accesses of 14.0 bytes, and 20.0 "
				     "bytes of DMA\n"));
	assert_non_null(strstr(text, "          0         1 " DEV " BAR0 RING[1]+2 (0x010a)\n"));
	assert_non_null(strstr(text, "commands:\n  Read: 1, "));
	assert_non_null(strstr(text, "ioctls:\n  VFIO_IOMMU_MAP_DMA: 1, "));
	free(text);
}

static const struct uvfio_reg doorbells[] = {
	{ .name = "SQTDBL", .count = 4, .stride = 8, .width = 4 },
	{ 0 },
};

static void take(unsigned place, uint64_t id)
{
	EVENT(EVENT_BEGIN, .who = "0000:02:00.0", .bar = 1, .what = place, .at = id,
	      .text = "Read");
}

/* A command begins when its driver rang for it, also where the queue's tail went round. */
static void test_bells(void **state)
{
	static const unsigned rung_at[] = { 0, 0, 1, 1, 1 };
	uint32_t tail[] = { 2, 1 };
	struct trace_log *log;

	begin((struct trace_drain_options){ .of_dma = 16 }, true);
	EVENT(EVENT_DEVICE, .who = "0000:02:00.0", .text = "queues", .data = doorbells);
	for (unsigned i = 0; i < 2; i++)
		EVENT(EVENT_ACCESS, .who = "0000:02:00.0", .at = 8, .size = 4, .data = &tail[i],
		      .write = true);
	take(0, 0); /* which both cover: the later one is it */
	take(1, 1);
	take(2, 2);
	take(3, 3);
	EVENT(EVENT_END, .who = "0000:02:00.0", .bar = 1, .at = 3);
	log = end();
	assert_int_equal(log->n, 7);
	assert_int_equal(log->event[2].time, log->event[1].r->time);
	for (unsigned i = 1; i < 4; i++)
		assert_int_equal(log->event[2 + i].time, log->event[rung_at[i]].r->time);
	assert_int_equal(log->event[5].pair, 6);
	trace_log_free(log);
}

static void as_perfetto(FILE *f, const struct trace_log *log)
{
	trace_perfetto(f, log, &all);
}

static void test_perfetto(void **state)
{
	char *text = shown(as_perfetto);

	assert_non_null(
		strstr(text, "\"name\":\"process_name\",\"args\":{\"name\":\"" DEV " model\"}"));
	assert_non_null(strstr(text, "\"name\":\"thread_name\",\"args\":{\"name\":\"queue 1\"}"));
	assert_non_null(strstr(text, "\"name\":\"thread_name\",\"args\":{\"name\":\"vector 3\"}"));
	assert_non_null(strstr(text, "\"cat\":\"command\",\"name\":\"Read\""));
	assert_non_null(strstr(text, "\"cat\":\"ioctl\",\"name\":\"VFIO_IOMMU_MAP_DMA\""));
	free(text);
}

static void as_report(FILE *f, const struct trace_log *log)
{
	assert_int_equal(trace_report(f, log, &all, "</script>"), 0);
}

static void test_report(void **state)
{
	char *text = shown(as_report);

	assert_null(strstr(text, "@DATA@"));
	/* the file's name ends no element */
	assert_non_null(strstr(text, "\"file\":\"\\u003c/script>\""));
	assert_non_null(strstr(text, "\"reports\":[["));
	assert_non_null(strstr(text, "\"warn\",\"a-code\",\"a text: EINVAL\"]"));
	assert_non_null(strstr(text, "\"total\":15,"));
	free(text);
}

static void test_filter(void **state)
{
	struct trace_filter f = { .kinds = "bar,dma", .to_ns = INT64_MAX };
	struct trace_log *log;
	const char *bad;
	unsigned len, n = 0;

	assert_int_equal(trace_filter_check(&f, &bad, &len), 0);
	begin((struct trace_drain_options){ .of_dma = 16 }, true);
	store(0, 1);
	store(0x100, 1);
	EVENT(EVENT_DMA, .who = "0000:02:00.0", .at = 1, .size = 1, .data = "");
	EVENT(EVENT_RESET, .who = DEV);
	log = end();
	for (unsigned i = 0; i < log->n; i++)
		n += trace_wanted(log, &log->event[i], &f);
	assert_int_equal(n, 3);
	f.device = "01:00";
	assert_true(trace_wanted(log, &log->event[0], &f));
	assert_false(trace_wanted(log, &log->event[2], &f));
	f.reg = "RING";
	assert_false(trace_wanted(log, &log->event[0], &f));
	assert_true(trace_wanted(log, &log->event[1], &f));
	f.thread = "nobody";
	assert_false(trace_wanted(log, &log->event[1], &f));
	f.thread = NULL;
	f.from_ns = (int64_t)trace_ns(log, log->event[1].r->time) + 1;
	assert_false(trace_wanted(log, &log->event[1], &f));
	trace_log_free(log);
	f.kinds = "bar,pci";
	assert_int_equal(trace_filter_check(&f, &bad, &len), -EINVAL);
	assert_int_equal(len, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),	cmocka_unit_test(test_dma_all),
		cmocka_unit_test(test_full),	cmocka_unit_test(test_round),
		cmocka_unit_test(test_threads), cmocka_unit_test(test_killed),
		cmocka_unit_test(test_hole),	cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_filter),	cmocka_unit_test(test_json),
		cmocka_unit_test(test_stats),	cmocka_unit_test(test_bells),
		cmocka_unit_test(test_report),	cmocka_unit_test(test_perfetto),
	};
	int rc;

	log_set(2, LOG_ERR);
	guard_install();
	if (!mkdtemp(dir))
		return 1;
	snprintf(file, sizeof(file), "%s/out", dir);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(file);
	rmdir(dir);
	return rc;
}
