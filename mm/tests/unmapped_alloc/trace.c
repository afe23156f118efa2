// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: tracepoints.
 */

#include <linux/hardirq.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/tracepoint.h>

#include "unmapped_alloc_kunit.h"

static void count_traced(void *data, struct page *page, unsigned int order,
			 gfp_t gfp, int migratetype)
{
	/* What an interrupt allocates is somebody else's. */
	if (current != ua_ctl.traced || !in_task())
		return;
	ua_ctl.last_traced = page;
	ua_ctl.nr_traced++;
}

struct find_tracepoint {
	const char *name;
	struct tracepoint *found;
};

static void compare_name(struct tracepoint *tp, void *priv)
{
	struct find_tracepoint *find = priv;

	if (!strcmp(tp->name, find->name))
		find->found = tp;
}

static struct tracepoint *find_tracepoint(const char *name)
{
	struct find_tracepoint find = { .name = name };

	for_each_kernel_tracepoint(compare_name, &find);
	return find.found;
}

/* As each free is traced as mm_page_free, each allocation is traced, too. */
static void unmapped_test_trace(struct kunit *test)
{
	static const unsigned int orders[] = { 0, 0, 2, PMD_ORDER };
	struct tracepoint *tp = find_tracepoint("mm_page_alloc");
	struct page *page[8];
	int i, err;

	KUNIT_ASSERT_NOT_NULL(test, tp);
	unmapped_pages_free(ua_alloc_or_fail(test, 0), 0);
	err = tracepoint_probe_register(tp, count_traced, NULL);
	KUNIT_ASSERT_EQ(test, err, 0);
	ua_ctl.traced = current;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		ua_ctl.nr_traced = 0;
		page[0] = unmapped_pages_alloc(GFP_NOWAIT, orders[i]);
		KUNIT_EXPECT_EQ(test, ua_ctl.nr_traced, 1);
		KUNIT_EXPECT_PTR_EQ(test, ua_ctl.last_traced, page[0]);
		if (page[0])
			unmapped_pages_free(page[0], orders[i]);
		ua_drain_pcps();
	}
	ua_ctl.nr_traced = 0;
	KUNIT_EXPECT_EQ(test, unmapped_pages_alloc_bulk(GFP_NOWAIT, NUMA_NO_NODE,
							NULL, ARRAY_SIZE(page),
							page), ARRAY_SIZE(page));
	KUNIT_EXPECT_EQ(test, ua_ctl.nr_traced, ARRAY_SIZE(page));
	release_pages(page, ARRAY_SIZE(page));

	tracepoint_probe_unregister(tp, count_traced, NULL);
	tracepoint_synchronize_unregister();
}

/* What the tracepoints have in common. */
struct trace_count {
	const char *name;
	void *probe;
	struct tracepoint *tp;
	unsigned long nr;
	unsigned long nr_pages;
};

static void count_trace(struct trace_count *count, unsigned int order)
{
	/* What an interrupt frees is somebody else's. */
	if (current != ua_ctl.traced || !in_task())
		return;
	count->nr++;
	count->nr_pages += 1UL << order;
}

static void probe_chunk(void *data, struct page *page, unsigned int order)
{
	count_trace(data, order);
}

static void probe_alloc(void *data, struct page *page, unsigned int order,
			gfp_t gfp)
{
	count_trace(data, order);
}

/*
 * The allocator's pages, and blocks. A page table that is freed when an entry
 * becomes large again was not allocated in the meantime.
 */
static void probe_page_free(void *data, struct page *page, unsigned int order)
{
	if (order == PMD_ORDER || unmapped_page(page))
		count_trace(data, order);
}

static void probe_page_alloc(void *data, struct page *page, unsigned int order,
			     gfp_t gfp, int migratetype)
{
	probe_page_free(data, page, order);
}

static void start_trace(struct kunit *test, struct trace_count *counts, int nr)
{
	int i;

	for (i = 0; i < nr; i++) {
		counts[i].tp = find_tracepoint(counts[i].name);
		KUNIT_ASSERT_NOT_NULL_MSG(test, counts[i].tp, "%s",
					  counts[i].name);
		KUNIT_ASSERT_EQ(test, 0,
				tracepoint_probe_register(counts[i].tp,
							  counts[i].probe,
							  &counts[i]));
	}
	/* Registering a probe allocates memory, too. */
	ua_ctl.traced = current;
}

static void stop_trace(struct trace_count *counts, int nr)
{
	ua_ctl.traced = NULL;
	while (nr--)
		tracepoint_probe_unregister(counts[nr].tp, counts[nr].probe,
					    &counts[nr]);
	tracepoint_synchronize_unregister();
}

/* Each allocation is traced, and each free, on the way there and back. */
static void unmapped_test_trace_pairs(struct kunit *test)
{
	struct trace_count counts[] = {
		{ "mm_page_alloc", probe_page_alloc },
		{ "mm_page_free", probe_page_free },
	};
	struct page *page;
	int order;

	start_trace(test, counts, ARRAY_SIZE(counts));
	for (order = 0; order <= PMD_ORDER; order++) {
		page = ua_alloc_or_fail(test, order);
		unmapped_pages_free(page, order);
	}
	page = unmapped_block_alloc(GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, page);
	if (page)
		unmapped_block_free(page);
	ua_drain_all();
	stop_trace(counts, ARRAY_SIZE(counts));

	/* And the block itself. */
	KUNIT_EXPECT_GE(test, counts[0].nr, PMD_ORDER + 3);
	KUNIT_EXPECT_EQ(test, counts[0].nr, counts[1].nr);
	KUNIT_EXPECT_EQ(test, counts[0].nr_pages, counts[1].nr_pages);
}

/* The life of a block that is broken and heals. */
static void unmapped_test_trace_life(struct kunit *test)
{
	struct trace_count counts[] = {
		{ "unmapped_alloc", probe_alloc },
		{ "unmapped_free", probe_chunk },
		{ "unmapped_refill", probe_chunk },
		{ "unmapped_release", probe_chunk },
		{ "unmapped_break", probe_chunk },
		{ "unmapped_heal", probe_chunk },
	};
	unsigned long breaks = ua_nr_events(UNMAPPED_BREAK);
	unsigned long heals = ua_nr_events(UNMAPPED_HEAL);
	struct page *page;

	start_trace(test, counts, ARRAY_SIZE(counts));
	page = ua_alloc_or_fail(test, 2);
	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(unmapped_page_zone(page),
							  1));
	unmapped_pages_free(page, 2);
	ua_drain_all();
	stop_trace(counts, ARRAY_SIZE(counts));

	KUNIT_EXPECT_EQ(test, counts[0].nr, 1);
	KUNIT_EXPECT_EQ(test, counts[0].nr_pages, 4);
	KUNIT_EXPECT_EQ(test, counts[1].nr, 1);
	KUNIT_EXPECT_EQ(test, counts[1].nr_pages, 4);
	KUNIT_EXPECT_EQ(test, counts[2].nr, 1);
	KUNIT_EXPECT_EQ(test, counts[2].nr_pages, UNMAPPED_BLOCK_PAGES);
	KUNIT_EXPECT_EQ(test, counts[3].nr, 1);
	KUNIT_EXPECT_EQ(test, counts[3].nr_pages, UNMAPPED_BLOCK_PAGES);
	KUNIT_EXPECT_EQ(test, counts[4].nr, 1);
	KUNIT_EXPECT_EQ(test, counts[5].nr, 1);
	KUNIT_EXPECT_EQ(test, ua_nr_events(UNMAPPED_BREAK), breaks + 1);
	KUNIT_EXPECT_EQ(test, ua_nr_events(UNMAPPED_HEAL), heals + 1);
}

static struct kunit_case ua_cases[] = {
	KUNIT_CASE(unmapped_test_trace),
	KUNIT_CASE(unmapped_test_trace_pairs),
	KUNIT_CASE(unmapped_test_trace_life),
	{}
};

UA_SUITE("unmapped_alloc_trace", ua_cases);
