// SPDX-License-Identifier: GPL-2.0-only
/*
 * What allocations of every order cost, warm and cold, and many pages at once.
 *
 * Warm: what was freed a moment ago is allocated again. Cold: 16 MiB that nobody
 * has ready; for the unmapped page allocator, the caller has made it give back
 * its cache, so that it takes blocks from the page allocator and unmaps them.
 * Cold allocations may sleep, so interrupts are on then.
 */

#include <linux/gfp.h>
#include <linux/irqflags.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/timex.h>
#ifdef CONFIG_UNMAPPED_ALLOC
#include <linux/unmapped_alloc.h>
#endif

#include "bench.h"

#define BULK		32
#define ROUNDS		32
#define COLD_PAGES	(SZ_16M >> PAGE_SHIFT)

struct order_ops {
	const char *name;
	struct page *(*alloc)(unsigned int order);
	void (*free)(struct page *page, unsigned int order);
	unsigned long (*bulk)(struct page **pages);
};

static struct page *alloc_plain(unsigned int order)
{
	return alloc_pages(GFP_KERNEL, order);
}

static struct page *alloc_zeroed(unsigned int order)
{
	return alloc_pages(GFP_KERNEL | __GFP_ZERO, order);
}

static unsigned long bulk_plain(struct page **pages)
{
	return alloc_pages_bulk(GFP_KERNEL, BULK, pages);
}

static unsigned long bulk_zeroed(struct page **pages)
{
	return alloc_pages_bulk(GFP_KERNEL | __GFP_ZERO, BULK, pages);
}

#ifdef CONFIG_UNMAPPED_ALLOC
static struct page *alloc_unmapped(unsigned int order)
{
	return unmapped_pages_alloc(GFP_KERNEL, order);
}

static unsigned long bulk_unmapped(struct page **pages)
{
	return unmapped_pages_alloc_bulk(GFP_KERNEL, NUMA_NO_NODE, NULL, BULK, pages);
}
#endif

static const struct order_ops all_ops[] = {
	{ "page", alloc_plain, __free_pages, bulk_plain },
	{ "page-zeroed", alloc_zeroed, __free_pages, bulk_zeroed },
#ifdef CONFIG_UNMAPPED_ALLOC
	{ "unmapped", alloc_unmapped, unmapped_pages_free, bulk_unmapped },
#endif
};

static const struct order_ops used = { "used-page", alloc_plain, __free_pages, bulk_plain };

static int measure_warm(const struct order_ops *ops, unsigned int order)
{
	struct page *page = ops->alloc(order);
	u64 start, between, alloc = 0, free = 0;
	int i;

	for (i = 0; i < ROUNDS && page; i++) {
		local_irq_disable();
		start = rdtsc();
		ops->free(page, order);
		between = rdtsc();
		page = ops->alloc(order);
		alloc += rdtsc() - between;
		free += between - start;
		local_irq_enable();
	}
	if (!page)
		return -ENOMEM;
	ops->free(page, order);
	bench_say(alloc, ROUNDS, "%s-o%u-alloc", ops->name, order);
	bench_say(free, ROUNDS, "%s-o%u-free", ops->name, order);
	return 0;
}

static int measure_bulk(const struct order_ops *ops)
{
	struct page *pages[BULK];
	unsigned long got, j;
	u64 start, sum = 0;
	int i;

	/* The first round fills the lists. */
	for (i = 0; i <= ROUNDS; i++) {
		memset(pages, 0, sizeof(pages));
		local_irq_disable();
		start = rdtsc();
		got = ops->bulk(pages);
		if (i)
			sum += rdtsc() - start;
		local_irq_enable();
		for (j = 0; j < got; j++)
			ops->free(pages[j], 0);
		if (got < BULK)
			return -ENOMEM;
	}
	bench_say(sum, ROUNDS * BULK, "%s-bulk-alloc", ops->name);
	return 0;
}

static int measure_orders(const struct order_ops *ops)
{
	unsigned int order;
	int err = 0;

	for (order = 0; order <= PMD_ORDER && !err; order++)
		err = measure_warm(ops, order);
	return err ?: measure_bulk(ops);
}

static int measure_used(void)
{
	return measure_orders(&used);
}

int bench_orders(void)
{
	int i, err = 0;

	for (i = 0; i < ARRAY_SIZE(all_ops) && !err; i++)
		err = measure_orders(&all_ops[i]);
	return err ?: bench_while_used(measure_used);
}

static int measure_cold(const struct order_ops *ops, unsigned int order,
			struct page **pages)
{
	unsigned int i, got, n = COLD_PAGES >> order;
	u64 start = rdtsc(), alloc;

	for (got = 0; got < n; got++) {
		pages[got] = ops->alloc(order);
		if (!pages[got])
			break;
	}
	alloc = rdtsc() - start;
	start = rdtsc();
	for (i = 0; i < got; i++)
		ops->free(pages[i], order);
	if (got < n)
		return -ENOMEM;
	bench_say(rdtsc() - start, n, "%s-cold-o%u-free", ops->name, order);
	bench_say(alloc, n, "%s-cold-o%u-alloc", ops->name, order);
	return 0;
}

int bench_cold(unsigned int order)
{
	struct page **pages;
	int i, err = 0;

	if (order > PMD_ORDER)
		return -EINVAL;
	pages = kvcalloc(COLD_PAGES, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(all_ops) && !err; i++)
		err = measure_cold(&all_ops[i], order, pages);
	kvfree(pages);
	return err;
}
