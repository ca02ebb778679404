/* SPDX-License-Identifier: BSD-3-Clause */
/* models/nvme/nvme.h: the model nvme: an NVMe controller. */
#ifndef MODELS_NVME_NVME_H
#define MODELS_NVME_NVME_H
#include "uvfio/model.h"

extern const struct uvfio_model model_nvme;
#endif
