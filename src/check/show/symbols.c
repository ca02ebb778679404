/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check/show/symbols.c: a module is opened at its first address, where it was in the process, and
 * stays open. A file that has another build id by now is not used: wrong names are worse than
 * none. Debug files are found as debuggers find them: beside the file or in /usr/lib/debug, by
 * build id or by name.
 */
#include "check/show/symbols.h"

#if !__has_include(<elfutils/libdwfl.h>)
#error "elfutils/libdwfl.h is missing: install libdw-dev (make setup does)"
#endif
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

struct module {
	bool tried;
	Dwfl *dwfl;
	Dwfl_Module *mod; /* NULL: nothing is known */
	char *path;
};

struct symbols {
	struct module module[CHECK_MODULES];
};

struct symbols *symbols_new(void)
{
	return calloc(1, sizeof(struct symbols));
}

void symbols_free(struct symbols *s)
{
	for (unsigned i = 0; s && i < CHECK_MODULES; i++) {
		if (s->module[i].dwfl)
			dwfl_end(s->module[i].dwfl);
		free(s->module[i].path);
	}
	free(s);
}

static const Dwfl_Callbacks callbacks = {
	.find_elf = dwfl_build_id_find_elf,
	.find_debuginfo = dwfl_standard_find_debuginfo,
	.section_address = dwfl_offline_section_address,
};

static bool same_build(Dwfl_Module *mod, const struct check_module *m)
{
	const unsigned char *bits;
	GElf_Addr vaddr;
	int n = dwfl_module_build_id(mod, &bits, &vaddr);
	unsigned len =
		m->build_id_len < sizeof(m->build_id) ? m->build_id_len : sizeof(m->build_id);

	if (n <= 0 || !len)
		return n <= 0 && !len;
	return (unsigned)n == len && !memcmp(bits, m->build_id, len);
}

static void open_module(struct module *to, const struct check_module *m)
{
	int fd;

	to->tried = true;
	to->path = strndup(m->path, sizeof(m->path));
	if (!to->path || *to->path != '/')
		return;
	fd = open(to->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return;
	to->dwfl = dwfl_begin(&callbacks);
	if (!to->dwfl) {
		close(fd);
		return;
	}
	dwfl_report_begin(to->dwfl);
	to->mod = dwfl_report_elf(to->dwfl, to->path, to->path, fd, m->bias, true);
	if (!to->mod)
		close(fd);
	dwfl_report_end(to->dwfl, NULL, NULL);
	if (to->mod && !same_build(to->mod, m))
		to->mod = NULL;
}

static struct symbol *add(struct symbol_stack *out, const struct symbol *base)
{
	struct symbol *s;

	if (out->n == SYMBOLS_MAX)
		return NULL;
	s = &out->at[out->n++];
	*s = *base;
	return s;
}

static const char *name_of(Dwarf_Die *die)
{
	Dwarf_Attribute attr;
	const char *name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_name, &attr));

	return name;
}

static int number_of(Dwarf_Die *die, unsigned what)
{
	Dwarf_Attribute attr;
	Dwarf_Word v;

	return dwarf_formudata(dwarf_attr(die, what, &attr), &v) || v > INT32_MAX ? 0 : (int)v;
}

/*
 * Return the compilation unit of @pc. clang writes no index of them (.debug_aranges), without which
 * libdw's own search finds nothing.
 */
static Dwarf_Die *unit_of(Dwfl_Module *mod, uint64_t pc, Dwarf_Addr *bias)
{
	Dwarf_Die *cu = dwfl_module_addrdie(mod, pc, bias);

	if (cu)
		return cu;
	while ((cu = dwfl_module_nextcu(mod, cu, bias)))
		if (dwarf_haspc(cu, pc - *bias) > 0)
			return cu;
	return NULL;
}

static void set_line(Dwarf_Die *cu, uint64_t pc, struct symbol *to)
{
	Dwarf_Line *line = dwarf_getsrc_die(cu, pc);

	if (!line)
		return;
	to->file = dwarf_linesrc(line, NULL, NULL);
	dwarf_lineno(line, &to->line);
	dwarf_linecol(line, &to->column);
}

/*
 * Add a line for each function that @pc is in, the inlined ones first. False: nothing is known but
 * the symbol table.
 */
static bool add_functions(Dwfl_Module *mod, uint64_t pc, struct symbol here,
			  struct symbol_stack *out)
{
	Dwarf_Addr bias;
	Dwarf_Die *cu = unit_of(mod, pc, &bias), *scopes = NULL, *all = NULL;
	Dwarf_Files *files = NULL;
	bool found = false;
	int n;

	if (!cu)
		return false;
	set_line(cu, pc - bias, &here);
	n = dwarf_getscopes(cu, pc - bias, &scopes);
	if (n > 0)
		n = dwarf_getscopes_die(&scopes[0], &all);
	dwarf_getsrcfiles(cu, &files, NULL);
	for (int i = 0; i < n; i++) {
		int tag = dwarf_tag(&all[i]);
		const char *name;

		if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram)
			continue;
		name = name_of(&all[i]);
		if (name)
			here.fn = name;
		here.inlined = tag == DW_TAG_inlined_subroutine;
		add(out, &here);
		found = true;
		if (!here.inlined)
			break;
		/* where the next one has it */
		here.file = dwarf_filesrc(files, (size_t)number_of(&all[i], DW_AT_call_file), NULL,
					  NULL);
		here.line = number_of(&all[i], DW_AT_call_line);
		here.column = number_of(&all[i], DW_AT_call_column);
	}
	free(scopes);
	free(all);
	if (!found)
		add(out, &here);
	return true;
}

static void add_frame(struct symbols *s, const struct check_module *modules, unsigned index,
		      uint64_t pc, struct symbol_stack *out)
{
	struct symbol here = { .pc = pc, .offset = pc };
	struct module *m;

	if (index >= CHECK_MODULES || atomic_load(&modules[index].state) != CHECK_READY) {
		add(out, &here);
		return;
	}
	m = &s->module[index];
	if (!m->tried)
		open_module(m, &modules[index]);
	here.module = m->path;
	here.offset = pc - modules[index].bias;
	if (!m->mod) {
		add(out, &here);
		return;
	}
	here.fn = dwfl_module_addrname(m->mod, pc);
	if (!add_functions(m->mod, pc, here, out))
		add(out, &here);
}

/* True for functions of a sanitizer's run time, which stand between the program and a call. */
static bool is_interceptor(const char *fn)
{
	return fn && (!strncmp(fn, "__interceptor_", 14) || !strncmp(fn, "___interceptor_", 15));
}

void symbols_find(struct symbols *s, const struct check_module *modules,
		  const struct check_stack *from, struct symbol_stack *out)
{
	unsigned n = from->n < CHECK_FRAMES ? from->n : CHECK_FRAMES;

	out->n = 0;
	for (unsigned i = 0; i < n; i++) {
		uint64_t pc = from->exact >> i & 1 ? from->pc[i] : from->pc[i] - 1;
		unsigned first = out->n;

		add_frame(s, modules, from->module[i], pc, out);
		if (!first && n > 1 && out->n && is_interceptor(out->at[0].fn))
			out->n = 0;
		/* what calls main is nobody's business here */
		if (out->n && out->at[out->n - 1].fn && !strcmp(out->at[out->n - 1].fn, "main"))
			return;
	}
}

const char *symbols_base_name(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : path;
}
