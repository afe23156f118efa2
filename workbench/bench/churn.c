// SPDX-License-Identifier: GPL-2.0-only
/*
 * All that the unmapped page allocator is asked for inside the kernel, for a
 * measurement that comes from outside of the VM: pages of every order, many at
 * once, freed one by one, in batches, and so that they merge. Interrupts stay on.
 */

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/folio_batch.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#ifdef CONFIG_UNMAPPED_ALLOC
#include <linux/unmapped_alloc.h>
#endif

#include "bench.h"

#ifdef CONFIG_UNMAPPED_ALLOC
#define PAGES	(SZ_16M >> PAGE_SHIFT)

static int alloc_all(struct page **pages, unsigned int order)
{
	unsigned int i;

	for (i = 0; i < PAGES >> order; i++) {
		pages[i] = unmapped_pages_alloc(GFP_KERNEL, order);
		if (!pages[i])
			return -ENOMEM;
		cond_resched();
	}
	return 0;
}

/* Every @step'th from @first on; what is gone is NULL. */
static void free_some(struct page **pages, unsigned int order,
		      unsigned int first, unsigned int step)
{
	unsigned int i;

	for (i = first; i < PAGES >> order; i += step) {
		if (pages[i])
			unmapped_pages_free(pages[i], order);
		pages[i] = NULL;
		cond_resched();
	}
}

static int churn_order(struct page **pages, unsigned int order)
{
	int err = alloc_all(pages, order);

	free_some(pages, order, 0, 2);
	free_some(pages, order, 0, 1);
	return err;
}

static int churn_bulk(struct page **pages)
{
	unsigned long got = unmapped_pages_alloc_bulk(GFP_KERNEL, NUMA_NO_NODE,
						      NULL, PAGES, pages);

	free_some(pages, 0, 0, 1);
	return got == PAGES ? 0 : -ENOMEM;
}

static int churn_batches(struct page **pages)
{
	struct folio_batch batch;
	unsigned int i;
	int err = alloc_all(pages, 0);

	folio_batch_init(&batch);
	for (i = 0; i < PAGES && pages[i]; i++) {
		if (!folio_batch_add(&batch, page_folio(pages[i])))
			folios_put(&batch);
		cond_resched();
	}
	folios_put(&batch);
	return err;
}

int bench_churn(void)
{
	struct page **pages = kvcalloc(PAGES, sizeof(*pages), GFP_KERNEL);
	unsigned int order;
	int err;

	if (!pages)
		return -ENOMEM;
	err = churn_bulk(pages);
	err = err ?: churn_batches(pages);
	memset(pages, 0, PAGES * sizeof(*pages));
	for (order = 0; order <= PMD_ORDER && !err; order++)
		err = churn_order(pages, order);
	kvfree(pages);
	return err;
}
#else
int bench_churn(void)
{
	return -EOPNOTSUPP;
}
#endif
