/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cli/ctl.c: uvfio ctl: a request to a run, and its answer as text for people, or as it came.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/nearest.h"
#include "base/util.h"
#include "cli/cli.h"

#define ANSWER_NODES 65536u

struct word {
	const char *name, *args;
	unsigned least, most; /* arguments */
	/* Write the members of the request from the arguments; CLI_USAGE after a message. */
	int (*members)(const struct cli_command *cmd, FILE *f, int argc, char **argv);
	void (*print)(const struct json *answer);
	/* Do it here, without asking a run: the exit status. NULL: a run is asked. */
	int (*here)(const struct cli_command *cmd, bool json);
};

struct ctl {
	const struct cli_command *cmd;
	const char *run;
	bool json;
};

enum { OPT_RUN, OPT_JSON };
static const struct cli_option options[] = {
	[OPT_RUN] = { "run", "NAME|PID|DIR",
		      "which run: the name of its directory, a process of it, or the\n"
		      "directory; else UVFIO_RUN; inside of a run that one; else the\n"
		      "only one of this user" },
	[OPT_JSON] = { "json", NULL, "print the answer as it comes, a line of JSON" },
	{ 0 },
};

/* ---- list ---- */

static const char *text_of(const struct json *o, const char *key)
{
	return json_text(o, key) ?: "-";
}

static long number_of(const struct json *o, const char *key)
{
	const struct json *j = json_member(o, key, JSON_NUMBER);

	return j ? (long)j->number : 0;
}

static void print_openers(const struct json *open)
{
	if (!open->first)
		putchar('-');
	for (const struct json *j = open->first; j; j = j->next)
		printf("%s%s (%ld) by %s", j == open->first ? "" : ", ", text_of(j, "command"),
		       number_of(j, "pid"),
		       !number_of(j, "by_cdev")	   ? "group"
		       : !number_of(j, "by_group") ? "cdev"
						   : "group and cdev");
}

/* Return a word for the link of a device: what is known of it, else of its cable. */
static const char *link_of(const struct json *device)
{
	const char *cable = text_of(device, "cable"), *link = json_text(device, "link");

	return !strcmp(cable, "in") && link ? link : cable;
}

static void print_list(const struct json *answer)
{
	const struct json *devices = json_member(answer, "devices", JSON_ARRAY), *open,
			  *silent = json_member(answer, "silent", JSON_ARRAY);
	int width = 5;

	for (const struct json *d = devices ? devices->first : NULL; d; d = d->next) {
		int n = (int)strlen(text_of(d, "model"));

		width = n > width ? n : width;
	}
	printf("%-12s  %-*s  %5s  %-10s  %-7s  %-4s  %-13s  %s\n", "ADDRESS", width, "MODEL",
	       "GROUP", "DRIVER", "STATE", "LINK", "ERROR", "OPEN IN");
	for (const struct json *d = devices ? devices->first : NULL; d; d = d->next) {
		printf("%-12s  %-*s  %5ld  %-10s  %-7s  %-4s  %-13s  ", text_of(d, "address"),
		       width, text_of(d, "model"), number_of(d, "group"), text_of(d, "driver"),
		       text_of(d, "state"), link_of(d), text_of(d, "error"));
		open = json_member(d, "open", JSON_ARRAY);
		if (open)
			print_openers(open);
		putchar('\n');
	}
	for (const struct json *j = silent ? silent->first : NULL; j; j = j->next)
		printf("%s (%ld) does not answer\n", text_of(j, "command"), number_of(j, "pid"));
}

/* ---- runs ---- */

static int list_runs(const struct cli_command *cmd, bool json)
{
	struct ctl_run *runs;
	unsigned n;

	runs = ctl_find_runs(&n);
	if (json)
		printf("{\"ok\":true,\"runs\":[");
	else
		printf("%-12s  %7s  %s\n", "RUN", "PID", "PROGRAM");
	for (unsigned i = 0; i < n; i++) {
		if (json) {
			printf("%s{", i ? "," : "");
			json_write_member(stdout, "run", runs[i].dir);
			printf(",\"pid\":%d,", (int)runs[i].pid);
			json_write_member(stdout, "program", runs[i].program);
			putchar('}');
		} else {
			printf("%-12s  %7d  %s\n", ctl_run_name(&runs[i]), (int)runs[i].pid,
			       runs[i].program);
		}
	}
	if (json)
		puts("]}");
	free(runs);
	return 0;
}

/* ---- changes ---- */

static void put_device(FILE *f, const char *device)
{
	putc(',', f);
	json_write_member(f, "device", device);
}

/* Read a number of at most @most into @out; CLI_USAGE after a message. */
static int read_number(const struct cli_command *cmd, const char *what, const char *text,
		       unsigned long most, unsigned long *out)
{
	char *end;

	errno = 0;
	*out = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || *out > most)
		return cli_error(cmd, "%s: '%s' is no number from 0 to %lu", what, text, most);
	return 0;
}

static int unplug_members(const struct cli_command *cmd, FILE *f, int argc, char **argv)
{
	const char *device = NULL, *timeout = NULL;
	unsigned long seconds;
	int rc;

	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "--surprise"))
			fputs(",\"surprise\":true", f);
		else if (!strcmp(argv[i], "--timeout") && i + 1 < argc)
			timeout = argv[++i];
		else if (!strncmp(argv[i], "--timeout=", 10))
			timeout = argv[i] + 10;
		else if (!strcmp(argv[i], "--timeout"))
			return cli_error(cmd, "unplug: --timeout needs a value: --timeout SECONDS");
		else if (argv[i][0] == '-')
			return cli_error(cmd,
					 "unplug: there is no option %s: there are --surprise and "
					 "--timeout SECONDS",
					 argv[i]);
		else if (device)
			return cli_error(cmd, "unplug: '%s' is one argument too many", argv[i]);
		else
			device = argv[i];
	}
	if (!device)
		return cli_error(cmd, "unplug: which device?");
	put_device(f, device);
	fputs(",\"progress\":true", f);
	if (!timeout)
		return 0;
	rc = read_number(cmd, "unplug: --timeout", timeout, 1000000, &seconds);
	fprintf(f, ",\"timeout\":%lu", rc ? 0 : seconds);
	return rc;
}

/* Paths in it are this process's. */
static int plug_members(const struct cli_command *cmd, FILE *f, int argc, char **argv)
{
	char *absolute = NULL, *why = NULL;
	int rc = machine_spec_absolute(argv[0], &absolute, &why);

	if (rc) {
		rc = cli_error(cmd, "%s", why ? why : strerror(-rc));
		free(why);
		return rc;
	}
	put_device(f, absolute);
	free(absolute);
	return 0;
}

static void print_plugged(const struct json *answer)
{
	printf("%s, IOMMU group %ld\n", text_of(answer, "device"), number_of(answer, "group"));
}

static int aer_members(const struct cli_command *cmd, FILE *f, int argc, char **argv)
{
	put_device(f, argv[0]);
	putc(',', f);
	json_write_member(f, "severity", argv[1]);
	return 0;
}

static int link_members(const struct cli_command *cmd, FILE *f, int argc, char **argv)
{
	put_device(f, argv[0]);
	putc(',', f);
	json_write_member(f, "state", argv[1]);
	return 0;
}

static int sriov_members(const struct cli_command *cmd, FILE *f, int argc, char **argv)
{
	unsigned long n;
	int rc = read_number(cmd, "sriov", argv[1], UINT16_MAX, &n);

	put_device(f, argv[0]);
	fprintf(f, ",\"numvfs\":%lu", rc ? 0 : n);
	return rc;
}

static int fault_members(const struct cli_command *cmd, FILE *f, int argc, char **argv)
{
	if (argc == 2)
		put_device(f, argv[0]);
	putc(',', f);
	json_write_member(f, "fault", argv[argc - 1]);
	return 0;
}

static void print_seed(const struct json *answer)
{
	printf("--seed %ld\n", number_of(answer, "seed"));
}

static void print_gone(const struct json *answer)
{
	printf("%s is gone\n", text_of(answer, "device"));
}

static int show_members(const struct cli_command *cmd, FILE *f, int argc, char **argv)
{
	put_device(f, argv[0]);
	return 0;
}

static void print_shown(const struct json *answer)
{
	const struct json *lines = json_member(answer, "lines", JSON_ARRAY);

	printf("%s, in %s (%ld)\n", text_of(answer, "device"), text_of(answer, "command"),
	       number_of(answer, "pid"));
	for (const struct json *j = lines ? lines->first : NULL; j; j = j->next)
		puts(j->text);
}

static void print_nothing(const struct json *answer)
{
}

static const struct word words[] = {
	{ "runs", "", 0, 0, NULL, NULL, list_runs },
	{ "list", "", 0, 0, NULL, print_list, NULL },
	{ "show", "DEVICE", 1, 1, show_members, print_shown, NULL },
	{ "plug", "SPEC", 1, 1, plug_members, print_plugged, NULL },
	{ "unplug", "DEVICE [--surprise] [--timeout SECONDS]", 1, 4, unplug_members, print_gone,
	  NULL },
	{ "aer", "DEVICE correctable|nonfatal|fatal", 2, 2, aer_members, print_nothing, NULL },
	{ "fault", "[DEVICE] SPEC", 1, 2, fault_members, print_seed, NULL },
	{ "link", "DEVICE up|down", 2, 2, link_members, print_nothing, NULL },
	{ "sriov", "DEVICE NUMBER", 2, 2, sriov_members, print_nothing, NULL },
	{ "release", "", 0, 0, NULL, print_nothing, NULL },
};

/* ---- asking ---- */

static const struct word *find(const struct cli_command *cmd, const char *name)
{
	const char *near = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!strcmp(words[i].name, name))
			return &words[i];
		near = nearest_word(name, near, words[i].name);
	}
	if (near)
		cli_error(cmd, "there is no request '%s': did you mean '%s'?", name, near);
	else
		cli_error(cmd, "there is no request '%s': `uvfio ctl --help` lists them", name);
	return NULL;
}

/* Print an answer; return the exit status. */
static int show(const struct ctl *c, const struct word *w, char *line, size_t len)
{
	struct json *nodes = calloc(ANSWER_NODES, sizeof(*nodes));
	const struct json *ok;
	int rc = 1;

	if (c->json)
		printf("%s\n", line);
	if (!nodes) {
		cli_error(c->cmd, "out of memory");
		return 1;
	}
	ok = json_parse(line, len, nodes, ANSWER_NODES) ? NULL
							: json_member(nodes, "ok", JSON_BOOL);
	if (!ok)
		cli_error(c->cmd, "the answer is not understood");
	else if (ok->number)
		rc = 0;
	else if (!c->json)
		cli_error(c->cmd, "%s", text_of(nodes, "message"));
	if (!rc && !c->json)
		w->print(nodes);
	free(nodes);
	return rc;
}

/* True if @line is no answer, but says what is waited for; then it is told. */
static bool is_progress(const struct ctl *c, const char *line)
{
	struct json nodes[4];
	char *copy = strdup(line);
	const char *text = NULL;

	if (copy && !json_parse(copy, strlen(copy), nodes, 4))
		text = json_text(nodes, "progress");
	if (text && !c->json)
		fprintf(stderr, "uvfio: ctl: %s\n", text);
	free(copy);
	return text;
}

static int ask(const struct ctl *c, const struct word *w, const char *request)
{
	char *why = NULL, *line = NULL;
	int fd = ctl_connect(c->run, &why), rc;
	ssize_t len;

	if (fd < 0) {
		rc = cli_error(c->cmd, "%s", why ? why : strerror(-fd));
		free(why);
		return rc;
	}
	rc = ctl_send(fd, request);
	do {
		free(line);
		line = NULL;
		len = rc ? rc : ctl_receive(fd, &line);
	} while (len > 0 && is_progress(c, line));
	if (len > 0) {
		rc = show(c, w, line, (size_t)len);
	} else {
		cli_error(c->cmd, "the run does not answer%s%s", len ? ": " : ": it has ended",
			  len ? strerror((int)-len) : "");
		rc = 1;
	}
	free(line);
	close(fd);
	return rc;
}

static int serve_word(const struct ctl *c, int argc, char **argv)
{
	struct pci_address address;
	const struct word *w;
	char *request = NULL;
	size_t len;
	FILE *f;
	int rc;

	/* the device may come first */
	if (argc > 1 && !pci_address_parse(argv[0], &address)) {
		char *device = argv[0];

		argv[0] = argv[1];
		argv[1] = device;
	}
	w = find(c->cmd, argv[0]);
	if (!w)
		return CLI_USAGE;
	if ((unsigned)argc - 1 < w->least || (unsigned)argc - 1 > w->most)
		return cli_error(c->cmd, "usage: uvfio ctl %s%s%s", w->name, *w->args ? " " : "",
				 w->args);
	if (w->here)
		return w->here(c->cmd, c->json);
	f = open_memstream(&request, &len);
	if (!f)
		return cli_error(c->cmd, "out of memory");
	putc('{', f);
	json_write_member(f, "request", w->name);
	rc = w->members ? w->members(c->cmd, f, argc - 1, argv + 1) : 0;
	putc('}', f);
	if (fclose(f))
		rc = rc ? rc : cli_error(c->cmd, "out of memory");
	if (!rc)
		rc = ask(c, w, request);
	free(request);
	return rc;
}

/* True if @arg is an option of every request, which may stand behind it, too. */
static bool is_common(const char *arg)
{
	static const char *const names[] = { "--json", "--run", "--help", "-h" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t len = strlen(names[i]);

		if (!strncmp(arg, names[i], len) && (!arg[len] || arg[len] == '='))
			return true;
	}
	return false;
}

/* Take an option that cli_next_option() found. */
static void take(struct ctl *c, const struct cli_args *a, int opt)
{
	if (opt == OPT_RUN)
		c->run = a->value;
	else
		c->json = true;
}

static int ctl(const struct cli_command *cmd, int argc, char **argv)
{
	struct cli_args a = { .cmd = cmd, .argc = argc, .argv = argv };
	struct ctl c = { .cmd = cmd, .run = getenv("UVFIO_RUN") };
	int opt, first, n = 0;

	if (!c.run || !*c.run)
		c.run = getenv("UVFIO_RUN_DIR");
	if (c.run && !*c.run)
		c.run = NULL;
	while ((opt = cli_next_option(&a)) >= 0)
		take(&c, &a, opt);
	if (opt == CLI_ARG && a.next >= argc) {
		cli_print_help(cmd);
		return 0;
	}
	for (first = a.next; opt == CLI_ARG && a.next < argc;) {
		if (!is_common(argv[a.next])) {
			argv[first + n++] = argv[a.next++];
			continue;
		}
		opt = cli_next_option(&a);
		if (opt < 0)
			break;
		take(&c, &a, opt);
		opt = CLI_ARG;
	}
	if (opt != CLI_ARG)
		return opt == CLI_HELP ? 0 : CLI_USAGE;
	return serve_word(&c, n, argv + first);
}

const struct cli_command cli_ctl = {
	.name = "ctl",
	.args = "[--run NAME|PID|DIR] [--json] REQUEST [ARGUMENTS]",
	.summary = "Look at the devices of a run, and change them",
	.text = "\nRequests:\n"
		"  runs                  your runs: name, process of `uvfio run`, program\n"
		"  list                  what devices there are, and which process has them open\n"
		"  show DEVICE           registers and queues of a device that is open, by name\n"
		"  plug SPEC             plug a device in, as `uvfio run --device` takes it\n"
		"  unplug DEVICE         take a device away: its user is asked to close it, and\n"
		"                        nobody can open it any more; waits until it is gone\n"
		"    --surprise          pull it out at once: it reads as ones from then on\n"
		"    --timeout SECONDS   wait no longer (it goes all the same, when it is closed)\n"
		"  aer DEVICE SEVERITY   have it report an error: correctable, nonfatal or fatal;\n"
		"                        a program must have it open\n"
		"  fault [DEVICE] SPEC   have something go wrong from now on, as\n"
		"                        `uvfio run --fault` (`uvfio help fault`)\n"
		"  link DEVICE up|down   put its network cable in, or pull it out\n"
		"  sriov DEVICE NUMBER   how many virtual functions it has\n"
		"  release               end a run whose devices are held (`uvfio run --hold`)\n"
		"\nDEVICE is an address, as 0000:01:00.0 or 01:00.0.\n",
	.options = options,
	.run = ctl,
};
