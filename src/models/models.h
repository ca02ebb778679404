/* SPDX-License-Identifier: BSD-3-Clause */
/* models/models.h: the models that come with uvfio. Each is one `const struct uvfio_model` in a file of its own, written against uvfio/model.h alone. */
#ifndef MODELS_MODELS_H
#define MODELS_MODELS_H
#include "uvfio/model.h"
extern const struct uvfio_model model_edu;
extern const struct uvfio_model model_testdev;
extern const struct uvfio_model model_nvme;
extern const struct uvfio_model model_igb;
/* NULL-terminated */
extern const struct uvfio_model *const models_builtin[];
const struct uvfio_model *models_find(const char *name); /* NULL: none */
#endif
