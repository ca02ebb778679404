/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/memory.c: the guest's memory, in sections as the monitor adds them. While a device is there
 * that reaches it by guest physical addresses, each section is a mapping of vm_memory.ioas, of what
 * is whole pages of it, and a discardable one has a mapping for each granule that is populated.
 *
 * Nothing is pinned here: devices of this process meet the pages as the program does, and the
 * kernel's IOMMU, which listens to the space, pins by itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/sys.h"
#include "base/util.h"
#include "iommu/populate.h"
#include "vmm/internal.h"

#define MEM_FLAGS (UVFIO_VM_MEM_READONLY | UVFIO_VM_MEM_DISCARDABLE | UVFIO_VM_MEM_PEER)
/* while a guest sizes a 64-bit BAR with decoding on, sections appear up there */
#define NONSENSE (1ull << 63)

struct section {
	struct itree_node node;	  /* vm_memory.sections: as it was added */
	struct cds_list_head all; /* in a list of changes, or by itself */
	struct uvfio_vm_memory m; /* its fd is our own */
	/* what of it can be mapped: whole pages; size 0: nothing */
	uint64_t gpa, size, host, fd_offset;
	unsigned prot;
	bool mapped;	       /* of one that is not discardable: in the guest's space */
	bool lost;	       /* a BAR that is not at @host any more */
	struct vm_ram ram;     /* no piece of a BAR is put over it */
	unsigned long there[]; /* of a discardable one: a bit for each granule */
};

static bool is_discardable(const struct section *s)
{
	return s->m.flags & UVFIO_VM_MEM_DISCARDABLE;
}

static struct section *of_node(struct itree_node *n)
{
	return n ? container_of_type(n, struct section, node) : NULL;
}

static struct section *first(struct vm_memory *mem, uint64_t gpa, uint64_t last)
{
	return of_node(itree_first(&mem->sections, gpa, last));
}

static struct section *next(struct section *s)
{
	return of_node(itree_next(&s->node, 0, UINT64_MAX));
}

/* ---- granules ---- */

#define WORD_BITS (8 * sizeof(unsigned long))

static bool is_there(const struct section *s, uint64_t i)
{
	return s->there[i / WORD_BITS] >> i % WORD_BITS & 1;
}

static void set_there(struct section *s, uint64_t i, bool there)
{
	unsigned long bit = 1ul << i % WORD_BITS, *word = &s->there[i / WORD_BITS];

	*word = there ? *word | bit : *word & ~bit;
}

static uint64_t num_granules(const struct section *s)
{
	return is_discardable(s) ? s->size / s->m.granularity : 0;
}

/* ---- what went wrong ---- */

/* Return how much of the guest's memory devices reach. */
static uint64_t mapped_bytes(struct vm_memory *mem)
{
	uint64_t bytes = 0;

	for (struct section *s = first(mem, 0, UINT64_MAX); s; s = next(s)) {
		if (!is_discardable(s))
			bytes += s->size;
		for (uint64_t i = 0; i < num_granules(s); i++)
			bytes += is_there(s, i) ? s->m.granularity : 0;
	}
	return bytes;
}

static int no_memory(struct uvfio_vm *vm, const char *what)
{
	struct rlimit lim = { .rlim_cur = RLIM_INFINITY };

	getrlimit(RLIMIT_MEMLOCK, &lim);
	if (!atomic_load(&vm->memory.pinning) || lim.rlim_cur == RLIM_INFINITY)
		return vm_fail(vm, -ENOMEM, "%s cannot be mapped: out of memory", what);
	return vm_fail(vm, -ENOMEM,
		       "%s cannot be mapped: all of the guest's memory, 0x%" PRIx64
		       " bytes, must be locked, and RLIMIT_MEMLOCK is 0x%llx bytes",
		       what, mapped_bytes(&vm->memory), (unsigned long long)lim.rlim_cur);
}

int vm_memory_explain(struct uvfio_vm *vm, struct vfio_ioas *io, int rc, uint64_t gpa,
		      uint64_t iova, uint64_t size)
{
	char what[128], text[256];
	struct vfio_ioas_limits l;

	snprintf(what, sizeof(what), "guest memory 0x%" PRIx64 "-0x%" PRIx64, gpa,
		 gpa + (size - 1));
	switch (rc) {
	case -ENOMEM:
		return no_memory(vm, what);
	case -ENOSPC:
		return vm_fail(vm, rc, "%s cannot be mapped: the IOMMU has no mapping left", what);
	case -EFAULT:
		return vm_fail(vm, rc,
			       "%s cannot be mapped: the host's memory is not there, or not with "
			       "these rights",
			       what);
	case -EINVAL:
		vfio_ioas_limits(io, &l);
		if (!vfio_ioas_limits_have(&l, iova, size)) {
			vfio_ioas_limits_print(&l, text, sizeof(text));
			return vm_fail(vm, rc, "%s: devices reach only %s", what, text);
		}
		/* fall through */
	default:
		return vm_fail(vm, rc, "%s cannot be mapped: %s", what, strerror(-rc));
	}
}

void vm_memory_check_limit(struct uvfio_vm *vm)
{
	struct vm_memory *mem = &vm->memory;
	uint64_t now = 0, most = 0;
	struct vfio_ioas_limits l;

	pthread_mutex_lock(&mem->lock);
	for (struct section *s = first(mem, 0, UINT64_MAX); s; s = next(s)) {
		most += is_discardable(s) ? num_granules(s) : s->mapped;
		now += s->mapped;
		for (uint64_t i = 0; i < num_granules(s); i++)
			now += is_there(s, i);
	}
	vfio_ioas_limits(mem->ioas, &l);
	if (most > now + l.avail)
		report_warn("vm-granules", "vm", 0,
			    "the guest's memory may become %" PRIu64 " mappings, and the IOMMU "
			    "has %" PRIu64 ": choose a larger granularity",
			    most, now + l.avail);
	pthread_mutex_unlock(&mem->lock);
}

int vm_memory_explain_all(struct uvfio_vm_device *dev, int rc)
{
	struct uvfio_vm *vm = dev->vm;
	struct vfio_ioas_limits l;
	struct vfio_ioas *empty;
	char text[256];

	if (rc == -ENOMEM)
		return no_memory(vm, "the guest's memory");
	if (rc != -EINVAL)
		goto other;
	/* its limits are those of a space that it listens to */
	empty = vfio_ioas_new(machine_system(vm->machine), false);
	if (!empty)
		goto other;
	if (vfio_device_attach(&dev->open, empty)) {
		vfio_ioas_put(empty);
		goto other;
	}
	vfio_ioas_limits(empty, &l);
	vfio_device_detach(&dev->open);
	vfio_ioas_put(empty);
	pthread_mutex_lock(&vm->memory.lock);
	for (struct section *s = first(&vm->memory, 0, UINT64_MAX); s; s = next(s)) {
		if (!s->size || vfio_ioas_limits_have(&l, s->gpa, s->size))
			continue;
		vfio_ioas_limits_print(&l, text, sizeof(text));
		vm_fail(vm, rc,
			"%s: guest memory 0x%" PRIx64 "-0x%" PRIx64
			" is out of its reach, which is %s",
			dev->name, s->gpa, s->gpa + (s->size - 1), text);
		pthread_mutex_unlock(&vm->memory.lock);
		return rc;
	}
	pthread_mutex_unlock(&vm->memory.lock);
other:
	return vm_fail(vm, rc, "%s: the guest's memory cannot be mapped: %s", dev->name,
		       strerror(-rc));
}

/* ---- sections in the guest's space ---- */

static int map_part(struct uvfio_vm *vm, const struct section *s, uint64_t offset, uint64_t size)
{
	struct vfio_ioas *io = vm->memory.ioas;
	uint64_t gpa = s->gpa + offset, host = s->host + offset;
	int rc = 0;

	/*
	 * rights are looked at where it costs nothing: at the first page. A BAR is not read: that
	 * could do something
	 */
	if (!(s->m.flags & UVFIO_VM_MEM_PEER))
		rc = iommu_populate(host, PAGE_SIZE_4K, s->prot);
	if (!rc)
		rc = iommu_check_mapped(host, size);
	if (!rc)
		rc = vfio_ioas_map_kept(io, gpa, host, size, s->prot, s->m.fd,
					s->fd_offset + offset);
	return rc ? vm_memory_explain(vm, io, rc, gpa, gpa, size) : 0;
}

/* Unmap what is mapped of [@offset, @offset + @size); no device reaches it when it returns. */
static void unmap_part(struct uvfio_vm *vm, const struct section *s, uint64_t offset, uint64_t size)
{
	uint64_t bytes;

	vfio_ioas_unmap(vm->memory.ioas, s->gpa + offset, size, &bytes);
}

static void unmap_section(struct uvfio_vm *vm, struct section *s)
{
	if (s->mapped || num_granules(s))
		unmap_part(vm, s, 0, s->size);
	s->mapped = false;
}

/* Map all of @s that is there. 0, or -errno with a sentence: nothing of it is mapped. */
static int map_section(struct uvfio_vm *vm, struct section *s)
{
	uint64_t g = s->m.granularity;
	int rc = 0;

	if (!s->size || s->lost)
		return 0;
	for (uint64_t i = 0; i < num_granules(s) && !rc; i++)
		if (is_there(s, i))
			rc = map_part(vm, s, i * g, g);
	if (is_discardable(s)) {
		if (rc)
			unmap_part(vm, s, 0, s->size);
		return rc;
	}
	rc = map_part(vm, s, 0, s->size);
	s->mapped = !rc;
	if (!rc || !(s->m.flags & UVFIO_VM_MEM_PEER))
		return rc;
	report_warn(REPORT_LIMITED("vm-peer"), "vm", 0, "%s: peer to peer does not work there",
		    uvfio_vm_strerror(vm));
	return 0;
}

int vm_memory_use(struct uvfio_vm *vm)
{
	struct vm_memory *mem = &vm->memory;
	struct section *s;
	int rc = 0;

	pthread_mutex_lock(&mem->lock);
	for (s = atomic_load(&mem->users) ? NULL : first(mem, 0, UINT64_MAX); s; s = next(s)) {
		rc = map_section(vm, s);
		if (rc)
			break;
	}
	if (!rc)
		atomic_fetch_add(&mem->users, 1);
	for (s = rc ? first(mem, 0, UINT64_MAX) : NULL; s; s = next(s))
		unmap_section(vm, s);
	pthread_mutex_unlock(&mem->lock);
	return rc;
}

void vm_memory_unuse(struct uvfio_vm *vm)
{
	struct vm_memory *mem = &vm->memory;
	struct section *s;

	pthread_mutex_lock(&mem->lock);
	if (atomic_fetch_sub(&mem->users, 1) == 1)
		for (s = first(mem, 0, UINT64_MAX); s; s = next(s))
			unmap_section(vm, s);
	pthread_mutex_unlock(&mem->lock);
}

bool vm_memory_drop_peers(struct uvfio_vm *vm)
{
	bool any = false;
	struct section *s;

	pthread_mutex_lock(&vm->memory.lock);
	for (s = first(&vm->memory, 0, UINT64_MAX); s; s = next(s)) {
		if (!(s->m.flags & UVFIO_VM_MEM_PEER) || !s->mapped)
			continue;
		unmap_section(vm, s);
		any = true;
	}
	pthread_mutex_unlock(&vm->memory.lock);
	return any;
}

void vm_memory_map_peers(struct uvfio_vm *vm)
{
	struct section *s;

	pthread_mutex_lock(&vm->memory.lock);
	for (s = first(&vm->memory, 0, UINT64_MAX); s; s = next(s))
		if (s->m.flags & UVFIO_VM_MEM_PEER && !s->mapped)
			map_section(vm, s);
	pthread_mutex_unlock(&vm->memory.lock);
}

bool vm_memory_at(struct uvfio_vm *vm, uint64_t gpa, uint64_t size, struct vm_stretch *out)
{
	struct section *s = first(&vm->memory, gpa, gpa);
	uint64_t off, left;

	if (!s || !s->size || s->lost || gpa < s->gpa || gpa - s->gpa >= s->size)
		return false;
	off = gpa - s->gpa;
	*out = (struct vm_stretch){
		.host = s->host + off,
		.size = s->size - off < size ? s->size - off : size,
		.prot = s->prot,
		.fd = s->m.fd,
		.fd_offset = s->fd_offset + off,
	};
	if (!is_discardable(s))
		return true;
	/* each granule may go alone */
	left = s->m.granularity - off % s->m.granularity;
	if (left < out->size)
		out->size = left;
	return is_there(s, off / s->m.granularity);
}

void vm_memory_forget(struct uvfio_vm *vm, void *host, uint64_t size)
{
	uint64_t start = (uintptr_t)host;
	struct section *s;

	pthread_mutex_lock(&vm->memory.lock);
	for (s = first(&vm->memory, 0, UINT64_MAX); s; s = next(s)) {
		if (!(s->m.flags & UVFIO_VM_MEM_PEER) || s->lost ||
		    (uintptr_t)s->m.host >= start + size ||
		    start >= (uintptr_t)s->m.host + s->m.size)
			continue;
		unmap_section(vm, s);
		vm_dma_drop(vm, s->node.start, s->node.last);
		s->lost = true;
	}
	pthread_mutex_unlock(&vm->memory.lock);
}

/* ---- life ---- */

int vm_memory_init(struct uvfio_vm *vm)
{
	struct vm_memory *mem = &vm->memory;
	pthread_mutexattr_t attr;

	mem->ioas = vfio_ioas_new(machine_system(vm->machine), false);
	if (!mem->ioas)
		return -ENOMEM;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&mem->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	CDS_INIT_LIST_HEAD(&mem->removals);
	CDS_INIT_LIST_HEAD(&mem->additions);
	CDS_INIT_LIST_HEAD(&mem->spaces);
	return 0;
}

static void section_free(struct section *s)
{
	vm_ram_del(&s->ram);
	if (s->m.fd >= 0)
		sys_close(s->m.fd);
	free(s);
}

static void free_all(struct cds_list_head *list)
{
	struct section *s, *after;

	cds_list_for_each_entry_safe(s, after, list, all)
		section_free(s);
}

void vm_memory_fini(struct uvfio_vm *vm)
{
	struct vm_memory *mem = &vm->memory;
	struct section *s;

	while ((s = first(mem, 0, UINT64_MAX))) {
		itree_remove(&mem->sections, &s->node);
		section_free(s);
	}
	free_all(&mem->removals);
	free_all(&mem->additions);
	vfio_ioas_put(mem->ioas);
	pthread_mutex_destroy(&mem->lock);
}

/* ---- the monitor's calls ---- */

/* Check the numbers of @m. 0 or -EINVAL with a sentence. */
static int check(struct uvfio_vm *vm, const struct uvfio_vm_memory *m)
{
	uint64_t host = (uintptr_t)m->host, g = m->granularity;

	if (m->flags & ~MEM_FLAGS ||
	    (m->flags & UVFIO_VM_MEM_DISCARDABLE && m->flags & UVFIO_VM_MEM_PEER))
		return vm_fail(vm, -EINVAL, "guest memory at 0x%" PRIx64 ": no such flags: 0x%x",
			       m->gpa, m->flags);
	if (!m->size || add_overflows(m->gpa, m->size - 1) || add_overflows(host, m->size - 1))
		return vm_fail(vm, -EINVAL,
			       "guest memory at 0x%" PRIx64 " of 0x%" PRIx64
			       " bytes: no such piece of memory",
			       m->gpa, m->size);
	if (!m->host)
		return 0;
	if ((m->gpa ^ host) % PAGE_SIZE_4K)
		return vm_fail(vm, -EINVAL,
			       "guest memory 0x%" PRIx64 "-0x%" PRIx64
			       " is at %p here, which lies differently in a page",
			       m->gpa, m->gpa + (m->size - 1), m->host);
	if (m->fd >= 0 && (m->fd_offset ^ host) % PAGE_SIZE_4K)
		return vm_fail(vm, -EINVAL,
			       "guest memory 0x%" PRIx64 "-0x%" PRIx64 " is at 0x%" PRIx64
			       " of its file, which lies differently in a page",
			       m->gpa, m->gpa + (m->size - 1), m->fd_offset);
	if (!(m->flags & UVFIO_VM_MEM_DISCARDABLE))
		return 0;
	if (!g || g & (g - 1) || g < PAGE_SIZE_4K || m->gpa % PAGE_SIZE_4K || m->size % g)
		return vm_fail(vm, -EINVAL,
			       "guest memory 0x%" PRIx64 "-0x%" PRIx64
			       " does not come and go by 0x%" PRIx64
			       " bytes: a power of two from a page on, of which the size is a "
			       "multiple",
			       m->gpa, m->gpa + (m->size - 1), g);
	return 0;
}

/* Find the whole pages of @s. */
static void round_in(struct section *s)
{
	const struct uvfio_vm_memory *m = &s->m;
	uint64_t skip = -m->gpa % PAGE_SIZE_4K;

	s->prot = m->flags & UVFIO_VM_MEM_READONLY ? IOMMU_READ : IOMMU_READ | IOMMU_WRITE;
	if (!m->host || m->gpa & NONSENSE || skip >= m->size)
		return;
	s->gpa = m->gpa + skip;
	s->host = (uintptr_t)m->host + skip;
	s->fd_offset = m->fd_offset + skip;
	s->size = (m->size - skip) / PAGE_SIZE_4K * PAGE_SIZE_4K;
}

/* Return a section of @m, or NULL with *@rc and a sentence. */
static struct section *section_new(struct uvfio_vm *vm, const struct uvfio_vm_memory *m, int *rc)
{
	uint64_t words = 0;
	struct section *s;

	*rc = check(vm, m);
	if (*rc)
		return NULL;
	if (m->flags & UVFIO_VM_MEM_DISCARDABLE && m->host)
		words = (m->size / m->granularity + WORD_BITS - 1) / WORD_BITS;
	s = calloc(1, sizeof(*s) + words * sizeof(unsigned long));
	if (!s) {
		*rc = vm_fail(vm, -ENOMEM, "out of memory");
		return NULL;
	}
	s->m = *m;
	s->node.start = m->gpa;
	s->node.last = m->gpa + (m->size - 1);
	/* our own: a device may come when the monitor has closed it */
	s->m.fd = m->fd < 0 || !m->host ? -1
					: (int)fd_of_ours(SYS_fcntl, m->fd, F_DUPFD_CLOEXEC, 0, 0);
	if (m->fd >= 0 && m->host && s->m.fd < 0) {
		*rc = vm_fail(vm, s->m.fd, "guest memory at 0x%" PRIx64 ": its file, %d: %s",
			      m->gpa, m->fd, strerror(-s->m.fd));
		free(s);
		return NULL;
	}
	round_in(s);
	return s;
}

/* Put @s among the sections, and into devices' reach. 0, or -errno with a sentence. */
static int insert(struct uvfio_vm *vm, struct section *s)
{
	struct vm_memory *mem = &vm->memory;
	struct section *other = first(mem, s->node.start, s->node.last);
	int rc = 0;

	if (other)
		return vm_fail(vm, -EEXIST,
			       "guest memory 0x%" PRIx64 "-0x%" PRIx64 " overlaps 0x%" PRIx64
			       "-0x%" PRIx64,
			       s->node.start, s->node.last, other->node.start, other->node.last);
	itree_insert(&mem->sections, &s->node);
	if (atomic_load(&mem->users))
		rc = map_section(vm, s);
	if (rc) {
		itree_remove(&mem->sections, &s->node);
		return rc;
	}
	if (!(s->m.flags & UVFIO_VM_MEM_PEER))
		vm_ram_add(&vm->map, &s->ram, s->m.gpa, s->m.size);
	if (is_discardable(s))
		vm_memory_check_limit(vm);
	return 0;
}

/* No device reaches @s any more; it is out of the tree. */
static void withdraw(struct uvfio_vm *vm, struct section *s)
{
	if (!s->size)
		return;
	unmap_section(vm, s);
	vm_dma_drop(vm, s->node.start, s->node.last);
}

void uvfio_vm_memory_begin(struct uvfio_vm *vm)
{
	VM_CALL();

	pthread_mutex_lock(&vm->memory.lock);
	vm->memory.depth++;
}

/* Make the changes. 0, or the first error, whose sentence is kept. */
static int make_changes(struct uvfio_vm *vm)
{
	struct vm_memory *mem = &vm->memory;
	struct section *s, *after;
	char text[512] = "";
	int rc, error = 0;

	cds_list_for_each_entry_safe(s, after, &mem->removals, all) {
		cds_list_del(&s->all);
		withdraw(vm, s);
		section_free(s);
	}
	cds_list_for_each_entry_safe(s, after, &mem->additions, all) {
		cds_list_del(&s->all);
		rc = insert(vm, s);
		if (!rc)
			continue;
		section_free(s);
		if (!error)
			snprintf(text, sizeof(text), "%s", uvfio_vm_strerror(vm));
		error = error ? error : rc;
	}
	return error ? vm_fail(vm, error, "%s", text) : 0;
}

/* Give the lock up after a change, which BARs may have to give way to when it takes effect. */
static void unlock_changed(struct uvfio_vm *vm)
{
	bool batch = vm->memory.depth;

	pthread_mutex_unlock(&vm->memory.lock);
	/* what that locks comes before memory.lock, which is still held in a batch */
	if (!batch)
		vm_bars_settle(vm);
}

int uvfio_vm_memory_commit(struct uvfio_vm *vm)
{
	VM_CALL();
	struct vm_memory *mem = &vm->memory;
	int rc = 0;

	pthread_mutex_lock(&mem->lock);
	if (!mem->depth) {
		pthread_mutex_unlock(&mem->lock);
		return vm_fail(vm, -EINVAL, "uvfio_vm_memory_begin() comes first");
	}
	if (!--mem->depth)
		rc = make_changes(vm);
	pthread_mutex_unlock(&mem->lock);
	/* that of begin */
	unlock_changed(vm);
	return rc;
}

int uvfio_vm_memory_add(struct uvfio_vm *vm, const struct uvfio_vm_memory *m)
{
	VM_CALL();
	struct vm_memory *mem = &vm->memory;
	struct section *s;
	int rc;

	s = section_new(vm, m, &rc);
	if (!s)
		return rc;
	pthread_mutex_lock(&mem->lock);
	if (mem->depth)
		cds_list_add_tail(&s->all, &mem->additions);
	else
		rc = insert(vm, s);
	unlock_changed(vm);
	if (rc)
		section_free(s);
	return rc;
}

static bool is(const struct section *s, uint64_t gpa, uint64_t size)
{
	return s->m.gpa == gpa && s->m.size == size;
}

int uvfio_vm_memory_remove(struct uvfio_vm *vm, uint64_t gpa, uint64_t size)
{
	VM_CALL();
	struct vm_memory *mem = &vm->memory;
	struct section *s, *found = NULL;

	pthread_mutex_lock(&mem->lock);
	s = first(mem, gpa, gpa);
	if (s && is(s, gpa, size)) {
		itree_remove(&mem->sections, &s->node);
		found = s;
		if (mem->depth) {
			cds_list_add_tail(&s->all, &mem->removals);
		} else {
			withdraw(vm, s);
			section_free(s);
		}
	} else {
		/* one of this batch, which is not there yet */
		cds_list_for_each_entry(s, &mem->additions, all)
			found = is(s, gpa, size) ? s : found;
		if (found) {
			cds_list_del(&found->all);
			section_free(found);
		}
	}
	unlock_changed(vm);
	if (found)
		return 0;
	return vm_fail(vm, -ENOENT,
		       "no guest memory of 0x%" PRIx64 " bytes was added at 0x%" PRIx64, size, gpa);
}

/*
 * Find the discardable section of [@gpa, @gpa + @size), and its granules: [*@from, *@to). 0, or
 * -errno with a sentence. Lock held.
 */
static int find_granules(struct uvfio_vm *vm, uint64_t gpa, uint64_t size, struct section **out,
			 uint64_t *from, uint64_t *to)
{
	struct section *s = first(&vm->memory, gpa, gpa);

	if (vm->memory.depth)
		return vm_fail(vm, -EINVAL, "not between uvfio_vm_memory_begin() and commit");
	if (!s || !is_discardable(s) || size > s->m.size || gpa - s->m.gpa > s->m.size - size)
		return vm_fail(vm, -ENOENT,
			       "no discardable guest memory of 0x%" PRIx64
			       " bytes is at 0x%" PRIx64,
			       size, gpa);
	if (!size || (gpa - s->m.gpa) % s->m.granularity || size % s->m.granularity)
		return vm_fail(vm, -EINVAL,
			       "guest memory at 0x%" PRIx64 " comes and goes by 0x%" PRIx64
			       " bytes: 0x%" PRIx64 " bytes at 0x%" PRIx64 " are no such",
			       s->m.gpa, s->m.granularity, size, gpa);
	*out = s;
	*from = (gpa - s->m.gpa) / s->m.granularity;
	*to = *from + size / s->m.granularity;
	return 0;
}

/* Populate granules [@from, @to) of @s: all, or those that are there already. */
static int populate(struct uvfio_vm *vm, struct section *s, uint64_t from, uint64_t to)
{
	uint64_t g = s->m.granularity, i;
	bool used = atomic_load(&vm->memory.users);
	int rc = 0;

	for (i = from; i < to && used && !rc; i++)
		if (!is_there(s, i))
			rc = map_part(vm, s, i * g, g);
	if (rc) {
		/* the last one is not mapped */
		for (i--; i-- > from;)
			if (!is_there(s, i))
				unmap_part(vm, s, i * g, g);
		return rc;
	}
	for (i = from; i < to; i++)
		set_there(s, i, true);
	return 0;
}

int uvfio_vm_memory_populate(struct uvfio_vm *vm, uint64_t gpa, uint64_t size)
{
	VM_CALL();
	uint64_t from, to;
	struct section *s;
	int rc;

	pthread_mutex_lock(&vm->memory.lock);
	rc = find_granules(vm, gpa, size, &s, &from, &to);
	if (!rc && s->size)
		rc = populate(vm, s, from, to);
	pthread_mutex_unlock(&vm->memory.lock);
	return rc;
}

int uvfio_vm_memory_discard(struct uvfio_vm *vm, uint64_t gpa, uint64_t size)
{
	VM_CALL();
	uint64_t from, to;
	struct section *s;
	int rc;

	pthread_mutex_lock(&vm->memory.lock);
	rc = find_granules(vm, gpa, size, &s, &from, &to);
	if (!rc && s->size) {
		if (atomic_load(&vm->memory.users))
			unmap_part(vm, s, gpa - s->gpa, size);
		vm_dma_drop(vm, gpa, gpa + (size - 1));
		for (uint64_t i = from; i < to; i++)
			set_there(s, i, false);
	}
	pthread_mutex_unlock(&vm->memory.lock);
	return rc;
}

bool uvfio_vm_may_discard(const struct uvfio_vm *vm)
{
	return !atomic_load(&vm->memory.pinning);
}

unsigned uvfio_vm_iova_ranges(const struct uvfio_vm *vm, struct uvfio_vm_range *r, unsigned n)
{
	VM_CALL();
	struct vfio_ioas_limits l = { .num_ranges = 1, .ranges[0].end = UINT64_MAX };

	if (atomic_load(&vm->memory.users))
		vfio_ioas_limits(vm->memory.ioas, &l);
	for (unsigned i = 0; i < l.num_ranges && i < n; i++)
		r[i] = (struct uvfio_vm_range){ l.ranges[i].start, l.ranges[i].end };
	return l.num_ranges;
}
