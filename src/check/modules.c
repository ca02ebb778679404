/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check/modules.c: which file an address is of. Paths and build ids go to the shared table, where
 * `uvfio run` finds them when it looks names up, maybe after the process is gone.
 */
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/guard.h"
#include "base/sys.h"
#include "base/util.h"
#include "check/internal.h"

#define MAX_HEADERS 64u

/* Copy the build id of a module at @bias: `ld --build-id` puts it into a note. */
static void read_build_id(struct check_module *m, const struct dl_find_object *o)
{
	ElfW(Ehdr) eh;
	ElfW(Phdr) ph;
	ElfW(Nhdr) note;
	const char *start = o->dlfo_map_start;
	uint64_t at, end;

	m->build_id_len = 0;
	if (guard_copy(&eh, start, sizeof(eh)) || memcmp(eh.e_ident, ELFMAG, SELFMAG))
		return;
	for (unsigned i = 0; i < eh.e_phnum && i < MAX_HEADERS; i++) {
		if (guard_copy(&ph, start + eh.e_phoff + i * sizeof(ph), sizeof(ph)))
			return;
		if (ph.p_type != PT_NOTE)
			continue;
		at = m->bias + ph.p_vaddr;
		end = at + ph.p_memsz;
		while (at + sizeof(note) <= end &&
		       !guard_copy(&note, (void *)(uintptr_t)at, sizeof(note))) {
			at += sizeof(note) + align_up(note.n_namesz, 4);
			if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
			    note.n_descsz <= sizeof(m->build_id)) {
				if (!guard_copy(m->build_id, (void *)(uintptr_t)at, note.n_descsz))
					m->build_id_len = note.n_descsz;
				return;
			}
			at += align_up(note.n_descsz, 4);
		}
	}
}

/* What the loader calls it; the program itself has no name there. */
static void read_path(struct check_module *m, const struct link_map *map)
{
	long n;

	if (guard_strncpy(m->path, map->l_name, sizeof(m->path)) > 0)
		return;
	n = sys_call(SYS_readlink, (long)"/proc/self/exe", (long)m->path, sizeof(m->path) - 1, 0, 0,
		     0);
	m->path[n > 0 ? n : 0] = '\0';
}

static uint16_t module_of(struct check_shared *s, uint64_t pc)
{
	struct check_module new, *m;
	struct dl_find_object o;
	unsigned state;

	if (_dl_find_object((void *)(uintptr_t)pc, &o) || !o.dlfo_link_map)
		return CHECK_NO_MODULE;
	memset(&new, 0, sizeof(new));
	new.bias = o.dlfo_link_map->l_addr;
	read_path(&new, o.dlfo_link_map);
	for (unsigned i = 0; i < CHECK_MODULES; i++) {
		m = &s->module[i];
		state = atomic_load_explicit(&m->state, memory_order_acquire);
		if (state == CHECK_FREE &&
		    atomic_compare_exchange_strong(&m->state, &state, CHECK_WRITING)) {
			read_build_id(&new, &o);
			m->bias = new.bias;
			m->build_id_len = new.build_id_len;
			memcpy(m->build_id, new.build_id, sizeof(m->build_id));
			memcpy(m->path, new.path, sizeof(m->path));
			atomic_store_explicit(&m->state, CHECK_READY, memory_order_release);
			return (uint16_t)i;
		}
		if (state == CHECK_READY && m->bias == new.bias &&
		    !strncmp(m->path, new.path, sizeof(m->path)))
			return (uint16_t)i;
	}
	return CHECK_NO_MODULE;
}

void check_stack_set(struct check_shared *s, struct check_stack *to, const struct backtrace *b)
{
	to->n = b->n;
	to->exact = b->exact;
	for (unsigned i = 0; i < b->n; i++) {
		uint64_t theirs = b->pc[i] >> CLIENT_MODULE_BIT;

		to->pc[i] = b->pc[i] & ((1ull << CLIENT_MODULE_BIT) - 1);
		to->module[i] = !theirs			  ? module_of(s, backtrace_at(b, i))
				: theirs <= CHECK_MODULES ? (uint16_t)(theirs - 1)
							  : CHECK_NO_MODULE;
	}
}
