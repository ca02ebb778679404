/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/drivers/nvme_driver.c: a user-level NVMe driver, for uvfio's devices and for real ones.
 *
 *	nvme_driver identify|regs|check ADDRESS
 *	nvme_driver fill|read|write|perf|lost|cut ADDRESS [OPTION]...
 *
 * identify and regs print; fill writes a pattern over the namespace; read and write move one piece
 * between the namespace and a file; perf reads (or writes) at random and counts; lost looks at what
 * becomes of data that the medium below does not take, cut at an image that is cut short; check
 * writes down every answer that the specification fixes, a line each (nvme_check.c).
 */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "nvme.h"

#define MAX_DEPTH 1023u

struct options {
	unsigned depth;
	double seconds, warmup;
	uint64_t size, offset;
	uint32_t nsid;
	bool write, verify, interrupts, shadow, json, sequential;
};

/* Return the eight bytes at byte @offset of a filled namespace. */
static uint64_t pattern(uint64_t offset)
{
	return offset * 0x9e3779b97f4a7c15ull; /* 2^64 over the golden ratio: every bit moves */
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13; /* Marsaglia, xorshift64 */
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void text(const char *name, const char *field, int size)
{
	while (size && field[size - 1] == ' ')
		size--;
	printf("%-20s %.*s\n", name, size, field);
}

static void command_identify(struct nvme *n)
{
	printf("%-20s %#06x\n", "vendor", pci_config_read(&n->pci, 0, 2));
	if (nvme_identify(n, 1, 0))
		die("Identify Controller");
	text("serial number", n->page + 4, 20);
	text("model", n->page + 24, 40);
	text("firmware", n->page + 64, 8);
	printf("%-20s %llu\n", "max transfer", (unsigned long long)n->max_transfer);
	printf("%-20s %u\n", "namespaces", n->namespaces);
	printf("%-20s %#x %#x\n", "OACS, ONCS", n->oacs, n->oncs);
	printf("%-20s %s\n", "SGLs", n->sgls & 3 ? "yes" : "no");
	printf("%-20s %u\n", "queue pairs", n->granted);
	printf("%-20s %llu blocks of %u bytes\n", "namespace", (unsigned long long)n->blocks,
	       1u << n->lba_shift);
}

static void command_regs(struct nvme *n)
{
	static const struct {
		const char *name;
		unsigned offset, size;
	} list[] = { { "CAP", NVME_CAP, 8 },	 { "VS", NVME_VS, 4 },	 { "INTMS", NVME_INTMS, 4 },
		     { "INTMC", NVME_INTMC, 4 }, { "CC", NVME_CC, 4 },	 { "CSTS", NVME_CSTS, 4 },
		     { "AQA", NVME_AQA, 4 },	 { "ASQ", NVME_ASQ, 8 }, { "ACQ", NVME_ACQ, 8 } };

	for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++)
		printf("%-8s %#llx\n", list[i].name,
		       list[i].size == 8
			       ? (unsigned long long)mmio_lh_read64(n->registers + list[i].offset)
			       : mmio_read32(n->registers + list[i].offset));
}

/*
 * A queue pair for I/O with @depth commands under way, and their memory: that of command id C
 * begins at C * @stride.
 */
struct io {
	struct nvme *n;
	struct nvme_queue *q;
	struct nvme_command *template; /* by command id: all but the place on the disk */
	char *data;
	uint64_t data_iova, *list, list_iova;
	uint64_t places, size, random, done, empty, next;
	uint64_t *at; /* by command id: where it reads, while verifying */
	unsigned depth, blocks;
	int irq;
	bool verify, sequential;
};

static void io_open(struct io *io, struct nvme *n, const struct options *o)
{
	unsigned entries = o->depth + 1 < 4 ? 4 : o->depth + 1,
		 mqes = (unsigned)(n->cap & 0xffff) + 1;
	int status, efd[2] = { -1, -1 };

	if (o->depth < 1 || o->depth > MAX_DEPTH || o->depth >= mqes)
		die("a depth of %u: 1 to %u are possible", o->depth,
		    MAX_DEPTH < mqes - 1 ? MAX_DEPTH : mqes - 1);
	if (!o->size || o->size % (1u << n->lba_shift) || o->size > n->max_transfer ||
	    o->size > (512 + 1) * NVME_PAGE / 2)
		die("a size of %llu bytes", (unsigned long long)o->size);
	*io = (struct io){ .n = n,
			   .q = &n->queue[1],
			   .size = o->size,
			   .depth = o->depth,
			   .random = 88172645463325252ull,
			   .irq = -1,
			   .verify = o->verify,
			   .sequential = o->sequential };
	io->blocks = (unsigned)(o->size >> n->lba_shift);
	io->places = n->blocks / io->blocks;
	if (!io->places)
		die("the namespace is smaller than %llu bytes", (unsigned long long)o->size);
	if (o->interrupts) {
		efd[1] = io->irq = new_eventfd();
		if (pci_set_eventfds(&n->pci, VFIO_PCI_MSIX_IRQ_INDEX, 0, 2, efd))
			die("MSI-X");
	}
	status = nvme_create_queue(n, 1, entries, o->interrupts ? 1 : -1);
	if (status)
		die("queue pair: status %#x", status);
	io->data = pci_dma_alloc(&n->pci,
				 o->depth * ((o->size + NVME_PAGE - 1) & -(uint64_t)NVME_PAGE),
				 &io->data_iova);
	io->list = pci_dma_alloc(&n->pci, (size_t)o->depth * NVME_PAGE, &io->list_iova);
	io->template = calloc(o->depth, sizeof(*io->template));
	io->at = calloc(o->depth, sizeof(*io->at));
	if (!io->template || !io->at)
		die("calloc");
	for (unsigned i = 0; i < o->depth; i++) {
		uint64_t stride = (o->size + NVME_PAGE - 1) & -(uint64_t)NVME_PAGE;

		io->template[i] =
			nvme_rw(n, o->write ? NVME_WRITE : NVME_READ, 0, o->size,
				io->data_iova + i * stride, io->list + i * (NVME_PAGE / 8),
				io->list_iova + (uint64_t)i * NVME_PAGE);
		io->template[i].cid = (uint16_t)i;
	}
}

static void io_prepare(struct io *io, unsigned cid)
{
	struct nvme_command *slot = &io->q->sq[io->q->tail];
	uint64_t place, lba;

	if (io->sequential)
		place = io->next = io->next + 1 < io->places ? io->next + 1 : 0;
	else
		place = (uint64_t)((unsigned __int128)next_random(&io->random) * io->places >> 64);
	lba = place * io->blocks;
	*slot = io->template[cid];
	slot->cdw10 = (uint32_t)lba;
	slot->cdw11 = (uint32_t)(lba >> 32);
	if (++io->q->tail == io->q->size)
		io->q->tail = 0;
	if (io->verify)
		io->at[cid] = lba << io->n->lba_shift;
}

static void io_verify(const struct io *io, unsigned cid)
{
	const char *data = io->data + cid * ((io->size + NVME_PAGE - 1) & -(uint64_t)NVME_PAGE);
	uint64_t first, last;

	memcpy(&first, data, 8);
	memcpy(&last, data + io->size - 8, 8);
	if (first != pattern(io->at[cid]) || last != pattern(io->at[cid] + io->size - 8))
		die("what was read at %#llx is not what was filled in there",
		    (unsigned long long)io->at[cid]);
}

/*
 * Take all completions, and submit a new command for each of them unless @draining; ring one
 * doorbell for the completions and one for the commands, as SPDK and libvfn do.
 */
static unsigned io_reap(struct io *io, bool draining)
{
	struct nvme_completion c;
	unsigned found = 0;

	while (found < io->depth && nvme_reap(io->q, &c)) {
		found++;
		if (c.status >> 1)
			die("command %u: status %#x", c.cid, c.status >> 1);
		if (c.cid >= io->depth)
			die("completion of command %u, which is not there", c.cid);
		if (io->verify)
			io_verify(io, c.cid);
		if (!draining)
			io_prepare(io, c.cid);
	}
	if (found) {
		nvme_queue_reaped(io->q);
		nvme_ring(io->q);
	}
	return found;
}

/*
 * Nothing was there: sleep for the interrupt, or look again; a poller that finds nothing for long
 * lets others have the processor.
 */
static void io_idle(struct io *io)
{
	if (io->irq >= 0) {
		if (!eventfd_wait(io->irq, 20000))
			die("no interrupt for 20 s");
		return;
	}
	if (++io->empty % 4096 == 0)
		sched_yield();
	__builtin_ia32_pause();
}

/* Return the time that this thread has had a processor. */
static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

/* @depth commands under way for so long; how many completed. */
static uint64_t io_run(struct io *io, double seconds, double *took)
{
	uint64_t begin = now_ns(), end = begin + (uint64_t)(seconds * 1e9), now = begin, done = 0;
	uint64_t lost = begin + 20000000000ull;
	unsigned found, under_way = io->depth;

	for (unsigned i = 0; i < io->depth; i++)
		io_prepare(io, i);
	nvme_ring(io->q);
	while (now < end) {
		found = io_reap(io, false);
		done += found;
		if (found) {
			now = now_ns();
			lost = now + 20000000000ull;
			continue;
		}
		io_idle(io);
		if (io->irq < 0 && io->empty % 65536 == 0 && (now = now_ns()) > lost)
			die("no completion for 20 s");
	}
	*took = (double)(now - begin) / 1e9;
	while (under_way) {
		found = io_reap(io, true);
		under_way -= found;
		if (!found)
			io_idle(io);
		if (!found && now_ns() > lost)
			die("%u commands have no completion", under_way);
	}
	return done;
}

static void command_perf(struct nvme *n, const struct options *o)
{
	struct io io;
	double took;
	uint64_t done, rung, cpu;

	io_open(&io, n, o);
	if (o->warmup > 0)
		io_run(&io, o->warmup, &took);
	rung = io.q->doorbells;
	cpu = cpu_ns();
	done = io_run(&io, o->seconds, &took);
	cpu = cpu_ns() - cpu;
	rung = io.q->doorbells - rung;
	/*
	 * the mean of the time between submission and completion, by Little's law: the depth is
	 * constant
	 */
	printf(o->json ? "{\"iops\": %.0f, \"mib_per_s\": %.1f, \"mean_latency_us\": %.2f, "
			 "\"completions\": %llu, \"seconds\": %.3f, \"depth\": %u, "
			 "\"size\": %llu, \"doorbells\": %llu, "
			 "\"cpu_ns\": %.1f}\n"
		       : "iops %.0f, MiB/s %.1f, mean latency %.2f us; %llu completions in %.3f s, "
			 "depth %u, %llu bytes each, %llu doorbells rung, %.1f ns of the "
			 "thread's processor each\n",
	       (double)done / took, (double)done * (double)o->size / took / 1048576.0,
	       done ? took * 1e6 * o->depth / (double)done : 0.0, (unsigned long long)done, took,
	       o->depth, (unsigned long long)o->size, (unsigned long long)rung,
	       done ? (double)cpu / (double)done : 0.0);
}

static void execute(struct nvme *n, const struct nvme_command *c)
{
	int status = nvme_execute(n, 1, c, NULL);

	if (status)
		die("%s at block %#llx: status %#x", c->opcode == NVME_WRITE ? "write" : "read",
		    (unsigned long long)c->cdw11 << 32 | c->cdw10, status);
}

static void command_fill(struct nvme *n, struct options *o)
{
	struct io io;
	uint64_t total = n->blocks << n->lba_shift, step;

	o->depth = 1;
	o->size = n->max_transfer < 262144 ? n->max_transfer : 262144;
	if (o->size > total)
		o->size = total;
	io_open(&io, n, o);
	for (uint64_t at = 0; at < total; at += step) {
		struct nvme_command c;

		step = total - at < o->size ? total - at : o->size;
		for (uint64_t i = 0; i < step; i += 8)
			memcpy(io.data + i, &(uint64_t){ pattern(at + i) }, 8);
		c = nvme_rw(n, NVME_WRITE, at, step, io.data_iova, io.list, io.list_iova);
		execute(n, &c);
	}
	printf("%llu bytes filled\n", (unsigned long long)total);
}

static void command_move(struct nvme *n, const struct options *o)
{
	struct nvme_command c;
	struct io io;
	size_t at = 0;
	ssize_t k;

	io_open(&io, n, o);
	if (o->offset % (1u << n->lba_shift) || o->offset > (n->blocks << n->lba_shift) - o->size)
		die("%llu bytes at %#llx", (unsigned long long)o->size,
		    (unsigned long long)o->offset);
	c = nvme_rw(n, o->write ? NVME_WRITE : NVME_READ, o->offset, o->size, io.data_iova, io.list,
		    io.list_iova);
	for (; o->write && at < o->size; at += (size_t)k) {
		k = read(STDIN_FILENO, io.data + at, o->size - at);
		if (k <= 0)
			die("standard input has %zu bytes", at);
	}
	if (o->interrupts) { /* as libvfn's examples/eventfd.c: the interrupt first, then the
				completion */
		struct nvme_completion done;

		nvme_submit(io.q, &c);
		nvme_ring(io.q);
		if (eventfd_wait(io.irq, 20000) != 1)
			die("no interrupt, or several");
		if (!nvme_reap(io.q, &done) || done.status >> 1)
			die("the interrupt came without a good completion");
		nvme_queue_reaped(io.q);
	} else {
		execute(n, &c);
	}
	for (; !o->write && at < o->size; at += (size_t)k) {
		k = write(STDOUT_FILENO, io.data + at, o->size - at);
		if (k <= 0)
			die("standard output");
	}
}

/* Runs what the environment has as @name: the file system below is the caller's. */
static void outside(const char *name)
{
	const char *command = getenv(name);

	if (!command || system(command))
		die("$%s: %s", name, command ? command : "not set");
}

/*
 * Writes, or reads, all of the first @o->size bytes, a largest transfer at a time. How many
 * commands failed; data that is read is the pattern.
 */
static unsigned sweep(struct nvme *n, const struct options *o, uint8_t opcode, char *data,
		      uint64_t iova, uint64_t *list, uint64_t list_iova)
{
	unsigned failed = 0, wrong = 0;

	for (uint64_t at = 0; at < o->size; at += n->max_transfer) {
		struct nvme_command c =
			nvme_rw(n, opcode, at, n->max_transfer, iova, list, list_iova);

		for (uint64_t i = 0; i < n->max_transfer; i += 8)
			*(uint64_t *)(data + i) = opcode == NVME_WRITE ? pattern(at + i) : 0;
		if (nvme_execute(n, 1, &c, NULL)) {
			failed++;
			continue;
		}
		for (uint64_t i = 0; i < n->max_transfer; i += 8)
			wrong += *(uint64_t *)(data + i) != pattern(at + i);
	}
	if (wrong)
		die("%u words that were read with success are wrong", wrong);
	return failed;
}

/*
 * The medium does not take what was acknowledged: what is to be seen of it by a driver. $NVME_SYNC
 * makes the write-back fail, $NVME_GROW mends what it failed for.
 */
static void command_lost(struct nvme *n, const struct options *o)
{
	struct nvme_command flush = { .opcode = NVME_FLUSH, .nsid = n->nsid }, other;
	uint64_t iova, list_iova, *list;
	unsigned failed;
	char *data;

	if (nvme_create_queue(n, 1, 16, -1))
		die("queue pair");
	data = pci_dma_alloc(&n->pci, n->max_transfer, &iova);
	list = pci_dma_alloc(&n->pci, NVME_PAGE, &list_iova);
	other = nvme_rw(n, NVME_WRITE, o->size, 4096, iova, list, list_iova);
	other.cdw12 |= 1u << 30; /* FUA */
	if (nvme_execute(n, 1, &other, NULL) || nvme_execute(n, 1, &flush, NULL))
		die("nothing is wrong yet, and a command failed");
	failed = sweep(n, o, NVME_WRITE, data, iova, list, list_iova);
	if (failed)
		die("%u writes failed before the write-back", failed);
	outside("NVME_SYNC");
	for (int i = 0; i < 3; i++)
		if (!nvme_execute(n, 1, &other, NULL) || !nvme_execute(n, 1, &flush, NULL))
			die("round %d: success, and acknowledged data is lost", i);
	printf("%u reads failed\n", sweep(n, o, NVME_READ, data, iova, list, list_iova));
	outside("NVME_GROW");
	if (!nvme_execute(n, 1, &flush, NULL))
		die("success before the data was written again");
	if (sweep(n, o, NVME_WRITE, data, iova, list, list_iova) ||
	    nvme_execute(n, 1, &flush, NULL) || nvme_execute(n, 1, &other, NULL))
		die("the data was written again, and something failed");
	outside("NVME_SYNC");
	if (sweep(n, o, NVME_READ, data, iova, list, list_iova) || nvme_execute(n, 1, &flush, NULL))
		die("the data is there, and something failed");
}

static int last_block(struct nvme *n, uint8_t opcode, uint64_t block, char *data, uint64_t iova)
{
	struct nvme_command c = { .opcode = opcode, .nsid = n->nsid, .prp1 = iova };

	c.cdw10 = (uint32_t)block;
	c.cdw11 = (uint32_t)(block >> 32);
	if (opcode == NVME_DATASET_MANAGEMENT) {
		memcpy(data, &(uint64_t[2]){ 1ull << 32, block }, 16);
		c.cdw10 = 0;
		c.cdw11 = 4; /* deallocate */
	}
	return nvme_execute(n, 1, &c, NULL);
}

/* The image loses its second half while it is in use, by $NVME_CUT. */
static void command_cut(struct nvme *n)
{
	static const uint8_t all[] = { NVME_WRITE_ZEROES, NVME_DATASET_MANAGEMENT,
				       NVME_WRITE,	  NVME_READ,
				       NVME_COMPARE,	  NVME_FLUSH };
	uint64_t iova, last = n->blocks - 1;
	char *data;

	if (nvme_create_queue(n, 1, 16, -1))
		die("queue pair");
	data = pci_dma_alloc(&n->pci, NVME_PAGE, &iova);
	for (int cut = 0; cut < 2; cut++) {
		for (size_t i = 0; i < sizeof(all); i++) {
			bool failed = last_block(n, all[i], last, data, iova);

			if (failed != cut)
				die("command %#x on the last block: %s", all[i],
				    cut ? "success" : "failed before it is gone");
			if (all[i] != NVME_FLUSH && last_block(n, all[i], 1, data, iova))
				die("command %#x on the second block failed", all[i]);
		}
		if (!cut)
			outside("NVME_CUT");
	}
}

static const char usage[] =
	"usage: nvme_driver identify|regs|check ADDRESS\n"
	"       nvme_driver fill|read|write|perf|lost|cut ADDRESS [OPTION]...\n"
	"  -n, --nsid N        namespace (1)\n"
	"  -b, --size BYTES    of one command (4096)\n"
	"  -a, --offset BYTES  read, write: where (0)\n"
	"  -q, --qd N          perf: commands under way (32)\n"
	"  -s, --seconds S     perf: for how long (2)\n"
	"  -w, --warmup S      perf: before that, not counted (0.2)\n"
	"  -W, --write         perf: write\n"
	"  -S, --sequential    perf: one after the other instead of at random\n"
	"  -V, --verify        perf: what is read must be what fill wrote\n"
	"  -i, --irq           sleep for an eventfd of MSI-X instead of polling\n"
	"  -d, --dbbuf         use Doorbell Buffer Config if the controller has it\n"
	"  -j, --json          perf: the result as JSON\n"
	"  -m, --memfd         buffers and queues in memfds instead of private memory\n";

static uint64_t number(const char *s)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(s, &end, 0);
	if (errno || end == s || *end || *s == '-')
		die("%s is no number", s);
	return v;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "nsid", 1, NULL, 'n' },    { "size", 1, NULL, 'b' },
		{ "offset", 1, NULL, 'a' },  { "qd", 1, NULL, 'q' },
		{ "seconds", 1, NULL, 's' }, { "warmup", 1, NULL, 'w' },
		{ "write", 0, NULL, 'W' },   { "sequential", 0, NULL, 'S' },
		{ "verify", 0, NULL, 'V' },  { "irq", 0, NULL, 'i' },
		{ "dbbuf", 0, NULL, 'd' },   { "json", 0, NULL, 'j' },
		{ "memfd", 0, NULL, 'm' },   { NULL, 0, NULL, 0 },
	};
	struct options o = { .depth = 32, .seconds = 2, .warmup = 0.2, .size = 4096, .nsid = 1 };
	const char *command = argc > 2 ? argv[1] : "";
	static struct nvme n;
	int c;

	while ((c = getopt_long(argc, argv, "n:b:a:q:s:w:WSVidjm", longs, NULL)) != -1) {
		switch (c) {
		case 'n':
			o.nsid = (uint32_t)number(optarg);
			break;
		case 'b':
			o.size = number(optarg);
			break;
		case 'a':
			o.offset = number(optarg);
			break;
		case 'q':
			o.depth = (unsigned)number(optarg);
			break;
		case 's':
			o.seconds = atof(optarg);
			break;
		case 'w':
			o.warmup = atof(optarg);
			break;
		case 'W':
			o.write = true;
			break;
		case 'S':
			o.sequential = true;
			break;
		case 'V':
			o.verify = true;
			break;
		case 'i':
			o.interrupts = true;
			break;
		case 'd':
			o.shadow = true;
			break;
		case 'j':
			o.json = true;
			break;
		case 'm':
			pci_dma_shared = true;
			break;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (argc - optind != 2) {
		fputs(usage, stderr);
		return 2;
	}
	if (o.verify && o.write)
		die("there is nothing to verify in a write");
	command = argv[optind];
	if (!strcmp(command, "check"))
		return nvme_check(argv[optind + 1]);
	nvme_open(&n, argv[optind + 1], o.nsid, o.shadow);
	o.write |= !strcmp(command, "write");
	if (!strcmp(command, "identify")) {
		command_identify(&n);
	} else if (!strcmp(command, "regs")) {
		command_regs(&n);
	} else if (!strcmp(command, "fill")) {
		command_fill(&n, &o);
	} else if (!strcmp(command, "read") || !strcmp(command, "write")) {
		command_move(&n, &o);
	} else if (!strcmp(command, "perf")) {
		command_perf(&n, &o);
	} else if (!strcmp(command, "cut")) {
		command_cut(&n);
	} else if (!strcmp(command, "lost")) {
		command_lost(&n, &o);
	} else {
		fputs(usage, stderr);
		return 2;
	}
	/* 7.6.2; and disabled, so that it forgets where the queues were before that memory goes */
	if (nvme_shutdown(&n) < 0 || nvme_disable(&n))
		die("the controller does not shut down");
	nvme_close(&n);
	return 0;
}
