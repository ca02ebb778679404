/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fault/spec.c: a fault as a user writes it: POINT[=ACTION][,WHERE or WHEN=VALUE]... What is wrong
 * is told in one sentence, with what there is.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "base/pci_address.h"
#include "base/size.h"
#include "base/util.h"
#include "fault/internal.h"

#define NS_PER_S  1000000000ull
#define DELAY_MAX (60 * NS_PER_S)
#define BIT(n)	  (1u << (n))

enum key {
	KEY_ADDR,
	KEY_AFTER,
	KEY_AT,
	KEY_BAR,
	KEY_CMD,
	KEY_DEVICE,
	KEY_EVERY,
	KEY_RATE,
	KEY_REG,
	KEY_TIMES,
	KEY_VECTOR,
};
#define KEYS_ALWAYS (BIT(KEY_AFTER) | BIT(KEY_AT) | BIT(KEY_EVERY) | BIT(KEY_RATE) | BIT(KEY_TIMES))
#define KEYS_EVENT  (BIT(KEY_ADDR) | BIT(KEY_BAR) | BIT(KEY_DEVICE))
static const struct {
	const char *name, *value, *line;
} keys[] = {
	[KEY_ADDR] = { "addr", "A[-B]",
		       "an access of the bytes A to B: an IOVA, or offset in a BAR" },
	[KEY_AFTER] = { "after", "N", "not the first N" },
	[KEY_AT] = { "at", "TIME", "not before so long: 10us, 10ms, 10s" },
	[KEY_BAR] = { "bar", "N", "of BAR N, 0 to 5" },
	[KEY_CMD] = { "cmd", "N[-M]", "of these requests: 0x3b71 is VFIO_IOMMU_MAP_DMA" },
	[KEY_DEVICE] = { "device", "ADDRESS", "of this device alone" },
	[KEY_EVERY] = { "every", "N", "each N-th" },
	[KEY_RATE] = { "rate", "M/N", "M of N, by chance" },
	[KEY_REG] = { "reg", "NAME", "of this register, as the model calls it" },
	[KEY_TIMES] = { "times", "N", "at most N times" },
	[KEY_VECTOR] = { "vector", "N[-M]", "of these vectors" },
};

static const char *const actions[FAULT_ACTIONS] = {
	[FAULT_COUNT] = "count",       [FAULT_ABORT] = "abort",
	[FAULT_CORRUPT] = "corrupt",   [FAULT_DELAY] = "delay:TIME",
	[FAULT_DROP] = "drop",	       [FAULT_DUPLICATE] = "duplicate",
	[FAULT_REORDER] = "reorder",   [FAULT_ONES] = "ones",
	[FAULT_ERRNO] = "ERRNO",       [FAULT_SHORT] = "short[:N]",
	[FAULT_VALUE] = "VALUE",       [FAULT_SURPRISE] = "surprise",
	[FAULT_REQUEST] = "request",   [FAULT_FLR] = "flr",
	[FAULT_BUS] = "bus",	       [FAULT_CORRECTABLE] = "correctable",
	[FAULT_NONFATAL] = "nonfatal", [FAULT_FATAL] = "fatal",
	[FAULT_DOWN] = "down[:TIME]",
};

/* The first action of a point is what happens if nobody says what. */
static const struct word {
	const char *name;
	uint32_t points;
	enum fault_action first;
	uint32_t actions, keys; /* a bit each */
	int err;		/* of FAULT_ERRNO, if it is the first */
	const char *line;
} words[] = {
	{ "dma", BIT(FAULT_DMA_READ) | BIT(FAULT_DMA_WRITE), FAULT_ABORT,
	  BIT(FAULT_ABORT) | BIT(FAULT_CORRUPT) | BIT(FAULT_DELAY), BIT(KEY_ADDR) | BIT(KEY_DEVICE),
	  0, "a device reads or writes the driver's memory" },
	{ "dma-read", BIT(FAULT_DMA_READ), FAULT_ABORT,
	  BIT(FAULT_ABORT) | BIT(FAULT_CORRUPT) | BIT(FAULT_DELAY), BIT(KEY_ADDR) | BIT(KEY_DEVICE),
	  0, "a device reads the driver's memory" },
	{ "dma-write", BIT(FAULT_DMA_WRITE), FAULT_ABORT,
	  BIT(FAULT_ABORT) | BIT(FAULT_CORRUPT) | BIT(FAULT_DELAY), BIT(KEY_ADDR) | BIT(KEY_DEVICE),
	  0, "a device writes the driver's memory" },
	{ "read", BIT(FAULT_REG_READ), FAULT_ONES, BIT(FAULT_ONES) | BIT(FAULT_DELAY),
	  BIT(KEY_ADDR) | BIT(KEY_BAR) | BIT(KEY_DEVICE) | BIT(KEY_REG), 0,
	  "the driver reads a register in a BAR" },
	{ "msi", BIT(FAULT_MSI), FAULT_DROP,
	  BIT(FAULT_DROP) | BIT(FAULT_DELAY) | BIT(FAULT_DUPLICATE) | BIT(FAULT_REORDER),
	  BIT(KEY_DEVICE) | BIT(KEY_VECTOR), 0, "a device sends a message, MSI or MSI-X" },
	{ "intx", BIT(FAULT_INTX), FAULT_DROP,
	  BIT(FAULT_DROP) | BIT(FAULT_DELAY) | BIT(FAULT_DUPLICATE), BIT(KEY_DEVICE), 0,
	  "a device raises its interrupt line" },
	{ "map", BIT(FAULT_MAP), FAULT_ERRNO, BIT(FAULT_ERRNO), BIT(KEY_ADDR), -ENOMEM,
	  "the program maps memory for DMA" },
	{ "irqs", BIT(FAULT_IRQS), FAULT_SHORT, BIT(FAULT_SHORT) | BIT(FAULT_ERRNO),
	  BIT(KEY_DEVICE), -ENOSPC, "the program sets up MSI or MSI-X (SET_IRQS)" },
	{ "ioctl", BIT(FAULT_IOCTL), FAULT_ERRNO, BIT(FAULT_ERRNO), BIT(KEY_CMD) | BIT(KEY_DEVICE),
	  -ENOMEM, "the program asks a file of VFIO's for something (ioctl)" },
	{ "unplug", BIT(FAULT_EVENT), FAULT_SURPRISE, BIT(FAULT_SURPRISE) | BIT(FAULT_REQUEST),
	  KEYS_EVENT, 0, "the device is pulled out, or its user is asked for it (REQ)" },
	{ "reset", BIT(FAULT_EVENT), FAULT_FLR, BIT(FAULT_FLR) | BIT(FAULT_BUS), KEYS_EVENT, 0,
	  "the host resets the device" },
	{ "aer", BIT(FAULT_EVENT), FAULT_NONFATAL,
	  BIT(FAULT_CORRECTABLE) | BIT(FAULT_NONFATAL) | BIT(FAULT_FATAL), KEYS_EVENT, 0,
	  "the device reports an error" },
	{ "link", BIT(FAULT_EVENT), FAULT_DOWN, BIT(FAULT_DOWN), KEYS_EVENT, 0,
	  "the device's cable is pulled" },
};

/* MODEL.NAME: what there is the model knows (machine_check_fault()). */
static const struct word model_word = { "", BIT(FAULT_MODEL),	 FAULT_VALUE, 0, BIT(KEY_DEVICE),
					0,  "a fault of a model" };

/* ---- what is wrong ---- */

struct reader {
	char *why;
	size_t size;
	const struct word *word;
	const char *name; /* as the user wrote it */
	struct fault_spec *out;
	uint32_t given; /* keys */
};

static int wrong(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int wrong(struct reader *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->why, r->size, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* List the names of @mask at the end of @why. */
static void list(struct reader *r, uint32_t mask, const char *(*name)(unsigned i))
{
	const char *sep = "";

	for (unsigned i = 0; i < 32; i++) {
		size_t len = strlen(r->why);

		if (!(mask & BIT(i)))
			continue;
		snprintf(r->why + len, r->size - len, "%s%s", sep, name(i));
		sep = ", ";
	}
}

static const char *key_name(unsigned i)
{
	return keys[i].name;
}

static const char *action_name(unsigned i)
{
	return actions[i];
}

/* ---- values ---- */

static int number(const char *text, uint64_t *out)
{
	return number_parse(text, out) ? -EINVAL : 0;
}

/* Read "10ms". */
static int duration(const char *text, uint64_t *ns)
{
	static const struct {
		const char *unit;
		uint64_t ns;
	} units[] = { { "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", NS_PER_S } };
	size_t digits = strspn(text, "0123456789");
	char copy[24];
	uint64_t n;

	if (!digits || digits >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, digits);
	copy[digits] = '\0';
	if (number(copy, &n))
		return -EINVAL;
	for (unsigned i = 0; i < ARRAY_SIZE(units); i++)
		if (!strcmp(text + digits, units[i].unit))
			return __builtin_mul_overflow(n, units[i].ns, ns) ? -EINVAL : 0;
	return -EINVAL;
}

/* Read "A" or "A-B", which @text is afterwards no more. */
static int range(char *text, uint64_t *from, uint64_t *to)
{
	char *dash = strchr(text, '-');

	if (dash)
		*dash = '\0';
	if (number(text, from) || number(dash ? dash + 1 : text, to))
		return -EINVAL;
	return *from <= *to ? 0 : -EINVAL;
}

/* Read "M/N" as a part of 2^32. */
static int rate(char *text, uint64_t *out)
{
	char *slash = strchr(text, '/');
	uint64_t m, n;

	if (!slash)
		return -EINVAL;
	*slash = '\0';
	if (number(text, &m) || number(slash + 1, &n) || !m || m > n || n > UINT32_MAX)
		return -EINVAL;
	*out = (m << 32) / n;
	return *out ? 0 : -EINVAL;
}

static int errno_named(const char *text)
{
	for (int e = 1; e < 4096; e++) {
		const char *name = strerrorname_np(e);

		if (name && !strcmp(name, text))
			return -e;
	}
	return 0;
}

/* ---- a spec ---- */

/* True if @text is the word of the action @a, with or without a value: *@value. */
static bool is_action(enum fault_action a, const char *text, const char **value)
{
	size_t len = strcspn(actions[a], ":[");

	*value = NULL;
	if (strncmp(text, actions[a], len))
		return false;
	if (text[len] == ':' && actions[a][len])
		*value = text + len + 1;
	return *value || !text[len];
}

static int set_action(struct reader *r, const char *text)
{
	struct fault_spec *s = r->out;
	const char *value;
	char copy[64];

	if (r->word->actions & BIT(FAULT_ERRNO) && errno_named(text)) {
		s->action = FAULT_ERRNO;
		s->err = errno_named(text);
		return 0;
	}
	if (r->word == &model_word && !number(text, &s->param)) {
		s->has_value = 1;
		return 0;
	}
	for (unsigned a = 0; a < FAULT_ACTIONS; a++) {
		if (a == FAULT_ERRNO || !(a == FAULT_COUNT || r->word->actions & BIT(a)) ||
		    !is_action(a, text, &value))
			continue;
		s->action = a;
		if (a == FAULT_DELAY &&
		    (!value || duration(value, &s->param) || s->param > DELAY_MAX))
			return wrong(r,
				     "%s=%s: a delay is a time up to 60s: delay:10us, delay:10ms",
				     r->name, text);
		if (a == FAULT_DOWN && value && (duration(value, &s->param) || !s->param))
			return wrong(r, "%s=%s: write a time: down:100ms", r->name, text);
		if (a == FAULT_SHORT && value && (number(value, &s->param) || !s->param))
			return wrong(r, "%s=%s: write a number of vectors: short:1", r->name, text);
		return 0;
	}
	if (r->word == &model_word)
		return wrong(r, "%s=%.64s: write a number, or count", r->name, text);
	snprintf(copy, sizeof(copy), "%s", text);
	wrong(r, "%s=%s: there is no such action; there are ", r->name, copy);
	list(r, r->word->actions | BIT(FAULT_COUNT), action_name);
	return -EINVAL;
}

static int copy_name(char to[FAULT_NAME], const char *from)
{
	if (!*from || strlen(from) >= FAULT_NAME)
		return -EINVAL;
	strcpy(to, from);
	return 0;
}

static int set_device(char to[FAULT_NAME], const char *text)
{
	struct pci_address a;

	if (pci_address_parse(text, &a))
		return -EINVAL;
	pci_address_print(&a, to);
	return 0;
}

static int set_value(struct fault_spec *s, enum key key, char *value)
{
	uint64_t n = 0;
	int rc = 0;

	switch (key) {
	case KEY_ADDR:
	case KEY_CMD:
	case KEY_VECTOR:
		return range(value, &s->from, &s->to);
	case KEY_AFTER:
		return number(value, &s->after);
	case KEY_AT:
		return duration(value, &s->at_ns);
	case KEY_BAR:
		rc = number(value, &n);
		s->bar = (uint32_t)n;
		return rc || n > 5 ? -EINVAL : 0;
	case KEY_DEVICE:
		return set_device(s->device, value);
	case KEY_EVERY:
		return number(value, &s->every) ?: s->every ? 0 : -EINVAL;
	case KEY_RATE:
		return rate(value, &s->rate);
	case KEY_REG:
		return copy_name(s->reg, value);
	case KEY_TIMES:
		return number(value, &s->times) ?: s->times ? 0 : -EINVAL;
	}
	return -EINVAL;
}

/* Note a number by which a model's fault is narrowed down. */
static int set_model_key(struct reader *r, const char *name, char *value)
{
	struct fault_spec *s = r->out;
	struct fault_key *k = &s->key[s->num_keys];

	if (s->num_keys == FAULT_KEYS)
		return wrong(r, "%s: more than %u numbers of its own", r->name, FAULT_KEYS);
	for (unsigned i = 0; i < s->num_keys; i++)
		if (!strcmp(s->key[i].name, name))
			return wrong(r, "%s: %s= is there twice", r->name, name);
	if (copy_name(k->name, name) || !value || range(value, &k->from, &k->to))
		return wrong(r, "%s: %.40s: write %.40s=N or %.40s=N-M", r->name, name, name, name);
	s->num_keys++;
	return 0;
}

static int set_key(struct reader *r, char *text)
{
	uint32_t can = r->word->keys | KEYS_ALWAYS;
	char *eq = strchr(text, '='), copy[64];
	const char *near = NULL;

	if (eq)
		*eq = '\0';
	for (unsigned k = 0; k < ARRAY_SIZE(keys); k++) {
		if (!(can & BIT(k)))
			continue;
		near = nearest_word(text, near, keys[k].name);
		if (strcmp(text, keys[k].name))
			continue;
		if (r->given & BIT(k))
			return wrong(r, "%s: %s= is there twice", r->name, text);
		r->given |= BIT(k);
		snprintf(copy, sizeof(copy), "%s", eq ? eq + 1 : "");
		if (!eq || set_value(r->out, k, eq + 1))
			return wrong(r, "%s: %s=%s: write %s=%s: %s", r->name, text, copy, text,
				     keys[k].value, keys[k].line);
		return 0;
	}
	if (r->word == &model_word)
		return set_model_key(r, text, eq ? eq + 1 : NULL);
	if (near)
		return wrong(r, "%s: there is no '%.40s': did you mean %s=?", r->name, text, near);
	wrong(r, "%s: there is no '%.40s'; there are ", r->name, text);
	list(r, can, key_name);
	return -EINVAL;
}

static int set_word(struct reader *r, const char *text)
{
	const char *near = NULL, *dot = strchr(text, '.');
	char model[FAULT_NAME];
	size_t len;

	r->name = text;
	if (dot && dot - text < FAULT_NAME) {
		snprintf(model, sizeof(model), "%.*s", (int)(dot - text), text);
		r->word = &model_word;
		return copy_name(r->out->model, model) || copy_name(r->out->name, dot + 1)
			       ? wrong(r, "'%s' is no MODEL.NAME", text)
			       : 0;
	}

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		near = nearest_word(text, near, words[i].name);
		if (!strcmp(text, words[i].name))
			r->word = &words[i];
	}
	if (r->word)
		return 0;
	if (near)
		return wrong(r, "there is no fault '%.40s': did you mean '%s'?", text, near);
	wrong(r, "there is no fault '%.40s'; there are ", text);
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		len = strlen(r->why);
		snprintf(r->why + len, r->size - len, "%s%s", i ? ", " : "", words[i].name);
	}
	return -EINVAL;
}

int fault_parse(const char *text, struct fault_spec *out, char *why, size_t size)
{
	struct reader r = { .why = why, .size = size, .out = out };
	char copy[FAULT_TEXT], *at = copy, *part, *eq;
	int rc;

	*out = (struct fault_spec){
		.to = UINT64_MAX, .bar = FAULT_NO_BAR, .every = 1, .rate = 1ull << 32
	};
	if (strlen(text) >= sizeof(copy))
		return wrong(&r, "it is longer than %zu characters", sizeof(copy) - 1);
	/* a line of the log has it */
	for (const char *c = text; *c; c++)
		if (*c < ' ' || *c > '~')
			return wrong(&r, "it has characters that are no ASCII");
	strcpy(out->text, text);
	strcpy(copy, text);
	part = strsep(&at, ",");
	eq = strchr(part, '=');
	if (eq)
		*eq = '\0';
	rc = set_word(&r, part);
	if (rc)
		return rc;
	out->points = r.word->points;
	out->action = r.word->first;
	out->err = r.word->err;
	if (eq)
		rc = set_action(&r, eq + 1);
	while (!rc && (part = strsep(&at, ",")))
		rc = set_key(&r, part);
	/* what happens to a device happens once */
	if (out->points >> FAULT_EVENT & 1 && !out->times)
		out->times = 1;
	return rc;
}

int fault_parse_device(struct fault_spec *spec, const char *name, char *why, size_t size)
{
	struct reader r = { .why = why, .size = size, .out = spec };

	if (spec->device[0])
		return wrong(&r, "device= is there twice");
	if (spec->points & (1u << FAULT_MAP))
		return wrong(&r, "a mapping is none of a device's: leave the device out");
	return set_device(spec->device, name) ? wrong(&r, "'%s' is no address", name) : 0;
}

void fault_print_help(FILE *f)
{
	fprintf(f,
		"Faults that --fault injects: POINT[=ACTION][,WHERE or WHEN]...\n\nPOINT, and its "
		"actions, of which the first one is what is done without:\n");
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		const struct word *w = &words[i];

		fprintf(f, "  %-11s%s\n%13s%s", w->name, w->line, "",
			w->first == FAULT_ERRNO ? strerrorname_np(-w->err) : actions[w->first]);
		for (unsigned a = FAULT_COUNT + 1; a < FAULT_ACTIONS; a++)
			if (w->actions & BIT(a) && a != w->first)
				fprintf(f, ", %s", actions[a]);
		if (w->first == FAULT_ERRNO)
			fprintf(f, ", any other ERRNO");
		putc('\n', f);
	}
	fprintf(f, "  MODEL.NAME the model's own: `uvfio models MODEL`\n");
	fprintf(f, "  and of each: count, which does nothing, but counts the accesses\n\nWhere:\n");
	for (unsigned k = 0; k < ARRAY_SIZE(keys); k++) {
		char text[32];

		if (k == KEY_AFTER || k == KEY_AT || k == KEY_EVERY || k == KEY_RATE ||
		    k == KEY_TIMES)
			continue;
		snprintf(text, sizeof(text), "%s=%s", keys[k].name, keys[k].value);
		fprintf(f, "  %-18s%s", text, keys[k].line);
		if (k != KEY_DEVICE) {
			const char *sep = " (";

			for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
				if (!(words[i].keys & BIT(k)))
					continue;
				fprintf(f, "%s%s", sep, words[i].name);
				sep = ", ";
			}
			putc(')', f);
		}
		putc('\n', f);
	}
	fprintf(f, "\nWhen, of the accesses of each device that are meant by what is above:\n");
	for (unsigned k = 0; k < ARRAY_SIZE(keys); k++) {
		char text[32];

		if (!(KEYS_ALWAYS & BIT(k)))
			continue;
		snprintf(text, sizeof(text), "%s=%s", keys[k].name, keys[k].value);
		fprintf(f, "  %-18s%s\n", text, keys[k].line);
	}
	fprintf(f, "  What happens to a device (unplug, reset, aer, link) does so behind an access "
		   "of a\n"
		   "  BAR, or at its time, and once if times= does not say otherwise.\n");
	fprintf(f, "\nEach fault that happens is a line in the log, with the seed by which it "
		   "happens again\n(--seed). Examples:\n"
		   "  --fault dma=abort,rate=1/1000\n"
		   "  --fault msi=drop,vector=1,after=100,times=1\n"
		   "  --fault read=ones,reg=CSTS,at=2s\n");
}
