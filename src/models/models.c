/* SPDX-License-Identifier: BSD-3-Clause */
/* models/models.c: the list of built-in models: a new one is a file of its own and a line here. */
#include <string.h>

#include "models/edu.h"
#include "models/igb/igb.h"
#include "models/models.h"
#include "models/nvme/nvme.h"
#include "models/testdev/testdev.h"

const struct uvfio_model *const models_builtin[] = { &model_nvme, &model_edu, &model_testdev,
						     &model_igb, NULL };

const struct uvfio_model *models_find(const char *name)
{
	for (const struct uvfio_model *const *m = models_builtin; *m; m++) {
		if (!strcmp((*m)->name, name))
			return *m;
	}
	return NULL;
}
