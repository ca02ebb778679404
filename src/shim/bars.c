/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/bars.c: BARs in the program's address space. A mapping is PROT_NONE memory, so that each
 * load and store faults, and is carried out by bar_access.c. What the mapping is of, this table
 * knows: ranges, sorted, exchanged as a whole under RCU, because the handler may take no lock.
 *
 * The memory is a shared mapping of an empty file. So it stays a BAR whatever a program does past
 * us: made accessible by a raw mprotect it gives SIGBUS instead of SIGSEGV, which is served as
 * well, and neither a debugger nor /proc/self/mem finds zeroes in it. Being shared and of a file it
 * also gets many of the kernel's own refusals right.
 *
 * Some areas of a BAR are memory, for a time or always (areas.h). Which they are is written down
 * with the range when it is mapped, so that a device that opens its pages comes up here once, and
 * nothing asks back.
 *
 * A range holds a reference on its open file, as a mapping in the kernel does: the device stays
 * open until descriptor and mappings are gone.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/heap.h"
#include "base/rcu.h"
#include "shim/areas.h"
#include "shim/bars.h"
#include "shim/handles.h"
#include "shim/scope.h"

struct ranges {
	unsigned n;
	struct shim_range r[];
};

static struct ranges *table;				      /* RCU; NULL: none */
static pthread_mutex_t bars_lock = PTHREAD_MUTEX_INITIALIZER; /* writers; with signals blocked */
static int blank = -1; /* private: the empty file; set once, with bars_lock */

static struct shim_range *find(struct ranges *t, uintptr_t addr)
{
	unsigned lo = 0, hi = t ? t->n : 0;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (t->r[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return t && lo < t->n && t->r[lo].start <= addr ? &t->r[lo] : NULL;
}

static bool touches(struct ranges *t, uintptr_t start, uintptr_t end)
{
	for (unsigned i = 0; t && i < t->n; i++)
		if (t->r[i].start < end && start < t->r[i].end)
			return true;
	return false;
}

bool shim_bar_has(const void *addr, size_t len)
{
	uintptr_t start = (uintptr_t)addr;
	bool has;

	if (!rcu_get(table) || !len)
		return false;
	rcu_read_begin();
	has = touches(rcu_get(table), start, add_overflows(start, len) ? UINTPTR_MAX : start + len);
	rcu_read_end();
	return has;
}

bool shim_bar_any(void)
{
	return rcu_get(table);
}

bool shim_bar_memory(void *unused, uint64_t vaddr, uint64_t size, struct vfio_bar *first)
{
	uint64_t at = vaddr, end = vaddr + size;
	struct shim_range *r, part;

	if (end <= at)
		return false;
	rcu_read_begin();
	while (at < end && (r = find(rcu_get(table), at)))
		at = r->end;
	rcu_read_end();
	if (at < end || !shim_bar_get((void *)vaddr, &part))
		return false;
	*first = (struct vfio_bar){ 0 };
	if (!part.dead)
		uapi_mmap_bar(part.file, part.pos + (vaddr - part.start), first);
	first->length = (part.end < end ? part.end : end) - vaddr;
	first->prot = (part.prot & PROT_READ ? IOMMU_READ : 0) |
		      (part.prot & PROT_WRITE ? IOMMU_WRITE : 0);
	shim_bar_put(&part);
	return true;
}

/* Cut what lies before @start off @r. */
static void cut_start(struct shim_range *r, uintptr_t start)
{
	if (r->start >= start)
		return;
	r->pos += start - r->start;
	r->start = start;
}

/*
 * Make one of neighbours that are as one, as the kernel does with its mappings: otherwise a mapping
 * would have to be split to be closed, and could stay open when no other one may be made.
 */
static void merge(struct ranges *t)
{
	unsigned k = 0;

	for (unsigned i = 1; i < t->n; i++) {
		struct shim_range *a = &t->r[k], *b = &t->r[i];

		if (a->end == b->start && a->file == b->file && a->prot == b->prot &&
		    a->dead == b->dead && a->pos + (a->end - a->start) == b->pos)
			a->end = b->end;
		else
			t->r[++k] = *b;
	}
	t->n = t->n ? k + 1 : 0;
}

/*
 * Make a new table: without [start, end), or with @prot on what lies in it if that is not -1; and
 * with @add, which may be NULL. It has references of its own. NULL and *@err on no memory; NULL and
 * 0: nothing is left.
 */
static struct ranges *rebuild(struct ranges *old, uintptr_t start, uintptr_t end,
			      const struct shim_range *add, int prot, int *err)
{
	unsigned n = old ? old->n : 0, k = 0, i;
	struct ranges *t = heap_alloc(sizeof(*t) + (2 * n + 3) * sizeof(t->r[0]));

	*err = t ? 0 : -ENOMEM;
	if (!t)
		return NULL;
	for (i = 0; i < n && old->r[i].start < start; i++) {
		t->r[k] = old->r[i];
		if (t->r[k].end > start)
			t->r[k].end = start;
		k++;
	}
	for (i = 0; prot != -1 && i < n; i++) {
		if (old->r[i].end <= start || end <= old->r[i].start)
			continue;
		t->r[k] = old->r[i];
		cut_start(&t->r[k], start);
		if (t->r[k].end > end)
			t->r[k].end = end;
		t->r[k++].prot = prot;
	}
	if (add)
		t->r[k++] = *add;
	for (i = 0; i < n; i++) {
		if (old->r[i].end <= end)
			continue;
		t->r[k] = old->r[i];
		cut_start(&t->r[k++], end);
	}
	if (!k) {
		heap_free(t);
		return NULL;
	}
	t->n = k;
	merge(t);
	for (i = 0; i < t->n; i++)
		if (!t->r[i].dead)
			uapi_file_get(t->r[i].file);
	return t;
}

/*
 * Give back the references of the old table when its last reader is gone. The last one closes the
 * device, so not under bars_lock.
 */
static void drop(struct ranges *old)
{
	if (!old)
		return;
	rcu_sync();
	for (unsigned i = 0; i < old->n; i++)
		if (!old->r[i].dead)
			uapi_file_put(old->r[i].file);
	heap_free(old);
}

static struct shim_pages pages_of(const struct shim_range *r)
{
	return (struct shim_pages){ .start = r->start,
				    .end = r->end,
				    .offset = VFIO_REGION_POS(r->pos),
				    .prot = r->prot,
				    .areas = r->areas,
				    .num_areas = r->dead ? 0 : r->num_areas };
}

static unsigned open_range(const struct shim_range *r, enum vfio_area_kind kind, bool open)
{
	const struct shim_pages p = pages_of(r);
	long stuck = 0;
	unsigned n = shim_areas_open(&p, kind, open, SYS_PASS(blank), &stuck);

	if (stuck)
		report_err("bar-not-closed", SHIM_WHO, (int)stuck,
			   "a mapped BAR at %p cannot be closed: %m; stores may be lost",
			   (void *)r->start);
	return n;
}

/* Give what is memory in @r the rights that it has now. With bars_lock. */
static void give_rights(const struct shim_range *r)
{
	if (r->dead || !r->num_areas)
		return;
	for (enum vfio_area_kind kind = VFIO_AREA_POLLED; kind <= VFIO_AREA_DIRECT; kind++)
		if (uapi_mmap_open(r->file, kind))
			open_range(r, kind, true);
}

static int insert(const struct shim_range *add)
{
	struct ranges *old, *new;
	uint64_t mask;
	int err;

	shim_block_signals(&mask);
	pthread_mutex_lock(&bars_lock);
	old = table;
	new = rebuild(old, add->start, add->end, add, -1, &err);
	if (new) {
		rcu_set(table, new);
		give_rights(add);
		shim_gone_forget(add->start, add->end);
	}
	pthread_mutex_unlock(&bars_lock);
	shim_restore_signals(&mask);
	if (!err)
		drop(old);
	return err;
}

/* The mapper of the open file @arg. */
static unsigned set_open(struct vfio_open *o, void *arg, enum vfio_area_kind kind, bool open)
{
	unsigned n = 0;
	uint64_t mask;

	shim_block_signals(&mask);
	pthread_mutex_lock(&bars_lock);
	for (unsigned i = 0; table && i < table->n; i++)
		if (!table->r[i].dead && table->r[i].file == arg)
			n += open_range(&table->r[i], kind, open);
	pthread_mutex_unlock(&bars_lock);
	shim_restore_signals(&mask);
	return n;
}

static void note_gone(const struct ranges *t, uintptr_t start, uintptr_t end)
{
	for (unsigned i = 0; t && i < t->n; i++)
		if (t->r[i].start < end && start < t->r[i].end)
			shim_gone_note(&t->r[i], start, end);
}

/*
 * System call @nr, which takes [addr, addr + len) away or puts something else there. The table
 * forgets the BARs in it first: an address that the kernel has back is another thread's at any
 * time, and what is there afterwards is not to be opened or closed.
 */
long shim_bar_replace(void *addr, size_t len, long nr, const long a[6])
{
	uintptr_t start = (uintptr_t)addr;
	struct ranges *old, *new;
	uint64_t mask;
	int err;
	long rc;

	/* what the kernel refuses, it refuses before it takes anything away */
	if (start % PAGE_SIZE_4K || len > UINTPTR_MAX - PAGE_SIZE_4K ||
	    add_overflows(start, len + PAGE_SIZE_4K) || !shim_bar_has(addr, len))
		return sys_call(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	shim_block_signals(&mask);
	pthread_mutex_lock(&bars_lock);
	old = table;
	new = rebuild(old, start, start + align_up(len, PAGE_SIZE_4K), NULL, -1, &err);
	rc = err;
	if (!err) {
		rcu_set(table, new);
		rc = sys_call(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
		/* it would cut one mapping too many: all is as before */
		if (sys_failed(rc)) {
			rcu_set(table, old);
			old = new;
		} else if (nr == SYS_munmap) {
			note_gone(old, start, start + align_up(len, PAGE_SIZE_4K));
		}
	}
	pthread_mutex_unlock(&bars_lock);
	shim_restore_signals(&mask);
	if (!err)
		drop(old);
	return rc;
}

long shim_bar_munmap(void *addr, size_t len)
{
	const long a[6] = { (long)addr, (long)len };

	return shim_bar_replace(addr, len, SYS_munmap, a);
}

/* Return the descriptor of the empty file, which cannot be made longer. */
static int blank_file(void)
{
	int fd;

	if (blank >= 0)
		return blank;
	fd = shim_memfd("uvfio-bar");
	if (fd < 0)
		return fd;
	/* may be refused (before 6.3, where the memfd has no seals): it is our own descriptor */
	sys_call(SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL, 0, 0, 0);
	return blank = fd_make_private(fd);
}

/*
 * Map the empty file with the program's arguments, as mmap(2): the kernel finds what is wrong with
 * them, and the table forgets what was there.
 */
static long map_blank(uintptr_t addr, size_t len, int flags, uint64_t pos)
{
	uint64_t mask;
	long a[6];
	int fd;

	shim_block_signals(&mask);
	pthread_mutex_lock(&bars_lock);
	fd = blank_file();
	pthread_mutex_unlock(&bars_lock);
	shim_restore_signals(&mask);
	if (fd < 0)
		return fd;
	/*
	 * the offset lets neighbours merge as the kernel's mappings do; there is nothing to
	 * populate
	 */
	memcpy(a,
	       (const long[6]){ (long)addr, (long)len, PROT_NONE, flags & ~MAP_POPULATE,
				SYS_PASS(fd), (long)pos },
	       sizeof(a));
	return flags & MAP_FIXED ? shim_bar_replace((void *)addr, len, SYS_mmap, a)
				 : sys_call(SYS_mmap, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* Make a BAR of what map_blank() made. 0, or -errno and nothing is there. */
static long make_bar(const struct shim_range *add)
{
	size_t size = add->end - add->start;
	const struct shim_pages p = pages_of(add);
	long err = shim_areas_map(&p);

	/* VM_DONTDUMP, and never VM_LOCKED, as the kernel's PFN mappings */
	sys_call(SYS_madvise, (long)add->start, (long)size, MADV_DONTDUMP, 0, 0, 0);
	sys_call(SYS_munlock, (long)add->start, (long)size, 0, 0, 0, 0);
	if (!add->dead)
		uapi_mmap_tell(add->file, set_open);
	if (!err)
		err = insert(add);
	if (err)
		sys_call(SYS_munmap, (long)add->start, (long)size, 0, 0, 0, 0);
	return err;
}

long shim_bar_map(struct uapi_file *f, void *addr, size_t len, int prot, int flags, uint64_t pos)
{
	size_t size = align_up(len, PAGE_SIZE_4K);
	int type = flags & MAP_TYPE;
	struct shim_range add;
	long at, err;

	if (!uapi_file_device(f))
		return uapi_mmap_check(f, len, prot, flags, pos);
	/* the file system of the kernel's VFIO files is noexec (6.17) */
	if (prot & PROT_EXEC && len && !(pos % PAGE_SIZE_4K) &&
	    (type == MAP_SHARED || type == MAP_PRIVATE || type == MAP_SHARED_VALIDATE))
		return -EPERM;
	at = map_blank((uintptr_t)addr, len, flags, pos);
	if (sys_failed(at))
		return at;
	/* the kernel asks the file last, too: with MAP_FIXED, what was there is gone then */
	err = uapi_mmap_check(f, len, prot, flags, pos);
	pos = uapi_mmap_pos(f, pos);
	if (err) {
		sys_call(SYS_munmap, at, (long)size, 0, 0, 0, 0);
		return err;
	}
	add = (struct shim_range){ .start = (uintptr_t)at,
				   .end = (uintptr_t)at + size,
				   .file = f,
				   .pos = pos,
				   .prot = prot & (PROT_READ | PROT_WRITE) };
	add.num_areas = uapi_mmap_areas(f, pos, &add.areas);
	err = make_bar(&add);
	return err ? err : at;
}

/* Return the end of the stretch that begins at @at: of a mapped BAR (*@bar), or of other memory. */
static uintptr_t stretch(const struct ranges *t, uintptr_t at, uintptr_t end, bool *bar)
{
	*bar = false;
	for (unsigned i = 0; t && i < t->n; i++) {
		if (t->r[i].end <= at)
			continue;
		*bar = t->r[i].start <= at;
		if (end > (*bar ? t->r[i].end : t->r[i].start))
			end = *bar ? t->r[i].end : t->r[i].start;
		break;
	}
	return end;
}

static bool may_write(const struct shim_range *r, uintptr_t start, uintptr_t end)
{
	return r->dead || uapi_mmap_may_write(r->file, r->pos + (start - r->start), end - start);
}

/*
 * Change the protection of [start, end), with bars_lock. A BAR's pages stay PROT_NONE to the
 * kernel, which is asked only whether it would change them; what lies beside them is the program's
 * memory.
 */
static long protect(uintptr_t start, uintptr_t end, int prot, int pkey)
{
	const int rights = PROT_READ | PROT_WRITE | PROT_EXEC;
	long ret = 0, nr = pkey == -1 ? SYS_mprotect : SYS_pkey_mprotect;
	struct ranges *old = table, *new;
	uintptr_t at, next;
	bool bar;
	int err;

	for (at = start; at < end; at = next) {
		next = stretch(old, at, end, &bar);
		ret = sys_call(nr, (long)at, (long)(next - at), bar ? prot & ~rights : prot, pkey,
			       0, 0);
		/* not all that can be read may be written */
		if (!ret && bar && prot & PROT_WRITE && !may_write(find(old, at), at, next))
			ret = -EACCES;
		/* a mapping of a file on a noexec file system */
		if (!ret && bar && prot & PROT_EXEC)
			ret = -EACCES;
		if (ret)
			break;
	}
	if (at == start)
		return ret;
	new = rebuild(old, start, at, NULL, prot & (PROT_READ | PROT_WRITE), &err);
	if (err)
		return err;
	rcu_set(table, new);
	/* what was open has been closed, which is right at any time, but not for good */
	for (unsigned i = 0; new &&i < new->n; i++)
		if (new->r[i].start < at && start < new->r[i].end)
			give_rights(&new->r[i]);
	return ret;
}

bool shim_bar_protect(void *addr, size_t len, int prot, int pkey, long *ret)
{
	uintptr_t start = (uintptr_t)addr;
	struct ranges *old;
	uint64_t mask;

	if (start % PAGE_SIZE_4K || !shim_bar_has(addr, len))
		return false;
	if (len > UINTPTR_MAX - PAGE_SIZE_4K || add_overflows(start, len + PAGE_SIZE_4K)) {
		*ret = -ENOMEM; /* mprotect(2): not all of it is mapped */
		return true;
	}
	shim_block_signals(&mask);
	pthread_mutex_lock(&bars_lock);
	old = table;
	*ret = protect(start, start + align_up(len, PAGE_SIZE_4K), prot, pkey);
	if (old == table)
		old = NULL;
	pthread_mutex_unlock(&bars_lock);
	shim_restore_signals(&mask);
	drop(old);
	return true;
}

bool shim_bar_get(const void *addr, struct shim_range *out)
{
	struct shim_range *r;

	if (!rcu_get(table))
		return false;
	rcu_read_begin();
	r = find(rcu_get(table), (uintptr_t)addr);
	if (r) {
		*out = *r;
		if (!r->dead)
			uapi_file_get(r->file);
	}
	rcu_read_end();
	return r;
}

void shim_bar_put(const struct shim_range *r)
{
	if (!r->dead)
		uapi_file_put(r->file);
}

size_t shim_bar_stretch(const void *addr, size_t len, bool *bar)
{
	uintptr_t at = (uintptr_t)addr, end;

	rcu_read_begin();
	end = stretch(rcu_get(table), at, at + len, bar);
	rcu_read_end();
	return end - at;
}

long shim_bar_remap_pages(void *addr, size_t len, int prot, uint64_t page)
{
	uintptr_t start = (uintptr_t)addr & ~(PAGE_SIZE_4K - 1);
	size_t size = len & ~(PAGE_SIZE_4K - 1);
	long rc = -EINVAL;
	struct shim_range r;

	if (prot || !shim_bar_get((void *)start, &r))
		return -EINVAL;
	if (!r.dead && size && size <= r.end - start)
		rc = shim_bar_map(r.file, (void *)start, size, r.prot, MAP_SHARED | MAP_FIXED,
				  page * PAGE_SIZE_4K);
	shim_bar_put(&r);
	return rc > 0 ? 0 : rc;
}

/*
 * Move by mapping the BAR once more and taking the first mapping away: its pages have no contents.
 */
long shim_bar_move(void *from, size_t len, void *to)
{
	uintptr_t at = (uintptr_t)from, end = at + len;
	struct shim_range r;
	long rc = 0;

	for (; at < end && !rc; at = r.end) {
		if (!shim_bar_get((void *)at, &r))
			return -EFAULT;
		cut_start(&r, at);
		if (r.end > end)
			r.end = end;
		struct shim_range add = r;

		add.start = (uintptr_t)to + (at - (uintptr_t)from);
		add.end = add.start + (r.end - r.start);
		rc = map_blank(add.start, add.end - add.start, MAP_SHARED | MAP_FIXED, r.pos);
		if (!sys_failed(rc))
			rc = make_bar(&add);
		shim_bar_put(&r);
		if (!rc)
			rc = shim_bar_munmap((void *)at, r.end - r.start);
	}
	return rc;
}

void shim_bar_unlock_pages(void)
{
	uint64_t mask;

	shim_block_signals(&mask);
	pthread_mutex_lock(&bars_lock);
	for (unsigned i = 0; table && i < table->n; i++)
		sys_call(SYS_munlock, (long)table->r[i].start,
			 (long)(table->r[i].end - table->r[i].start), 0, 0, 0, 0);
	pthread_mutex_unlock(&bars_lock);
	shim_restore_signals(&mask);
}

bool shim_bar_polls(const void *addr, size_t len)
{
	uintptr_t start = (uintptr_t)addr, end = start + len, at;
	bool polls = false;
	size_t n;

	rcu_read_begin();
	for (struct shim_range *r; start < end && !polls; start = r ? r->end : end) {
		r = find(rcu_get(table), start);
		if (r) {
			const struct shim_pages p = pages_of(r);

			at = start;
			polls = shim_area_next(&p, &at, &n);
		}
	}
	rcu_read_end();
	return polls;
}

bool shim_bar_efault(const char *call, const void *buf, size_t len)
{
	uintptr_t start = (uintptr_t)buf,
		  end = add_overflows(start, len) ? UINTPTR_MAX : start + len;
	struct ranges *t;
	bool found = false;

	rcu_read_begin();
	t = rcu_get(table);
	for (unsigned i = 0; t && i < t->n && !found; i++) {
		struct shim_range r = t->r[i];

		if (r.start >= end || start >= r.end)
			continue;
		found = true;
		cut_start(&r, start);
		report_warn(
			REPORT_LIMITED(REPORT_HINT("bar-efault", "; copy through other memory")),
			r.dead ? SHIM_WHO : uapi_file_device(r.file)->name, -EFAULT,
			"%s: its memory is mapped region %u at 0x%llx, where loads and stores of "
			"the program are carried out but the kernel cannot come in",
			call, VFIO_REGION_INDEX(r.pos), (unsigned long long)VFIO_REGION_POS(r.pos));
	}
	rcu_read_end();
	return found;
}

/* ---- fork ---- */

void shim_bars_hold(void *unused)
{
	struct uapi_file *f, *last = NULL;

	for (unsigned i = 0;; i++) {
		struct ranges *t;

		rcu_read_begin();
		t = rcu_get(table);
		f = t && i < t->n && !t->r[i].dead ? t->r[i].file : NULL;
		if (f)
			uapi_file_get(f);
		rcu_read_end();
		if (f && f != last)
			uapi_far_hold(f);
		uapi_file_put(f);
		last = f;
		if (!f)
			break;
	}
}

void shim_bars_lock(void)
{
	pthread_mutex_lock(&bars_lock);
}

void shim_bars_unlock(void)
{
	pthread_mutex_unlock(&bars_lock);
}

void shim_bars_abandon(void)
{
	pthread_mutex_init(&bars_lock, NULL);
	for (unsigned i = 0; table && i < table->n; i++) {
		const struct shim_pages p = pages_of(&table->r[i]);

		shim_areas_abandon(&p, SYS_PASS(blank));
		table->r[i].dead = !uapi_file_is_far(table->r[i].file);
		/* MADV_DONTFORK: the child has nothing there */
		if (sys_call(SYS_mprotect, (long)table->r[i].start,
			     (long)(table->r[i].end - table->r[i].start), PROT_NONE, 0, 0,
			     0) == -ENOMEM)
			table->r[i].end = table->r[i].start;
	}
	blank = -1; /* closed with all that is private */
}
