// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: isolated pageblocks, memory that goes offline, poisoned pages.
 */

#include <linux/completion.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/page-isolation.h>
#include <linux/pagemap.h>
#include <linux/set_memory.h>
#include <linux/workqueue.h>

#include "unmapped_alloc_kunit.h"

#if defined(CONFIG_MEMORY_ISOLATION) && defined(CONFIG_CONTIG_ALLOC)
/* Free memory in the cache does not keep alloc_contig_range() from it. */
static void unmapped_test_contig_range(struct kunit *test)
{
	static const unsigned int orders[] = { 0, 3, PMD_ORDER };
	struct page *page;
	unsigned long pfn;
	int i;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		page = ua_alloc_or_fail(test, orders[i]);
		pfn = page_to_pfn(ua_block_of(page));
		unmapped_pages_free(page, orders[i]);
		KUNIT_ASSERT_EQ(test, alloc_contig_range(pfn, pfn + UNMAPPED_BLOCK_PAGES,
							 ACR_FLAGS_NONE,
							 GFP_KERNEL), 0);
		KUNIT_EXPECT_FALSE(test, unmapped_page(page));
		ua_expect_present(test, pfn_to_page(pfn), PMD_ORDER, true);
		free_contig_range(pfn, UNMAPPED_BLOCK_PAGES);
		ua_expect_count(test, 0, 0);
	}
}

struct other_drain {
	struct work_struct work;
	struct completion done;
	int nid;
	bool too_early;
};

static void drain_meanwhile(struct work_struct *work)
{
	struct other_drain *other = container_of(work, struct other_drain, work);

	unmapped_alloc_drain(other->nid);
	complete(&other->done);
}

static int drain_while_mapping(struct page *page, unsigned int nr, bool valid)
{
	struct kunit *test = kunit_get_current_test();
	struct other_drain *other = test->priv;

	kunit_deactivate_static_stub(test, unmapped_set_direct_map);
	queue_work(system_dfl_wq, &other->work);
	/* The longer, the surer it is to be seen. It is not there to be waited for. */
	other->too_early = wait_for_completion_timeout(&other->done, HZ / 4);
	return unmapped_set_direct_map(page, nr, valid);
}

/* Who asks for all free memory gets what another one is just giving back. */
static void unmapped_test_drain_waits(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 0);
	struct other_drain other = { .nid = page_to_nid(page) };

	init_completion(&other.done);
	INIT_WORK_ONSTACK(&other.work, drain_meanwhile);
	test->priv = &other;
	unmapped_pages_free(page, 0);
	kunit_activate_static_stub(test, unmapped_set_direct_map, drain_while_mapping);
	KUNIT_EXPECT_EQ(test, unmapped_alloc_drain(other.nid), UNMAPPED_BLOCK_PAGES);
	KUNIT_EXPECT_FALSE(test, other.too_early);
	flush_work(&other.work);
	destroy_work_on_stack(&other.work);
}

/* Isolate the block of a page in use. */
void ua_isolate_block_of(struct kunit *test, struct page *page)
{
	unsigned long pfn = page_to_pfn(ua_block_of(page));
	int err;

	/* Like a page on the LRU, it must not look unmovable. */
	set_page_count(page, 0);
	err = start_isolate_page_range(pfn, pfn + UNMAPPED_BLOCK_PAGES,
				       PB_ISOLATE_MODE_OTHER);
	set_page_count(page, 1);
	KUNIT_ASSERT_EQ(test, err, 0);
}

void ua_undo_isolate_block_of(struct page *page)
{
	unsigned long pfn = page_to_pfn(ua_block_of(page));

	undo_isolate_page_range(pfn, pfn + UNMAPPED_BLOCK_PAGES);
}

/* What is freed of an isolated pageblock goes to the page allocator. */
static void unmapped_test_isolated(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 0), *other;
	struct unmapped_node *node = unmapped_node(page_to_nid(page));
	int order;

	ua_drain_pcps();
	ua_isolate_block_of(test, page);
	for (order = 0; order < PMD_ORDER; order += 3) {
		other = ua_alloc_or_fail(test, order);
		KUNIT_EXPECT_PTR_NE(test, ua_block_of(other), ua_block_of(page));
		unmapped_pages_free(other, order);
	}
	flush_work(&node->isolated_work);
	ua_expect_count(test, 1, 2 * UNMAPPED_BLOCK_PAGES - 1);

	ua_with_page(test, page, MARK, true);
	release_pages(&page, 1);
	flush_work(&node->isolated_work);
	KUNIT_EXPECT_FALSE(test, unmapped_page(page));
	ua_expect_present(test, ua_block_of(page), PMD_ORDER, true);
	ua_undo_isolate_block_of(page);
}

/* Also if that was isolated after the free had begun. */
static void unmapped_test_isolated_late(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 0);
	struct unmapped_node *node = unmapped_node(page_to_nid(page));
	struct llist_node *batch = NULL;

	ua_drain_pcps();
	KUNIT_ASSERT_TRUE(test, put_page_testzero(page));
	unmapped_alloc_catch(page, 0, BIT(PB_unmapped_block), false, &batch);
	/* The helper is for pages in use. */
	ua_isolate_block_of(test, page);
	set_page_count(page, 0);
	flush_work(&node->isolated_work);
	KUNIT_EXPECT_TRUE(test, unmapped_page(page));

	unmapped_alloc_free_batch(batch);
	flush_work(&node->isolated_work);
	KUNIT_EXPECT_FALSE(test, unmapped_page(page));
	ua_undo_isolate_block_of(page);
}

/* While pageblocks are isolated, no page gets on a per-CPU list. */
static void unmapped_test_isolated_lists(struct kunit *test)
{
	struct page *block = ua_alloc_or_fail(test, PMD_ORDER), *page;
	struct unmapped_zone *uz = unmapped_page_zone(block);

	unmapped_pages_free(ua_alloc_or_fail(test, 0), 0);
	ua_isolate_block_of(test, block);
	ua_drain_pcps();
	page = ua_alloc_or_fail(test, 0);
	KUNIT_EXPECT_PTR_EQ(test, unmapped_page_zone(page), uz);
	KUNIT_EXPECT_EQ(test, unmapped_pcp_count(uz), 0);
	ua_expect_zero(test, page, 0);
	unmapped_pages_free(page, 0);
	KUNIT_EXPECT_EQ(test, unmapped_pcp_count(uz), 0);
	ua_undo_isolate_block_of(block);
	unmapped_pages_free(block, PMD_ORDER);
}

/* The second block that is taken is isolated before it is in the cache. */
static struct page *second_block;
static unsigned int nr_blocks;

static int isolate_second(struct page *page, unsigned int nr, bool valid)
{
	struct kunit *test = kunit_get_current_test();
	unsigned long pfn = page_to_pfn(page);
	int err;

	if (++nr_blocks == 2 &&
	    !start_isolate_page_range(pfn, pfn + nr, PB_ISOLATE_MODE_OTHER))
		second_block = page;
	kunit_deactivate_static_stub(test, unmapped_set_direct_map);
	err = unmapped_set_direct_map(page, nr, valid);
	kunit_activate_static_stub(test, unmapped_set_direct_map, isolate_second);
	return err;
}

/* It is given back as well. */
static void unmapped_test_isolated_refill(struct kunit *test)
{
	const int nr = UNMAPPED_BLOCK_PAGES + 1;
	struct page **pages = kunit_kcalloc(test, nr, sizeof(*pages), GFP_KERNEL);
	unsigned long got;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	second_block = NULL;
	nr_blocks = 0;
	kunit_activate_static_stub(test, unmapped_set_direct_map, isolate_second);
	got = unmapped_pages_alloc_bulk(GFP_KERNEL, NUMA_NO_NODE, NULL, nr, pages);
	kunit_deactivate_static_stub(test, unmapped_set_direct_map);
	KUNIT_ASSERT_NOT_NULL(test, second_block);

	flush_work(&unmapped_node(page_to_nid(second_block))->isolated_work);
	KUNIT_EXPECT_FALSE(test, unmapped_page(second_block));
	ua_expect_present(test, second_block, PMD_ORDER, true);
	ua_undo_isolate_block_of(second_block);
	release_pages(pages, got);
}

/* If it is not isolated any more, it is used again. */
static void unmapped_test_isolated_for_a_while(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 0), *other;

	ua_drain_pcps();
	ua_isolate_block_of(test, page);
	KUNIT_EXPECT_NULL(test, unmapped_pages_alloc(GFP_NOWAIT, 0));
	ua_undo_isolate_block_of(page);
	other = ua_alloc_or_fail(test, 0);
	KUNIT_EXPECT_PTR_EQ(test, ua_block_of(other), ua_block_of(page));
	unmapped_pages_free(other, 0);
	unmapped_pages_free(page, 0);
	ua_expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
}
#endif

/* === Poisoned pages ====================================================== */

/* A page with a hardware error is not handed out any more. */
static void unmapped_test_poisoned(struct kunit *test)
{
	struct unmapped_count before, after;
	struct page *page, *seen;
	struct unmapped_zone *uz;
	int i;

	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE))
		kunit_skip(test, "no memory failure handling");

	page = ua_alloc_or_fail(test, 0);
	uz = unmapped_page_zone(page);
	ua_count_all(&before);
	ua_fill_pages(test, page, 0);
	SetPageHWPoison(page);
	/* It must not be accessed, not even to clear it. */
	unmapped_clear_chunk(page, 0);
	KUNIT_EXPECT_EQ(test, ua_with_page(test, page, MARK, false), 0);
	unmapped_pages_free(page, 0);
	for (i = 0; i < UNMAPPED_BLOCK_PAGES - 1; i++) {
		seen = ua_alloc_or_fail(test, 0);
		KUNIT_EXPECT_PTR_NE(test, seen, page);
		ua_ctl.kept[i] = seen;
	}
	ua_count_all(&after);
	KUNIT_EXPECT_EQ(test, after.lost, before.lost + 1);
	KUNIT_EXPECT_EQ(test, after.cached, 0);

	/* Now a page that becomes bad while it is free, on the CPU's list. */
	page = ua_ctl.kept[0];
	unmapped_pages_free(page, 0);
	SetPageHWPoison(page);
	ua_ctl.kept[0] = ua_alloc_or_fail(test, 0);
	KUNIT_EXPECT_PTR_NE(test, ua_ctl.kept[0], page);
	release_pages(ua_ctl.kept, UNMAPPED_BLOCK_PAGES - 1);
	ua_count_all(&after);
	KUNIT_EXPECT_EQ(test, after.lost, before.lost + 2);
	KUNIT_EXPECT_EQ(test, after.used, 0);

	/* The rest of the block can still be used. */
	ua_drain_pcps();
	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(uz, 1));
	ua_drain_all();
	ua_expect_count(test, 0, 0);
}

/* The second page of a chunk gets an error when it is about to be cleared. */
static bool poisoning_clear_chunk(struct page *page, unsigned int order)
{
	kunit_deactivate_static_stub(kunit_get_current_test(),
				     unmapped_clear_chunk);
	ua_ctl.kept[0] = page + 1;
	SetPageHWPoison(page + 1);
	return unmapped_clear_chunk(page, order);
}

/* What was not cleared is not handed out. */
static void unmapped_test_poisoned_late(struct kunit *test)
{
	struct unmapped_count before, after;

	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE))
		kunit_skip(test, "no memory failure handling");

	ua_count_all(&before);
	kunit_activate_static_stub(test, unmapped_clear_chunk,
				   poisoning_clear_chunk);
	KUNIT_EXPECT_NULL(test, unmapped_pages_alloc(GFP_KERNEL, 2));
	KUNIT_ASSERT_NOT_NULL(test, ua_ctl.kept[0]);
	ua_count_all(&after);
	KUNIT_EXPECT_EQ(test, after.lost, before.lost + 1);
	KUNIT_EXPECT_EQ(test, after.used, 0);
	KUNIT_EXPECT_EQ(test, after.cached, UNMAPPED_BLOCK_PAGES - 1);

	ua_drain_pcps();
	KUNIT_EXPECT_TRUE(test,
			  unmapped_zone_break_block(unmapped_page_zone(ua_ctl.kept[0]), 1));
}

/* Lose a page of a block of which no other page is in use. */
static struct page *lose_page(struct kunit *test)
{
	struct page *page;

	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE))
		kunit_skip(test, "no memory failure handling");

	page = ua_alloc_or_fail(test, 0);
	SetPageHWPoison(page);
	unmapped_pages_free(page, 0);
	ua_drain_pcps();
	ua_expect_count(test, 0, UNMAPPED_BLOCK_PAGES - 1);
	return page;
}

/* A lost page is not counted any more, and does not come back. */
static void unmapped_test_unpoison(struct kunit *test)
{
	struct page *page = lose_page(test);

	KUNIT_EXPECT_EQ(test, unpoison_memory(page_to_pfn(page)), -EBUSY);
	/* Soft offlining takes a reference after it has dropped the last one. */
	page_ref_inc(page);
	KUNIT_EXPECT_EQ(test, unpoison_memory(page_to_pfn(page)), -EBUSY);
	KUNIT_EXPECT_TRUE(test, PageHWPoison(page));
	ua_drain_pcps();
	ua_expect_count(test, 0, UNMAPPED_BLOCK_PAGES - 1);

	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(unmapped_page_zone(page),
							  1));
	KUNIT_EXPECT_EQ(test, ua_drain_all(), UNMAPPED_BLOCK_PAGES - 1);
}

/* The block of a bad page does not prevent hibernation. */
static void unmapped_test_image_poisoned(struct kunit *test)
{
	struct page *page = lose_page(test);

	KUNIT_EXPECT_EQ(test, unmapped_image_prepare(), 0);
	KUNIT_EXPECT_TRUE(test, unmapped_image_ready());
	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(unmapped_page_zone(page),
							  1));
	ua_drain_all();
}

/* The block of a bad page can go offline, and is forgotten then. */
static void unmapped_test_offline_poisoned(struct kunit *test)
{
	struct page *page = lose_page(test);
	struct memory_notify range = {
		.start_pfn = ALIGN_DOWN(page_to_pfn(page), UNMAPPED_BLOCK_PAGES),
		.nr_pages = UNMAPPED_BLOCK_PAGES,
	};

	unmapped_memory_callback(NULL, MEM_GOING_OFFLINE, &range);
	ua_expect_count(test, 0, 0);
	KUNIT_EXPECT_TRUE(test, unmapped_page(page));
	unmapped_memory_callback(NULL, MEM_OFFLINE, &range);
	KUNIT_EXPECT_FALSE(test, unmapped_page(page));
}

/*
 * Nor is a poisoned page in use, to which memory_failure() keeps a reference: its
 * memory goes offline, and then it is not in use any more.
 */
static void unmapped_test_offline_poisoned_in_use(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 0);
	struct memory_notify range = {
		.start_pfn = ALIGN_DOWN(page_to_pfn(page), UNMAPPED_BLOCK_PAGES),
		.nr_pages = UNMAPPED_BLOCK_PAGES,
	};
	struct unmapped_count before, after;

	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE)) {
		unmapped_pages_free(page, 0);
		kunit_skip(test, "no memory failure handling");
	}

	ua_count_all(&before);
	SetPageHWPoison(page);
	unmapped_memory_callback(NULL, MEM_GOING_OFFLINE, &range);
	ua_expect_count(test, 1, 0);
	unmapped_memory_callback(NULL, MEM_OFFLINE, &range);
	ua_expect_count(test, 0, 0);
	ua_count_all(&after);
	KUNIT_EXPECT_EQ(test, after.lost, before.lost + 1);
	KUNIT_EXPECT_FALSE(test, unmapped_page(page));
}

/* Memory that is in use does not go offline: its blocks are left as they are. */
static void unmapped_test_offline_in_use(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 0);
	struct memory_notify range = {
		.start_pfn = ALIGN_DOWN(page_to_pfn(page), UNMAPPED_BLOCK_PAGES),
		.nr_pages = UNMAPPED_BLOCK_PAGES,
	};

	unmapped_memory_callback(NULL, MEM_GOING_OFFLINE, &range);
	ua_expect_count(test, 1, UNMAPPED_BLOCK_PAGES - 1);
	unmapped_pages_free(page, 0);
	KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
}

static struct kunit_case ua_cases[] = {
#if defined(CONFIG_MEMORY_ISOLATION) && defined(CONFIG_CONTIG_ALLOC)
	KUNIT_CASE(unmapped_test_contig_range),
	KUNIT_CASE(unmapped_test_drain_waits),
	KUNIT_CASE(unmapped_test_isolated),
	KUNIT_CASE(unmapped_test_isolated_late),
	KUNIT_CASE(unmapped_test_isolated_lists),
	KUNIT_CASE(unmapped_test_isolated_refill),
	KUNIT_CASE(unmapped_test_isolated_for_a_while),
#endif
	KUNIT_CASE(unmapped_test_poisoned),
	KUNIT_CASE(unmapped_test_poisoned_late),
	KUNIT_CASE(unmapped_test_unpoison),
	KUNIT_CASE(unmapped_test_image_poisoned),
	KUNIT_CASE(unmapped_test_offline_poisoned),
	KUNIT_CASE(unmapped_test_offline_poisoned_in_use),
	KUNIT_CASE(unmapped_test_offline_in_use),
	{}
};

UA_SUITE("unmapped_alloc_isolation", ua_cases);
