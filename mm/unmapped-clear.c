// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: clearing pages that have no direct map.
 *
 * A page is cleared wherever its last reference is dropped: in softirq or
 * hardirq context, with interrupts off, with any lock held. So clearing can't
 * allocate memory, sleep or wait for other CPUs.
 *
 * No page table that another CPU may have loaded ever maps such a page: that
 * CPU could speculatively cache the translation, keep it beyond the lifetime of
 * the page table entry, and see what the page's next owner stores there. So
 * each CPU has an mm of its own for this purpose, as text_poke() has. Its page
 * table is loaded by use_temporary_pgd(), with interrupts off, only while pages
 * are cleared. The entries are removed from it before another page table is
 * loaded; from then on, this CPU's TLB has no usable translation for them.
 *
 * Loading a page table takes time, so callers collect up to UNMAPPED_BATCH
 * pages.
 *
 * The mms are allocated when the first page is about to be unmapped, for all
 * CPUs that have ever been online, and before a CPU comes online after that.
 * They are never freed. Each takes a struct mm_struct and a page of page tables
 * for each level; on x86, the top level takes two with page table isolation.
 *
 * kmap_local_page() is no alternative: without HIGHMEM, it returns the address
 * in the direct map.
 */

#include <linux/cpuhotplug.h>
#include <linux/cpumask.h>
#include <linux/irqflags.h>
#include <linux/kasan.h>
#include <linux/mm.h>
#include <linux/mmu_context.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/pgtable.h>
#include <linux/sched/mm.h>
#include <linux/string.h>
#include <linux/unmapped_alloc.h>
#include <linux/workqueue.h>

#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include "unmapped-alloc.h"

/* Where pages are mapped: UNMAPPED_BATCH pages of one page table. */
#define CLEAR_BASE	P4D_SIZE

static_assert(UNMAPPED_BATCH <= PTRS_PER_PTE);

/**
 * struct clear_mm - a CPU's mm for clearing pages
 * @mm: the mm. Only loaded by its own CPU, with interrupts off.
 * @pte: the page table entries from CLEAR_BASE on, NULL until there is a page
 *	table. Only written by their own CPU, with interrupts off.
 *	Invariant: all none, and not in any TLB, while @mm is not loaded.
 * @first: the entry that would map page frame 0.
 */
struct clear_mm {
	struct mm_struct *mm;
	pte_t *pte;
	pte_t first;
};

static DEFINE_PER_CPU(struct clear_mm, clear_mms);

/*
 * CPUs that are or were online, and whether they need an mm. A CPU is added
 * before it comes online, so that a CPU that frees pages has an mm. The mutex
 * is separate because the first user can't wait for CPU hotplug.
 */
static DEFINE_MUTEX(clear_mutex);
static cpumask_t clear_cpus;
static bool clear_wanted;

static bool clear_prepared;

static int find_pte(pte_t *pte, unsigned long addr, void *data)
{
	struct clear_mm *clear = data;

	if (addr == CLEAR_BASE)
		clear->pte = pte;
	return 0;
}

/* What has been made when that fails is kept for the next time. */
static int make_mm(unsigned int cpu)
{
	struct clear_mm *clear = per_cpu_ptr(&clear_mms, cpu);

	lockdep_assert_held(&clear_mutex);

	if (clear->pte)
		return 0;

	if (!clear->mm) {
		clear->mm = mm_alloc();
		if (!clear->mm)
			return -ENOMEM;
#ifdef CONFIG_MEMCG
		/* No task owns this mm, and the current worker will exit. */
		WRITE_ONCE(clear->mm->owner, NULL);
#endif
		clear->first = pfn_pte(0, PAGE_KERNEL_TEMPORARY);
	}
	return apply_to_page_range(clear->mm, CLEAR_BASE,
				   UNMAPPED_BATCH * PAGE_SIZE, find_pte, clear);
}

static void prepare_cpus(struct work_struct *work)
{
	unsigned int noio = memalloc_noio_save();
	unsigned int cpu;
	int err = 0;

	mutex_lock(&clear_mutex);
	clear_wanted = true;
	for_each_cpu(cpu, &clear_cpus) {
		err = make_mm(cpu);
		if (err)
			break;
	}
	/* Pairs with the acquire in unmapped_clear_prepare(). */
	smp_store_release(&clear_prepared, !err);
	mutex_unlock(&clear_mutex);
	memalloc_noio_restore(noio);
}

static DECLARE_WORK(prepare_work, prepare_cpus);

/**
 * unmapped_clear_prepare() - allocate the mms before the first page is unmapped
 * @wait: wait until they are allocated.
 *
 * A worker does that: the mms must not be charged to the caller's cgroup, nor
 * pin its user namespace. The worker may reclaim memory, so a caller that must not
 * do so does not wait for it, either: it may be a work item that reclaim needs.
 *
 * Context: Process context, may sleep.
 * Return: 0, -ENOMEM, or -EAGAIN if the caller would have to wait.
 */
int unmapped_clear_prepare(bool wait)
{
	KUNIT_STATIC_STUB_REDIRECT(unmapped_clear_prepare, wait);

	/* Pairs with the release in prepare_cpus(). */
	if (likely(smp_load_acquire(&clear_prepared)))
		return 0;

	queue_work(system_dfl_wq, &prepare_work);
	if (!wait)
		return -EAGAIN;
	flush_work(&prepare_work);
	/* Pairs with the release in prepare_cpus(). */
	return smp_load_acquire(&clear_prepared) ? 0 : -ENOMEM;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_clear_prepare);

/* Returns whether the CPU needs an mm, and has none. */
static bool note_cpu(unsigned int cpu)
{
	guard(mutex)(&clear_mutex);
	cpumask_set_cpu(cpu, &clear_cpus);
	return clear_wanted && !per_cpu_ptr(&clear_mms, cpu)->pte;
}

static int forget_cpu(unsigned int cpu)
{
	guard(mutex)(&clear_mutex);
	cpumask_clear_cpu(cpu, &clear_cpus);
	return -ENOMEM;
}

/* Like the first user, who takes CPUs online must not be charged. */
static int prepare_cpu(unsigned int cpu)
{
	if (!note_cpu(cpu))
		return 0;

	queue_work(system_dfl_wq, &prepare_work);
	flush_work(&prepare_work);
	return per_cpu_ptr(&clear_mms, cpu)->pte ? 0 : forget_cpu(cpu);
}

/**
 * unmapped_clear_init() - set up the CPU hotplug callback
 *
 * Return: 0 or -errno.
 */
int __init unmapped_clear_init(void)
{
	int err = cpuhp_setup_state(CPUHP_BP_PREPARE_DYN,
				    "mm/unmapped_alloc:prepare", prepare_cpu,
				    NULL);

	return err < 0 ? err : 0;
}

static __always_inline void map_page(pte_t *pte, pte_t first,
				     const struct page *page)
{
	lockdep_assert_irqs_disabled();
	VM_WARN_ON_ONCE(!pte_none(ptep_get(pte)));

	/* pte_advance_pfn() would also handle entries that are not present. */
	set_pte(pte, __pte(pte_val(first) + page_to_phys(page)));
}

static __always_inline void unmap_pages(struct mm_struct *mm, pte_t *pte,
					unsigned int nr)
{
	unsigned long addr = CLEAR_BASE;

	lockdep_assert_irqs_disabled();

	for (; nr; nr--, addr += PAGE_SIZE)
		pte_clear(mm, addr, pte++);
}

/* Clear the first @nr pages, which are mapped, and unmap them. */
static __always_inline void clear_mapped(const struct clear_mm *clear,
					 unsigned int nr)
{
	struct mm_struct *prev = use_temporary_pgd(clear->mm->pgd);

	VM_WARN_ON_ONCE(nr > UNMAPPED_BATCH);
	clear_pages((void *)CLEAR_BASE, nr);
	unmap_pages(clear->mm, clear->pte, nr);
	unuse_temporary_pgd(prev);
}

/**
 * unmapped_clear_pages() - clear pages that are not in the direct map
 * @pages: the pages; none is poisoned.
 * @nr: how many; 1 to UNMAPPED_BATCH.
 *
 * Runs with interrupts off.
 *
 * Context: Any context except NMI.
 */
void unmapped_clear_pages(struct page *const *pages, unsigned int nr)
{
	const struct clear_mm *clear;
	unsigned long flags;
	unsigned int i;
	pte_t *pte, first;

	local_irq_save(flags);
	clear = this_cpu_ptr(&clear_mms);
	pte = clear->pte;
	first = clear->first;
	/* The MMU must see the entries now, not when a lazy batch ends. */
	lazy_mmu_mode_pause();
	for (i = 0; i < nr; i++)
		map_page(pte + i, first, pages[i]);
	clear_mapped(clear, nr);
	lazy_mmu_mode_resume();
	local_irq_restore(flags);
}

/**
 * unmapped_clear_range() - clear contiguous pages absent from the direct map
 * @page: first page; poisoned pages are left alone.
 * @nr_pages: how many.
 *
 * Interrupts are off for UNMAPPED_BATCH pages at a time.
 *
 * Context: Any context except NMI.
 * Return: were all of them cleared?
 */
bool unmapped_clear_range(struct page *page, unsigned long nr_pages)
{
	struct page *pages[UNMAPPED_BATCH], *end = page + nr_pages;
	unsigned int nr = 0;
	bool all = true;

	for (; page < end; page++) {
		/* A poisoned page must not be touched. */
		if (likely(!PageHWPoison(page)))
			pages[nr++] = page;
		else
			all = false;
		if (nr && (nr == UNMAPPED_BATCH || page + 1 == end)) {
			unmapped_clear_pages(pages, nr);
			nr = 0;
		}
	}
	return all;
}

/**
 * unmapped_clear_chunk() - clear a chunk absent from the direct map
 * @page: first page; poisoned pages are left alone.
 * @order: 2^@order pages.
 *
 * As unmapped_clear_range().
 *
 * Context: Any context except NMI.
 * Return: were all of them cleared?
 */
bool unmapped_clear_chunk(struct page *page, unsigned int order)
{
	KUNIT_STATIC_STUB_REDIRECT(unmapped_clear_chunk, page, order);

	return unmapped_clear_range(page, 1UL << order);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_clear_chunk);

/**
 * unmapped_clear_list() - clear the pages of a list that are not zero yet
 * @list: pages linked by page->pcp_llist, with UNMAPPED_ZEROED or 0 in
 *	page->private.
 *
 * Marks them with UNMAPPED_ZEROED. Poisoned pages are left alone. Interrupts
 * are off for UNMAPPED_BATCH pages at a time.
 *
 * Context: Any context except NMI.
 */
void unmapped_clear_list(struct llist_node *list)
{
	const struct clear_mm *clear;
	unsigned long flags;
	struct page *page;
	pte_t *pte, first;
	unsigned int nr;

	while (list) {
		nr = 0;
		local_irq_save(flags);
		clear = this_cpu_ptr(&clear_mms);
		pte = clear->pte;
		first = clear->first;
		lazy_mmu_mode_pause();
		for (; list && nr < UNMAPPED_BATCH; list = list->next) {
			page = llist_entry(list, struct page, pcp_llist);
			if (unmapped_page_zeroed(page) || PageHWPoison(page))
				continue;
			set_page_private(page, UNMAPPED_ZEROED);
			map_page(pte + nr++, first, page);
		}
		if (nr)
			clear_mapped(clear, nr);
		lazy_mmu_mode_resume();
		local_irq_restore(flags);
	}
}

/*
 * Access a part of a page the way clearing does: with interrupts off, through a
 * mapping that only this CPU has.
 */
static void copy_part(struct page *page, unsigned int offset, void *buf,
		      size_t len, bool write)
{
	void *addr = (void *)CLEAR_BASE + offset;
	struct mm_struct *prev;
	const struct clear_mm *clear;
	unsigned long flags;

	VM_WARN_ON_ONCE(offset + len > PAGE_SIZE);

	local_irq_save(flags);
	clear = this_cpu_ptr(&clear_mms);
	lazy_mmu_mode_pause();
	map_page(clear->pte, clear->first, page);
	prev = use_temporary_pgd(clear->mm->pgd);
	/* KASAN has no shadow for this address. */
	kasan_disable_current();
	if (write)
		memcpy(addr, buf, len);
	else
		memcpy(buf, addr, len);
	kasan_enable_current();
	unmap_pages(clear->mm, clear->pte, 1);
	unuse_temporary_pgd(prev);
	lazy_mmu_mode_resume();
	local_irq_restore(flags);
}

/**
 * unmapped_page_copy() - access a whole page the way clearing does
 * @page: a page that is not in the direct map.
 * @buf: PAGE_SIZE bytes that are in the direct map.
 * @write: copy @buf to @page, which only the tests do; else @page to @buf.
 *
 * Runs with interrupts off.
 *
 * Context: Any context except NMI.
 */
void unmapped_page_copy(struct page *page, void *buf, bool write)
{
	copy_part(page, 0, buf, PAGE_SIZE, write);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_page_copy);

void memcpy_from_unmapped_page(void *to, struct page *page, size_t offset,
			       size_t len)
{
	copy_part(page, offset, to, len, false);
}
EXPORT_SYMBOL_IF_KUNIT(memcpy_from_unmapped_page);

void memcpy_to_unmapped_page(struct page *page, size_t offset, const void *from,
			     size_t len)
{
	copy_part(page, offset, (void *)from, len, true);
}
EXPORT_SYMBOL_FOR_CONSUMERS(memcpy_to_unmapped_page);

#if IS_ENABLED(CONFIG_KUNIT)
/* The addresses where a CPU clears pages. Returns false if it has no mm. */
bool unmapped_clear_area(unsigned long *start, unsigned long *end,
			 unsigned int cpu, struct mm_struct **mm)
{
	*start = CLEAR_BASE;
	*end = CLEAR_BASE + UNMAPPED_BATCH * PAGE_SIZE;
	*mm = per_cpu_ptr(&clear_mms, cpu)->mm;
	return *mm;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_clear_area);

/* Is no page mapped where a CPU clears pages? */
bool unmapped_clear_area_empty(unsigned int cpu)
{
	const struct clear_mm *clear = per_cpu_ptr(&clear_mms, cpu);
	unsigned int i;

	for (i = 0; i < UNMAPPED_BATCH; i++)
		if (!pte_none(ptep_get(clear->pte + i)))
			return false;
	return true;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_clear_area_empty);
#endif
