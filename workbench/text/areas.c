// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every executable page of the range for modules, which has all that execmem
 * hands out and all that its cache keeps: how it is mapped there, and whether it
 * is in the direct map, too. To be read while nobody loads or unloads anything:
 * the page tables are walked without a lock.
 */

#include <linux/debugfs.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched.h>
#include <linux/seq_file.h>

#include "check.h"

struct areas {
	unsigned long executable;	/* pages */
	unsigned long large;		/* of them, by entries of 2 MiB */
	unsigned long writable;
	unsigned long aliased;		/* in the direct map, too */
	unsigned long alias_writable;
};

/* How an address is mapped; all levels have their say. */
struct mapping {
	unsigned long pfn, pages;
	bool present, writable, executable;
};

static struct mapping look_up(unsigned long addr)
{
	/* Without a table, nothing is mapped up to the end of these 2 MiB at least. */
	struct mapping map = { .pages = (PMD_SIZE - (addr & ~PMD_MASK)) >> PAGE_SHIFT };
	unsigned int level;
	pte_t *pte = lookup_address(addr, &level);
	pte_t entry;

	if (!pte)
		return map;
	entry = READ_ONCE(*pte);
	map.pages = (page_level_size(level) - (addr & ~page_level_mask(level))) >> PAGE_SHIFT;
	map.present = pte_flags(entry) & _PAGE_PRESENT;
	map.writable = pte_flags(entry) & _PAGE_RW;
	map.executable = !(pte_flags(entry) & _PAGE_NX);
	map.pfn = (level == PG_LEVEL_4K ? pte_pfn(entry) : pmd_pfn(__pmd(pte_val(entry)))) +
		  ((addr & ~page_level_mask(level)) >> PAGE_SHIFT);
	return map;
}

static void count_page(struct areas *areas, const struct mapping *map, unsigned long pfn)
{
	struct mapping alias = look_up((unsigned long)__va(PFN_PHYS(pfn)));

	areas->executable++;
	areas->writable += map->writable;
	areas->aliased += alias.present;
	areas->alias_writable += alias.present && alias.writable;
}

static int areas_show(struct seq_file *m, void *v)
{
	unsigned long addr = MODULES_VADDR, i;
	struct areas areas = {};
	struct mapping map;

	for (; addr < MODULES_END; addr += map.pages << PAGE_SHIFT) {
		map = look_up(addr);
		cond_resched();
		if (!map.present || !map.executable)
			continue;
		for (i = 0; i < map.pages; i++)
			count_page(&areas, &map, map.pfn + i);
		if (map.pages > 1)
			areas.large += map.pages;
	}
	seq_printf(m, "executable %lu\nlarge %lu\nwritable %lu\naliased %lu\nalias_writable %lu\n",
		   areas.executable, areas.large, areas.writable, areas.aliased,
		   areas.alias_writable);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(areas);

void areas_init(struct dentry *dir)
{
	debugfs_create_file("areas", 0400, dir, NULL, &areas_fops);
}
