// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: memory that is given back, blocks that are broken, hibernation.
 */

#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/set_memory.h>

#include "unmapped_alloc_kunit.h"

static void unmapped_test_drain_keeps_used(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 0);
	struct page *block = ua_alloc_or_fail(test, PMD_ORDER);

	unmapped_pages_free(block, PMD_ORDER);
	KUNIT_EXPECT_EQ(test, ua_drain_all(), UNMAPPED_BLOCK_PAGES);
	ua_expect_count(test, 1, UNMAPPED_BLOCK_PAGES - 1);
	ua_expect_present(test, page, 0, false);
	unmapped_pages_free(page, 0);
	KUNIT_EXPECT_EQ(test, ua_drain_all(), UNMAPPED_BLOCK_PAGES);
	ua_expect_count(test, 0, 0);
}

/* No hibernation image with a page in use: nothing changes, but it is refused. */
static void unmapped_test_image_in_use(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 0);

	KUNIT_EXPECT_EQ(test, unmapped_image_prepare(), -EBUSY);
	KUNIT_EXPECT_FALSE(test, unmapped_image_ready());
	ua_expect_count(test, 1, UNMAPPED_BLOCK_PAGES - 1);
	unmapped_pages_free(page, 0);
}

/*
 * With none in use, it is prepared. Allocations do not fail even then, but
 * there is no image before the page is freed.
 */
static void unmapped_test_image(struct kunit *test)
{
	struct page *page;

	unmapped_pages_free(ua_alloc_or_fail(test, 0), 0);
	KUNIT_EXPECT_EQ(test, unmapped_image_prepare(), 0);
	KUNIT_EXPECT_TRUE(test, unmapped_image_ready());
	ua_expect_count(test, 0, 0);

	page = ua_alloc_or_fail(test, 0);
	KUNIT_EXPECT_FALSE(test, unmapped_image_ready());
	unmapped_pages_free(page, 0);
	KUNIT_EXPECT_TRUE(test, unmapped_image_ready());
}

static int image_while_changing(struct page *page, unsigned int nr, bool valid)
{
	struct kunit *test = kunit_get_current_test();
	int err;

	ua_ctl.nr_changes++;
	KUNIT_EXPECT_FALSE(test, unmapped_image_ready());
	kunit_deactivate_static_stub(test, unmapped_set_direct_map);
	err = unmapped_set_direct_map(page, nr, valid);
	kunit_activate_static_stub(test, unmapped_set_direct_map,
				   image_while_changing);
	return err;
}

/*
 * A refill that is interrupted has unmapped pages that are not counted yet, and
 * a release has pages of which it is not known whether they are mapped.
 */
static void unmapped_test_image_in_transit(struct kunit *test)
{
	int order;

	for (order = 0; order <= PMD_ORDER; order += PMD_ORDER) {
		ua_use_fake_source(test, order);
		ua_ctl.nr_changes = 0;
		kunit_activate_static_stub(test, unmapped_set_direct_map,
					   image_while_changing);
		unmapped_pages_free(ua_alloc_or_fail(test, 0), 0);
		KUNIT_EXPECT_TRUE(test, unmapped_image_ready());
		ua_drain_all();
		KUNIT_EXPECT_TRUE(test, unmapped_image_ready());
		KUNIT_EXPECT_EQ(test, ua_ctl.nr_changes, 2);
		kunit_deactivate_static_stub(test, unmapped_set_direct_map);
	}
}

/* Pages that may be in an image are copied, and prevent none. */
static void unmapped_test_image_allowed(struct kunit *test)
{
	unsigned long *buf = kunit_kmalloc(test, PAGE_SIZE, GFP_KERNEL);
	struct page *page = ua_alloc_or_fail(test, 1);

	KUNIT_ASSERT_NOT_NULL(test, buf);
	ua_fill_pages(test, page, 1);
	unmapped_image_allow(page, 1);
	KUNIT_EXPECT_EQ(test, unmapped_image_prepare(), 0);
	KUNIT_EXPECT_TRUE(test, unmapped_image_ready());
	/* The entry of the block is not split for what else it has. */
	ua_expect_count(test, 2, UNMAPPED_BLOCK_PAGES - 2);
	ua_expect_present(test, page, 1, false);

	unmapped_image_copy(buf, page + 1);
	KUNIT_EXPECT_EQ(test, buf[0], MARK);
	KUNIT_EXPECT_EQ(test, buf[PAGE_SIZE / sizeof(*buf) - 1], MARK);
	ua_expect_present(test, page, 1, false);

	unmapped_image_deny(page, 1);
	KUNIT_EXPECT_EQ(test, unmapped_image_prepare(), -EBUSY);
	KUNIT_EXPECT_FALSE(test, unmapped_image_ready());
	unmapped_pages_free(page, 1);
	ua_expect_zero(test, page, 1);
	KUNIT_EXPECT_EQ(test, unmapped_image_prepare(), 0);
	KUNIT_EXPECT_TRUE(test, unmapped_image_ready());
}

/* No image without the contents of a page that belongs there. */
static void unmapped_test_image_lacks_page(struct kunit *test)
{
	struct page *page;

	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE))
		kunit_skip(test, "no memory failure handling");

	page = ua_alloc_or_fail(test, 1);
	split_page(page, 1);
	unmapped_image_allow(page, 0);
	unmapped_image_allow(page + 1, 0);
	KUNIT_EXPECT_EQ(test, unmapped_image_prepare(), 0);
	SetPageHWPoison(page + 1);
	KUNIT_EXPECT_EQ(test, unmapped_image_prepare(), -EBUSY);
	KUNIT_EXPECT_FALSE(test, unmapped_image_ready());
	ClearPageHWPoison(page + 1);
	KUNIT_EXPECT_EQ(test, unmapped_image_prepare(), 0);
	KUNIT_EXPECT_TRUE(test, unmapped_image_ready());
	unmapped_image_deny(page, 0);
	unmapped_image_deny(page + 1, 0);
	unmapped_pages_free(page, 0);
	unmapped_pages_free(page + 1, 0);
}

/* Others prevent an image all the same, and their contents never get there. */
static void unmapped_test_image_denied(struct kunit *test)
{
	unsigned long *buf = kunit_kmalloc(test, PAGE_SIZE, GFP_KERNEL);
	struct page *page = ua_alloc_or_fail(test, 0);
	struct page *secret = ua_alloc_or_fail(test, 0);

	KUNIT_ASSERT_NOT_NULL(test, buf);
	ua_fill_pages(test, secret, 0);
	unmapped_image_allow(page, 0);
	KUNIT_EXPECT_EQ(test, unmapped_image_prepare(), -EBUSY);
	KUNIT_EXPECT_FALSE(test, unmapped_image_ready());
	memset(buf, 0x5a, PAGE_SIZE);
	unmapped_image_copy(buf, secret);
	KUNIT_EXPECT_NULL(test, memchr_inv(buf, 0, PAGE_SIZE));

	unmapped_pages_free(secret, 0);
	KUNIT_EXPECT_EQ(test, unmapped_image_prepare(), 0);
	KUNIT_EXPECT_TRUE(test, unmapped_image_ready());
	unmapped_image_deny(page, 0);
	unmapped_pages_free(page, 0);
}

/* A free page may have what others left there: it is in the image as zeroes. */
static void unmapped_test_image_free(struct kunit *test)
{
	unsigned long *buf = kunit_kmalloc(test, PAGE_SIZE, GFP_KERNEL);
	struct page *page = ua_alloc_or_fail(test, PMD_ORDER - 1);
	struct page *other = page + UNMAPPED_BLOCK_PAGES / 2;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	KUNIT_ASSERT_TRUE(test, unmapped_page(other));
	KUNIT_ASSERT_FALSE(test, unmapped_page_zeroed(other));
	ua_fill_pages(test, other, 0);
	unmapped_image_allow(page, PMD_ORDER - 1);
	KUNIT_EXPECT_EQ(test, unmapped_image_prepare(), 0);
	KUNIT_EXPECT_TRUE(test, unmapped_image_ready());
	memset(buf, 0x5a, PAGE_SIZE);
	unmapped_image_copy(buf, other);
	KUNIT_EXPECT_NULL(test, memchr_inv(buf, 0, PAGE_SIZE));
	ua_expect_present(test, other, PMD_ORDER - 1, false);
	unmapped_image_deny(page, PMD_ORDER - 1);
	unmapped_pages_free(page, PMD_ORDER - 1);
}

/* Memory that was given back is ordinary memory and can be written to. */
static void unmapped_test_usable_after_drain(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, PMD_ORDER);
	unsigned long pfn = page_to_pfn(page);
	struct page *again;

	unmapped_pages_free(page, PMD_ORDER);
	ua_drain_all();
	again = alloc_pages(GFP_KERNEL | __GFP_ZERO, PMD_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, again);
	memset(page_address(again), 0x5a, PAGE_SIZE << PMD_ORDER);
	__free_pages(again, PMD_ORDER);
	KUNIT_EXPECT_FALSE(test, PageUnmappedFree(pfn_to_page(pfn)));
}

/* Partly used blocks are used up before a whole one is split. */
static void unmapped_test_whole_blocks_last(struct kunit *test)
{
	struct page *block[2], *page;

	block[0] = ua_alloc_or_fail(test, PMD_ORDER);
	block[1] = ua_alloc_or_fail(test, PMD_ORDER);
	unmapped_pages_free(block[0], PMD_ORDER);
	page = ua_alloc_or_fail(test, 0);
	unmapped_pages_free(block[1], PMD_ORDER);

	KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
	unmapped_pages_free(ua_alloc_or_fail(test, 8), 8);
	KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
	unmapped_pages_free(page, 0);
}

static int largest_order(struct zone *zone, int min, int max)
{
	return max;
}

/* The rest of a fragment is used before a whole block. */
static void unmapped_test_fragments_before_whole_blocks(struct kunit *test)
{
	struct page *page, *more;

	/* Whatever is free there. */
	kunit_activate_static_stub(test, unmapped_refill_order, largest_order);
	ua_use_fake_source(test, 4);
	page = ua_alloc_or_fail(test, 0);
	ua_ctl.max_order = PMD_ORDER;
	unmapped_pages_free(ua_alloc_or_fail(test, PMD_ORDER), PMD_ORDER);

	more = ua_alloc_or_fail(test, 2);
	KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
	unmapped_pages_free(more, 2);
	unmapped_pages_free(page, 0);
}

/* As a last resort, the free part of a block in use can be released. */
static void unmapped_test_break_block(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 0);
	struct unmapped_zone *uz = unmapped_page_zone(page);

	ua_drain_pcps();
	KUNIT_ASSERT_TRUE(test, unmapped_zone_break_block(uz, 1));
	KUNIT_EXPECT_FALSE(test, unmapped_zone_break_block(uz, 1));
	ua_expect_count(test, 1, UNMAPPED_BLOCK_PAGES - 1);
	KUNIT_EXPECT_TRUE(test, unmapped_alloc_check(page_to_nid(page)));
	KUNIT_EXPECT_EQ(test, ua_drain_all(), UNMAPPED_BLOCK_PAGES - 1);
	ua_expect_count(test, 1, 0);
	ua_expect_present(test, page, 0, false);
	ua_expect_present(test, page + 1, 0, true);
	KUNIT_EXPECT_TRUE(test, unmapped_page(page));
	KUNIT_EXPECT_FALSE(test, unmapped_page(page + 1));
	unmapped_pages_free(page, 0);
	KUNIT_EXPECT_EQ(test, ua_drain_all(), 1);
	ua_expect_present(test, page, PMD_ORDER, true);
}

/* Eight chunks of order 6, which are all of a block. */
static void alloc_eighths(struct kunit *test, struct page **eighths)
{
	int i;

	for (i = 0; i < 8; i++)
		eighths[i] = ua_alloc_or_fail(test, PMD_ORDER - 3);
}

/* The block with the most free pages is broken, not that with the largest chunk. */
static void unmapped_test_break_emptiest(struct kunit *test)
{
	struct page *half = ua_alloc_or_fail(test, PMD_ORDER - 1), *eighths[8];
	struct page *other_half = ua_alloc_or_fail(test, PMD_ORDER - 1);
	struct unmapped_zone *uz = unmapped_page_zone(half);
	int i;

	alloc_eighths(test, eighths);
	unmapped_pages_free(half, PMD_ORDER - 1);
	for (i = 0; i < 8; i++)
		if (i % 4)
			unmapped_pages_free(eighths[i], PMD_ORDER - 3);

	KUNIT_EXPECT_FALSE(test, unmapped_zone_break_block(uz, 385));
	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(uz, 1));
	KUNIT_EXPECT_EQ(test, unmapped_kind(eighths[0]), UNMAPPED_FRAGMENT);
	KUNIT_EXPECT_EQ(test, unmapped_kind(other_half), UNMAPPED_BLOCK);
	KUNIT_EXPECT_FALSE(test, unmapped_zone_break_block(uz, 257));
	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(uz, 256));
	KUNIT_EXPECT_EQ(test, unmapped_kind(other_half), UNMAPPED_FRAGMENT);

	unmapped_pages_free(other_half, PMD_ORDER - 1);
	unmapped_pages_free(eighths[0], PMD_ORDER - 3);
	unmapped_pages_free(eighths[4], PMD_ORDER - 3);
}

static unsigned long large_page_cache(int nid)
{
	return 448 + 1;
}

static unsigned long no_page_cache(int nid)
{
	return 0;
}

/* kswapd breaks a block rather than taking what demand will need soon. */
static void unmapped_test_kswapd_reserve(struct kunit *test)
{
	struct unmapped_node *node;
	struct page *eighths[8];
	int i;

	kunit_activate_static_stub(test, unmapped_nr_page_cache, no_page_cache);
	alloc_eighths(test, eighths);
	node = unmapped_node(page_to_nid(eighths[0]));
	unmapped_pages_free(ua_alloc_or_fail(test, PMD_ORDER), PMD_ORDER);
	for (i = 0; i < 7; i++)
		unmapped_pages_free(eighths[i], PMD_ORDER - 3);
	WRITE_ONCE(node->batch, 16);
	WRITE_ONCE(node->refilled, jiffies);

	current->flags |= PF_KSWAPD;
	unmapped_alloc_reclaim(node->nid, ZONE_NORMAL, 1, true, DEF_PRIORITY);
	current->flags &= ~PF_KSWAPD;
	WRITE_ONCE(node->batch, 1);
	ua_expect_count(test, 64, 512);
	unmapped_pages_free(eighths[7], PMD_ORDER - 3);
}

/* Even if its chunk was moved to the end of a long list before. */
static void unmapped_test_break_on_long_list(struct kunit *test)
{
	struct page *best[8], *other[8][8];
	struct unmapped_zone *uz;
	int i, k;

	alloc_eighths(test, best);
	for (i = 0; i < 8; i++)
		alloc_eighths(test, other[i]);
	uz = unmapped_page_zone(best[0]);

	for (k = 0; k < 6; k += 2)
		unmapped_pages_free(best[k], PMD_ORDER - 3);
	for (i = 0; i < 8; i++)
		unmapped_pages_free(other[i][0], PMD_ORDER - 3);
	unmapped_pages_free(best[6], PMD_ORDER - 3);

	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(uz, 128));
	KUNIT_EXPECT_EQ(test, unmapped_kind(best[1]), UNMAPPED_FRAGMENT);

	for (k = 1; k < 8; k += 2)
		unmapped_pages_free(best[k], PMD_ORDER - 3);
	for (i = 0; i < 8; i++)
		for (k = 1; k < 8; k++)
			unmapped_pages_free(other[i][k], PMD_ORDER - 3);
}

/* Reclaim gets all that is free; a part of a block only if it is worth a split. */
static void unmapped_test_reclaim(struct kunit *test)
{
	unsigned int noreclaim = memalloc_noreclaim_save();
	struct page *eighths[8];
	int i, nid;

	kunit_activate_static_stub(test, unmapped_nr_page_cache, no_page_cache);
	alloc_eighths(test, eighths);
	nid = page_to_nid(eighths[0]);
	unmapped_pages_free(ua_alloc_or_fail(test, PMD_ORDER), PMD_ORDER);
	unmapped_pages_free(eighths[0], PMD_ORDER - 3);
	ua_expect_count(test, 448, 512 + 64);
	KUNIT_EXPECT_EQ(test, unmapped_alloc_reclaimable(page_zone(eighths[0])),
			512 + 64);

	if (page_zonenum(eighths[0]) > 0)
		unmapped_alloc_reclaim(nid, page_zonenum(eighths[0]) - 1, 1,
				       true, 0);
	ua_expect_count(test, 448, 512 + 64);
	unmapped_alloc_reclaim(nid, ZONE_NORMAL, 1, true, DEF_PRIORITY);
	ua_expect_count(test, 448, 64);
	unmapped_alloc_reclaim(nid, ZONE_NORMAL, 1, true, DEF_PRIORITY);
	ua_expect_count(test, 448, 64);

	for (i = 1; i < 7; i++)
		unmapped_pages_free(eighths[i], PMD_ORDER - 3);
	unmapped_alloc_reclaim(nid, ZONE_NORMAL, 1, false, DEF_PRIORITY);
	ua_expect_count(test, 64, 448);
	kunit_activate_static_stub(test, unmapped_nr_page_cache,
				   large_page_cache);
	unmapped_alloc_reclaim(nid, ZONE_NORMAL, 1, true, DEF_PRIORITY);
	ua_expect_count(test, 64, 448);
	unmapped_alloc_reclaim(nid, ZONE_NORMAL, 1, true, DEF_PRIORITY - 1);
	ua_expect_count(test, 64, 0);
	kunit_activate_static_stub(test, unmapped_nr_page_cache, no_page_cache);
	ua_expect_present(test, eighths[0], PMD_ORDER - 3, true);

	unmapped_pages_free(eighths[7], PMD_ORDER - 3);
	unmapped_alloc_reclaim(nid, ZONE_NORMAL, 1, false, DEF_PRIORITY);
	ua_expect_count(test, 0, 0);

	/* The last bit, before somebody is killed. */
	alloc_eighths(test, eighths);
	unmapped_pages_free(eighths[0], PMD_ORDER - 3);
	unmapped_alloc_reclaim(nid, ZONE_NORMAL, 1, true, 2);
	ua_expect_count(test, 448, 0);
	for (i = 1; i < 8; i++)
		unmapped_pages_free(eighths[i], PMD_ORDER - 3);
	memalloc_noreclaim_restore(noreclaim);
}

/*
 * Who decides whether reclaim is worth another try knows of all free pages, and
 * so does who asks for the available memory.
 */
static void unmapped_test_reclaimable(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 0);
	const struct zone *zone = page_zone(page);

	KUNIT_EXPECT_EQ(test, unmapped_alloc_reclaimable(zone),
			UNMAPPED_BLOCK_PAGES - 1);
	ua_drain_pcps();
	KUNIT_EXPECT_EQ(test, unmapped_alloc_reclaimable(zone),
			UNMAPPED_BLOCK_PAGES - 1);
	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(unmapped_page_zone(page), 1));
	KUNIT_EXPECT_EQ(test, unmapped_alloc_reclaimable(zone),
			UNMAPPED_BLOCK_PAGES - 1);
	ua_drain_all();
	KUNIT_EXPECT_EQ(test, unmapped_alloc_reclaimable(zone), 0);
	unmapped_pages_free(page, 0);
	ua_drain_all();

	unmapped_pages_free(ua_alloc_or_fail(test, 0), 0);
	ua_drain_pcps();
	KUNIT_EXPECT_EQ(test, unmapped_alloc_reclaimable(zone),
			UNMAPPED_BLOCK_PAGES);
}

/* A split-up block becomes a block again if all of it is freed. */
static void unmapped_test_broken_block_heals(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 4);

	KUNIT_ASSERT_TRUE(test, unmapped_zone_break_block(unmapped_page_zone(page), 1));
	KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_FRAGMENT, PMD_ORDER - 1), 1);
	unmapped_pages_free(page, 4);
	KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
}

/* Another CPU breaks blocks while one is in transit, there and back. */
static int breaking_set_direct_map(struct page *page, unsigned int nr,
				   bool valid)
{
	struct kunit *test = kunit_get_current_test();
	struct unmapped_zone *uz = unmapped_page_zone(page);
	int err;

	if (ua_ctl.nr_breaks++ < 2) {
		unmapped_zone_break_this(uz, page);
		KUNIT_EXPECT_FALSE(test, unmapped_zone_break_block(uz, 1));
	}
	kunit_deactivate_static_stub(test, unmapped_set_direct_map);
	err = unmapped_set_direct_map(page, nr, valid);
	kunit_activate_static_stub(test, unmapped_set_direct_map,
				   breaking_set_direct_map);
	return err;
}

/* A block on its way from or to the page allocator can't be broken. */
static void unmapped_test_break_in_transit(struct kunit *test)
{
	struct page *page;

	kunit_activate_static_stub(test, unmapped_set_direct_map,
				   breaking_set_direct_map);
	page = ua_alloc_or_fail(test, 0);
	KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER - 1), 1);
	KUNIT_EXPECT_TRUE(test, unmapped_alloc_check(page_to_nid(page)));
	unmapped_pages_free(page, 0);
	KUNIT_EXPECT_EQ(test, ua_drain_all(), UNMAPPED_BLOCK_PAGES);
	KUNIT_EXPECT_FALSE(test, unmapped_page(page));
	ua_expect_present(test, page, PMD_ORDER, true);
}

/* Take a block, and free every other page of it; returns its first page. */
static struct page *alloc_holes(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, PMD_ORDER);
	int i;

	split_page(page, PMD_ORDER);
	for (i = 1; i < UNMAPPED_BLOCK_PAGES; i += 2)
		unmapped_pages_free(page + i, 0);
	ua_drain_pcps();
	return page;
}

static void free_rest(struct page *block)
{
	int i;

	for (i = 0; i < UNMAPPED_BLOCK_PAGES; i += 2)
		unmapped_pages_free(block + i, 0);
	ua_drain_pcps();
}

/* Another CPU breaks the same block when a part of it is broken already. */
static unsigned long break_again(struct unmapped_zone *uz, unsigned long pfn,
				 unsigned long i)
{
	struct kunit *test = kunit_get_current_test();
	struct page *block = pfn_to_page(pfn);

	kunit_deactivate_static_stub(test, unmapped_move_chunks);
	i = unmapped_move_chunks(uz, pfn, i);
	KUNIT_EXPECT_LT(test, i, UNMAPPED_BLOCK_PAGES);

	/* What was moved so far is released. */
	KUNIT_EXPECT_EQ(test, ua_drain_all(), i / 2);
	KUNIT_EXPECT_FALSE(test, unmapped_page(block + 1));
	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(uz, 1));
	KUNIT_EXPECT_FALSE(test, unmapped_page(block + 1));
	KUNIT_EXPECT_TRUE(test, unmapped_page(block));
	return i;
}

static void unmapped_test_break_twice(struct kunit *test)
{
	struct page *block = alloc_holes(test);
	struct unmapped_zone *uz = unmapped_page_zone(block);

	kunit_activate_static_stub(test, unmapped_move_chunks, break_again);
	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(uz, 1));
	KUNIT_EXPECT_TRUE(test, unmapped_alloc_check(page_to_nid(block)));
	free_rest(block);
	ua_drain_all();
	ua_expect_count(test, 0, 0);
	KUNIT_EXPECT_FALSE(test, unmapped_page(block));
	ua_expect_present(test, block, PMD_ORDER, true);
}

/* Another CPU frees the rest of the block while it is broken. */
static unsigned long heal(struct unmapped_zone *uz, unsigned long pfn,
			  unsigned long i)
{
	struct kunit *test = kunit_get_current_test();
	struct page *block = pfn_to_page(pfn);

	kunit_deactivate_static_stub(test, unmapped_move_chunks);
	i = unmapped_move_chunks(uz, pfn, i);
	KUNIT_EXPECT_LT(test, i, UNMAPPED_BLOCK_PAGES);
	free_rest(block);
	KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
	/* As if only the pages before had been looked at. */
	return 0;
}

static void unmapped_test_break_while_it_heals(struct kunit *test)
{
	struct page *block = alloc_holes(test);
	struct unmapped_zone *uz = unmapped_page_zone(block);

	kunit_activate_static_stub(test, unmapped_move_chunks, heal);
	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(uz, 1));
	KUNIT_EXPECT_TRUE(test, unmapped_alloc_check(page_to_nid(block)));
	KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
	KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_FRAGMENT, PMD_ORDER), 0);
	KUNIT_EXPECT_EQ(test, ua_drain_all(), UNMAPPED_BLOCK_PAGES);
	KUNIT_EXPECT_FALSE(test, unmapped_page(block));
	ua_expect_present(test, block, PMD_ORDER, true);
}

/* Its memory is removed while the block is broken: struct pages are gone. */
static unsigned long removed(struct unmapped_zone *uz, unsigned long pfn,
			     unsigned long i)
{
	struct kunit *test = kunit_get_current_test();
	/* No machine has memory there. */
	unsigned long gone = PHYS_PFN(BIT_ULL(MAX_PHYSMEM_BITS)) -
			     PAGES_PER_SECTION;

	kunit_deactivate_static_stub(test, unmapped_move_chunks);
	KUNIT_EXPECT_EQ(test, unmapped_move_chunks(uz, gone, i),
			UNMAPPED_BLOCK_PAGES);
	return unmapped_move_chunks(uz, pfn, i);
}

static void unmapped_test_break_while_it_is_removed(struct kunit *test)
{
	struct page *block = alloc_holes(test);

	kunit_activate_static_stub(test, unmapped_move_chunks, removed);
	KUNIT_EXPECT_TRUE(test, unmapped_zone_break_block(unmapped_page_zone(block), 1));
	KUNIT_EXPECT_EQ(test, ua_drain_all(), UNMAPPED_BLOCK_PAGES / 2);
	free_rest(block);
	ua_drain_all();
	ua_expect_count(test, 0, 0);
}

static struct kunit_case ua_cases[] = {
	KUNIT_CASE(unmapped_test_drain_keeps_used),
	KUNIT_CASE(unmapped_test_image_in_use),
	KUNIT_CASE(unmapped_test_image),
	KUNIT_CASE(unmapped_test_image_in_transit),
	KUNIT_CASE(unmapped_test_image_allowed),
	KUNIT_CASE(unmapped_test_image_denied),
	KUNIT_CASE(unmapped_test_image_free),
	KUNIT_CASE(unmapped_test_image_lacks_page),
	KUNIT_CASE(unmapped_test_usable_after_drain),
	KUNIT_CASE(unmapped_test_whole_blocks_last),
	KUNIT_CASE(unmapped_test_fragments_before_whole_blocks),
	KUNIT_CASE(unmapped_test_break_block),
	KUNIT_CASE(unmapped_test_break_emptiest),
	KUNIT_CASE(unmapped_test_break_on_long_list),
	KUNIT_CASE(unmapped_test_kswapd_reserve),
	KUNIT_CASE(unmapped_test_reclaim),
	KUNIT_CASE(unmapped_test_reclaimable),
	KUNIT_CASE(unmapped_test_broken_block_heals),
	KUNIT_CASE(unmapped_test_break_in_transit),
	KUNIT_CASE(unmapped_test_break_twice),
	KUNIT_CASE(unmapped_test_break_while_it_heals),
	KUNIT_CASE(unmapped_test_break_while_it_is_removed),
	{}
};

UA_SUITE("unmapped_alloc_release", ua_cases);
