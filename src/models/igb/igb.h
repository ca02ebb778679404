/* SPDX-License-Identifier: BSD-3-Clause */
/* models/igb/igb.h: the model igb: Intel's 82576, with virtual functions. */
#ifndef MODELS_IGB_IGB_H
#define MODELS_IGB_IGB_H
#include "uvfio/model.h"

extern const struct uvfio_model model_igb;
#endif
