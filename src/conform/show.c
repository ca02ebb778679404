/* SPDX-License-Identifier: BSD-3-Clause */
/* conform/show.c: messages for a reader: the header in words, the body's fields, and the bytes. */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "base/util.h"
#include "conform/internal.h"

/* Fields of a body, "name:bytes ..."; what is behind them is data. */
static const struct {
	const char *name, *request, *reply;
} commands[] = {
	[C_VERSION] = { "VERSION", "major:2 minor:2", "major:2 minor:2" },
	[C_DMA_MAP] = { "DMA_MAP", "argsz:4 flags:4 offset:8 address:8 size:8", "" },
	[C_DMA_UNMAP] = { "DMA_UNMAP", "argsz:4 flags:4 address:8 size:8",
			  "argsz:4 flags:4 address:8 size:8" },
	[C_GET_INFO] = { "DEVICE_GET_INFO", "argsz:4 flags:4 num_regions:4 num_irqs:4",
			 "argsz:4 flags:4 num_regions:4 num_irqs:4" },
	[C_REGION_INFO] = { "DEVICE_GET_REGION_INFO",
			    "argsz:4 flags:4 index:4 cap_offset:4 size:8 offset:8",
			    "argsz:4 flags:4 index:4 cap_offset:4 size:8 offset:8" },
	[C_REGION_IO_FDS] = { "DEVICE_GET_REGION_IO_FDS", "argsz:4 flags:4 index:4 count:4",
			      "argsz:4 flags:4 index:4 count:4" },
	[C_IRQ_INFO] = { "DEVICE_GET_IRQ_INFO", "argsz:4 flags:4 index:4 count:4",
			 "argsz:4 flags:4 index:4 count:4" },
	[C_SET_IRQS] = { "DEVICE_SET_IRQS", "argsz:4 flags:4 index:4 start:4 count:4", "" },
	[C_REGION_READ] = { "REGION_READ", "offset:8 region:4 count:4",
			    "offset:8 region:4 count:4" },
	[C_REGION_WRITE] = { "REGION_WRITE", "offset:8 region:4 count:4",
			     "offset:8 region:4 count:4" },
	[C_DMA_READ] = { "DMA_READ", "address:8 count:8", "address:8 count:8" },
	[C_DMA_WRITE] = { "DMA_WRITE", "address:8 count:8", "address:8 count:8" },
	[C_RESET] = { "DEVICE_RESET", "", "" },
	[C_WRITE_MULTI] = { "REGION_WRITE_MULTI", "wr_cnt:8", "wr_cnt:8" },
	[C_FEATURE] = { "DEVICE_FEATURE", "argsz:4 flags:4", "argsz:4 flags:4" },
	[C_MIG_READ] = { "MIG_DATA_READ", "argsz:4 size:4", "argsz:4 size:4" },
	[C_MIG_WRITE] = { "MIG_DATA_WRITE", "argsz:4 size:4", "" },
};

const char *ct_cmd_name(uint16_t cmd)
{
	const char *name = cmd < ARRAY_SIZE(commands) ? commands[cmd].name : NULL;

	return name ? name : "an unknown command";
}

static void show_fields(FILE *f, const char *fields, const uint8_t *p, size_t len)
{
	const char *sep = ": ";

	while (*fields) {
		int name = (int)strcspn(fields, ":");
		unsigned size = (unsigned)(fields[name + 1] - '0');
		uint64_t v = 0;

		if (size > len)
			return;
		memcpy(&v, p, size);
		fprintf(f, v > 9 ? "%s%.*s 0x%" PRIx64 : "%s%.*s %" PRIu64, sep, name, fields, v);
		sep = ", ";
		p += size;
		len -= size;
		fields += name + 2;
		fields += *fields == ' ';
	}
}

static void show_bytes(FILE *f, const struct ct_logged *l, const char *indent)
{
	size_t n = l->size < CT_SHOWN ? l->size : CT_SHOWN;

	for (size_t at = 0; at < n; at += 16) {
		fprintf(f, "%s  %04zx ", indent, at);
		for (size_t i = at; i < at + 16; i++)
			fprintf(f, i < n ? " %02x" : "   ", l->bytes[i]);
		fprintf(f, "  ");
		for (size_t i = at; i < at + 16 && i < n; i++)
			fputc(isprint(l->bytes[i]) ? l->bytes[i] : '.', f);
		fputc('\n', f);
	}
	if (n < l->size)
		fprintf(f, "%s  ... %zu bytes more\n", indent, l->size - n);
}

void ct_show(FILE *f, const struct ct_logged *l, const char *indent)
{
	const uint8_t *p = l->bytes;
	bool whole = l->size >= HEADER && (!l->note[0] || !strcmp(l->note, "a part"));

	fprintf(f, "%s%s #%d", indent, l->sent ? "sent" : "came", l->conn);
	if (whole) {
		uint16_t cmd = get16(p + H_CMD);
		uint32_t flags = get32(p + H_FLAGS);
		bool reply = (flags & F_TYPE) == F_REPLY;

		fprintf(f, " %s",
			cmd < ARRAY_SIZE(commands) && commands[cmd].name ? commands[cmd].name
									 : "command");
		if (cmd >= ARRAY_SIZE(commands) || !commands[cmd].name)
			fprintf(f, " %u", cmd);
		if (reply)
			fprintf(f, " reply");
		else if (flags & F_TYPE)
			fprintf(f, " of type %u", flags & F_TYPE);
		fprintf(f, " id 0x%x size %u", get16(p + H_ID), get32(p + H_SIZE));
		if (flags & F_NO_REPLY)
			fprintf(f, " No_reply");
		if (flags & F_ERROR)
			fprintf(f, " Error %u (%s)", get32(p + H_ERROR),
				strerror((int)get32(p + H_ERROR)));
		if (flags & ~(F_TYPE | F_NO_REPLY | F_ERROR))
			fprintf(f, " flags 0x%x", flags);
		if (cmd < ARRAY_SIZE(commands) && commands[cmd].name)
			show_fields(f, reply ? commands[cmd].reply : commands[cmd].request,
				    p + HEADER, (l->size < CT_SHOWN ? l->size : CT_SHOWN) - HEADER);
	} else if (l->size) {
		fprintf(f, " %zu bytes", l->size);
	}
	if (l->nfds)
		fprintf(f, " [%u descriptors]", l->nfds);
	if (l->note[0])
		fprintf(f, "%s%s", l->size ? ", " : " ", l->note);
	fputc('\n', f);
	show_bytes(f, l, indent);
}

void ct_log(struct ct_conn *c, bool sent, const uint8_t *bytes, size_t len, size_t size,
	    unsigned nfds, const char *note)
{
	struct ct_logged *l = &c->t->log[c->t->logged++ % CT_LOG];

	*l = (struct ct_logged){ .sent = sent, .conn = c->id, .size = size, .nfds = nfds };
	if (len)
		memcpy(l->bytes, bytes, len < CT_SHOWN ? len : CT_SHOWN);
	if (!len)
		l->size = 0;
	snprintf(l->note, sizeof(l->note), "%s", note ? note : "");
}
