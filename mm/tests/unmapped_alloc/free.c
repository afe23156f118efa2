// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: all ways in which pages are freed, in any context.
 */

#include <linux/completion.h>
#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/smp.h>

#include "unmapped_alloc_kunit.h"

static void unmapped_test_late_reference(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 0);

	ua_with_page(test, page, MARK, true);
	get_page(page);
	unmapped_pages_free(page, 0);
	ua_expect_count(test, 1, UNMAPPED_BLOCK_PAGES - 1);
	KUNIT_EXPECT_EQ(test, ua_with_page(test, page, MARK, false), 0);
	put_page(page);
	ua_expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
	ua_expect_zero(test, page, 0);
}

/* A late reference to the head keeps only the head, see __free_pages(). */
static void unmapped_test_late_reference_high_order(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 4);

	get_page(page);
	unmapped_pages_free(page, 4);
	ua_expect_count(test, 1, UNMAPPED_BLOCK_PAGES - 1);
	put_page(page);
	KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
}

static void unmapped_test_late_reference_block(struct kunit *test)
{
	struct page *page = unmapped_block_alloc(GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, page);
	get_page(page);
	unmapped_block_free(page);
	ua_expect_count(test, 1, UNMAPPED_BLOCK_PAGES - 1);
	put_page(page);
	KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
}

/* Who follows page tables has page frames, of memory or of none. */
static void unmapped_test_pfn(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 0);
	unsigned long pfn = page_to_pfn(page);

	KUNIT_EXPECT_TRUE(test, unmapped_pfn(pfn));
	unmapped_pages_free(page, 0);
	ua_drain_all();
	KUNIT_EXPECT_FALSE(test, unmapped_pfn(pfn));
	/* No machine has memory there. */
	pfn = PHYS_PFN(BIT_ULL(MAX_PHYSMEM_BITS)) - 1;
	KUNIT_EXPECT_FALSE(test, unmapped_pfn(pfn));
}

/* Who has interrupted memory hotplug can't wait until the zone has grown. */
static void unmapped_test_pfn_growing(struct kunit *test)
{
	struct page *page;
	struct zone *zone;
	bool answer;

	ua_skip_if_rt(test);
	page = ua_alloc_or_fail(test, 0);
	zone = page_zone(page);
	local_irq_disable();
	zone_span_writelock(zone);
	answer = unmapped_pfn(page_to_pfn(page));
	zone_span_writeunlock(zone);
	local_irq_enable();
	KUNIT_EXPECT_TRUE(test, answer);
	unmapped_pages_free(page, 0);
}

/* Every page frame can be asked for, also those that no zone has. */
static void unmapped_test_pfn_reserved(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 0);
	unsigned long pfn, nr_unmapped = 0, nr_reserved = 0;
	unsigned long end = pgdat_end_pfn(NODE_DATA(page_to_nid(page)));
	struct page *online;

	for (pfn = 0; pfn < end; pfn++) {
		online = pfn_to_online_page(pfn);
		if (online && PageReserved(online))
			nr_reserved++;
		if (unmapped_pfn(pfn))
			nr_unmapped++;
	}
	KUNIT_EXPECT_GE(test, nr_unmapped, UNMAPPED_BLOCK_PAGES);
	KUNIT_EXPECT_GT(test, nr_reserved, 0);
	unmapped_pages_free(page, 0);
}

/* Covers orders that the page allocator's per-CPU lists take or don't take. */
static void unmapped_test_put_paths(struct kunit *test)
{
	static const unsigned int orders[] = { 0, 2, 4, PMD_ORDER };
	struct page *page[3];
	struct folio *folio;
	int i, j;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		for (j = 0; j < ARRAY_SIZE(page); j++) {
			folio = unmapped_folio_alloc(GFP_KERNEL, orders[i]);
			KUNIT_ASSERT_NOT_NULL(test, folio);
			page[j] = folio_page(folio, 0);
		}
		put_page(page[0]);
		folio = page_folio(page[1]);
		folio_get(folio);
		folio_put_refs(folio, 2);
		release_pages(&page[2], 1);
		__free_pages(ua_alloc_or_fail(test, orders[i]), orders[i]);
		ua_drain_all();
		ua_expect_count(test, 0, 0);
	}
}

/* Ordinary pages of a pageblock that has a fragment are freed as usual. */
static void unmapped_test_neighbours(struct kunit *test)
{
	struct page *area = alloc_pages(GFP_KERNEL | __GFP_ZERO, 2);
	struct page *page;

	KUNIT_ASSERT_NOT_NULL(test, area);
	split_page(area, 2);
	ua_use_area(test, area, 1);
	page = ua_alloc_or_fail(test, 0);
	KUNIT_ASSERT_PTR_EQ(test, page, area);

	__free_page(area + 1);
	ua_expect_count(test, 1, 0);
	unmapped_pages_free(page, 0);
	ua_expect_count(test, 0, 1);
	__free_page(area + 2);
	__free_page(area + 3);
	ua_expect_count(test, 0, 1);
	KUNIT_EXPECT_EQ(test, ua_drain_all(), 1);
}

struct put_irq_work {
	struct irq_work work;
	struct page *page;
};

static void put_in_hardirq(struct irq_work *work)
{
	put_page(container_of(work, struct put_irq_work, work)->page);
}

static void unmapped_test_put_in_hardirq(struct kunit *test)
{
	struct put_irq_work put;
	int i;

	/* On whatever CPU the test runs, each in an interrupt of its own. */
	for (i = 0; i < 16; i++) {
		put.page = ua_alloc_or_fail(test, 0);
		ua_with_page(test, put.page, MARK, true);
		init_irq_work(&put.work, put_in_hardirq);
		irq_work_queue(&put.work);
		irq_work_sync(&put.work);
		ua_expect_zero(test, put.page, 0);
	}
	ua_expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
}

static void put_in_softirq(struct work_struct *work)
{
	put_page(container_of(work, struct put_work, work)->page);
}

static void unmapped_test_put_in_softirq(struct kunit *test)
{
	struct put_work put = { .page = ua_alloc_or_fail(test, 0) };

	ua_with_page(test, put.page, MARK, true);
	INIT_WORK_ONSTACK(&put.work, put_in_softirq);
	queue_work(system_bh_wq, &put.work);
	flush_work(&put.work);
	destroy_work_on_stack(&put.work);
	ua_expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
	ua_expect_zero(test, put.page, 0);
}

static void unmapped_test_put_irqs_off(struct kunit *test)
{
	struct page *page;
	unsigned long flags;

	ua_skip_if_rt(test);
	page = ua_alloc_or_fail(test, 2);
	ua_fill_pages(test, page, 2);
	local_irq_save(flags);
	unmapped_pages_free(page, 2);
	local_irq_restore(flags);
	ua_expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
	ua_expect_zero(test, page, 2);
}

/* Where no lock can be taken, the page is put back a little later. */
static void unmapped_test_put_nolock(struct kunit *test)
{
	static const unsigned int orders[] = { 1, PMD_ORDER };
	unsigned long flags, used, before;
	struct unmapped_zone *uz;
	struct page *page;
	int i;

	ua_skip_if_rt(test);
	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		page = ua_alloc_or_fail(test, orders[i]);
		uz = unmapped_page_zone(page);
		before = uz->count.used;
		ua_fill_pages(test, page, orders[i]);
		local_irq_save(flags);
		free_pages_nolock(page, orders[i]);
		used = uz->count.used;
		local_irq_restore(flags);
		unmapped_alloc_sync_deferred();
		KUNIT_EXPECT_EQ(test, used, before);
		ua_expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
		ua_expect_zero(test, page, orders[i]);
	}
}

struct late_put {
	struct page *page;
	struct completion queued;
	bool other_done;
};

/* Free a page without locks, and keep interrupts off until others are done. */
static int put_late(void *arg)
{
	struct late_put *late = arg;
	unsigned long flags;

	local_irq_save(flags);
	free_pages_nolock(late->page, 0);
	complete(&late->queued);
	while (!READ_ONCE(late->other_done))
		cpu_relax();
	local_irq_restore(flags);
	return 0;
}

/* It does not wait for another CPU, which is late. */
static void unmapped_test_put_nolock_late(struct kunit *test)
{
	int self = raw_smp_processor_id();
	int cpu = cpumask_any_but(cpu_online_mask, self);
	struct late_put late = {};
	struct task_struct *other;
	struct unmapped_zone *uz;
	unsigned long used;
	struct page *page;

	ua_skip_if_rt(test);
	if (cpu >= nr_cpu_ids)
		kunit_skip(test, "there is no other CPU");

	page = ua_alloc_or_fail(test, 0);
	late.page = ua_alloc_or_fail(test, 0);
	uz = unmapped_page_zone(page);
	used = uz->count.used;
	KUNIT_ASSERT_EQ(test, set_cpus_allowed_ptr(current, cpumask_of(self)), 0);
	init_completion(&late.queued);
	other = kthread_run_on_cpu(put_late, &late, cpu, "unmapped_kunit");
	KUNIT_ASSERT_FALSE(test, IS_ERR(other));
	wait_for_completion(&late.queued);
	free_pages_nolock(page, 0);
	KUNIT_EXPECT_EQ(test, READ_ONCE(uz->count.used), used - 1);
	WRITE_ONCE(late.other_done, true);
	unmapped_alloc_sync_deferred();
	KUNIT_EXPECT_EQ(test, READ_ONCE(uz->count.used), used - 2);
}

static void queue_nothing(struct irq_work *work)
{
}

/* What a CPU had deferred when it died is put by another one, however much it is. */
static void unmapped_test_put_nolock_dead(struct kunit *test)
{
	struct unmapped_zone *uz;
	struct page *page;
	unsigned long used;
	unsigned int cpu;

	ua_skip_if_rt(test);
	page = ua_alloc_or_fail(test, PMD_ORDER);
	uz = unmapped_page_zone(page);
	used = uz->count.used;
	ua_fill_pages(test, page, PMD_ORDER);
	kunit_activate_static_stub(test, unmapped_queue_deferred, queue_nothing);
	cpu = get_cpu();
	free_pages_nolock(page, PMD_ORDER);
	put_cpu();
	kunit_deactivate_static_stub(test, unmapped_queue_deferred);
	KUNIT_EXPECT_EQ(test, uz->count.used, used);

	unmapped_put_deferred_of(cpu);
	KUNIT_EXPECT_EQ(test, uz->count.used, used - UNMAPPED_BLOCK_PAGES);
	ua_expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
	ua_expect_zero(test, page, PMD_ORDER);
}

static struct kunit_case ua_cases[] = {
	KUNIT_CASE(unmapped_test_late_reference),
	KUNIT_CASE(unmapped_test_late_reference_high_order),
	KUNIT_CASE(unmapped_test_late_reference_block),
	KUNIT_CASE(unmapped_test_pfn),
	KUNIT_CASE(unmapped_test_pfn_growing),
	KUNIT_CASE(unmapped_test_pfn_reserved),
	KUNIT_CASE(unmapped_test_put_paths),
	KUNIT_CASE(unmapped_test_neighbours),
	KUNIT_CASE(unmapped_test_put_in_hardirq),
	KUNIT_CASE(unmapped_test_put_in_softirq),
	KUNIT_CASE(unmapped_test_put_irqs_off),
	KUNIT_CASE(unmapped_test_put_nolock),
	KUNIT_CASE(unmapped_test_put_nolock_late),
	KUNIT_CASE(unmapped_test_put_nolock_dead),
	{}
};

UA_SUITE("unmapped_alloc_free", ua_cases);
