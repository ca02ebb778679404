/* SPDX-License-Identifier: BSD-3-Clause */
/* models/edu.h: the model edu: the device that QEMU has for courses. */
#ifndef MODELS_EDU_H
#define MODELS_EDU_H
#include "uvfio/model.h"

extern const struct uvfio_model model_edu;
#endif
