// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests: what is in a page when it is handed out and when it is freed, and
 * by which mappings it can be read.
 */

#include <linux/folio_batch.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/smp.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/vmalloc.h>

#include "unmapped_alloc_kunit.h"

static void unmapped_test_reuse_is_zero(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 3), *again;

	ua_fill_pages(test, page, 3);
	unmapped_pages_free(page, 3);
	again = ua_alloc_or_fail(test, 3);
	KUNIT_EXPECT_PTR_EQ(test, again, page);
	ua_expect_zero(test, again, 3);
	unmapped_pages_free(again, 3);
}

/* Hands out memory with old contents. */
static struct page *dirty_source_alloc(gfp_t gfp, unsigned int order, int nid,
				       nodemask_t *nodemask)
{
	struct page *page = alloc_pages_node(nid, gfp & ~__GFP_ZERO, order);

	if (page) {
		memset(page_address(page), gfp & __GFP_ZERO ? 0 : 0x5a,
		       PAGE_SIZE << order);
		set_page_count(page, 0);
	}
	return page;
}

static void unmapped_test_new_is_zero(struct kunit *test)
{
	struct page *page;

	kunit_activate_static_stub(test, unmapped_source_alloc,
				   dirty_source_alloc);
	page = ua_alloc_or_fail(test, 2);
	ua_expect_zero(test, page, 2);
	unmapped_pages_free(page, 2);
}

static void unmapped_test_clear(struct kunit *test)
{
	struct folio *folio = unmapped_folio_alloc(GFP_KERNEL, 2);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	ua_fill_pages(test, folio_page(folio, 0), 2);
	unmapped_clear_chunk(folio_page(folio, 0), 2);
	ua_expect_zero(test, folio_page(folio, 0), 2);
	folio_put(folio);
}

/* A folio removed from a file is cleared even if it has another reference. */
static void unmapped_test_free_folio(struct kunit *test)
{
	struct folio *folio = unmapped_folio_alloc(GFP_KERNEL, 0);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	ua_fill_pages(test, folio_page(folio, 0), 0);
	/* References of the page cache, the truncating task, and another. */
	folio_ref_add(folio, 2);
	unmapped_free_folio(folio);
	ua_expect_zero(test, folio_page(folio, 0), 0);
	folio_put_refs(folio, 3);
}

/* Pages in the cache have no old contents. */
static void unmapped_test_freed_is_zero(struct kunit *test)
{
	struct page *page[3];
	int i;

	for (i = 0; i < ARRAY_SIZE(page); i++) {
		page[i] = ua_alloc_or_fail(test, i);
		ua_fill_pages(test, page[i], i);
	}
	for (i = 0; i < ARRAY_SIZE(page); i++)
		unmapped_pages_free(page[i], i);
	for (i = 0; i < ARRAY_SIZE(page); i++) {
		ua_expect_present(test, page[i], i, false);
		ua_expect_zero(test, page[i], i);
	}
}

/* A block enters the cache uncleared; each page is cleared when it leaves. */
static void unmapped_test_cleared_when_handed_out(struct kunit *test)
{
	struct page *block, *page, *more;
	int i, nr = 0;

	if (want_init_on_free())
		kunit_skip(test, "free pages are zero already");

	kunit_activate_static_stub(test, unmapped_source_alloc,
				   dirty_source_alloc);
	page = ua_alloc_or_fail(test, 0);
	block = pfn_to_page(ALIGN_DOWN(page_to_pfn(page), UNMAPPED_BLOCK_PAGES));
	for (i = 0; i < UNMAPPED_BLOCK_PAGES; i++)
		nr += !ua_with_page(test, block + i, 0, false);
	KUNIT_EXPECT_EQ(test, nr, 1);

	/* As single pages, as a chunk, and merged with pages that are zero. */
	more = ua_alloc_or_fail(test, PMD_ORDER - 1);
	ua_expect_zero(test, more, PMD_ORDER - 1);
	unmapped_pages_free(page, 0);
	unmapped_pages_free(more, PMD_ORDER - 1);
	for (i = 0; i < UNMAPPED_BLOCK_PAGES; i++) {
		ua_ctl.kept[i] = ua_alloc_or_fail(test, 0);
		ua_expect_zero(test, ua_ctl.kept[i], 0);
	}
	ua_expect_count(test, UNMAPPED_BLOCK_PAGES, 0);
	release_pages(ua_ctl.kept, UNMAPPED_BLOCK_PAGES);

	/* All of it has been handed out, and is zero now. */
	ua_expect_zero(test, block, PMD_ORDER);
	ua_drain_pcps();
	KUNIT_EXPECT_TRUE(test, unmapped_page_zeroed(block));
}

/* A page that is zero merges with others that are not. */
static void unmapped_test_merged_is_cleared(struct kunit *test)
{
	struct page *page;

	kunit_activate_static_stub(test, unmapped_source_alloc,
				   dirty_source_alloc);
	unmapped_pages_free(ua_alloc_or_fail(test, 0), 0);
	KUNIT_EXPECT_EQ(test, ua_nr_free_chunks(UNMAPPED_BLOCK, PMD_ORDER), 1);
	page = ua_alloc_or_fail(test, PMD_ORDER);
	ua_expect_zero(test, page, PMD_ORDER);
	unmapped_pages_free(page, PMD_ORDER);
}

/* Pages of a bulk request are zero, too. */
static void unmapped_test_bulk_is_zero(struct kunit *test)
{
	const int nr = UNMAPPED_BLOCK_PAGES - 3;
	int i;

	kunit_activate_static_stub(test, unmapped_source_alloc,
				   dirty_source_alloc);
	KUNIT_ASSERT_EQ(test, unmapped_pages_alloc_bulk(GFP_KERNEL, NUMA_NO_NODE,
							NULL, nr, ua_ctl.kept), nr);
	for (i = 0; i < nr; i++)
		ua_expect_zero(test, ua_ctl.kept[i], 0);
	release_pages(ua_ctl.kept, nr);
}

/* All pages of a batch of folios are cleared together, and no others. */
static void unmapped_test_batch_is_cleared(struct kunit *test)
{
	struct folio_batch batch;
	struct page *other;
	unsigned int i;

	folio_batch_init(&batch);
	other = ua_alloc_or_fail(test, 0);
	ua_with_page(test, other, MARK, true);
	for (i = 0; i < FOLIO_BATCH_SIZE; i++) {
		/* Mix in ordinary pages and larger folios. */
		if (i % 7 == 3)
			ua_ctl.kept[i] = alloc_page(GFP_KERNEL | __GFP_COMP);
		else
			ua_ctl.kept[i] = unmapped_pages_alloc(GFP_KERNEL | __GFP_COMP,
							      i % 5 ? 0 : 2);
		KUNIT_ASSERT_NOT_NULL(test, ua_ctl.kept[i]);
		ua_with_page(test, ua_ctl.kept[i], MARK, true);
		folio_batch_add(&batch, page_folio(ua_ctl.kept[i]));
	}
	folios_put(&batch);
	for (i = 0; i < FOLIO_BATCH_SIZE; i++)
		if (i % 7 != 3)
			ua_expect_zero(test, ua_ctl.kept[i], 0);
	KUNIT_EXPECT_EQ(test, ua_with_page(test, other, MARK, false), 0);
	unmapped_pages_free(other, 0);
	KUNIT_EXPECT_TRUE(test, unmapped_alloc_check(numa_mem_id()));
}

/* The CPU's own mapping shows the requested page each time. */
static void unmapped_test_page_copy(struct kunit *test)
{
	unsigned long *buf = kunit_kmalloc(test, PAGE_SIZE, GFP_KERNEL);
	struct page *page = ua_alloc_or_fail(test, 1);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	ua_with_page(test, page, MARK, true);
	ua_with_page(test, page + 1, MARK + 1, true);
	for (i = 0; i < 4; i++) {
		unmapped_page_copy(page + i % 2, buf, false);
		KUNIT_EXPECT_EQ(test, buf[i], MARK + i % 2);
	}
	KUNIT_EXPECT_FALSE(test, irqs_disabled());
	memset(buf, 0x5a, PAGE_SIZE);
	unmapped_page_copy(page, buf, true);
	KUNIT_EXPECT_EQ(test, ua_with_page(test, page, buf[0], false), 0);
	KUNIT_EXPECT_EQ(test, ua_with_page(test, page + 1, MARK + 1, false), 0);
	ua_expect_present(test, page, 1, false);
	unmapped_pages_free(page, 1);
}

/* Reads the addresses where CPUs clear pages, like speculation would. */
static int read_clear_areas(void *arg)
{
	unsigned long *nr_read = arg, start, end, addr, word;
	struct mm_struct *mm;
	int cpu;

	while (!kthread_should_stop()) {
		for_each_online_cpu(cpu) {
			if (!unmapped_clear_area(&start, &end, cpu, &mm))
				continue;
			for (addr = start; addr < end; addr += PAGE_SIZE) {
				pagefault_disable();
				*nr_read += !__copy_from_user_inatomic(&word,
							(void __user *)addr,
							sizeof(word));
				pagefault_enable();
			}
		}
		cond_resched();
	}
	return 0;
}

/* Other CPUs never see the mapping through which a CPU clears pages. */
static void unmapped_test_clear_is_private(struct kunit *test)
{
	int i, self = raw_smp_processor_id();
	int cpu = cpumask_any_but(cpu_online_mask, self);
	unsigned long nr_read = 0, start, end;
	struct mm_struct *mm[2] = {};
	struct task_struct *reader;
	struct page *page;

	if (cpu >= nr_cpu_ids)
		kunit_skip(test, "there is no other CPU");

	/* Each test has a thread of its own, which ends with the test. */
	KUNIT_ASSERT_EQ(test, set_cpus_allowed_ptr(current, cpumask_of(self)), 0);
	reader = kthread_run_on_cpu(read_clear_areas, &nr_read, cpu,
				    "unmapped_kunit");
	KUNIT_ASSERT_FALSE(test, IS_ERR(reader));
	for (i = 0; i < 20000; i++) {
		page = unmapped_pages_alloc(GFP_KERNEL, i % 4 ? 0 : 5);
		if (page)
			unmapped_pages_free(page, i % 4 ? 0 : 5);
		cond_resched();
	}
	kthread_stop(reader);
	KUNIT_EXPECT_EQ(test, nr_read, 0);

	KUNIT_EXPECT_TRUE(test, unmapped_clear_area(&start, &end, cpu, &mm[0]));
	KUNIT_EXPECT_TRUE(test, unmapped_clear_area(&start, &end, self, &mm[1]));
	KUNIT_EXPECT_PTR_NE(test, mm[0], mm[1]);
	for_each_online_cpu(cpu)
		KUNIT_EXPECT_TRUE(test, unmapped_clear_area_empty(cpu));
}

/* No kernel address maps any of the pages, whatever was done with them. */
static void unmapped_test_not_mapped_anywhere(struct kunit *test)
{
	unsigned long i, nr, seen;
	void *addr;

	nr = unmapped_pages_alloc_bulk(GFP_KERNEL, NUMA_NO_NODE, NULL,
				       ARRAY_SIZE(ua_ctl.kept), ua_ctl.kept);
	for (i = 0; i < nr; i += 3) {
		unmapped_pages_free(ua_ctl.kept[i], 0);
		ua_ctl.kept[i] = ua_alloc_or_fail(test, 0);
	}
	KUNIT_EXPECT_EQ(test, unmapped_count_mappings(true, &seen), 0);
	KUNIT_EXPECT_GT(test, seen, 0);

	/* A mapping that does exist is found. */
	addr = vmap(ua_ctl.kept, 2, VM_MAP, PAGE_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, addr);
	KUNIT_EXPECT_EQ(test, unmapped_count_mappings(true, &seen), 2);
	vunmap(addr);
	vm_unmap_aliases();
	KUNIT_EXPECT_EQ(test, unmapped_count_mappings(true, &seen), 0);
	release_pages(ua_ctl.kept, nr);
}

/* The mapping keeps the page from being reused. */
static void unmapped_test_vmap(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 0);
	unsigned long *words = unmapped_page_vmap(page);

	KUNIT_ASSERT_NOT_NULL(test, words);
	words[0] = MARK;
	KUNIT_EXPECT_EQ(test, ua_with_page(test, page, 0, false), 1);
	unmapped_pages_free(page, 0);
	ua_expect_count(test, 1, UNMAPPED_BLOCK_PAGES - 1);
	KUNIT_EXPECT_EQ(test, words[0], MARK);
	unmapped_page_vunmap(words);
	unmapped_page_vunmap_flush();
	ua_expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
	ua_expect_zero(test, page, 0);
}

/* The flushes since @start that are due to time, not to the number of mappings. */
static unsigned long timed_flushes(unsigned long start)
{
	return (jiffies - start) / HZ + 1;
}

/* Mappings that are dropped are removed 64 at a time, with a single flush. */
static void unmapped_test_vmap_batch(struct kunit *test)
{
	const unsigned long nr_batches = 4, nr = nr_batches * UNMAPPED_VMAP_BATCH;
	struct page **pages = kunit_kcalloc(test, nr, sizeof(*pages), GFP_KERNEL);
	void **maps = kunit_kcalloc(test, nr, sizeof(*maps), GFP_KERNEL);
	unsigned long flushes, start, seen, i;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	KUNIT_ASSERT_NOT_NULL(test, maps);
	KUNIT_ASSERT_EQ(test, nr,
			unmapped_pages_alloc_bulk(GFP_KERNEL, NUMA_NO_NODE, NULL,
						  nr, pages));
	for (i = 0; i < nr; i++) {
		maps[i] = unmapped_page_vmap(pages[i]);
		KUNIT_ASSERT_NOT_NULL(test, maps[i]);
		KUNIT_EXPECT_PTR_EQ(test, vmalloc_to_page(maps[i]), pages[i]);
	}

	unmapped_page_vunmap_flush();
	start = jiffies;
	flushes = atomic_long_read(&unmapped_vmap_flushes);
	for (i = 0; i < nr; i++)
		unmapped_page_vunmap(maps[i]);
	flushes = atomic_long_read(&unmapped_vmap_flushes) - flushes;
	KUNIT_EXPECT_LE(test, flushes, nr_batches + timed_flushes(start));
	KUNIT_EXPECT_GE(test, flushes, nr_batches);

	unmapped_page_vunmap_flush();
	KUNIT_EXPECT_EQ(test, unmapped_count_mappings(true, &seen), 0);
	/* No mapping has kept a reference. */
	release_pages(pages, nr);
	ua_expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
}

/* Pages that take turns get their mappings back, so there is nothing to flush. */
static void unmapped_test_vmap_again(struct kunit *test)
{
	struct page *pages[] = { ua_alloc_or_fail(test, 0), ua_alloc_or_fail(test, 0) };
	unsigned long flushes, start;
	void *map = NULL, *next;
	int i;

	unmapped_page_vunmap_flush();
	start = jiffies;
	flushes = atomic_long_read(&unmapped_vmap_flushes);
	for (i = 0; i < 100 * UNMAPPED_VMAP_BATCH; i++) {
		next = unmapped_page_vmap(pages[i % 2]);
		KUNIT_ASSERT_NOT_NULL(test, next);
		KUNIT_ASSERT_PTR_EQ(test, vmalloc_to_page(next), pages[i % 2]);
		if (map)
			unmapped_page_vunmap(map);
		map = next;
	}
	KUNIT_EXPECT_LE(test, atomic_long_read(&unmapped_vmap_flushes) - flushes,
			timed_flushes(start));

	unmapped_page_vunmap(map);
	unmapped_page_vunmap_flush();
	release_pages(pages, ARRAY_SIZE(pages));
	ua_expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
}

/* A mapping that was dropped is removed in time, even if it is the only one. */
static void unmapped_test_vmap_timer(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 0);
	void *map = unmapped_page_vmap(page);

	KUNIT_ASSERT_NOT_NULL(test, map);
	unmapped_page_vunmap(map);
	unmapped_pages_free(page, 0);
	/* Unless the second is over, this does not wait for it to be. */
	unmapped_vmap_flush_work();
	ua_expect_count(test, 0, UNMAPPED_BLOCK_PAGES);
	ua_expect_zero(test, page, 0);
}

/* Reads what a mapping shows the way /proc/kcore does. */
static void expect_vread(struct kunit *test, const void *map, size_t offset,
			 size_t len, const void *expected)
{
	char *buf = kunit_kzalloc(test, len, GFP_KERNEL);
	struct kvec kvec = { .iov_base = buf, .iov_len = len };
	struct iov_iter iter;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	iov_iter_kvec(&iter, ITER_DEST, &kvec, 1, len);
	KUNIT_EXPECT_EQ(test, vread_iter(&iter, map + offset, len), len);
	KUNIT_EXPECT_EQ(test, iov_iter_count(&iter), 0);
	KUNIT_EXPECT_MEMEQ(test, buf, expected + offset, len);
}

static void unmapped_test_vread(struct kunit *test)
{
	struct page *pages[4], *page = ua_alloc_or_fail(test, 1);
	struct page *mapped = alloc_pages(GFP_KERNEL, 1);
	int i, nr = ARRAY_SIZE(pages) * PAGE_SIZE / sizeof(int);
	int *map;

	KUNIT_ASSERT_NOT_NULL(test, mapped);
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		pages[i] = (i % 2 ? page : mapped) + i / 2;
	map = vmap(pages, ARRAY_SIZE(pages), VM_MAP, PAGE_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, map);
	for (i = 0; i < nr; i++)
		map[i] = MARK + i;

	expect_vread(test, map, 0, ARRAY_SIZE(pages) * PAGE_SIZE, map);
	expect_vread(test, map, PAGE_SIZE + 3, 1000, map);
	expect_vread(test, map, 2 * PAGE_SIZE - 5, 10, map);
	ua_expect_present(test, page, 1, false);
	vunmap(map);
	__free_pages(mapped, 1);
	unmapped_pages_free(page, 1);
}

/* Debuggers and BPF read where a page is mapped, and fault in the direct map. */
static void unmapped_test_nofault(struct kunit *test)
{
	struct page *page = ua_alloc_or_fail(test, 0);
	unsigned long word = 0, *map;

	map = vmap(&page, 1, VM_MAP, PAGE_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, map);
	map[1] = MARK;
	KUNIT_EXPECT_EQ(test, copy_from_kernel_nofault(&word, map + 1,
						       sizeof(word)), 0);
	KUNIT_EXPECT_EQ(test, word, MARK);
	KUNIT_EXPECT_EQ(test, copy_from_kernel_nofault(&word,
						       page_address(page) + 8,
						       sizeof(word)), -EFAULT);
	KUNIT_EXPECT_EQ(test, word, 0);
	vunmap(map);
	unmapped_pages_free(page, 0);
}

static void unmapped_test_bulk_mpol(struct kunit *test)
{
	unsigned long i, nr;

	nr = unmapped_pages_alloc_bulk_mpol(GFP_KERNEL, NULL,
					    ARRAY_SIZE(ua_ctl.kept), ua_ctl.kept);
	KUNIT_EXPECT_EQ(test, nr, ARRAY_SIZE(ua_ctl.kept));
	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_TRUE(test, unmapped_page(ua_ctl.kept[i]));
	release_pages(ua_ctl.kept, nr);
}

static struct kunit_case ua_cases[] = {
	KUNIT_CASE(unmapped_test_reuse_is_zero),
	KUNIT_CASE(unmapped_test_new_is_zero),
	KUNIT_CASE(unmapped_test_clear),
	KUNIT_CASE(unmapped_test_free_folio),
	KUNIT_CASE(unmapped_test_freed_is_zero),
	KUNIT_CASE(unmapped_test_cleared_when_handed_out),
	KUNIT_CASE(unmapped_test_merged_is_cleared),
	KUNIT_CASE(unmapped_test_bulk_is_zero),
	KUNIT_CASE(unmapped_test_batch_is_cleared),
	KUNIT_CASE(unmapped_test_page_copy),
	KUNIT_CASE(unmapped_test_clear_is_private),
	KUNIT_CASE(unmapped_test_not_mapped_anywhere),
	KUNIT_CASE(unmapped_test_vmap),
	KUNIT_CASE(unmapped_test_vmap_batch),
	KUNIT_CASE(unmapped_test_vmap_again),
	KUNIT_CASE(unmapped_test_vmap_timer),
	KUNIT_CASE(unmapped_test_vread),
	KUNIT_CASE(unmapped_test_nofault),
	KUNIT_CASE(unmapped_test_bulk_mpol),
	{}
};

UA_SUITE("unmapped_alloc_contents", ua_cases);
