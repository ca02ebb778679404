/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/kinds.c: mistakes of a driver that its device's model knows (struct uvfio_kind). Each kind is
 * a code of reports of its own, "proto-MODEL-NAME", which is made with the function.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "pci/internal.h"

#define NAME_MAX_BYTES 32u
#define TEXT_MAX_BYTES 512u

static bool is_name(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return len && len <= NAME_MAX_BYTES && !name[len];
}

const char *pci_kinds_wrong(const struct uvfio_kind *table)
{
	for (const struct uvfio_kind *k = table; k && k->name; k++) {
		if (!is_name(k->name))
			return "is no name of a kind";
		if (!k->line || !k->fix)
			return "needs a line and a fix";
	}
	return NULL;
}

/* Make the code of @k, whose texts are two strings behind @text. Return where they end. */
static char *make_code(struct report_code *code, const struct uvfio_kind *k, const char *model,
		       char *text)
{
	code->name = text;
	text += sprintf(text, "proto-%s-%s", model, k->name) + 1;
	if (k->section) {
		code->hint = text;
		text += sprintf(text, " (%s)", k->section) + 1;
	}
	code->severity = LOG_WARN;
	code->limited = true;
	code->fix = k->fix;
	return text;
}

int pci_kinds_new(pci_function *fn)
{
	const struct uvfio_model *model = fn->model;
	size_t n = 0, bytes = 0;
	char *text;

	if (!model->kinds && fn->vf.pf)
		model = fn->vf.pf->model;
	for (const struct uvfio_kind *k = model->kinds; k && k->name; k++, n++)
		bytes += sizeof("proto--") + strlen(model->name) + strlen(k->name) + sizeof(" ()") +
			 (k->section ? strlen(k->section) : 0);
	if (!n)
		return 0;
	fn->kinds.is = calloc(1, n * sizeof(*fn->kinds.is) + bytes);
	if (!fn->kinds.is)
		return -ENOMEM;
	fn->kinds.n = (unsigned)n;
	text = (char *)(fn->kinds.is + n);
	for (size_t i = 0; i < n; i++)
		text = make_code(&fn->kinds.is[i], &model->kinds[i], model->name, text);
	return 0;
}

void pci_kinds_free(pci_function *fn)
{
	free(fn->kinds.is);
}

__attribute__((format(printf, 4, 0))) static void say(struct uvfio_dev *dev, unsigned kind,
						      const struct report_about *about,
						      const char *fmt, va_list ap)
{
	REPORT_CODE(early, LOG_WARN, REPORT_LIMITED("mmio-before-ready"));
	char text[TEXT_MAX_BYTES], where[PCI_REG_NAME + 32] = "";

	const struct report_code *code = &early;

	if (!report_wanted(LOG_WARN))
		return;
	if (kind < dev->kinds.n) {
		code = &dev->kinds.is[kind];
	} else if (kind != UVFIO_BEFORE_READY) {
		report_warn(REPORT_LIMITED("model-kind"), dev->name, -EINVAL,
			    "the model reports a mistake of kind %u, of which it has no table",
			    kind);
		return;
	}
	vsnprintf(text, sizeof(text), fmt, ap);
	if (about->access == REPORT_DMA)
		snprintf(where, sizeof(where), "at IOVA 0x%" PRIx64 ": ", about->at);
	else if (about->access == REPORT_BAR && about->reg)
		snprintf(where, sizeof(where), "BAR%u %s (0x%04" PRIx64 "): ", about->bar,
			 about->reg, about->at);
	else if (about->access == REPORT_BAR)
		snprintf(where, sizeof(where), "BAR%u at 0x%" PRIx64 ": ", about->bar, about->at);
	report_say_about(code, dev->name, 0, about, "%s%s", where, text);
}

void uvfio_report(struct uvfio_dev *dev, unsigned kind, const char *fmt, ...)
{
	const struct report_about about = { .access = REPORT_NO_ACCESS };
	va_list ap;

	va_start(ap, fmt);
	say(dev, kind, &about, fmt, ap);
	va_end(ap);
}

void uvfio_report_reg(struct uvfio_dev *dev, unsigned kind, unsigned bar, uint64_t offset,
		      const uint64_t *value, const char *fmt, ...)
{
	const struct uvfio_reg *regs = dev->model->regs;
	char name[PCI_REG_NAME];
	const struct report_about about = {
		.access = REPORT_BAR,
		.bar = bar,
		.at = offset,
		.size = pci_reg_width(regs, bar, offset),
		.write = value,
		.value = value ? *value : 0,
		.reg = pci_reg_name(regs, bar, offset, name) ? name : NULL,
	};
	va_list ap;

	va_start(ap, fmt);
	say(dev, kind, &about, fmt, ap);
	va_end(ap);
}

void uvfio_report_dma(struct uvfio_dev *dev, unsigned kind, uint64_t iova, const char *fmt, ...)
{
	const struct report_about about = { .access = REPORT_DMA, .at = iova };
	va_list ap;

	va_start(ap, fmt);
	say(dev, kind, &about, fmt, ap);
	va_end(ap);
}
