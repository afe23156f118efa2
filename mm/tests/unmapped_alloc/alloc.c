// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: orders, zones and nodes, per-CPU lists, allocation in bulk.
 */

#include <linux/cpu.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/set_memory.h>

#include "unmapped_alloc_kunit.h"

static void unmapped_test_orders(struct kunit *test)
{
	struct page *page;
	int order;

	for (order = 0; order <= PMD_ORDER; order++) {
		page = ua_alloc_or_fail(test, order);
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED(page_to_pfn(page), 1 << order));
		KUNIT_EXPECT_EQ(test, page_ref_count(page), 1);
		KUNIT_EXPECT_FALSE(test, PageCompound(page));
		KUNIT_EXPECT_TRUE(test, unmapped_page(page));
		KUNIT_EXPECT_TRUE(test, unmapped_page(page + ((1 << order) - 1)));
		ua_expect_present(test, page, order, false);
		ua_expect_zero(test, page, order);
		ua_expect_count(test, 1 << order,
				UNMAPPED_BLOCK_PAGES - (1 << order));
		unmapped_pages_free(page, order);
		ua_expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
		ua_drain_pcps();
	}
}

static void unmapped_test_bad_order(struct kunit *test)
{
	KUNIT_EXPECT_NULL(test, unmapped_pages_alloc(GFP_KERNEL | __GFP_NOWARN,
						     PMD_ORDER + 1));
}

static void unmapped_test_compound(struct kunit *test)
{
	struct folio *folio = unmapped_folio_alloc(GFP_KERNEL, 4);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	KUNIT_EXPECT_EQ(test, folio_order(folio), 4);
	ua_expect_present(test, &folio->page, 4, false);
	folio_put(folio);
	ua_expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
}

static void unmapped_test_split_merge(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 0);
	int order;

	for (order = 0; order < PMD_ORDER; order++)
		KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_BLOCK, order), 1);
	KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 0);

	unmapped_pages_free(page, 0);
	for (order = 0; order < PMD_ORDER; order++)
		KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_BLOCK, order), 0);
	KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
}

/* A chunk that is freed page by page merges, too. */
static void unmapped_test_free_by_page(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 5);
	int i;

	split_page(page, 5);
	for (i = 0; i < 1 << 5; i++)
		__free_page(page + (i * 7) % (1 << 5));
	KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
}

/* Every page of a block is handed out once, then the next block is used. */
static void unmapped_test_all_distinct(struct kunit *test)
{
	const int nr = UNMAPPED_BLOCK_PAGES + 1;
	struct page **pages = kunit_kcalloc(test, nr, sizeof(*pages), GFP_KERNEL);
	int i, j, same = 0;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	for (i = 0; i < nr; i++)
		pages[i] = ua_alloc_or_fail(test, 0);
	for (i = 0; i < nr; i++)
		for (j = 0; j < i; j++)
			same += pages[i] == pages[j];
	KUNIT_EXPECT_EQ(test, same, 0);
	ua_expect_count(test, nr, UNMAPPED_BLOCK_PAGES - 1);
	for (i = 0; i < nr; i++)
		unmapped_pages_free(pages[i], 0);
	KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 2);
}

/* === Zones and nodes ===================================================== */

static void unmapped_test_zones(struct kunit *test)
{
	static const struct {
		gfp_t gfp;
		enum zone_type highest;
	} zones[] = {
		{ GFP_KERNEL, ZONE_NORMAL },
#ifdef CONFIG_ZONE_DMA32
		{ GFP_KERNEL | GFP_DMA32, ZONE_DMA32 },
#endif
#ifdef CONFIG_ZONE_DMA
		{ GFP_KERNEL | GFP_DMA, ZONE_DMA },
#endif
	};
	struct page *page;
	int i, order;

	for (i = 0; i < ARRAY_SIZE(zones); i++) {
		for (order = 0; order < 2; order++) {
			page = unmapped_pages_alloc(zones[i].gfp, order);
			KUNIT_ASSERT_NOT_NULL(test, page);
			KUNIT_EXPECT_LE(test, page_zonenum(page),
					zones[i].highest);
			unmapped_pages_free(page, order);
		}
	}
	ua_drain_all();
	ua_expect_count(test, 0, 0);
}

static void unmapped_test_thisnode(struct kunit *test)
{
	struct page *page;
	int nid;

	for_each_node_state(nid, N_MEMORY) {
		page = unmapped_pages_alloc_node(GFP_KERNEL | __GFP_THISNODE, 0,
						 nid);
		KUNIT_ASSERT_NOT_NULL(test, page);
		KUNIT_EXPECT_EQ(test, page_to_nid(page), nid);
		unmapped_pages_free(page, 0);
	}
}

/* A nodemask excludes pages that are cached on other nodes. */
static void unmapped_test_nodemask(struct kunit *test)
{
	nodemask_t none = NODE_MASK_NONE;
	nodemask_t here = nodemask_of_node(numa_mem_id());
	struct page *page;

	if (!IS_ENABLED(CONFIG_NUMA))
		kunit_skip(test, "no nodes, so nodemasks mean nothing");
	page = ua_alloc_or_fail(test, 0);
	KUNIT_EXPECT_NULL(test, unmapped_pages_alloc_nodemask(GFP_NOWAIT, 0,
							      NUMA_NO_NODE, &none));
	unmapped_pages_free(page, 0);
	page = unmapped_pages_alloc_nodemask(GFP_NOWAIT, 0, NUMA_NO_NODE, &here);
	KUNIT_ASSERT_NOT_NULL(test, page);
	unmapped_pages_free(page, 0);
}

static bool can_spare_none(struct zone *zone, int order, enum zone_watermarks wmark,
			   gfp_t gfp)
{
	return false;
}

/* Free memory of a node is taken before what another one has in the cache. */
static void unmapped_test_spare_node(struct kunit *test)
{
	int nid = first_memory_node, other = next_memory_node(nid), order;
	struct page *page;

	if (other == MAX_NUMNODES)
		kunit_skip(test, "a single node has memory");

	for (order = 0; order <= PMD_ORDER; order += 3) {
		page = unmapped_pages_alloc_node(GFP_KERNEL | __GFP_THISNODE,
						 order, other);
		KUNIT_ASSERT_NOT_NULL(test, page);
		unmapped_pages_free(page, order);
		unmapped_alloc_drain(nid);
		page = unmapped_pages_alloc_spare(GFP_KERNEL, order, nid);
		KUNIT_ASSERT_NOT_NULL(test, page);
		KUNIT_EXPECT_EQ(test, page_to_nid(page), nid);
		unmapped_pages_free(page, order);
		unmapped_alloc_drain(nid);

		/* If it has none, that of the other one will do. */
		kunit_activate_static_stub(test, unmapped_refill_can_spare, can_spare_none);
		page = unmapped_pages_alloc_spare(GFP_KERNEL, order, nid);
		kunit_deactivate_static_stub(test, unmapped_refill_can_spare);
		KUNIT_ASSERT_NOT_NULL(test, page);
		KUNIT_EXPECT_EQ(test, page_to_nid(page), other);
		unmapped_pages_free(page, order);
	}
}

static int not_prepared(bool wait)
{
	return wait ? 0 : -EAGAIN;
}

/* A caller that must not reclaim memory does not wait for one who may. */
static void unmapped_test_spare_first(struct kunit *test)
{
	struct page *page;

	ua_drain_all();
	kunit_activate_static_stub(test, unmapped_clear_prepare, not_prepared);
	page = unmapped_pages_alloc_spare(GFP_KERNEL, 3, NUMA_NO_NODE);
	KUNIT_EXPECT_NULL(test, page);
	if (!page)
		page = ua_alloc_or_fail(test, 3);
	kunit_deactivate_static_stub(test, unmapped_clear_prepare);
	unmapped_pages_free(page, 3);
}

/* === Many at a time ====================================================== */

static struct unmapped_zone *local_zone(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 1);
	struct unmapped_zone *uz = unmapped_page_zone(page);

	unmapped_pages_free(page, 1);
	return uz;
}

/* The zone's lists are accessed once for many order-0 pages. */
static void unmapped_test_pcp(struct kunit *test)
{
	const int nr = 8 * UNMAPPED_PCP_BATCH;
	struct page **pages = kunit_kcalloc(test, nr, sizeof(*pages), GFP_KERNEL);
	struct unmapped_zone *uz = local_zone(test);
	unsigned long taken = uz->nr_taken;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	migrate_disable();
	for (i = 0; i < nr; i++)
		pages[i] = unmapped_pages_alloc(GFP_KERNEL, 0);
	KUNIT_EXPECT_EQ(test, uz->nr_taken - taken, nr / UNMAPPED_PCP_BATCH);
	for (i = 0; i < nr; i++)
		unmapped_pages_free(pages[i], 0);
	KUNIT_EXPECT_GE(test, unmapped_pcp_count(uz), UNMAPPED_PCP_BATCH);
	KUNIT_EXPECT_LT(test, unmapped_pcp_count(uz), 2 * UNMAPPED_PCP_BATCH);
	migrate_enable();

	ua_expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
	ua_drain_pcps();
	KUNIT_EXPECT_EQ(test, unmapped_pcp_count(uz), 0);
	KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
}

/* A CPU's list is filled from small chunks if they fill half of it. */
static void unmapped_test_pcp_splits_nothing(struct kunit *test)
{
	const int half = UNMAPPED_BLOCK_PAGES / 2, nr = UNMAPPED_PCP_BATCH / 2;
	/* The number of chunks that are taken at a time. */
	const int taken_at_once = min(nr, UNMAPPED_BATCH);
	struct page *page = ua_alloc_or_fail(test, PMD_ORDER);
	struct unmapped_zone *uz = unmapped_page_zone(page);
	struct page *taken;
	int i;

	split_page(page, PMD_ORDER);
	for (i = 0; i < UNMAPPED_BLOCK_PAGES; i++)
		if (i >= half || (i < 2 * nr && i % 2))
			unmapped_pages_free(page + i, 0);
	ua_drain_pcps();
	KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_BLOCK, 0), nr);
	KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER - 1), 1);

	taken = ua_alloc_or_fail(test, 0);
	KUNIT_EXPECT_EQ(test, unmapped_pcp_count(uz), taken_at_once - 1);
	KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER - 1), 1);

	unmapped_pages_free(taken, 0);
	for (i = 0; i < half; i++)
		if (i >= 2 * nr || !(i % 2))
			unmapped_pages_free(page + i, 0);
}

static void put_on_cpu(struct work_struct *work)
{
	struct put_work *put = container_of(work, struct put_work, work);

	unmapped_pages_free(put->page, 0);
}

/* Pages do not stay on the list of a CPU that goes offline. */
static void unmapped_test_dead_cpu(struct kunit *test)
{
	struct put_work put = { .page = ua_alloc_or_fail(test, 0) };
	struct unmapped_zone *uz = unmapped_page_zone(put.page);
	int cpu = cpumask_last(cpu_online_mask);
	struct unmapped_pcp *pcp = per_cpu_ptr(uz->pcp, cpu);

	INIT_WORK_ONSTACK(&put.work, put_on_cpu);
	schedule_work_on(cpu, &put.work);
	flush_work(&put.work);
	destroy_work_on_stack(&put.work);
	KUNIT_EXPECT_GE(test, pcp->count, 1);
	if (!cpu || remove_cpu(cpu))
		kunit_skip(test, "no CPU can go offline");
	KUNIT_EXPECT_EQ(test, pcp->count, 0);
	KUNIT_EXPECT_EQ(test, add_cpu(cpu), 0);
	KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
}

static void unmapped_test_bulk(struct kunit *test)
{
	const int nr = 2 * UNMAPPED_BLOCK_PAGES + 7;
	struct page **pages = kunit_kcalloc(test, nr, sizeof(*pages), GFP_KERNEL);
	unsigned long flushes = ua_nr_events(UNMAPPED_TLB_FLUSH);
	int i, present = 0, nonzero = 0;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	KUNIT_EXPECT_EQ(test, unmapped_pages_alloc_bulk(GFP_KERNEL, NUMA_NO_NODE,
							NULL, nr, pages), nr);
	KUNIT_EXPECT_EQ(test, ua_nr_events(UNMAPPED_TLB_FLUSH) - flushes, 1);
	ua_expect_count(test, nr, 3 * UNMAPPED_BLOCK_PAGES - nr);
	for (i = 0; i < nr; i++) {
		present += kernel_page_present(pages[i]);
		nonzero += ua_with_page(test, pages[i], MARK, true) ? 1 : 0;
		KUNIT_EXPECT_EQ(test, page_ref_count(pages[i]), 1);
	}
	KUNIT_EXPECT_EQ(test, present, 0);
	release_pages(pages, nr);
	ua_expect_count(test, 0, 3 * UNMAPPED_BLOCK_PAGES);
	KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 3);
}

/* If memory runs out, a bulk request returns as many pages as there are. */
static void unmapped_test_bulk_short(struct kunit *test)
{
	struct page *area = alloc_pages(GFP_KERNEL | __GFP_ZERO, 2);
	struct page *pages[8];

	KUNIT_ASSERT_NOT_NULL(test, area);
	split_page(area, 2);
	ua_use_area(test, area, 3);
	set_page_count(area + 1, 0);
	set_page_count(area + 2, 0);
	KUNIT_EXPECT_EQ(test, unmapped_pages_alloc_bulk(GFP_KERNEL, NUMA_NO_NODE,
							NULL, 8, pages), 3);
	ua_expect_count(test, 3, 0);
	release_pages(pages, 3);
	__free_page(area + 3);
	KUNIT_EXPECT_EQ(test, unmapped_pages_alloc_bulk(GFP_NOWAIT, NUMA_NO_NODE,
							NULL, 8, pages), 3);
	release_pages(pages, 3);
}

static struct kunit_case ua_cases[] = {
	KUNIT_CASE(unmapped_test_orders),
	KUNIT_CASE(unmapped_test_bad_order),
	KUNIT_CASE(unmapped_test_compound),
	KUNIT_CASE(unmapped_test_split_merge),
	KUNIT_CASE(unmapped_test_free_by_page),
	KUNIT_CASE(unmapped_test_all_distinct),
	KUNIT_CASE(unmapped_test_zones),
	KUNIT_CASE(unmapped_test_thisnode),
	KUNIT_CASE(unmapped_test_nodemask),
	KUNIT_CASE(unmapped_test_spare_node),
	KUNIT_CASE(unmapped_test_spare_first),
	KUNIT_CASE(unmapped_test_pcp),
	KUNIT_CASE(unmapped_test_pcp_splits_nothing),
	KUNIT_CASE(unmapped_test_dead_cpu),
	KUNIT_CASE(unmapped_test_bulk),
	KUNIT_CASE(unmapped_test_bulk_short),
	{}
};

UA_SUITE("unmapped_alloc", ua_cases);
