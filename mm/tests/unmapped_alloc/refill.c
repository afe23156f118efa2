// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: how much memory the cache takes and when, and failures.
 */

#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/smp.h>

#include "unmapped_alloc_kunit.h"

static void unmapped_test_demand(struct kunit *test)
{
	struct unmapped_node *node = unmapped_node(numa_mem_id());
	unsigned int batch, before = 1;
	int i;

	kunit_deactivate_static_stub(test, unmapped_demand_next);
	guard(mutex)(&node->refill_lock);
	node->refilled = jiffies - 2 * HZ;
	KUNIT_EXPECT_EQ(test, unmapped_demand_next(node), 1);
	for (i = 0; i < 8; i++) {
		batch = unmapped_demand_next(node);
		KUNIT_EXPECT_GE(test, batch, before);
		KUNIT_EXPECT_LE(test, batch, 2 * before);
		before = batch;
	}
	/* It doubles more than once if 1/128 of the node is five blocks. */
	if (node_present_pages(node->nid) >= 5 * 128 * UNMAPPED_BLOCK_PAGES)
		KUNIT_EXPECT_GT(test, batch, 2);
	node->refilled = jiffies - 2 * HZ;
	KUNIT_EXPECT_EQ(test, unmapped_demand_next(node), 1);
	node->batch = 1;
}

struct caller {
	struct task_struct *task;
	struct page *page;
	struct completion done;
};

static int alloc_in_thread(void *arg)
{
	struct caller *caller = arg;

	allow_signal(SIGKILL);
	caller->page = unmapped_pages_alloc(GFP_KERNEL, 0);
	complete(&caller->done);
	return 0;
}

/* Several callers find the cache empty: one of them refills it. */
static void unmapped_test_concurrent_refill(struct kunit *test)
{
	unsigned long flushes = ua_nr_events(UNMAPPED_TLB_FLUSH);
	int i, cpu = raw_smp_processor_id();
	struct unmapped_node *node = unmapped_node(cpu_to_mem(cpu));
	struct caller callers[3];

	scoped_guard(mutex, &node->refill_lock) {
		/* The threads have no stubs: make them see no demand. */
		node->refilled = jiffies - 2 * HZ;
		for (i = 0; i < ARRAY_SIZE(callers); i++) {
			init_completion(&callers[i].done);
			callers[i].task = kthread_run_on_cpu(alloc_in_thread,
							     &callers[i], cpu,
							     "unmapped_kunit");
			KUNIT_ASSERT_FALSE(test, IS_ERR(callers[i].task));
			/* Wait until the thread waits for the lock. */
			while (READ_ONCE(callers[i].task->__state) !=
			       TASK_KILLABLE)
				schedule_timeout_uninterruptible(1);
		}
	}
	for (i = 0; i < ARRAY_SIZE(callers); i++) {
		wait_for_completion(&callers[i].done);
		KUNIT_EXPECT_NOT_NULL(test, callers[i].page);
		if (callers[i].page)
			unmapped_pages_free(callers[i].page, 0);
	}
	KUNIT_EXPECT_EQ(test, ua_nr_events(UNMAPPED_TLB_FLUSH) - flushes, 1);
}

/* A caller that waits for another refill can be killed. */
static void unmapped_test_killed_waiter(struct kunit *test)
{
	int cpu = raw_smp_processor_id();
	struct unmapped_node *node = unmapped_node(cpu_to_mem(cpu));
	struct caller caller = {};

	init_completion(&caller.done);
	scoped_guard(mutex, &node->refill_lock) {
		caller.task = kthread_run_on_cpu(alloc_in_thread, &caller, cpu,
						 "unmapped_kunit");
		KUNIT_ASSERT_FALSE(test, IS_ERR(caller.task));
		while (READ_ONCE(caller.task->__state) != TASK_KILLABLE)
			schedule_timeout_uninterruptible(1);
		send_sig(SIGKILL, caller.task, 1);
		KUNIT_EXPECT_GT(test,
				wait_for_completion_timeout(&caller.done, 60 * HZ),
				0);
	}
	KUNIT_EXPECT_NULL(test, caller.page);
}

static unsigned int high_demand(struct unmapped_node *node)
{
	return 4;
}

/* A caller takes one block, however high the demand. */
static void unmapped_test_one_block(struct kunit *test)
{
	struct page *page;

	kunit_deactivate_static_stub(test, unmapped_demand_next);
	kunit_activate_static_stub(test, unmapped_demand_next, high_demand);
	page = ua_alloc_or_fail(test, 0);
	ua_expect_count(test, 1, UNMAPPED_BLOCK_PAGES - 1);
	unmapped_pages_free(page, 0);
}

/* If no second block is available for a batch, the first one is used. */
static void unmapped_test_batch_fails(struct kunit *test)
{
	const int nr = UNMAPPED_BLOCK_PAGES + 1;
	struct page **pages = kunit_kcalloc(test, nr, sizeof(*pages), GFP_KERNEL);
	struct page *area = alloc_pages(GFP_KERNEL | __GFP_ZERO, PMD_ORDER);
	unsigned long got;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	KUNIT_ASSERT_NOT_NULL(test, area);
	ua_use_area(test, area, UNMAPPED_BLOCK_PAGES);
	got = unmapped_pages_alloc_bulk(GFP_KERNEL, NUMA_NO_NODE, NULL, nr, pages);
	KUNIT_EXPECT_EQ(test, got, UNMAPPED_BLOCK_PAGES);
	ua_expect_count(test, UNMAPPED_BLOCK_PAGES, 0);
	release_pages(pages, got);
}

/* While demand is high, the cache is refilled before it is empty. */
static void unmapped_test_background(struct kunit *test)
{
	struct unmapped_node *node = unmapped_node(numa_mem_id());
	struct unmapped_count count;
	unsigned long flushes;
	struct page *page;

	/* The work item has no stubs; 1/192 of the node is the limit. */
	if (node_present_pages(node->nid) < 3 * 128 * UNMAPPED_BLOCK_PAGES)
		kunit_skip(test, "the node is too small for two blocks at once");

	page = ua_alloc_or_fail(test, PMD_ORDER);
	enable_work(&node->refill_work);
	WRITE_ONCE(node->batch, 4);
	/* Demand of long ago does not count. */
	node->refilled = jiffies - 2 * HZ;
	unmapped_refill_wake(node);
	flush_work(&node->refill_work);
	ua_expect_count(test, UNMAPPED_BLOCK_PAGES, 0);

	flushes = ua_nr_events(UNMAPPED_TLB_FLUSH);
	WRITE_ONCE(node->batch, 4);
	node->refilled = jiffies;
	unmapped_refill_wake(node);
	flush_work(&node->refill_work);
	disable_work_sync(&node->refill_work);
	WRITE_ONCE(node->batch, 1);

	ua_count_all(&count);
	KUNIT_EXPECT_EQ(test, count.used, UNMAPPED_BLOCK_PAGES);
	KUNIT_EXPECT_GT(test, count.cached, UNMAPPED_BLOCK_PAGES);
	KUNIT_EXPECT_EQ(test, ua_nr_events(UNMAPPED_TLB_FLUSH) - flushes, 1);
	unmapped_pages_free(page, PMD_ORDER);
}

static void run_idle_work(struct unmapped_node *node)
{
	mod_delayed_work(system_dfl_wq, &node->idle_work, 0);
	/* Not flush_delayed_work(): it is queued again, and would run twice. */
	flush_work(&node->idle_work.work);
}

/* Memory that was not requested since the last run is given back. */
static void unmapped_test_idle(struct kunit *test)
{
	struct page *block = ua_alloc_or_fail(test, PMD_ORDER);
	struct unmapped_node *node = unmapped_node(page_to_nid(block));
	struct page *page = ua_alloc_or_fail(test, 0);

	enable_delayed_work(&node->idle_work);
	unmapped_pages_free(block, PMD_ORDER);
	run_idle_work(node);
	ua_expect_count(test, 1, 2 * UNMAPPED_BLOCK_PAGES - 1);

	/* Requests were served from the partly used block only. */
	unmapped_pages_free(ua_alloc_or_fail(test, 3), 3);
	run_idle_work(node);
	ua_expect_count(test, 1, UNMAPPED_BLOCK_PAGES - 1);

	unmapped_pages_free(page, 0);
	run_idle_work(node);
	run_idle_work(node);
	ua_expect_count(test, 0, 0);
	disable_delayed_work_sync(&node->idle_work);
}

/* A page that a CPU takes from and puts on its list again and again is needed. */
static void unmapped_test_idle_pcp(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 0);
	struct unmapped_node *node = unmapped_node(page_to_nid(page));

	enable_delayed_work(&node->idle_work);
	unmapped_pages_free(page, 0);
	run_idle_work(node);
	unmapped_pages_free(ua_alloc_or_fail(test, 0), 0);
	run_idle_work(node);
	ua_expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
	run_idle_work(node);
	ua_expect_count(test, 0, 0);
	disable_delayed_work_sync(&node->idle_work);
}

/* What is needed again soon after it was given back is kept for longer. */
static void unmapped_test_idle_period(struct kunit *test)
{
	struct unmapped_node *node = unmapped_node(numa_mem_id());
	unsigned long before;

	kunit_deactivate_static_stub(test, unmapped_demand_next);
	unmapped_demand_idle(node, 1);
	guard(mutex)(&node->refill_lock);
	node->idle_period = UNMAPPED_IDLE_PERIOD;
	node->refilled = jiffies - 2 * HZ;
	unmapped_demand_next(node);
	KUNIT_EXPECT_EQ(test, node->idle_period, 2 * UNMAPPED_IDLE_PERIOD);

	/* Only once for each time. */
	node->refilled = jiffies - 2 * HZ;
	unmapped_demand_next(node);
	KUNIT_EXPECT_EQ(test, node->idle_period, 2 * UNMAPPED_IDLE_PERIOD);

	node->gave_back = true;
	node->released = jiffies - 17 * node->idle_period;
	node->refilled = jiffies - 2 * HZ;
	unmapped_demand_next(node);
	KUNIT_EXPECT_EQ(test, node->idle_period, UNMAPPED_IDLE_PERIOD);

	do {
		before = node->idle_period;
		node->gave_back = true;
		node->released = jiffies;
		node->refilled = jiffies - 2 * HZ;
		unmapped_demand_next(node);
	} while (node->idle_period > before);
	KUNIT_EXPECT_EQ(test, before, UNMAPPED_IDLE_PERIOD_MAX);
	node->idle_period = UNMAPPED_IDLE_PERIOD;
	node->batch = 1;
}

/* Blocks that arrived after an idle run have not been idle for a period. */
static void unmapped_test_idle_anew(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 0);
	struct unmapped_node *node = unmapped_node(page_to_nid(page));

	enable_delayed_work(&node->idle_work);
	unmapped_pages_free(ua_alloc_or_fail(test, PMD_ORDER), PMD_ORDER);
	run_idle_work(node);
	unmapped_pages_free(ua_alloc_or_fail(test, PMD_ORDER), PMD_ORDER);
	run_idle_work(node);
	ua_expect_count(test, 1, 2 * UNMAPPED_BLOCK_PAGES - 1);

	ua_drain_all();
	unmapped_pages_free(ua_alloc_or_fail(test, PMD_ORDER), PMD_ORDER);
	unmapped_pages_free(ua_alloc_or_fail(test, 3), 3);
	run_idle_work(node);
	ua_expect_count(test, 1, 2 * UNMAPPED_BLOCK_PAGES - 1);

	unmapped_pages_free(page, 0);
	disable_delayed_work_sync(&node->idle_work);
}

/* === When it fails ======================================================= */

static void unmapped_test_exhausted(struct kunit *test)
{
	struct page *page;

	ua_use_fake_source(test, -1);
	KUNIT_EXPECT_NULL(test, unmapped_pages_alloc(GFP_KERNEL, 0));
	ua_expect_count(test, 0, 0);

	ua_ctl.max_order = 0;
	page = ua_alloc_or_fail(test, 0);
	KUNIT_EXPECT_NULL(test, unmapped_pages_alloc(GFP_KERNEL, 1));
	unmapped_pages_free(page, 0);
	ua_expect_count(test, 0, 1);
}

/* Memory is only reclaimed for what was requested, not for whole blocks. */
static void unmapped_test_no_effort_for_blocks(struct kunit *test)
{
	ua_use_fake_source(test, -1);
	KUNIT_EXPECT_NULL(test, unmapped_pages_alloc(GFP_KERNEL, 1));
	KUNIT_EXPECT_EQ(test, ua_ctl.nr_hard, 1);
	KUNIT_EXPECT_EQ(test, ua_ctl.hard_order, 1);
	KUNIT_EXPECT_NULL(test, unmapped_pages_alloc(GFP_NOWAIT, 1));
	KUNIT_EXPECT_EQ(test, ua_ctl.nr_hard, 1);
}

static bool fake_can_spare(struct zone *zone, int order,
			   enum zone_watermarks wmark, gfp_t gfp)
{
	return wmark <= ua_ctl.can_spare;
}

static void use_can_spare(struct kunit *test, enum zone_watermarks wmark)
{
	ua_ctl.can_spare = wmark;
	kunit_activate_static_stub(test, unmapped_refill_can_spare,
				   fake_can_spare);
}

/* When memory is short, no more is taken than was requested. */
static void unmapped_test_short(struct kunit *test)
{
	struct page *page;

	ua_use_fake_source(test, PMD_ORDER);
	use_can_spare(test, WMARK_MIN);
	page = ua_alloc_or_fail(test, 0);
	KUNIT_EXPECT_EQ(test, ua_ctl.nr_asked, 1);
	KUNIT_EXPECT_EQ(test, ua_ctl.nr_hard, 1);
	ua_expect_count(test, 1, 0);
	unmapped_pages_free(page, 0);
}

/* Between the low and the high watermark, a single block. */
static void unmapped_test_nearly_short(struct kunit *test)
{
	struct page **pages;
	int i;

	pages = kunit_kcalloc(test, UNMAPPED_BLOCK_PAGES + 1, sizeof(*pages),
			      GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	ua_use_fake_source(test, PMD_ORDER);
	use_can_spare(test, WMARK_LOW);
	kunit_deactivate_static_stub(test, unmapped_demand_next);
	kunit_activate_static_stub(test, unmapped_demand_next, high_demand);
	KUNIT_ASSERT_EQ(test, unmapped_pages_alloc_bulk(GFP_KERNEL, NUMA_NO_NODE,
							NULL, 1, pages), 1);
	KUNIT_EXPECT_EQ(test, ua_ctl.nr_asked, 1);
	KUNIT_EXPECT_EQ(test, ua_ctl.nr_wake, 0);
	unmapped_pages_free(pages[0], 0);
	ua_drain_all();

	/* Two blocks are needed, and are taken one by one. */
	ua_ctl.nr_asked = 0;
	KUNIT_ASSERT_EQ(test, unmapped_pages_alloc_bulk(GFP_KERNEL, NUMA_NO_NODE,
							NULL,
							UNMAPPED_BLOCK_PAGES + 1,
							pages),
			UNMAPPED_BLOCK_PAGES + 1);
	KUNIT_EXPECT_EQ(test, ua_ctl.nr_asked, 2);
	for (i = 0; i <= UNMAPPED_BLOCK_PAGES; i++)
		unmapped_pages_free(pages[i], 0);
}

static bool fake_only_singles(struct zone *zone, int order,
			      enum zone_watermarks wmark, gfp_t gfp)
{
	ua_ctl.nr_looked++;
	return !order;
}

/* Did a request for a page look for more? */
static bool looked_for_more(struct kunit *test, struct page **page)
{
	unsigned int before = ua_ctl.nr_looked;

	*page = ua_alloc_or_fail(test, 0);
	return ua_ctl.nr_looked != before;
}

/*
 * When only single pages are free, few requests look for more, but not for long,
 * and a block is found soon when there is one again.
 */
static void unmapped_test_deferred_search(struct kunit *test)
{
	struct unmapped_zone *uz;
	unsigned int i, nr = 0, nr_looked = 0;
	struct unmapped_count count;

	kunit_activate_static_stub(test, unmapped_refill_can_spare,
				   fake_only_singles);
	while (nr < 64)
		nr_looked += looked_for_more(test, &ua_ctl.kept[nr++]);
	KUNIT_EXPECT_LE(test, nr_looked, 16);
	ua_expect_count(test, nr, 0);

	/* Requests for the lowest zone say nothing about the others. */
	uz = &unmapped_node(page_to_nid(ua_ctl.kept[0]))->zones[ZONE_NORMAL];
	KUNIT_EXPECT_GT(test, uz->defer_shift, 0);
	KUNIT_EXPECT_EQ(test, uz[-ZONE_NORMAL].defer_shift, 0);

	WRITE_ONCE(uz->searched, jiffies - 2 * HZ);
	KUNIT_EXPECT_TRUE(test, looked_for_more(test, &ua_ctl.kept[nr++]));

	kunit_deactivate_static_stub(test, unmapped_refill_can_spare);
	use_can_spare(test, WMARK_HIGH);
	for (i = 0; i < 16; i++)
		ua_ctl.kept[nr++] = ua_alloc_or_fail(test, 0);
	ua_count_all(&count);
	KUNIT_EXPECT_GT(test, count.cached, 0);

	while (nr)
		unmapped_pages_free(ua_ctl.kept[--nr], 0);
}

static void add_fake_chunk(struct zone *zone, int order, enum migratetype type,
			   struct list_head *chunk)
{
	list_add(chunk, &zone->free_area[order].free_list[type]);
	zone->free_area[order].nr_free++;
}

/* Parts of other pageblocks are taken only if there is nothing else. */
static void unmapped_test_refill_order(struct kunit *test)
{
	struct zone *zone = kunit_kzalloc(test, sizeof(*zone), GFP_KERNEL);
	struct list_head chunks[4];
	int order, type;

	KUNIT_ASSERT_NOT_NULL(test, zone);
	for (order = 0; order < NR_PAGE_ORDERS; order++)
		for (type = 0; type < MIGRATE_TYPES; type++)
			INIT_LIST_HEAD(&zone->free_area[order].free_list[type]);
	KUNIT_EXPECT_EQ(test, unmapped_refill_order(zone, 0, PMD_ORDER), -1);

	add_fake_chunk(zone, 5, MIGRATE_RECLAIMABLE, &chunks[0]);
	KUNIT_EXPECT_EQ(test, unmapped_refill_order(zone, 0, PMD_ORDER), 5);
	KUNIT_EXPECT_EQ(test, unmapped_refill_order(zone, 0, 4), 4);
	/* Small chunks are left to others. */
	KUNIT_EXPECT_EQ(test, unmapped_refill_order(zone, 1, 3), 1);
	KUNIT_EXPECT_EQ(test, unmapped_refill_order(zone, 6, PMD_ORDER), -1);
	add_fake_chunk(zone, 1, MIGRATE_UNMOVABLE, &chunks[1]);
	KUNIT_EXPECT_EQ(test, unmapped_refill_order(zone, 0, PMD_ORDER), 0);
	KUNIT_EXPECT_EQ(test, unmapped_refill_order(zone, 1, PMD_ORDER), 1);
	/* There is no other for as many. */
	KUNIT_EXPECT_EQ(test, unmapped_refill_order(zone, 2, PMD_ORDER), 5);
	add_fake_chunk(zone, 4, MIGRATE_UNMOVABLE, &chunks[2]);
	KUNIT_EXPECT_EQ(test, unmapped_refill_order(zone, 0, PMD_ORDER), 4);
	/* A whole pageblock changes its type. */
	add_fake_chunk(zone, max_t(int, pageblock_order, PMD_ORDER),
		       MIGRATE_MOVABLE, &chunks[3]);
	KUNIT_EXPECT_EQ(test, unmapped_refill_order(zone, 0, PMD_ORDER), PMD_ORDER);
	KUNIT_EXPECT_EQ(test, unmapped_refill_order(zone, 0, PMD_ORDER - 1), 4);
}

/* All per-CPU lists of a zone together are a small part of it. */
static void unmapped_test_pcp_bound(struct kunit *test)
{
	struct unmapped_zone *uz = kunit_kzalloc(test, sizeof(*uz), GFP_KERNEL);
	struct zone *zone = kunit_kzalloc(test, sizeof(*zone), GFP_KERNEL);
	unsigned long pages = 256UL * 2 * num_online_cpus();

	KUNIT_ASSERT_NOT_NULL(test, uz);
	KUNIT_ASSERT_NOT_NULL(test, zone);
	atomic_long_set(&zone->managed_pages, 10 * pages);
	unmapped_pcp_update(uz, zone);
	KUNIT_EXPECT_EQ(test, uz->pcp_batch, 10);
	atomic_long_set(&zone->managed_pages, pages - 1);
	unmapped_pcp_update(uz, zone);
	KUNIT_EXPECT_EQ(test, uz->pcp_batch, 1);
	atomic_long_set(&zone->managed_pages, 1000 * pages);
	unmapped_pcp_update(uz, zone);
	KUNIT_EXPECT_EQ(test, uz->pcp_batch, UNMAPPED_PCP_BATCH);
}

static void unmapped_test_atomic(struct kunit *test)
{
	struct page *page;

	KUNIT_EXPECT_NULL(test, unmapped_pages_alloc(GFP_ATOMIC, 0));
	page = ua_alloc_or_fail(test, 0);
	unmapped_pages_free(page, 0);
	page = unmapped_pages_alloc(GFP_ATOMIC, 2);
	KUNIT_ASSERT_NOT_NULL(test, page);
	ua_expect_count(test, 4, UNMAPPED_BLOCK_PAGES - 4);
	unmapped_pages_free(page, 2);
}

/* If unmapping fails at some page of a block, the direct map is restored. */
static void unmapped_test_unmap_fails(struct kunit *test)
{
	static const unsigned int at[] = { 0, 1, 255, 511 };
	unsigned long fails = ua_nr_events(UNMAPPED_REFILL_FAIL);
	struct unmapped_count count;
	struct page *area, *page;
	int i;

	area = alloc_pages(GFP_KERNEL | __GFP_ZERO, PMD_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, area);

	for (i = 0; i < ARRAY_SIZE(at); i++) {
		ua_use_area(test, area, UNMAPPED_BLOCK_PAGES);
		ua_fail_direct_map(test, false, at[i], 1);
		page = unmapped_pages_alloc(GFP_KERNEL, PMD_ORDER);
		KUNIT_EXPECT_NULL(test, page);
		ua_expect_present(test, area, PMD_ORDER, true);
		KUNIT_EXPECT_FALSE(test, unmapped_page(area));

		/* It went back to the page allocator: get it again. */
		area = alloc_pages(GFP_KERNEL | __GFP_ZERO, PMD_ORDER);
		KUNIT_ASSERT_NOT_NULL(test, area);
	}
	__free_pages(area, PMD_ORDER);
	ua_count_all(&count);
	KUNIT_EXPECT_EQ(test, count.owned, 0);
	KUNIT_EXPECT_GT(test, ua_nr_events(UNMAPPED_REFILL_FAIL), fails);
}

/* If a block can't be unmapped, a smaller chunk is used. */
static void unmapped_test_unmap_fails_once(struct kunit *test)
{
	struct page *page;

	ua_fail_direct_map(test, false, 0, 1);
	page = ua_alloc_or_fail(test, 0);
	ua_expect_present(test, page, 0, false);
	/* How large it is depends on what is free. */
	KUNIT_EXPECT_EQ(test, unmapped_kind(page), UNMAPPED_FRAGMENT);
	unmapped_pages_free(page, 0);
}

/* If the direct map can't be restored, the page is lost. */
static void unmapped_test_restore_fails(struct kunit *test)
{
	/* On the node and maybe on others without reclaim, then once more with it. */
	int tries = num_online_nodes() > 1 ? 3 : 2;
	struct unmapped_count before, after;

	ua_count_all(&before);
	ua_use_fake_source(test, 0);
	ua_ctl.fail_both = true;
	ua_fail_direct_map(test, false, 0, 2 * tries);
	KUNIT_EXPECT_NULL(test, unmapped_pages_alloc(GFP_KERNEL, 0));
	ua_count_all(&after);
	KUNIT_EXPECT_EQ(test, after.lost, before.lost + tries);
	KUNIT_EXPECT_EQ(test, after.owned, 0);
}

/* If mapping fails while a block is given back, it stays in the cache. */
static void unmapped_test_map_fails(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 0);
	unsigned long block = page_to_pfn(page) & ~(UNMAPPED_BLOCK_PAGES - 1);

	unmapped_pages_free(page, 0);
	ua_fail_direct_map(test, true, 100, 1);
	KUNIT_EXPECT_EQ(test, ua_drain_all(), 0);
	ua_expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
	ua_expect_present(test, pfn_to_page(block), PMD_ORDER, false);
	KUNIT_EXPECT_EQ(test, ua_drain_all(), UNMAPPED_BLOCK_PAGES);
	ua_expect_present(test, pfn_to_page(block), PMD_ORDER, true);
}

/* What comes from the cache can be made to fail, too. */
static void unmapped_test_fault_injection(struct kunit *test)
{
#ifdef CONFIG_FAIL_PAGE_ALLOC
	const gfp_t gfp = GFP_NOWAIT | __GFP_NOWARN;
	struct page *page = ua_alloc_or_fail(test, 1);

	unmapped_pages_free(page, 1);
	current->fail_nth = 1;
	page = unmapped_pages_alloc(gfp, 1);
	KUNIT_EXPECT_NULL(test, page);
	KUNIT_EXPECT_EQ(test, current->fail_nth, 0);
	current->fail_nth = 0;
	if (page)
		unmapped_pages_free(page, 1);
	page = unmapped_pages_alloc(gfp, 1);
	KUNIT_ASSERT_NOT_NULL(test, page);
	unmapped_pages_free(page, 1);
#else
	kunit_skip(test, "no failure injection");
#endif
}

static struct kunit_case ua_cases[] = {
	KUNIT_CASE(unmapped_test_demand),
	KUNIT_CASE(unmapped_test_concurrent_refill),
	KUNIT_CASE(unmapped_test_killed_waiter),
	KUNIT_CASE(unmapped_test_one_block),
	KUNIT_CASE(unmapped_test_batch_fails),
	KUNIT_CASE(unmapped_test_background),
	KUNIT_CASE(unmapped_test_idle),
	KUNIT_CASE(unmapped_test_idle_anew),
	KUNIT_CASE(unmapped_test_idle_pcp),
	KUNIT_CASE(unmapped_test_idle_period),
	KUNIT_CASE(unmapped_test_exhausted),
	KUNIT_CASE(unmapped_test_no_effort_for_blocks),
	KUNIT_CASE(unmapped_test_short),
	KUNIT_CASE(unmapped_test_nearly_short),
	KUNIT_CASE(unmapped_test_deferred_search),
	KUNIT_CASE(unmapped_test_refill_order),
	KUNIT_CASE(unmapped_test_pcp_bound),
	KUNIT_CASE(unmapped_test_atomic),
	KUNIT_CASE(unmapped_test_unmap_fails),
	KUNIT_CASE(unmapped_test_unmap_fails_once),
	KUNIT_CASE(unmapped_test_restore_fails),
	KUNIT_CASE(unmapped_test_map_fails),
	KUNIT_CASE(unmapped_test_fault_injection),
	{}
};

UA_SUITE("unmapped_alloc_refill", ua_cases);
