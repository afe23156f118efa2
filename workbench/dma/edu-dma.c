// SPDX-License-Identifier: GPL-2.0-only
/* The kernel's header files are found by the -I of Kbuild. */
#include "../../drivers/dma/edu-dma.c"
