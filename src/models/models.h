/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/models.h: the models that come with uvfio. Each is one `const struct uvfio_model`,
 * declared by the header of its own name and written against uvfio/model.h alone.
 */
#ifndef MODELS_MODELS_H
#define MODELS_MODELS_H
#include "uvfio/model.h"

/* NULL-terminated */
extern const struct uvfio_model *const models_builtin[];
const struct uvfio_model *models_find(const char *name); /* NULL: none */
#endif
