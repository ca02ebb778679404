/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conform/survey.c: what the device is, asked for as every client does before all else. The other
 * tests go by it.
 */
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "base/util.h"
#include "conform/internal.h"

void ct_need_info(struct ct *t)
{
	if (!t->device->known)
		ct_skip(t, "DEVICE_GET_INFO did not tell what the device is");
}

void ct_need_region(struct ct *t, uint32_t index, uint64_t size, uint32_t flags)
{
	const struct ct_region *r = &t->device->region[index];

	ct_need_info(t);
	if (!r->known || r->size < size)
		ct_skip(t, "region %u has %" PRIu64 " bytes: the test needs %" PRIu64, index,
			r->size, size);
	if ((r->flags & flags) != flags)
		ct_skip(t, "region %u has flags 0x%x: the test needs 0x%x", index, r->flags, flags);
}

static uint64_t number(const struct json *caps, const char *name, uint64_t otherwise)
{
	const struct json *j = caps ? json_member(caps, name, JSON_NUMBER) : NULL;

	return j ? (uint64_t)j->number : otherwise;
}

static void read_version(struct ct *t, struct ct_device *d)
{
	struct ct_conn *c = ct_connect(t);
	const struct json *caps = NULL, *twin, *multi;
	struct json nodes[128];
	struct ct_msg *r;
	char *text;

	ct_close(c); /* a session finds the server even when it ends with each client */
	c = ct_session(t);
	ct_close(c);
	c = ct_connect(t);
	r = ct_call(
		c,
		ct_version(c, 0, 2,
			   "{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":1048576,"
			   "\"max_dma_maps\":65535,\"pgsizes\":4096,\"write_multiple\":true,"
			   "\"twin_socket\":{\"supported\":true}}}"),
		-1);
	ct_check(t, r->size >= HEADER + 4, "the reply to VERSION has no version");
	d->major = get16(r->data + HEADER);
	d->minor = get16(r->data + HEADER + 2);
	if (r->size > HEADER + 4) {
		size_t len = r->size - HEADER - 4;

		ct_check(t, !r->data[r->size - 1], "the JSON of the reply to VERSION has no NUL");
		text = ct_alloc(t, len);
		memcpy(text, r->data + HEADER + 4, len);
		snprintf(d->json, sizeof(d->json), "%s", text);
		if (strlen(text) && json_parse(text, strlen(text), nodes, ARRAY_SIZE(nodes)))
			ct_fail(t, "the JSON of the reply to VERSION cannot be read: %s", d->json);
		caps = *text ? json_member(nodes, "capabilities", JSON_OBJECT) : NULL;
	}
	d->max_msg_fds = number(caps, "max_msg_fds", DEFAULT_MSG_FDS);
	d->max_xfer = number(caps, "max_data_xfer_size", DEFAULT_XFER);
	d->max_dma_maps = number(caps, "max_dma_maps", DEFAULT_DMA_MAPS);
	d->pgsizes = number(caps, "pgsizes", 4096);
	multi = caps ? json_member(caps, "write_multiple", JSON_BOOL) : NULL;
	d->write_multiple = multi && multi->number;
	twin = caps ? json_member(caps, "twin_socket", JSON_OBJECT) : NULL;
	twin = twin ? json_member(twin, "supported", JSON_BOOL) : NULL;
	d->twin_socket = twin && twin->number;
	ct_close(c);
}

/* Send @m; true if the device has what it asks for. */
static bool has(struct ct_conn *c, struct ct_msg *m)
{
	ct_send(c, m);
	return !(ct_flags(ct_reply(c, m)) & F_ERROR);
}

static void read_features(struct ct_conn *c, struct ct_device *d)
{
	struct ct_msg *m;

	d->migration = has(c, ct_feature(c, FE_PROBE | FE_GET | FE_MIGRATION, FEATURE_SIZE));
	d->state = has(c, ct_feature(c, FE_PROBE | FE_SET | FE_STATE, FEATURE_SIZE));
	d->log_start = has(c, ct_feature(c, FE_PROBE | FE_SET | FE_LOG_START, FEATURE_SIZE));
	d->log_report = has(c, ct_feature(c, FE_PROBE | FE_GET | FE_LOG_REPORT, FEATURE_SIZE));
	if (!d->migration)
		return;
	m = ct_feature(c, FE_GET | FE_MIGRATION, FEATURE_SIZE + 8);
	ct_send(c, m);
	m = ct_reply(c, m);
	if (m->size >= HEADER + FEATURE_SIZE + 8)
		d->migration_flags = ct_body64(m, FEATURE_SIZE);
}

void ct_survey(struct ct *t)
{
	struct ct_device *d = &t->run->device;
	struct ct_conn *c;
	struct ct_msg *m;

	read_version(t, d);
	c = ct_session(t);
	m = ct_call(c, ct_get_info(c), INFO_SIZE);
	d->flags = ct_body32(m, 4);
	d->num_regions = ct_body32(m, 8);
	d->num_irqs = ct_body32(m, 12);
	d->known = true;
	for (uint32_t i = 0; i < d->num_regions && i < CT_REGIONS; i++) {
		m = ct_call(c, ct_region_info(c, i, REGION_INFO_SIZE), -1);
		ct_check(t, m->size >= HEADER + REGION_INFO_SIZE,
			 "the information on region %u has %zu bytes, not %u", i, m->size - HEADER,
			 REGION_INFO_SIZE);
		d->region[i] = (struct ct_region){ true, ct_body32(m, 4), ct_body64(m, 16) };
	}
	for (uint32_t i = 0; i < d->num_irqs && i < CT_IRQS; i++) {
		m = ct_call(c, ct_irq_info(c, i), IRQ_INFO_SIZE);
		d->irq[i] = (struct ct_irq){ true, ct_body32(m, 4), ct_body32(m, 12) };
	}
	if (d->region[CONFIG_REGION].size >= sizeof(d->config)) {
		m = ct_call(c, ct_region_read(c, CONFIG_REGION, 0, sizeof(d->config)),
			    REGION_RW_SIZE + sizeof(d->config));
		memcpy(d->config, m->data + HEADER + REGION_RW_SIZE, sizeof(d->config));
		d->config_known = true;
	}
	m = ct_dma_map(c, MAP_READ | MAP_WRITE, 0, 0x10000000, 0x1000, ct_memfd(t, 0x1000));
	d->dma = has(c, m);
	read_features(c, d);
}

void ct_device_show(const struct ct_device *d, FILE *f)
{
	static const char *const irqs[] = { "INTx", "MSI", "MSI-X", "ERR", "REQ" };

	fprintf(f, "version %u.%u %s\n", d->major, d->minor, d->json);
	fprintf(f, "device flags 0x%x:%s%s; %u regions, %u kinds of interrupts\n", d->flags,
		d->flags & INFO_RESET ? " reset" : "", d->flags & INFO_PCI ? " pci" : "",
		d->num_regions, d->num_irqs);
	if (d->config_known)
		fprintf(f, "%04x:%04x class %02x%02x%02x\n", get16(d->config), get16(d->config + 2),
			d->config[11], d->config[10], d->config[9]);
	for (uint32_t i = 0; i < d->num_regions && i < CT_REGIONS; i++)
		if (d->region[i].size)
			fprintf(f, "region %u: 0x%" PRIx64 " bytes,%s%s%s%s\n", i,
				d->region[i].size, d->region[i].flags & R_READ ? " read" : "",
				d->region[i].flags & R_WRITE ? " write" : "",
				d->region[i].flags & R_MMAP ? " mmap" : "",
				d->region[i].flags & R_CAPS ? " capabilities" : "");
	for (uint32_t i = 0; i < d->num_irqs && i < CT_IRQS; i++)
		if (d->irq[i].count)
			fprintf(f, "%s: %u,%s%s%s%s\n", i < PCI_IRQS ? irqs[i] : "interrupt",
				d->irq[i].count, d->irq[i].flags & I_EVENTFD ? " eventfd" : "",
				d->irq[i].flags & I_MASKABLE ? " maskable" : "",
				d->irq[i].flags & I_AUTOMASKED ? " automasked" : "",
				d->irq[i].flags & I_NORESIZE ? " noresize" : "");
	fprintf(f, "DMA %s, migration %s (flags 0x%" PRIx64 "), DMA logging %s\n",
		d->dma ? "yes" : "no", d->migration ? "yes" : "no", d->migration_flags,
		d->log_start ? "yes" : "no");
}
