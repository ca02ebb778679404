/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/io.c: the NVM command set (NVMe 1.4, 6).
 *
 * nvme_io_cmd() checks a command and tries to do it on the spot; what does not work without
 * sleeping becomes a request, which is a small state machine: nvme_io_start() prepares its first
 * file operation, nvme_io_step() takes each result and prepares the next.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/nvme/internal.h"

#define WRITE_SLEPT 2000000ull /* ns: more than any copy of 1 MiB takes */
/* ns: about the longest pause that the kernel makes (MAX_PAUSE of its writeback) */
#define WRITE_DETOUR 200000000ull

/* Bytes of the command, for the error log's "parameter error location" (5.14.1.1). */
#define BYTE_OPC   0u
#define BYTE_FLAGS 1u
#define BYTE_NSID  4u
#define BYTE_CDW10 40u
#define BYTE_CDW12 48u

static uint64_t cmd_slba(const struct nvme_cmd *cmd)
{
	return (uint64_t)cmd->cdw11 << 32 | cmd->cdw10;
}

static uint64_t cmd_blocks(const struct nvme_cmd *cmd)
{
	return (uint64_t)(cmd->cdw12 & 0xffff) + 1;
}

static bool moves_data(uint8_t opc)
{
	return opc == NVME_IO_READ || opc == NVME_IO_WRITE || opc == NVME_IO_COMPARE;
}

static bool writes(uint8_t opc)
{
	return opc == NVME_IO_WRITE || opc == NVME_IO_WRITE_ZEROES || opc == NVME_IO_DATASET;
}

/*
 * Writes that the file system does not do without sleeping: cheap most of the time, but not for the
 * driver's thread to wait for.
 */
static bool write_sleeps(struct nvme_ns *ns)
{
	return !ns->memory && !atomic_load_explicit(&ns->nowait_write, memory_order_relaxed);
}

uint64_t nvme_io_cost(struct nvme *n, const struct nvme_cmd *cmd, bool worker)
{
	struct nvme_ns *ns = nvme_find_ns(n, cmd->nsid);

	if (!ns || !moves_data(cmd->opc))
		return 0;
	if (!worker && cmd->opc == NVME_IO_WRITE && write_sleeps(ns))
		return NVME_COST_WORKER;
	return cmd_blocks(cmd) << ns->shift;
}

static bool is_fua(struct nvme *n, const struct nvme_cmd *cmd)
{
	if (cmd->opc != NVME_IO_DATASET && cmd->cdw12 & NVME_RW_FUA)
		return true;
	/* 5.21.1.6: without a volatile cache a write is on the medium when it completes */
	return writes(cmd->opc) &&
	       !(atomic_load_explicit(&n->kept->feat.write_cache, memory_order_relaxed) & 1);
}

/* ---- a request of its own ---- */

static uint16_t hand_over(struct nvme *n, struct nvme_sq *sq, struct nvme_ns *ns,
			  const struct nvme_cmd *cmd, unsigned num_segs)
{
	struct nvme_req *r = calloc(1, sizeof(*r) + num_segs * sizeof(r->segs[0]));

	if (!r)
		return NVME_INTERNAL_ERROR;
	r->n = n;
	r->sq = sq;
	r->worker = nvme_worker_of(n, sq->id);
	r->ns = ns;
	r->cmd = *cmd;
	r->tag = sq->tag;
	r->location = 0xffff;
	r->due = sq->due;
	r->num_segs = num_segs;
	memcpy(r->segs, sq->segs, num_segs * sizeof(r->segs[0]));
	nvme_req_hand_over(r);
	return NVME_PENDING;
}

/* Move data straight between the file and the driver's memory. 0 or -EAGAIN. */
static int try_now(struct nvme *n, struct nvme_sq *sq, struct nvme_ns *ns, bool write, uint64_t off,
		   uint64_t len, unsigned num_segs)
{
	int pieces = 0, r = 0;

	uvfio_dma_begin(n->dev);
	for (unsigned i = 0; i < num_segs; i++) {
		r = uvfio_dma_sg(n->dev, sq->segs[i].iova, sq->segs[i].len, !write,
				 sq->iov + pieces, (int)NVME_MAX_SEGS - pieces);
		if (r < 0)
			goto out;
		pieces += r;
	}
	r = nvme_ns_try(ns, write, sq->iov, pieces, off, len);
out:
	uvfio_dma_end(n->dev);
	return r;
}

/*
 * A worker's turn, and a file system without RWF_NOWAIT for writes (ext4): a write to the page
 * cache by plain pwrite, which is twenty times cheaper than io_uring's detour through its own
 * threads. When one sleeps the kernel is throttling writers; then the detour is right, for a while.
 */
static int write_here(struct nvme *n, struct nvme_sq *sq, struct nvme_ns *ns, uint64_t off,
		      uint64_t len, unsigned num_segs)
{
	uint64_t start = nvme_now_ns(), done = 0, now;
	size_t size;
	char *buf;
	int err = 0;

	if (start < atomic_load_explicit(&ns->throttled_until, memory_order_relaxed))
		return -EAGAIN;
	buf = nvme_bounce_get(n, len, &size);
	if (!buf)
		return -EAGAIN;
	if (nvme_segs_read(n, sq->segs, num_segs, 0, buf, len)) {
		err = -EFAULT;
		goto out;
	}
	while (done < len) {
		ssize_t r = pwrite(ns->fd, buf + done, len - done, (off_t)(off + done));

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0) { /* the long way finds out and reports it */
			err = -EAGAIN;
			break;
		}
		done += (uint64_t)r;
	}
	now = nvme_now_ns();
	if (now - start > WRITE_SLEPT)
		atomic_store_explicit(&ns->throttled_until, now + WRITE_DETOUR,
				      memory_order_relaxed);
out:
	nvme_bounce_put(n, buf, size);
	return err;
}

/*
 * Blocks can be read if they are not lost, and written if they lie before @end of the image: else
 * it would grow, with zeroes between what it has and what is written.
 */
static uint16_t check_medium(struct nvme_ns *ns, const struct nvme_cmd *cmd, uint64_t end)
{
	if (writes(cmd->opc))
		return cmd_slba(cmd) + cmd_blocks(cmd) <= end ? NVME_OK : NVME_WRITE_FAULT;
	return nvme_cache_lost(ns, cmd_slba(cmd), cmd_blocks(cmd)) ? NVME_READ_ERROR : NVME_OK;
}

/* Measure the image once for all commands that were fetched together. With sq->lock. */
static uint64_t image_end(struct nvme *n, struct nvme_sq *sq, struct nvme_ns *ns)
{
	uint32_t bit = 1u << (ns->nsid - 1);

	if (sq->looked_at & bit)
		return atomic_load(&ns->cache.end);
	sq->looked_at |= bit;
	return nvme_cache_end(n, ns);
}

static uint16_t read_write(struct nvme *n, struct nvme_sq *sq, struct nvme_ns *ns,
			   const struct nvme_cmd *cmd, uint16_t *location)
{
	bool write = cmd->opc == NVME_IO_WRITE;
	uint64_t len = cmd_blocks(cmd) << ns->shift;
	unsigned num_segs, begin = nvme_cache_begin(ns);
	uint16_t status = nvme_prp_segs(n, sq, cmd, len, &num_segs, location);
	int r;

	if (status)
		return status;
	status = check_medium(ns, cmd, write ? image_end(n, sq, ns) : 0);
	if (status)
		return status;
	if (write)
		nvme_data_take(sq, num_segs);
	if (cmd->opc != NVME_IO_COMPARE && !is_fua(n, cmd)) {
		if (write && sq->worker_turn && write_sleeps(ns))
			r = write_here(n, sq, ns, cmd_slba(cmd) << ns->shift, len, num_segs);
		else
			r = try_now(n, sq, ns, write, cmd_slba(cmd) << ns->shift, len, num_segs);
		if (!r) {
			if (write)
				nvme_cache_wrote(ns, begin, cmd_slba(cmd), cmd_blocks(cmd));
			return NVME_OK;
		}
		if (r == -EFAULT)
			return NVME_DATA_TRANSFER_ERROR;
	}
	return hand_over(n, sq, ns, cmd, num_segs);
}

/* ---- checks ---- */

static uint16_t check_range(const struct nvme_ns *ns, const struct nvme_cmd *cmd,
			    uint16_t *location)
{
	uint64_t slba = cmd_slba(cmd), blocks = cmd_blocks(cmd);

	if (blocks > ns->blocks || slba > ns->blocks - blocks) {
		*location = nvme_location(BYTE_CDW10, 0);
		return NVME_LBA_RANGE | NVME_DNR;
	}
	return NVME_OK;
}

static uint16_t check_rw(struct nvme *n, const struct nvme_ns *ns, const struct nvme_cmd *cmd,
			 uint16_t *location)
{
	if (moves_data(cmd->opc) && cmd_blocks(cmd) << ns->shift > (uint64_t)NVME_PAGE_MIN
									   << n->mdts) {
		*location = nvme_location(BYTE_CDW12, 0);
		return NVME_INVALID_FIELD | NVME_DNR; /* 5.15.2.2, MDTS */
	}
	if (cmd->opc == NVME_IO_WRITE && NVME_RW_DTYPE(cmd->cdw12)) { /* no directives */
		*location = nvme_location(BYTE_CDW12 + 2, 4);
		return NVME_INVALID_FIELD | NVME_DNR;
	}
	return check_range(ns, cmd, location);
}

uint16_t nvme_io_cmd(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd,
		     uint16_t *location)
{
	struct nvme_ns *ns = nvme_find_ns(n, cmd->nsid);
	uint16_t status;

	switch (cmd->opc) {
	case NVME_IO_FLUSH:
	case NVME_IO_WRITE:
	case NVME_IO_READ:
	case NVME_IO_COMPARE:
	case NVME_IO_WRITE_ZEROES:
	case NVME_IO_DATASET:
	case NVME_IO_VERIFY:
		break;
	default:
		*location = nvme_location(BYTE_OPC, 0);
		return NVME_INVALID_OPCODE | NVME_DNR;
	}
	if (cmd->flags & 0xc3) { /* no fused operations, no SGLs: 4.2 */
		*location = nvme_location(BYTE_FLAGS, cmd->flags & 3 ? 0 : 6);
		return NVME_INVALID_FIELD | NVME_DNR;
	}
	/* 6.8: Flush takes all namespaces at once (VWC says so) */
	if (!ns && !(cmd->opc == NVME_IO_FLUSH && cmd->nsid == NVME_NSID_ALL)) {
		*location = nvme_location(BYTE_NSID, 0);
		return NVME_INVALID_NAMESPACE | NVME_DNR;
	}
	if (ns && ns->readonly && writes(cmd->opc)) {
		*location = nvme_location(BYTE_NSID, 0);
		return NVME_WRITE_PROTECTED | NVME_DNR;
	}
	switch (cmd->opc) {
	case NVME_IO_FLUSH:
		return hand_over(n, sq, ns, cmd, 0);
	case NVME_IO_READ:
	case NVME_IO_WRITE:
	case NVME_IO_COMPARE:
		status = check_rw(n, ns, cmd, location);
		return status ? status : read_write(n, sq, ns, cmd, location);
	case NVME_IO_WRITE_ZEROES:
	case NVME_IO_VERIFY:
		status = check_range(ns, cmd, location);
		return status ? status : hand_over(n, sq, ns, cmd, 0);
	default: {
		unsigned num_segs;

		/* 6.7: NR is zero's based in the low byte */
		status = nvme_prp_segs(n, sq, cmd,
				       ((cmd->cdw10 & 0xff) + 1) * sizeof(struct nvme_dsm_range),
				       &num_segs, location);
		return status ? status : hand_over(n, sq, ns, cmd, num_segs);
	}
	}
}

/* ---- requests ---- */

static bool finish(struct nvme_req *r, uint16_t status)
{
	if (r->shutdown)
		nvme_shutdown_done(r->n, status == NVME_OK);
	/* Set Features that did not get the cache empty has not turned it off. */
	if (status && r->sq && !r->sq->id)
		atomic_store(&r->n->kept->feat.write_cache, 1);
	nvme_req_done(r, status);
	return false;
}

static bool want(struct nvme_req *r, enum nvme_aio_op op, uint64_t off, uint64_t len)
{
	r->aio.op = op;
	r->aio.fd = r->ns->fd;
	r->aio.off = off;
	r->aio.len = len;
	return true;
}

static bool want_data(struct nvme_req *r, enum nvme_aio_op op, uint64_t len)
{
	r->aio.iov.iov_base = (char *)r->bounce + (moves_data(r->cmd.opc) ? r->done : 0);
	r->aio.iov.iov_len = len;
	return want(r, op, r->off + r->done, len);
}

static bool want_fallocate(struct nvme_req *r, int mode, uint64_t off, uint64_t len)
{
	r->aio.mode = mode | FALLOC_FL_KEEP_SIZE;
	return want(r, NVME_AIO_FALLOCATE, off, len);
}

static bool want_sync(struct nvme_req *r)
{
	want(r, NVME_AIO_SYNC, 0, 0);
	return nvme_cache_sync(r);
}

static uint16_t file_error(struct nvme_req *r, long err, bool write)
{
	/* an image that was cut short has its line from nvme_cache_end(), once */
	if (err || nvme_cache_end(r->n, r->ns) == r->ns->blocks)
		uvfio_log(r->n->dev, UVFIO_LOG_ERROR, "namespace %u: %s at byte %llu: %s",
			  r->ns->nsid, write ? "write" : "read", (unsigned long long)r->aio.off,
			  err ? strerror((int)-err) : "the image ends here; was it truncated?");
	return write ? nvme_write_status(err) : NVME_READ_ERROR;
}

static uint64_t chunk(const struct nvme_req *r)
{
	uint64_t left = r->len - r->done;

	return left < NVME_CHUNK ? left : NVME_CHUNK;
}

/*
 * Write Zeroes (6.17): by holes if the driver allows, by an allocated range of zeroes, or by
 * writing them.
 */
static bool zeroes_next(struct nvme_req *r)
{
	struct nvme_ns *ns = r->ns;

	if (r->cmd.cdw12 & NVME_WZ_DEAC && atomic_load(&ns->punch))
		return want_fallocate(r, FALLOC_FL_PUNCH_HOLE, r->off, r->len);
	if (atomic_load(&ns->zero_range))
		return want_fallocate(r, FALLOC_FL_ZERO_RANGE, r->off, r->len);
	if (!r->bounce) {
		r->bounce = nvme_bounce_get(r->n, r->len < NVME_CHUNK ? r->len : NVME_CHUNK,
					    &r->bounce_size);
		if (!r->bounce)
			return finish(r, NVME_INTERNAL_ERROR);
		memset(r->bounce, 0, r->bounce_size);
	}
	return want_data(r, NVME_AIO_WRITE, chunk(r));
}

/* Prepare the next range that Dataset Management punches, from r->step on. */
static bool dataset_next(struct nvme_req *r)
{
	struct nvme_ns *ns = r->ns;

	for (; r->step < r->num_ranges; r->step++) {
		struct nvme_dsm_range *d = &r->ranges[r->step];

		if (d->blocks && d->lba + d->blocks > nvme_cache_end(r->n, ns))
			return finish(r, NVME_WRITE_FAULT);
		if (d->blocks && atomic_load(&ns->punch))
			return want_fallocate(r, FALLOC_FL_PUNCH_HOLE, d->lba << ns->shift,
					      (uint64_t)d->blocks << ns->shift);
	}
	return is_fua(r->n, &r->cmd) ? want_sync(r) : finish(r, NVME_OK);
}

static bool dataset_start(struct nvme_req *r)
{
	struct nvme_ns *ns = r->ns;
	uint16_t status;

	r->num_ranges = (r->cmd.cdw10 & 0xff) + 1;
	r->ranges = calloc(r->num_ranges, sizeof(*r->ranges));
	if (!r->ranges)
		return finish(r, NVME_INTERNAL_ERROR);
	status = nvme_segs_read(r->n, r->segs, r->num_segs, 0, r->ranges,
				r->num_ranges * sizeof(*r->ranges));
	if (status)
		return finish(r, status);
	for (unsigned i = 0; i < r->num_ranges; i++)
		if (r->ranges[i].blocks > ns->blocks ||
		    r->ranges[i].lba > ns->blocks - r->ranges[i].blocks) {
			r->location = nvme_location(BYTE_CDW10, 0);
			return finish(r, NVME_LBA_RANGE | NVME_DNR);
		}
	if (!(r->cmd.cdw11 & NVME_DSM_AD)) /* the other attributes are hints */
		return finish(r, NVME_OK);
	r->begin = nvme_cache_begin(ns);
	return dataset_next(r);
}

static bool sync_done(struct nvme_req *r, long res);

bool nvme_io_start(struct nvme_req *r)
{
	size_t bounce;
	uint16_t status;

	if (r->resume == NVME_RESUME_SYNC)
		return true;
	if (r->resume == NVME_RESUME_SYNCED)
		return sync_done(r, r->res);
	if (atomic_load(&r->n->discard) && !r->shutdown)
		return finish(r, NVME_INTERNAL_ERROR); /* not started, and nobody will hear */
	if (r->cmd.opc == NVME_IO_FLUSH) {
		if (!r->ns)
			r->ns = &r->n->ns[0];
		return want_sync(r);
	}
	if (r->cmd.opc == NVME_IO_DATASET)
		return dataset_start(r);
	r->off = cmd_slba(&r->cmd) << r->ns->shift;
	r->len = cmd_blocks(&r->cmd) << r->ns->shift;
	r->begin = nvme_cache_begin(r->ns);
	status = check_medium(r->ns, &r->cmd, writes(r->cmd.opc) ? nvme_cache_end(r->n, r->ns) : 0);
	if (status)
		return finish(r, status);
	if (r->cmd.opc == NVME_IO_WRITE_ZEROES)
		return zeroes_next(r);
	bounce = r->cmd.opc == NVME_IO_VERIFY && r->len > NVME_CHUNK ? NVME_CHUNK : r->len;
	r->bounce = nvme_bounce_get(r->n, bounce, &r->bounce_size);
	if (!r->bounce)
		return finish(r, NVME_INTERNAL_ERROR);
	if (r->cmd.opc == NVME_IO_WRITE) {
		status = nvme_segs_read(r->n, r->segs, r->num_segs, 0, r->bounce, r->len);
		if (status)
			return finish(r, status);
		return want_data(r, NVME_AIO_WRITE, r->len);
	}
	if (r->cmd.cdw12 & NVME_RW_FUA) /* 6.9: what is in the cache goes to the medium first */
		return want_sync(r);
	return want_data(r, NVME_AIO_READ, chunk(r));
}

/* Give all bytes that were read to the driver, or compare them (6.6). */
static bool read_done(struct nvme_req *r)
{
	size_t size;
	uint16_t status;
	void *theirs;

	if (r->cmd.opc == NVME_IO_VERIFY)
		return finish(r, NVME_OK);
	if (r->cmd.opc == NVME_IO_READ)
		return finish(r, atomic_load(&r->n->discard)
					 ? NVME_INTERNAL_ERROR
					 : nvme_segs_write(r->n, r->segs, r->num_segs, 0, r->bounce,
							   r->len));
	theirs = nvme_bounce_get(r->n, r->len, &size);
	if (!theirs)
		return finish(r, NVME_INTERNAL_ERROR);
	status = nvme_segs_read(r->n, r->segs, r->num_segs, 0, theirs, r->len);
	if (!status && memcmp(theirs, r->bounce, r->len))
		status = NVME_COMPARE_FAILURE | NVME_DNR;
	nvme_bounce_put(r->n, theirs, size);
	return finish(r, status);
}

/* Go on after a write, or zeroes, is in the image. */
static bool written(struct nvme_req *r)
{
	if (is_fua(r->n, &r->cmd))
		return want_sync(r);
	nvme_cache_wrote(r->ns, r->begin, cmd_slba(&r->cmd), cmd_blocks(&r->cmd));
	return finish(r, NVME_OK);
}

static bool fallocate_done(struct nvme_req *r, long res)
{
	struct nvme_ns *ns = r->ns;
	bool punch = r->aio.mode & FALLOC_FL_PUNCH_HOLE;

	if (res == -EOPNOTSUPP || res == -ENOSYS || res == -ENODEV) {
		atomic_store(punch ? &ns->punch : &ns->zero_range, false);
		/*
		 * Deallocation is a wish (6.7.1.1): data that stays is a right answer. Zeroes are
		 * an order.
		 */
		return r->cmd.opc == NVME_IO_DATASET ? dataset_next(r) : zeroes_next(r);
	}
	if (res < 0)
		return finish(r, file_error(r, res, true));
	if (r->cmd.opc == NVME_IO_DATASET) {
		nvme_cache_wrote(ns, r->begin, r->ranges[r->step].lba, r->ranges[r->step].blocks);
		r->step++;
		return dataset_next(r);
	}
	r->done = r->len;
	return written(r);
}

/*
 * Flush (6.8): the next namespace, if it is for all. One that fails keeps none of the others from
 * the medium.
 */
static bool flush_next(struct nvme_req *r, uint16_t status)
{
	if (!r->failed)
		r->failed = status;
	if (r->cmd.nsid != NVME_NSID_ALL || r->ns->nsid == r->n->num_ns)
		return finish(r, r->failed);
	r->ns++;
	return want_sync(r);
}

static bool sync_done(struct nvme_req *r, long res)
{
	struct nvme_ns *ns = r->ns;
	bool reads = r->done < r->len;
	uint16_t status;

	r->resume = NVME_RESUME_NOT;
	nvme_cache_end(r->n, ns);
	if (r->cmd.opc == NVME_IO_FLUSH)
		return flush_next(r, res < 0 ? nvme_write_status(res) : nvme_cache_status(ns));
	if (reads) { /* of what it reads, it is known whether that is lost */
		status = check_medium(ns, &r->cmd, 0);
		return status ? finish(r, status) : want_data(r, NVME_AIO_READ, chunk(r));
	}
	if (res >= 0 && r->cmd.opc != NVME_IO_DATASET)
		nvme_cache_synced(ns, r->begin, cmd_slba(&r->cmd), cmd_blocks(&r->cmd));
	return finish(r, res < 0 ? nvme_write_status(res) : nvme_cache_status(ns));
}

bool nvme_io_step(struct nvme_req *r, long res)
{
	if (res == -EINTR || res == -EAGAIN || res == -ECANCELED)
		return true; /* once more as it was */
	switch (r->aio.op) {
	case NVME_AIO_FALLOCATE:
		return fallocate_done(r, res);
	case NVME_AIO_SYNC:
		nvme_cache_sync_done(r, res);
		return sync_done(r, res);
	case NVME_AIO_READ:
		if (res <= 0)
			return finish(r, file_error(r, res, false));
		r->done += (uint64_t)res;
		return r->done < r->len ? want_data(r, NVME_AIO_READ, chunk(r)) : read_done(r);
	default:
		if (res <= 0)
			return finish(r, file_error(r, res, true));
		r->done += (uint64_t)res;
		if (r->done < r->len)
			return want_data(r, NVME_AIO_WRITE, chunk(r));
		return written(r);
	}
}

/* Flush everything; the admin command completes when it is on the medium. */
uint16_t nvme_io_flush_all(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd)
{
	struct nvme_cmd flush = *cmd;

	flush.opc = NVME_IO_FLUSH;
	flush.nsid = NVME_NSID_ALL;
	return hand_over(n, sq, NULL, &flush, 0);
}

/* Flush all namespaces for CC.SHN (7.6.2), which no queue asked for. */
int nvme_io_shutdown(struct nvme *n)
{
	struct nvme_req *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->n = n;
	r->worker = nvme_worker_of(n, 0);
	r->cmd.opc = NVME_IO_FLUSH;
	r->cmd.nsid = NVME_NSID_ALL;
	r->shutdown = true;
	nvme_req_hand_over(r);
	return 0;
}
