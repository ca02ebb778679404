/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/testdev/dma.c: testdev's DMA engine: it copies, fills, compares, and tells exactly how far
 * it came and where it was stopped. It works in pieces that do not cross a page of either side, so
 * that what is reported is the first address that failed.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "models/testdev/internal.h"

#define PIECE 4096u

static uint64_t to_page_end(uint64_t addr)
{
	return PIECE - addr % PIECE;
}

static bool in_ram(const struct testdev *td, uint64_t off, uint64_t len)
{
	return off <= td->ram_size && len <= td->ram_size - off;
}

/* True if the command reads the driver's memory. */
static bool reads_memory(uint32_t op)
{
	return op == TD_OP_COPY || op == TD_OP_COMPARE || op == TD_OP_LOAD || op == TD_OP_CHECK;
}

/* True if the command writes the driver's memory. */
static bool writes_memory(uint32_t op)
{
	return op == TD_OP_COPY || op == TD_OP_FILL || op == TD_OP_STORE;
}

/*
 * The other way to memory: the IOMMU's answer as pointers. The memory may be gone behind uvfio's
 * back, so it is touched by a system call alone: the bytes go through a file in memory, whose write
 * and read say EFAULT where a copy of ours would be a signal. What is no memory of this process has
 * no pointers, and is copied.
 */
static int direct(struct uvfio_dev *dev, uint64_t iova, void *buf, size_t len, bool write)
{
	ssize_t n = -1;
	struct iovec iov;
	int fd, pieces;

	fd = memfd_create("testdev-dma", MFD_CLOEXEC);
	if (fd < 0) {
		uvfio_log(dev, UVFIO_LOG_ERROR, "direct DMA: memfd_create: %s", strerror(errno));
		return -EFAULT;
	}
	if (write && pwrite(fd, buf, len, 0) != (ssize_t)len)
		goto out;
	uvfio_dma_begin(dev);
	pieces = uvfio_dma_sg(dev, iova, len, write, &iov, 1);
	if (pieces == 1)
		n = write ? pread(fd, iov.iov_base, len, 0) : pwrite(fd, iov.iov_base, len, 0);
	uvfio_dma_end(dev);
	if (pieces == -E2BIG) {
		close(fd);
		return write ? uvfio_dma_write(dev, iova, buf, len)
			     : uvfio_dma_read(dev, iova, buf, len);
	}
	if (!write && n == (ssize_t)len)
		n = pread(fd, buf, len, 0);
out:
	close(fd);
	return n == (ssize_t)len ? 0 : -EFAULT;
}

static int get(struct uvfio_dev *dev, uint32_t cmd, uint64_t iova, void *buf, size_t len)
{
	struct testdev *td = uvfio_priv(dev);

	return cmd & TD_DMA_DIRECT ? direct(dev, iova, buf, len, false)
				   : uvfio_dma_read_pasid(dev, td->dma.pasid, iova, buf, len);
}

static int put(struct uvfio_dev *dev, uint32_t cmd, uint64_t iova, void *buf, size_t len)
{
	struct testdev *td = uvfio_priv(dev);

	return cmd & TD_DMA_DIRECT ? direct(dev, iova, buf, len, true)
				   : uvfio_dma_write_pasid(dev, td->dma.pasid, iova, buf, len);
}

/* Fill @buf with the pattern as it stands in memory at distance @done from the start. */
static void make_pattern(uint8_t *buf, uint32_t pattern, uint64_t done, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)(pattern >> (done + i) % 4 * 8);
}

static enum td_dma_status mismatch(struct testdev_dma *d, const uint8_t *a, const uint8_t *b,
				   size_t len, uint64_t at)
{
	size_t i = 0;

	while (i < len && a[i] == b[i])
		i++;
	if (i == len)
		return TD_DMA_OK;
	d->done += i;
	d->addr = at + i;
	return TD_DMA_MISMATCH;
}

/* Do one piece of @len bytes of @d. TD_DMA_OK: go on. */
static enum td_dma_status run_piece(struct uvfio_dev *dev, struct testdev_dma *d, size_t len)
{
	struct testdev *td = uvfio_priv(dev);
	uint64_t src = d->src + d->done, dst = d->dst + d->done;
	uint32_t op = d->cmd & TD_OP_MASK;
	uint8_t a[PIECE], b[PIECE];

	if (op == TD_OP_STORE)
		memcpy(a, td->ram + src, len);
	if (op == TD_OP_FILL || op == TD_OP_CHECK)
		make_pattern(op == TD_OP_FILL ? a : b, d->pattern, d->done, len);
	if (reads_memory(op) && get(dev, d->cmd, src, a, len)) {
		d->addr = src;
		return TD_DMA_FAULT;
	}
	if (op == TD_OP_COMPARE && get(dev, d->cmd, dst, b, len)) {
		d->addr = dst;
		return TD_DMA_FAULT;
	}
	if (op == TD_OP_COMPARE || op == TD_OP_CHECK)
		return mismatch(d, a, b, len, src);
	if (op == TD_OP_LOAD) {
		memcpy(td->ram + dst, a, len);
		testdev_touched(td, dst, len);
	}
	if (writes_memory(op) && put(dev, d->cmd, dst, a, len)) {
		d->addr = dst;
		return TD_DMA_FAULT;
	}
	return TD_DMA_OK;
}

static bool valid(const struct testdev *td, const struct testdev_dma *d)
{
	uint32_t op = d->cmd & TD_OP_MASK;

	if (d->cmd & ~TD_DMA_CMD_BITS || op < TD_OP_COPY || op > TD_OP_CHECK ||
	    (d->pasid && (d->cmd & TD_DMA_DIRECT || d->pasid >> td->pasid_bits)))
		return false;
	if ((op == TD_OP_LOAD && !in_ram(td, d->dst, d->len)) ||
	    (op == TD_OP_STORE && !in_ram(td, d->src, d->len)))
		return false;
	/* no wrap of the address space */
	return d->src + d->len >= d->src && d->dst + d->len >= d->dst;
}

/* True if a page that the next piece needs is not there, and the engine waits for it. */
static bool waits(struct uvfio_dev *dev, const struct testdev_dma *d)
{
	uint32_t op = d->cmd & TD_OP_MASK;

	if (!(d->cmd & TD_DMA_PAGING))
		return false;
	return (reads_memory(op) && testdev_page_ask(dev, d->src + d->done, false)) ||
	       (op == TD_OP_COMPARE && testdev_page_ask(dev, d->dst + d->done, false)) ||
	       (writes_memory(op) && testdev_page_ask(dev, d->dst + d->done, true));
}

static void finish(struct uvfio_dev *dev, enum td_dma_status status)
{
	struct testdev *td = uvfio_priv(dev);
	struct testdev_dma *d = &td->dma;

	uvfio_give_back(dev, 0);
	d->status = status;
	if (d->cmd & TD_DMA_IRQ)
		testdev_interrupt(dev, d->vector);
}

/*
 * Run the engine. Where it reaches a BAR, of another device or this one, other callbacks may come
 * in between: it works on the command as it was when it began, and a reset ends it.
 */
static void run(struct uvfio_dev *dev, void *arg)
{
	struct testdev *td = uvfio_priv(dev);
	struct testdev_dma d = td->dma;
	enum td_dma_status status = valid(td, &d) ? TD_DMA_OK : TD_DMA_BAD;
	uint32_t resets = td->resets;
	uint64_t n;

	while (status == TD_DMA_OK && d.done < d.len) {
		n = d.len - d.done;
		if (n > to_page_end(d.src + d.done))
			n = to_page_end(d.src + d.done);
		if (n > to_page_end(d.dst + d.done))
			n = to_page_end(d.dst + d.done);
		td->dma.done = d.done;
		if (waits(dev, &d))
			return;
		status = run_piece(dev, &d, n);
		if (td->resets != resets)
			return;
		if (status == TD_DMA_OK)
			d.done += n;
	}
	td->dma.done = d.done;
	td->dma.addr = d.addr;
	finish(dev, status);
}

void testdev_dma_continue(struct uvfio_dev *dev, bool there)
{
	struct testdev *td = uvfio_priv(dev);

	if (!there) {
		finish(dev, TD_DMA_FAULT);
		return;
	}
	td->dma.addr = 0;
	run(dev, NULL);
}

/* True if the source is memory that stays as it is. */
static bool keeps_source(const struct testdev_dma *d)
{
	uint32_t op = d->cmd & TD_OP_MASK;

	return reads_memory(op) && !d->pasid &&
	       (op != TD_OP_COPY || d->src + d->len <= d->dst || d->dst + d->len <= d->src);
}

void testdev_dma_start(struct uvfio_dev *dev, uint32_t cmd)
{
	struct testdev *td = uvfio_priv(dev);
	struct testdev_dma *d = &td->dma;

	if (d->status == TD_DMA_BUSY) {
		uvfio_log(dev, UVFIO_LOG_WARN, "DMA command 0x%x while one is running: dropped",
			  cmd);
		return;
	}
	d->cmd = cmd;
	d->done = d->addr = d->asked = 0;
	d->status = TD_DMA_BUSY;
	if (keeps_source(d))
		uvfio_take(dev, 0, UVFIO_TAKEN_DATA, "what a DMA command reads", d->src, d->len);
	if (cmd & TD_DMA_ASYNC)
		uvfio_timer_set(d->timer, (uint64_t)d->delay * 1000);
	else if (td->stopped)
		uvfio_timer_set(d->timer, 0);
	else
		run(dev, NULL);
}

void testdev_dma_reset(struct uvfio_dev *dev)
{
	struct testdev *td = uvfio_priv(dev);
	struct uvfio_timer *timer = td->dma.timer;

	uvfio_timer_set(timer, UINT64_MAX);
	td->dma = (struct testdev_dma){ .timer = timer };
}

int testdev_dma_init(struct uvfio_dev *dev)
{
	struct testdev *td = uvfio_priv(dev);

	td->dma.timer = uvfio_timer_new(dev, run, NULL);
	return td->dma.timer ? 0 : -ENOMEM;
}

void testdev_dma_fini(struct uvfio_dev *dev)
{
	struct testdev *td = uvfio_priv(dev);

	uvfio_timer_free(td->dma.timer);
}
