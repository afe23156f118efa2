// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the KUnit tests of the unmapped page allocator share.
 */

#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/set_memory.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>

#include "unmapped_alloc_kunit.h"

struct ua_ctl ua_ctl;

/*
 * With PREEMPT_RT, no page is freed with interrupts off but by free_pages_nolock(),
 * and neither then nor with preemption off can KUnit look for a stub.
 */
void ua_skip_if_rt(struct kunit *test)
{
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		kunit_skip(test, "not with PREEMPT_RT");
}

/* Without kernel text: there is always some, at least that of this module. */
void ua_count_all(struct unmapped_count *sum)
{
	long text = unmapped_text_count(UNMAPPED_TEXT_BYTES) >> PAGE_SHIFT;
	struct unmapped_count count;
	int nid;

	*sum = (struct unmapped_count){
		.owned = -text,
		.used = -text,
	};
	for_each_online_node(nid) {
		unmapped_alloc_count(nid, &count);
		sum->owned += count.owned;
		sum->used += count.used;
		sum->cached += count.cached;
		sum->transit += count.transit;
		sum->lost += count.lost;
	}
}

/* The node's counter, and what is not added to it yet. */
static unsigned long nr_no_direct_map(int nid)
{
	struct pglist_data *pgdat = NODE_DATA(nid);
	long nr = atomic_long_read(&pgdat->vm_stat[NR_NO_DIRECT_MAP]);
	int cpu;

	for_each_possible_cpu(cpu)
		nr += per_cpu_ptr(pgdat->per_cpu_nodestats, cpu)->
				vm_node_stat_diff[NR_NO_DIRECT_MAP];
	return nr;
}

/* The counters of each node add up. */
void ua_expect_node_counts(struct kunit *test)
{
	struct unmapped_count count;
	int nid;

	for_each_online_node(nid) {
		unmapped_alloc_count(nid, &count);
		KUNIT_EXPECT_EQ(test, nr_no_direct_map(nid), count.owned);
		KUNIT_EXPECT_TRUE(test, unmapped_alloc_check(nid));
	}
}

unsigned long ua_drain_all(void)
{
	unsigned long nr = 0;
	int nid;

	for_each_online_node(nid)
		nr += unmapped_alloc_drain(nid);
	return nr;
}

/* Move all free pages to the lists of their zones. */
void ua_drain_pcps(void)
{
	int nid, i;

	for_each_online_node(nid)
		for (i = 0; i < UNMAPPED_NR_ZONES; i++)
			unmapped_pcp_drain(&unmapped_node(nid)->zones[i]);
}

unsigned long ua_nr_free_chunks(enum unmapped_kind kind, int order)
{
	unsigned long nr = 0;
	int nid, i;

	ua_drain_pcps();
	for_each_online_node(nid)
		for (i = 0; i < UNMAPPED_NR_ZONES; i++)
			nr += unmapped_node(nid)->zones[i].nr_free[kind][order];
	return nr;
}

unsigned long ua_nr_events(enum vm_event_item item)
{
	static unsigned long events[NR_VM_EVENT_ITEMS];

	all_vm_events(events);
	return events[item];
}

void ua_expect_count(struct kunit *test, unsigned long used,
		     unsigned long cached)
{
	struct unmapped_count count;

	ua_count_all(&count);
	KUNIT_EXPECT_EQ(test, count.used, used);
	KUNIT_EXPECT_EQ(test, count.cached, cached);
	KUNIT_EXPECT_EQ(test, count.transit, 0);
	KUNIT_EXPECT_EQ(test, count.owned, used + cached);
}

struct page *ua_alloc_or_fail(struct kunit *test, unsigned int order)
{
	struct page *page = unmapped_pages_alloc(GFP_KERNEL, order);

	KUNIT_ASSERT_NOT_NULL(test, page);
	return page;
}

void ua_expect_present(struct kunit *test, struct page *page, int order,
		       bool present)
{
	int i, nr = 0;

	/* debug_pagealloc unmaps free pages, whoever owns them. */
	if (present && debug_pagealloc_enabled())
		return;

	for (i = 0; i < 1 << order; i++)
		nr += kernel_page_present(page + i);
	KUNIT_EXPECT_EQ(test, nr, present ? 1 << order : 0);
}

/* Fill a page with @mark, or return the number of words that differ from it. */
int ua_with_page(struct kunit *test, struct page *page, unsigned long mark,
		 bool fill)
{
	unsigned long *words = vmap(&page, 1, VM_MAP, PAGE_KERNEL);
	int i, nr = 0;

	KUNIT_ASSERT_NOT_NULL(test, words);
	for (i = 0; i < PAGE_SIZE / sizeof(*words); i++) {
		if (fill)
			words[i] = mark;
		nr += words[i] != mark;
	}
	vunmap(words);
	return nr;
}

void ua_fill_pages(struct kunit *test, struct page *page, int order)
{
	int i;

	for (i = 0; i < 1 << order; i++)
		ua_with_page(test, page + i, MARK, true);
}

void ua_expect_zero(struct kunit *test, struct page *page, int order)
{
	int i, nr = 0;

	for (i = 0; i < 1 << order; i++)
		nr += ua_with_page(test, page + i, 0, false);
	KUNIT_EXPECT_EQ(test, nr, 0);
}

unsigned int ua_direct_map_level(struct page *page)
{
#ifdef CONFIG_X86_64
	unsigned int level;

	lookup_address((unsigned long)page_address(page), &level);
	return level;
#else
	return 0;
#endif
}

/* Replaces the page allocator. Its pages have no reference yet. */
struct page *ua_fake_source_alloc(gfp_t gfp, unsigned int order, int nid,
				  nodemask_t *nodemask)
{
	struct page *page;

	ua_ctl.nr_asked++;
	ua_ctl.nr_wake += !!(gfp & __GFP_KSWAPD_RECLAIM);
	if (gfp & __GFP_DIRECT_RECLAIM) {
		ua_ctl.nr_hard++;
		ua_ctl.hard_order = order;
	}
	if ((int)order > ua_ctl.max_order)
		return NULL;

	if (ua_ctl.area) {
		if (ua_ctl.left < 1 << order)
			return NULL;
		page = ua_ctl.area;
		ua_ctl.area += 1 << order;
		ua_ctl.left -= 1 << order;
		return page;
	}

	page = alloc_pages_node(nid, gfp, order);
	if (page) {
		ua_ctl.level = ua_direct_map_level(page);
		set_page_count(page, 0);
	}
	return page;
}

void ua_use_fake_source(struct kunit *test, int max_order)
{
	ua_ctl.max_order = max_order;
	kunit_activate_static_stub(test, unmapped_source_alloc,
				   ua_fake_source_alloc);
}

/* Make the fake source hand out the first @nr pages of @area, once. */
void ua_use_area(struct kunit *test, struct page *area, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		set_page_count(area + i, 0);
	ua_ctl.area = area;
	ua_ctl.left = nr;
	ua_use_fake_source(test, PMD_ORDER);
}

/* Fails after the first ua_ctl.fail_at pages if a failure is due. */
static int failing_set_direct_map(struct page *page, unsigned int nr,
				  bool valid)
{
	struct kunit *test = kunit_get_current_test();
	bool fail = ua_ctl.nr_fails && (ua_ctl.fail_both || valid == ua_ctl.fail_valid);
	int err;

	if (fail) {
		nr = min(nr, ua_ctl.fail_at);
		ua_ctl.nr_fails--;
	}
	kunit_deactivate_static_stub(test, unmapped_set_direct_map);
	err = nr ? unmapped_set_direct_map(page, nr, valid) : 0;
	kunit_activate_static_stub(test, unmapped_set_direct_map,
				   failing_set_direct_map);
	return fail ? -ENOMEM : err;
}

void ua_fail_direct_map(struct kunit *test, bool valid, unsigned int at,
			int times)
{
	ua_ctl.fail_valid = valid;
	ua_ctl.fail_at = at;
	ua_ctl.nr_fails = times;
	kunit_activate_static_stub(test, unmapped_set_direct_map,
				   failing_set_direct_map);
}

/* One block at a time, except in tests of demand. */
static unsigned int low_demand(struct unmapped_node *node)
{
	return 1;
}

/* The allocator's own work items would change what the tests count. */
int ua_suite_init(struct kunit_suite *suite)
{
	int nid;

	if (!unmapped_alloc_available())
		return 0;

	for_each_online_node(nid) {
		disable_delayed_work_sync(&unmapped_node(nid)->idle_work);
		disable_work_sync(&unmapped_node(nid)->refill_work);
	}
	return 0;
}

void ua_suite_exit(struct kunit_suite *suite)
{
	int nid;

	if (!unmapped_alloc_available())
		return;

	for_each_online_node(nid) {
		enable_work(&unmapped_node(nid)->refill_work);
		enable_delayed_work(&unmapped_node(nid)->idle_work);
		unmapped_idle_wake(unmapped_node(nid));
	}
}

int ua_init(struct kunit *test)
{
	int nid, i;

	if (!unmapped_alloc_available())
		kunit_skip(test, "the allocator is not available on this boot");

	memset(&ua_ctl, 0, sizeof(ua_ctl));
	/* Each test has a thread of its own. What it expects is on one node. */
	KUNIT_ASSERT_EQ(test, set_cpus_allowed_ptr(current, cpumask_of_node(first_memory_node)), 0);
	for_each_online_node(nid) {
		for (i = 0; i < UNMAPPED_NR_ZONES; i++)
			unmapped_node(nid)->zones[i].skip_search = 0;
		/* Others had a demand: the text of this module, for example. */
		unmapped_refill_calm(unmapped_node(nid));
	}
	kunit_activate_static_stub(test, unmapped_demand_next, low_demand);
	ua_drain_all();
	ua_expect_count(test, 0, 0);
	return 0;
}

void ua_exit(struct kunit *test)
{
	if (!unmapped_alloc_available())
		return;

	ua_expect_node_counts(test);
	ua_expect_cache_charged(test);
	ua_ctl.nr_fails = 0;
	ua_drain_all();
	ua_expect_count(test, 0, 0);
	ua_expect_cache_charged(test);
	ua_expect_node_counts(test);
}

MODULE_DESCRIPTION("KUnit tests for the unmapped page allocator");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
