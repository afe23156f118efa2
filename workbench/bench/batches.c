// SPDX-License-Identifier: GPL-2.0-only
/*
 * What folios cost that are freed many at a time, as truncating a file and
 * ending a program do: a batch of them is allocated one by one and freed by one
 * call. Interrupts are off while something is measured.
 */

#include <linux/gfp.h>
#include <linux/irqflags.h>
#include <linux/mm.h>
#include <linux/folio_batch.h>
#include <linux/timex.h>
#ifdef CONFIG_UNMAPPED_ALLOC
#include <linux/unmapped_alloc.h>
#endif

#include "bench.h"

#define ROUNDS	64

struct batch_ops {
	const char *name;
	struct folio *(*alloc)(void);
};

static struct folio *alloc_plain(void)
{
	return folio_alloc(GFP_KERNEL, 0);
}

static struct folio *alloc_zeroed(void)
{
	return folio_alloc(GFP_KERNEL | __GFP_ZERO, 0);
}

#ifdef CONFIG_UNMAPPED_ALLOC
/* unmapped_folio_alloc(), which only consumers may call. */
static struct folio *alloc_unmapped(void)
{
	struct page *page = unmapped_pages_alloc(GFP_KERNEL | __GFP_COMP, 0);

	return page ? page_folio(page) : NULL;
}
#endif

static const struct batch_ops all_ops[] = {
	{ "page-batch", alloc_plain },
	{ "page-zeroed-batch", alloc_zeroed },
#ifdef CONFIG_UNMAPPED_ALLOC
	{ "unmapped-batch", alloc_unmapped },
#endif
};

/* What filling a batch takes by itself. */
static struct folio *alloc_nothing(void)
{
	barrier();
	return page_folio(ZERO_PAGE(0));
}

static noinline int fill(struct folio_batch *batch, struct folio *(*alloc)(void))
{
	struct folio *folio;

	folio_batch_init(batch);
	while (folio_batch_space(batch)) {
		folio = alloc();
		if (!folio)
			return -ENOMEM;
		folio_batch_add(batch, folio);
	}
	return 0;
}

static int measure(const struct batch_ops *ops)
{
	u64 start, filled, end, alloc = 0, free = 0;
	struct folio_batch batch;
	int i, err = 0;

	/* The first round fills the CPU's lists. */
	for (i = 0; i <= ROUNDS && !err; i++) {
		local_irq_disable();
		start = rdtsc();
		err = fill(&batch, ops->alloc);
		filled = rdtsc();
		folios_put(&batch);
		end = rdtsc();
		if (i) {
			free += end - filled;
			alloc += filled - start;
			/* The same without folios of its own. */
			start = rdtsc();
			fill(&batch, alloc_nothing);
			alloc -= rdtsc() - start;
		}
		local_irq_enable();
	}
	if (err)
		return err;
	bench_say(alloc + free, ROUNDS * FOLIO_BATCH_SIZE, "%s-pair", ops->name);
	bench_say(alloc, ROUNDS * FOLIO_BATCH_SIZE, "%s-alloc", ops->name);
	bench_say(free, ROUNDS * FOLIO_BATCH_SIZE, "%s-free", ops->name);
	return 0;
}

int bench_batches(void)
{
	int i, err = 0;

	for (i = 0; i < ARRAY_SIZE(all_ops) && !err; i++)
		err = measure(&all_ops[i]);
	return err;
}
