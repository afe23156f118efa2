// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: a mapping of one page for one CPU.
 *
 * Pages outside of the direct map must be cleared when they are freed, and
 * that happens wherever the last reference is dropped: in softirq or hardirq
 * context, with interrupts off, with any lock held. So the mapping can't
 * allocate, can't sleep and can't ask other CPUs for anything.
 *
 * Each possible CPU has one page of kernel address space, its window, whose
 * page table exists since boot. The CPU maps a page there with interrupts off,
 * does its work, unmaps it and flushes its own TLB. No flush of other CPUs is
 * needed: they never access an address in this CPU's window. They might fill a
 * TLB entry for it speculatively while a page is mapped; nothing
 * architectural ever uses such an entry.
 *
 * kmap_local_page() does not serve: without HIGHMEM it returns the address in
 * the direct map.
 */

#include <linux/cpumask.h>
#include <linux/highmem.h>
#include <linux/irqflags.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/pgtable.h>
#include <linux/unmapped_alloc.h>
#include <linux/vmalloc.h>

#include <kunit/visibility.h>

#include <asm/tlbflush.h>

#include "unmapped-alloc.h"

/**
 * struct unmapped_window - where a CPU maps a page
 * @addr: the address.
 * @pte: the page table entry of @addr. Only written by its own CPU, with
 *	interrupts off.
 *	Invariant: none, and not in this CPU's TLB, while interrupts are on.
 * @first: what is written there for the page with number 0, so that nothing
 *	but the number has to be added for others.
 */
struct unmapped_window {
	unsigned long addr;
	pte_t *pte;
	pte_t first;
};

static DEFINE_PER_CPU(struct unmapped_window, unmapped_windows);

/*
 * Distance of two windows: their page table entries are in different cache
 * lines, so that CPUs clearing pages at the same time don't disturb each other.
 */
#define WINDOW_STRIDE	(SMP_CACHE_BYTES / sizeof(pte_t) * PAGE_SIZE)

static int __init find_pte(pte_t *pte, unsigned long addr, void *start)
{
	unsigned long offset = addr - (unsigned long)start;
	unsigned int cpu = offset / WINDOW_STRIDE;
	struct unmapped_window *window;

	if (offset % WINDOW_STRIDE || !cpu_possible(cpu))
		return 0;

	window = per_cpu_ptr(&unmapped_windows, cpu);
	window->addr = addr;
	window->pte = pte;
	window->first = pfn_pte(0, PAGE_KERNEL);
	return 0;
}

/**
 * unmapped_window_init() - make the windows of all possible CPUs
 *
 * Return: 0 or -ENOMEM.
 */
int __init unmapped_window_init(void)
{
	unsigned long size = nr_cpu_ids * WINDOW_STRIDE;
	struct vm_struct *area;
	int err;

	/* Sparse: readers of /proc/kcore see zeroes here. */
	area = get_vm_area(size, VM_SPARSE);
	if (!area)
		return -ENOMEM;

	err = apply_to_page_range(&init_mm, (unsigned long)area->addr, size,
				  find_pte, area->addr);
	if (err)
		free_vm_area(area);
	return err;
}

static __always_inline void *window_map(struct unmapped_window *window,
					const struct page *page)
{
	lockdep_assert_irqs_disabled();
	VM_WARN_ON_ONCE(!pte_none(ptep_get(window->pte)));

	/* The entry must be seen by the MMU now, not when a batch ends. */
	lazy_mmu_mode_pause();
	set_pte(window->pte, pte_advance_pfn(window->first, page_to_pfn(page)));
	return (void *)window->addr;
}

static __always_inline void window_unmap(struct unmapped_window *window)
{
	lockdep_assert_irqs_disabled();

	pte_clear(&init_mm, window->addr, window->pte);
	local_flush_tlb_kernel_page(window->addr);
	lazy_mmu_mode_resume();
}

void *unmapped_page_map(struct page *page)
{
	return window_map(this_cpu_ptr(&unmapped_windows), page);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_page_map);

void unmapped_page_unmap(void)
{
	window_unmap(this_cpu_ptr(&unmapped_windows));
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_page_unmap);

void *unmapped_page_vmap(struct page *page)
{
	/* Sparse: see unmapped_window_init(). */
	struct vm_struct *area = get_vm_area(PAGE_SIZE, VM_SPARSE);
	unsigned long addr;

	if (!area)
		return NULL;

	addr = (unsigned long)area->addr;
	if (vm_area_map_pages(area, addr, addr + PAGE_SIZE, &page)) {
		free_vm_area(area);
		return NULL;
	}
	get_page(page);
	return area->addr;
}
EXPORT_SYMBOL_FOR_CONSUMERS(unmapped_page_vmap);

void unmapped_page_vunmap(const void *addr)
{
	struct vm_struct *area = find_vm_area(addr);
	struct page *page = vmalloc_to_page(addr);
	unsigned long start = (unsigned long)addr;

	/* Unlike vunmap(), this does not put the flush off. */
	vm_area_unmap_pages(area, start, start + PAGE_SIZE);
	free_vm_area(area);
	put_page(page);
}
EXPORT_SYMBOL_FOR_CONSUMERS(unmapped_page_vunmap);

/**
 * unmapped_clear_page() - clear a page that is not in the direct map
 * @page: the page.
 *
 * Context: Interrupts off.
 */
void unmapped_clear_page(struct page *page)
{
	struct unmapped_window *window = this_cpu_ptr(&unmapped_windows);

	clear_page(window_map(window, page));
	window_unmap(window);
}
