/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cli/run.c: uvfio run: a program on a machine of the user's choice.
 *
 * The machine is built here first, to find what is wrong with it while a message can be given
 * and nothing runs, and to settle where everything is; the view of it is written to the run
 * directory with a list of the devices, and it is given up again. Each process of the program makes
 * the devices that it uses inside of itself by the shim, from the lines of that list.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/report.h"
#include "base/util.h"
#include "check/check.h"
#include "check/show/show.h"
#include "cli/cli.h"
#include "cli/fault.h"
#include "machine/run/run.h"
#include "trace/show/show.h"
#include "vfio/abi.h"
#include "vfio/iommu_hw.h"
#include "vfio/kernel.h"

#define SHIM	     "libuvfio-shim.so"
#define MAX_SUPPRESS 16u

extern char **environ;

struct run {
	const struct cli_command *cmd;
	struct run_devices devices;
	const char *log_level;
	const char *iommu; /* as --iommu has it; NULL: the default */
	const char *abi;   /* as --abi has it; NULL: the default */
	bool noiommu;
	const char *kernel; /* as --kernel names it; NULL: the default */
	char memlock[24];   /* bytes, "unlimited", or empty: the limit that the program has when it
			     runs */
	char *log_file;	    /* absolute, or NULL */
	struct machine *m;
	char *shim, *program, *dir;
	struct ctl_server *ctl;
	struct own_child own;
	bool is_own; /* the devices have process=own */
	struct hold hold;
	bool checks; /* mistakes are looked for: */
	struct check_show_options check;
	struct check_show *show;
	char *suppress[MAX_SUPPRESS + 1]; /* ends with NULL */
	unsigned num_suppress;
	struct cli_faults faults;
	int error_exitcode; /* the status if there was one; 0: the program's */
	struct trace_drain_options trace;
	struct trace_drain *drain;
};

/* cli_error() with @why, which is freed. */
static int explain(struct run *r, char *why, int rc)
{
	cli_error(r->cmd, "%s", why ? why : strerror(-rc));
	free(why);
	return CLI_USAGE;
}

/* ---- options ---- */

/*
 * The processes of the program call one process for all files: a container takes groups of several
 * devices. 0 or -EINVAL with a sentence for the device that was added last.
 */
static int check_own(struct run *r, char **why)
{
	unsigned n = machine_num_devices(r->m);
	bool own = machine_device_has_own_process(machine_device(r->m, n - 1));
	const char *text = NULL;

	if (n > 1 && own != r->is_own)
		text = "process=own is for all devices of a run, or for none";
	else if (own && vfio_abi()->v3)
		text = "process=own: not with --abi v3";
	else if (own && r->noiommu)
		text = "process=own: not with --noiommu, whose devices use the addresses of the "
		       "process that they are in";
	r->is_own = own;
	if (!text)
		return 0;
	*why = strdup(text);
	return -EINVAL;
}

static int add_device(struct run *r, const char *spec)
{
	char *absolute = NULL, *place = NULL, *why = NULL;
	int rc;

	rc = machine_spec_absolute(spec, &absolute, &why);
	if (rc)
		return explain(r, why, rc);
	/* the user's own text, for messages with the user's own paths */
	rc = machine_add(r->m, spec, &why);
	if (!rc)
		rc = machine_check(r->m, &why);
	if (!rc)
		rc = check_own(r, &why);
	if (rc) {
		free(absolute);
		return explain(r, why, rc);
	}
	rc = machine_settle(r->m, &place);
	if (!rc)
		rc = run_devices_append(&r->devices, place, absolute);
	free(place);
	free(absolute);
	return rc ? explain(r, NULL, rc) : 0;
}

static int set_log_file(struct run *r, const char *path)
{
	char *cwd = NULL;
	int fd, rc;

	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
	if (fd < 0)
		return cli_error(r->cmd, "--log-file %s: %s", path, strerror(errno));
	close(fd);
	free(r->log_file);
	r->log_file = NULL;
	if (*path != '/') {
		cwd = getcwd(NULL, 0);
		if (!cwd)
			return cli_error(r->cmd,
					 "--log-file %s: cannot tell the current directory: %s",
					 path, strerror(errno));
	}
	rc = asprintf(&r->log_file, "%s%s%s", cwd ? cwd : "", cwd ? "/" : "", path);
	free(cwd);
	if (rc < 0) {
		r->log_file = NULL;
		return explain(r, NULL, -ENOMEM);
	}
	return 0;
}

enum {
	OPT_ABI,
	OPT_CHECK,
	OPT_CHECK_FATAL,
	OPT_CHECK_FILE,
	OPT_DEVICE,
	OPT_ERROR_EXITCODE,
	OPT_FAULT,
	OPT_FAULT_FILE,
	OPT_GEN_SUPPRESSIONS,
	OPT_HOLD,
	OPT_IOMMU,
	OPT_KERNEL,
	OPT_LOG,
	OPT_LOG_FILE,
	OPT_NOIOMMU,
	OPT_MEMLOCK,
	OPT_SEED,
	OPT_SUPPRESS,
	OPT_TRACE,
	OPT_TRACE_DMA,
	OPT_TRACE_MEMORY,
};
static const struct cli_option options[] = {
	[OPT_ABI] = { "abi", "NAME",
		      "which of VFIO's interfaces the program sees: vfio (the default), or v3,\n"
		      "the first one, of July 2010: v3[,allow_unsafe_intrs=1][,intr_remap=off]\n"
		      "[,mmu_notifier=off]; before the first --device" },
	[OPT_CHECK] = { "check", "[=KINDS]",
			"name the program's mistakes, each with the place in its source:\n"
			"kinds and groups of them to look for besides those by default, or\n"
			"not, with a - before: dma,-dma-rights (`uvfio help check`)" },
	[OPT_CHECK_FATAL] = { "check-fatal", NULL,
			      "with --check: stop a process at its first mistake, by SIGTRAP "
			      "under\n"
			      "a debugger, else by SIGABRT" },
	[OPT_CHECK_FILE] = { "check-file", "FILE",
			     "with --check: write a line of JSON for each mistake to FILE" },
	[OPT_DEVICE] = { "device", "SPEC",
			 "plug a device in: MODEL[,option=value]..., or ./PLUGIN.so[,...],\n"
			 "or a real one, which the host's vfio-pci has: host=ADDRESS[,...],\n"
			 "or one behind a socket, which a server of vfio-user has: "
			 "socket=PATH[,...];\n"
			 "may be given several times; `uvfio models` lists models and options" },
	[OPT_ERROR_EXITCODE] = { "error-exitcode", "N",
				 "with --check: exit with status N, 1 to 255, if there was a "
				 "mistake" },
	[OPT_FAULT] = { "fault", "SPEC",
			"have something go wrong: POINT[=ACTION][,WHERE or WHEN]..., as\n"
			"dma=abort,rate=1/1000; may be given several times (`uvfio help fault`)" },
	[OPT_FAULT_FILE] = { "fault-file", "FILE",
			     "write a line of JSON for each fault and device to FILE, at the end" },
	[OPT_GEN_SUPPRESSIONS] = { "gen-suppressions", "[=FILE]",
				   "with --check: write what --suppress takes for each mistake, "
				   "to\n"
				   "FILE or behind its report" },
	[OPT_HOLD] = { "hold", "[=WHEN]",
		       "with process=own: when the program fails (a signal ends it, or its status\n"
		       "is not 0), hold the devices as it left them, to be looked at; WHEN:\n"
		       "always, a number of seconds that it takes at most, or both: always,60" },
	[OPT_IOMMU] = { "iommu", "OPTION",
			"what the IOMMU has: dirty-tracking=on, or off (the default)" },
	[OPT_KERNEL] = { "kernel", "VERSION",
			 "which kernel's VFIO the program sees: 6.1, 6.12, or 7.3 (the default)" },
	[OPT_LOG] = { "log", "LEVEL", "error, warn (the default), info, debug or none" },
	[OPT_LOG_FILE] = { "log-file", "FILE", "append the log to FILE, not to stderr" },
	[OPT_NOIOMMU] = { "noiommu", "WHO",
			  "have no IOMMU: nodes are noiommu-N and noiommu-vfioN, devices use\n"
			  "physical addresses, of /proc/self/pagemap; for rawio: who has the\n"
			  "capabilities (as in the kernel), or for all; before the first\n"
			  "--device" },
	[OPT_MEMLOCK] = { "memlock", "LIMIT",
			  "how much memory the program may give to devices: bytes with K, M,\n"
			  "G or T, unlimited, or inherit (the default: `ulimit -l`, as in the\n"
			  "kernel; unlimited for root)" },
	[OPT_SEED] = { "seed", "N",
		       "have faults happen at the same accesses as in the run that told this "
		       "seed" },
	[OPT_SUPPRESS] = { "suppress", "FILE",
			   "with --check: do not name the mistakes that FILE describes; may be\n"
			   "given several times" },
	[OPT_TRACE] = { "trace", "FILE",
			"write all that happens to FILE: accesses, DMA, interrupts, ioctls, "
			"resets\n"
			"(`uvfio trace FILE` shows it)" },
	[OPT_TRACE_DMA] = { "trace-dma", "BYTES",
			    "with --trace: how many bytes of each DMA, or all; 16 by default" },
	[OPT_TRACE_MEMORY] = { "trace-memory", "SIZE",
			       "with --trace: how much may wait to be written, bytes with K, M or "
			       "G;\n"
			       "32M by default" },
	{ 0 },
};

#define NOT_2010 \
	"--abi v3: its world has one kernel and an IOMMU: no --kernel, --iommu or --noiommu"

static int set_check(struct run *r, const char *kinds)
{
	const char *bad;
	unsigned len;

	if (!r->checks)
		check_wanted_default(&r->check.wanted);
	r->checks = true;
	if (kinds && check_wanted_parse(kinds, &r->check.wanted, &bad, &len))
		return cli_error(r->cmd,
				 "--check=%s: '%.*s' is no kind of mistakes: `uvfio help check` "
				 "lists them",
				 kinds, (int)len, bad);
	for (unsigned i = 0; i < r->check.wanted.rules; i++)
		if (!machine_may_be_kind(r->check.wanted.rule[i].name))
			return cli_error(r->cmd,
					 "--check: '%s' is no kind of mistakes: `uvfio help check` "
					 "lists them",
					 r->check.wanted.rule[i].name);
	return 0;
}

static int add_suppression(struct run *r, const char *file)
{
	if (r->num_suppress == MAX_SUPPRESS)
		return cli_error(r->cmd, "--suppress: at most %u files", MAX_SUPPRESS);
	r->suppress[r->num_suppress++] = (char *)(uintptr_t)file;
	r->check.suppress = r->suppress;
	return set_check(r, NULL);
}

static int set_error_exitcode(struct run *r, const char *value)
{
	char *end;
	long n = strtol(value, &end, 10);

	if (end == value || *end || n < 1 || n > 255)
		return cli_error(r->cmd, "--error-exitcode %s: write a number from 1 to 255",
				 value);
	r->error_exitcode = (int)n;
	return set_check(r, NULL);
}

static int set_trace_dma(struct run *r, const char *value)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (!strcmp(value, "all"))
		n = UINT32_MAX;
	else if (*value < '0' || *value > '9' || *end || n > TRACE_DMA_BYTES_MAX)
		return cli_error(r->cmd, "--trace-dma %s: write a number of bytes up to %u, or all",
				 value, TRACE_DMA_BYTES_MAX);
	r->trace.of_dma = (uint32_t)n;
	return 0;
}

static int set_trace_memory(struct run *r, const char *value)
{
	uint64_t bytes;

	if (machine_parse_memlock(value, &bytes) || bytes < TRACE_MEMORY_MIN ||
	    bytes > TRACE_MEMORY_MAX)
		return cli_error(r->cmd, "--trace-memory %s: write 1M to 16G", value);
	r->trace.memory = bytes;
	return 0;
}

static int set_option(struct run *r, int opt, const char *value)
{
	char why[128];
	uint64_t bytes;

	switch (opt) {
	case OPT_ABI:
		if (machine_num_devices(r->m))
			return cli_error(r->cmd, "--abi: write it before the first --device");
		if (vfio_abi_choose(value, why, sizeof(why)))
			return cli_error(r->cmd, "--abi %s: %s", value, why);
		if (vfio_abi()->v3 && (r->kernel || r->iommu || r->noiommu))
			return cli_error(r->cmd, NOT_2010);
		r->abi = value;
		return 0;
	case OPT_CHECK:
		return set_check(r, value);
	case OPT_CHECK_FATAL:
		r->check.fatal = true;
		return set_check(r, NULL);
	case OPT_DEVICE:
		return add_device(r, value);
	case OPT_CHECK_FILE:
		r->check.file = value;
		return set_check(r, NULL);
	case OPT_FAULT:
		return cli_fault_add(&r->faults, r->cmd, value);
	case OPT_FAULT_FILE:
		return cli_fault_file(&r->faults, r->cmd, value);
	case OPT_SEED:
		return cli_fault_seed(&r->faults, r->cmd, value);
	case OPT_GEN_SUPPRESSIONS:
		r->check.generate = true;
		r->check.generated = value;
		return set_check(r, NULL);
	case OPT_SUPPRESS:
		return add_suppression(r, value);
	case OPT_TRACE:
		r->trace.file = value;
		return 0;
	case OPT_TRACE_DMA:
		return set_trace_dma(r, value);
	case OPT_TRACE_MEMORY:
		return set_trace_memory(r, value);
	case OPT_ERROR_EXITCODE:
		return set_error_exitcode(r, value);
	case OPT_HOLD:
		return hold_parse(value, &r->hold)
			       ? cli_error(r->cmd,
					   "--hold=%s: write always, a number of seconds, or both "
					   "with a comma between",
					   value)
			       : 0;
	case OPT_IOMMU:
		if (vfio_abi()->v3)
			return cli_error(r->cmd, NOT_2010);
		if (vfio_iommu_choose(value))
			return cli_error(
				r->cmd, "--iommu %s: write dirty-tracking=on or dirty-tracking=off",
				value);
		r->iommu = value;
		return 0;
	case OPT_KERNEL:
		if (vfio_abi()->v3)
			return cli_error(r->cmd, NOT_2010);
		if (vfio_kernel_choose(value))
			return cli_error(r->cmd, "--kernel %s: write 6.1, 6.12 or 7.3", value);
		r->kernel = value;
		return 0;
	case OPT_LOG:
		if (log_parse_level(value) == -EINVAL)
			return cli_error(r->cmd, "--log %s: write error, warn, info, debug or none",
					 value);
		r->log_level = value;
		log_set(STDERR_FILENO, log_parse_level(value));
		return 0;
	case OPT_LOG_FILE:
		return set_log_file(r, value);
	case OPT_NOIOMMU:
		if (vfio_abi()->v3)
			return cli_error(r->cmd, NOT_2010);
		if (machine_num_devices(r->m))
			return cli_error(r->cmd, "--noiommu: write it before the first --device");
		if (machine_set_noiommu(r->m, value))
			return cli_error(r->cmd, "--noiommu %s: write rawio or all", value);
		r->noiommu = true;
		return 0;
	case OPT_MEMLOCK:
		if (machine_parse_memlock(value, &bytes))
			return cli_error(r->cmd,
					 "--memlock %s: write a number of bytes, with K, M, G or T "
					 "behind it if you like, or unlimited, or inherit",
					 value);
		if (!strcmp(value, "inherit"))
			*r->memlock = 0;
		else if (bytes == UINT64_MAX)
			strcpy(r->memlock, "unlimited");
		else
			snprintf(r->memlock, sizeof(r->memlock), "%llu", (unsigned long long)bytes);
		return 0;
	}
	return CLI_USAGE;
}

/* ---- the shim ---- */

static int find_shim(struct run *r)
{
	/* beside uvfio (a build), or where `make install` and distributions put it */
	static const char *const places[] = { "", "../lib/uvfio/", "../lib/", "../lib64/uvfio/",
					      "../lib/x86_64-linux-gnu/uvfio/" };
	char exe[PATH_MAX], *slash, *path, *real;
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n < 0)
		return cli_error(r->cmd, "/proc/self/exe: %s: is /proc mounted?", strerror(errno));
	exe[n] = 0;
	slash = strrchr(exe, '/');
	if (slash)
		slash[1] = 0;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (asprintf(&path, "%s%s" SHIM, exe, places[i]) < 0)
			return explain(r, NULL, -ENOMEM);
		real = realpath(path, NULL);
		free(path);
		if (real && !access(real, R_OK)) {
			r->shim = real;
			return 0;
		}
		free(real);
	}
	return cli_error(r->cmd,
			 SHIM " is neither beside uvfio in %s nor in ../lib/uvfio from there: "
			      "run `make`, or install uvfio again",
			 exe);
}

/* LD_PRELOAD is a list with spaces and colons between (ld.so(8)) and has no way to quote one. */
static int shim_by_link(struct run *r)
{
	char *link;

	if (!strpbrk(r->shim, " :"))
		return 0;
	if (asprintf(&link, "%s/" SHIM, r->dir) < 0)
		return explain(r, NULL, -ENOMEM);
	if (strpbrk(link, " :")) {
		free(link);
		return cli_error(r->cmd,
				 "%s: a path with a space or a colon cannot be preloaded, and "
				 "TMPDIR has one, too: set TMPDIR to another directory",
				 r->shim);
	}
	if (symlink(r->shim, link)) {
		free(link);
		return cli_error(r->cmd, "%s: %s", r->dir, strerror(errno));
	}
	free(r->shim);
	r->shim = link;
	return 0;
}

/* True for the run time of a sanitizer, which insists on being the first library. */
static bool is_sanitizer(const char *lib, size_t len)
{
	const char *base = memrchr(lib, '/', len);
	size_t n;

	base = base ? base + 1 : lib;
	n = len - (size_t)(base - lib);
	return (n > 7 && !memcmp(base, "lib", 3) && !memcmp(base + 4, "san", 3)) ||
	       (n > 12 && !memcmp(base, "libclang_rt.", 12));
}

/* Return a list with the shim and what is preloaded already; one shim if uvfio runs under uvfio. */
static char *preload(const char *shim)
{
	const char *old = getenv("LD_PRELOAD"), *p;
	bool placed = false, bad;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	for (p = old ? old : ""; *(p += strspn(p, " :")); p += len) {
		const char *base;

		len = strcspn(p, " :");
		if (!placed && !is_sanitizer(p, len)) {
			fprintf(f, "%s:", shim);
			placed = true;
		}
		base = memrchr(p, '/', len);
		if (base && (size_t)(p + len - base) == sizeof("/" SHIM) - 1 &&
		    !memcmp(base, "/" SHIM, sizeof("/" SHIM) - 1))
			continue;
		fprintf(f, "%.*s:", (int)len, p);
	}
	if (!placed)
		fputs(shim, f);
	bad = ferror(f);
	if (fclose(f) || bad || !text) {
		free(text);
		return NULL;
	}
	len = strlen(text);
	if (len && text[len - 1] == ':')
		text[len - 1] = 0;
	return text;
}

/* ---- running ---- */

/*
 * gcc links AddressSanitizer's run time as a library, which insists on being the first one and ends
 * the program if the shim is. It works as the second.
 */
static int allow_asan(void)
{
	const char *old = getenv("ASAN_OPTIONS");
	char *text;
	int rc;

	if (old && strstr(old, "verify_asan_link_order"))
		return 0;
	if (asprintf(&text, "%s%sverify_asan_link_order=0", old ? old : "",
		     old && *old ? ":" : "") < 0)
		return -1;
	rc = setenv("ASAN_OPTIONS", text, 1);
	free(text);
	return rc;
}

static int set_environment(struct run *r)
{
	char *list = preload(r->shim);
	int rc = 0;

	if (!list)
		return explain(r, NULL, -ENOMEM);
	rc |= setenv("UVFIO_RUN_DIR", r->dir, 1);
	rc |= setenv("UVFIO_LOG", r->log_level, 1);
	rc |= setenv("UVFIO_MEMLOCK", r->memlock, 1);
	rc |= r->iommu ? setenv("UVFIO_IOMMU", r->iommu, 1) : unsetenv("UVFIO_IOMMU");
	rc |= r->abi ? setenv("UVFIO_ABI", r->abi, 1) : unsetenv("UVFIO_ABI");
	rc |= r->kernel ? setenv("UVFIO_KERNEL", r->kernel, 1) : unsetenv("UVFIO_KERNEL");
	rc |= r->log_file ? setenv("UVFIO_LOG_FILE", r->log_file, 1) : unsetenv("UVFIO_LOG_FILE");
	rc |= setenv("LD_PRELOAD", list, 1);
	rc |= allow_asan();
	free(list);
	return rc ? explain(r, NULL, -ENOMEM) : 0;
}

/* Make the file by which the program's processes know that mistakes are looked for. */
static int prepare_check(struct run *r)
{
	char *why = NULL;
	int rc;

	if (!r->checks)
		return 0;
	r->check.log_file = r->log_file;
	rc = check_show_new(r->dir, &r->check, &r->show, &why);
	if (!rc)
		rc = check_show_start(r->show);
	return rc ? explain(r, why, rc) : 0;
}

/* The same of a trace. */
static int prepare_trace(struct run *r)
{
	char *why = NULL;
	int rc;

	if (!r->trace.file)
		return 0;
	rc = trace_drain_new(r->dir, &r->trace, &r->drain, &why);
	if (!rc)
		rc = trace_drain_start(r->drain);
	return rc ? explain(r, why, rc) : 0;
}

static const char *program_name(const struct run *r)
{
	const char *slash = strrchr(r->program, '/');

	return slash ? slash + 1 : r->program;
}

static int prepare(struct run *r, const char *program)
{
	char *why = NULL;
	int rc;

	if (r->hold.is_on && !r->is_own)
		return cli_error(r->cmd,
				 "--hold: only devices with process=own can be held: others are in "
				 "the program's process, and end with it");
	rc = cli_fault_check(&r->faults, r->cmd, &r->devices);
	if (!rc)
		rc = find_shim(r);
	if (rc)
		return rc;
	rc = program_find(program, &r->program, &why);
	if (!rc)
		rc = program_check(r->program, &why);
	if (rc)
		return explain(r, why, rc);
	rc = rundir_new(&r->dir, &why);
	if (rc)
		return explain(r, why, rc);
	rc = shim_by_link(r);
	if (rc)
		return rc;
	machine_next(r->m, r->devices.next, &r->devices.run);
	rc = run_devices_write(r->dir, &r->devices);
	if (!rc)
		rc = machine_write_view(r->m, r->dir);
	if (rc)
		return cli_error(r->cmd, "cannot write the view of the devices to %s: %s", r->dir,
				 strerror(-rc));
	for (unsigned i = 0; i < machine_num_devices(r->m); i++) {
		struct machine_device *d = machine_device(r->m, i);

		report_info("run-device", "run", 0, "%s: %s, IOMMU group %u", d->addr,
			    d->face->model, d->group);
	}
	/* the program's own devices open the same images, which may be locked */
	machine_free(r->m, false);
	r->m = NULL;
	/* the program runs without, too */
	rc = ctl_server_new(r->dir, program_name(r), &r->ctl);
	if (!rc)
		rc = ctl_server_start(r->ctl);
	if (rc)
		report_warn("ctl-server", "run", rc, "`uvfio ctl` cannot reach this run: %m");
	rc = prepare_check(r);
	if (!rc)
		rc = prepare_trace(r);
	if (rc)
		return rc;
	rc = cli_fault_start(&r->faults, r->dir);
	if (rc)
		return cli_error(r->cmd, "--fault: %s: %s", r->dir, strerror(-rc));
	rc = set_environment(r);
	if (rc || !r->is_own)
		return rc;
	rc = own_start(r->dir, environ, r->hold.is_on, &r->own);
	return rc ? cli_error(r->cmd, "the process of the devices cannot be started: %s",
			      strerror(-rc))
		  : 0;
}

/*
 * Die by the signal that the program died by, for the caller to see it in our status. The program's
 * core dump, if any, is written; ours would be a second one.
 */
static void die_by(int sig)
{
	struct rlimit none = { 0 };
	sigset_t set;

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* core_pattern may be a pipe, which has no limit */
	fflush(NULL);
	signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	raise(sig);
}

static int run(const struct cli_command *cmd, int argc, char **argv)
{
	struct run r = { .cmd = cmd,
			 .log_level = "warn",
			 .own = { .pid = -1 },
			 .trace = { .of_dma = TRACE_DMA_DEFAULT } };
	struct cli_args a = { .cmd = cmd, .argc = argc, .argv = argv };
	bool started = false;
	int opt, rc, sig = 0;

	r.m = machine_new();
	if (!r.m)
		return explain(&r, NULL, -ENOMEM);
	while ((opt = cli_next_option(&a)) >= 0) {
		rc = set_option(&r, opt, a.value);
		if (rc) {
			rc = rc == CLI_HELP ? 0 : rc;
			goto out;
		}
	}
	if (opt != CLI_ARG) {
		rc = opt == CLI_HELP ? 0 : CLI_USAGE;
		goto out;
	}
	if (a.next >= argc) {
		rc = cli_error(cmd,
			       "no program to run: `uvfio run [OPTIONS] [--] PROGRAM [ARGUMENTS]`");
		goto out;
	}
	rc = prepare(&r, argv[a.next]);
	if (rc)
		goto out;
	rc = supervise(r.program, argv + a.next, environ, &sig);
	if (rc < 0)
		rc = cli_error(cmd, "%s: cannot be started: %s", r.program, strerror(-rc));
	started = rc >= 0;
	if (started)
		hold_devices(&r.hold, r.dir, &r.own, r.ctl, rc, sig);
out:
	machine_free(r.m, false);
	if (r.dir)
		own_end(r.dir, &r.own);
	if (started && check_show_end(r.show) && r.error_exitcode && !sig)
		rc = r.error_exitcode;
	check_show_free(r.show);
	if (started)
		cli_fault_end(&r.faults, r.dir, r.log_file);
	cli_fault_free(&r.faults);
	trace_drain_free(r.drain);
	ctl_server_stop(r.ctl);
	if (r.dir)
		rundir_end(r.dir, r.ctl);
	ctl_server_free(r.ctl);
	run_devices_free(&r.devices);
	free(r.log_file);
	free(r.shim);
	free(r.program);
	free(r.dir);
	if (sig)
		die_by(sig);
	return rc;
}

const struct cli_command cli_run = {
	.name = "run",
	.args = "[--device SPEC]... [OPTIONS] [--] PROGRAM [ARGUMENTS]",
	.summary = "Run a VFIO program on devices of your choice",
	.text = "\nThe devices appear at 0000:01:00.0, 0000:02:00.0, ... (or addr=), each in an "
		"IOMMU\n"
		"group of its own (or group=), bound to vfio-pci. The exit status is the "
		"program's.\n"
		"\n  uvfio run --device edu -- lspci -v\n"
		"  uvfio run --memlock unlimited --device nvme,image=disk.img -- \\\n"
		"      qemu-system-x86_64 -device vfio-pci,host=0000:01:00.0 ...\n",
	.options = options,
	.run = run,
};
