/* SPDX-License-Identifier: BSD-3-Clause */
/* models/testdev/testdev.h: the model testdev; regs.h has its registers. */
#ifndef MODELS_TESTDEV_TESTDEV_H
#define MODELS_TESTDEV_TESTDEV_H
#include "uvfio/model.h"
#include "models/testdev/regs.h"

extern const struct uvfio_model model_testdev;
#endif
