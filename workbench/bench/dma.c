// SPDX-License-Identifier: GPL-2.0-only
/*
 * What DMA buffers cost, with and without a kernel mapping: allocation and free,
 * warm, for QEMU's edu device, behind an IOMMU if the VM has one. The device is
 * not used, and needs no driver.
 *
 * dma_free_attrs() wants interrupts to be on, so the figure of a state is the
 * median of many rounds, which no interrupt is in.
 */

#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/sort.h>
#include <linux/timex.h>

#include "bench.h"

#define ROUNDS	33
#define STATES	13
#define EDU	0x1234, 0x11e8

static const size_t sizes[] = { SZ_4K, SZ_64K, SZ_2M };

struct cost {
	u64 alloc[STATES], free[STATES], pair[STATES];
};

/* What is kept meanwhile, a page for each state. */
struct kept {
	void *cookie;
	dma_addr_t addr;
};

static int by_value(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static u64 median(u64 *values, unsigned int n)
{
	sort(values, n, sizeof(*values), by_value, NULL);
	return values[n / 2];
}

static int measure_state(struct device *dev, unsigned long attrs, size_t size,
			 struct cost *cost, int state)
{
	u64 start, between, alloc[ROUNDS], free[ROUNDS], pair[ROUNDS];
	dma_addr_t addr;
	void *cookie;
	int i;

	for (i = -2; i < ROUNDS; i++) {
		start = get_cycles();
		cookie = dma_alloc_attrs(dev, size, &addr, GFP_KERNEL, attrs);
		between = get_cycles();
		if (!cookie)
			return -ENOMEM;
		dma_free_attrs(dev, size, cookie, addr, attrs);
		if (i < 0)
			continue;
		pair[i] = get_cycles() - start;
		alloc[i] = between - start;
		free[i] = pair[i] - alloc[i];
	}
	cost->alloc[state] = median(alloc, ROUNDS);
	cost->free[state] = median(free, ROUNDS);
	cost->pair[state] = median(pair, ROUNDS);
	return 0;
}

/*
 * What a buffer costs depends on which pages and addresses are free: by 7 % in
 * one state, where trees have another shape. So it is the median of several, each
 * with one more buffer of a page that is kept.
 */
static int measure(struct device *dev, const char *name, unsigned long attrs,
		   size_t size)
{
	struct kept kept[STATES];
	struct cost cost;
	int i, n, err = 0;

	for (n = 0; n < STATES && !err; n++) {
		kept[n].cookie = dma_alloc_attrs(dev, SZ_4K, &kept[n].addr,
						 GFP_KERNEL, 0);
		if (!kept[n].cookie) {
			err = -ENOMEM;
			break;
		}
		err = measure_state(dev, attrs, size, &cost, n);
	}
	for (i = 0; i < n; i++)
		dma_free_attrs(dev, SZ_4K, kept[i].cookie, kept[i].addr, 0);
	if (err)
		return err;
	bench_say(median(cost.alloc, STATES), 1, "%s-%zu-alloc", name, size / SZ_1K);
	bench_say(median(cost.free, STATES), 1, "%s-%zu-free", name, size / SZ_1K);
	bench_say(median(cost.pair, STATES), 1, "%s-%zu-pair", name, size / SZ_1K);
	return 0;
}

static int measure_sizes(struct device *dev, const char *name,
			 unsigned long attrs)
{
	int i, err = 0;

	for (i = 0; i < ARRAY_SIZE(sizes) && !err; i++)
		err = measure(dev, name, attrs, sizes[i]);
	return err;
}

static int measure_nomap(struct device *dev)
{
	unsigned long attrs = DMA_ATTR_NO_KERNEL_MAPPING;
	dma_addr_t addr;
	void *keep;
	int err;

	/* A block that was cleared as a whole, and is not given back in between. */
	keep = dma_alloc_attrs(dev, SZ_2M, &addr, GFP_KERNEL, attrs);
	if (keep)
		dma_free_attrs(dev, SZ_2M, keep, addr, attrs);
	keep = dma_alloc_attrs(dev, SZ_4K, &addr, GFP_KERNEL, attrs);
	err = measure_sizes(dev, "dma-nomap", attrs);
	if (keep)
		dma_free_attrs(dev, SZ_4K, keep, addr, attrs);
	return err;
}

int bench_dma(void)
{
	struct pci_dev *pdev = pci_get_device(EDU, NULL);
	struct device *dev;
	int err;

	if (!pdev)
		return -ENODEV;

	dev = &pdev->dev;
	err = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64));
	/*
	 * First what both kernels do in the same way: what it costs depends on
	 * which pages and addresses were used before.
	 */
	if (!err)
		err = measure_sizes(dev, "dma-mapped", 0);
	if (!err)
		err = measure_nomap(dev);
	pci_dev_put(pdev);
	return err;
}
