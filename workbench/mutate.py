#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Take out of the allocator, one after the other, what keeps its promises, and
see that a test fails for each: a test that can't fail proves nothing.

Works in build/linux, which must have no unsaved edits, and leaves it as it was.
"""

import argparse
import subprocess
import sys
import time

import test
import vm
from common import LINUX, TOP, command, git_linux

# What is promised, the file, the text that keeps it (or several), what stands
# there instead, and the groups of tests of which one has to notice.
MUTATIONS = [
    ("no CPU has a stale translation", "mm/unmapped-direct-map.c",
     "\tflush_tlb_all();\n", "", "kunit"),
    ("what was mapped to be cleared is not mapped any more", "mm/unmapped-clear.c",
     "\tunmap_pages(clear->mm, clear->pte, nr);\n", "", "kunit"),
    ("a block in use stays whole when memory can't go offline", "mm/unmapped-isolate.c",
     "\t\tif (PageHWPoison(page + i)) {\n\t\t\tunmapped_zone", "\t\tif (1) {\n\t\t\tunmapped_zone", "kunit"),
    ("no other CPU finds a page that is being cleared", "mm/unmapped-clear.c",
     "\tmm = mm_alloc();\n", "\tmm = per_cpu(clear_mms, 0).mm ?: mm_alloc();\n", "kunit"),
    ("freed init memory has no other mapping", "arch/x86/mm/init.c",
     "\t    (cpu_feature_enabled(X86_FEATURE_PTI) ||\n\t     IS_ENABLED(CONFIG_UNMAPPED_ALLOC)))", "\t    cpu_feature_enabled(X86_FEATURE_PTI))", "kselftest"),
    ("a single page is zero when it is handed out", "mm/unmapped-pcp.c",
     "\t\tunmapped_clear_pages(pages, nr);\n", "\t\t;\n", "kunit"),
    ("a chunk is, too", "mm/unmapped-alloc.c",
     "\tif (!unmapped_page_zeroed(page))\n\t\tunmapped_clear_chunk(page, order);\n", "", "kunit"),
    ("those of a bulk request are", "mm/unmapped-alloc.c",
     "\tunmapped_clear_list(list);\n", "", "kunit"),
    ("what merges with pages that are not zero is not", "mm/unmapped-zone.c",
     "\t\tstate &= del_free_locked(uz, buddy);\n", "\t\tdel_free_locked(uz, buddy);\n", "kunit"),
    ("a block is not cleared as a whole", "mm/unmapped-refill.c",
     "\t\t       __GFP_COMP | __GFP_ACCOUNT | __GFP_NOFAIL | __GFP_ZERO |\n\t\t       __GFP_ZEROTAGS | __GFP_SKIP_ZERO | __GFP_SKIP_KASAN);",
     "\t\t       __GFP_COMP | __GFP_ACCOUNT | __GFP_NOFAIL |\n\t\t       __GFP_ZEROTAGS | __GFP_SKIP_ZERO | __GFP_SKIP_KASAN) | __GFP_ZERO;", "kunit"),
    ("a caller takes one block", "mm/unmapped-refill.c",
     "\tunmapped_demand_next(node);\n\treturn refill_locked(node, gfp, order, nodemask, nr);",
     "\treturn refill_locked(node, gfp, order, nodemask, unmapped_demand_next(node));", "kunit"),
    ("a caller that waits can be killed", "mm/unmapped-alloc.c",
     "\tif (mutex_lock_killable(&node->refill_lock))\n\t\treturn -EINTR;\n", "\tmutex_lock(&node->refill_lock);\n", "kunit"),
    ("no page misses the way back", "mm/page_alloc.c",
     "\tif (unlikely(pageblock_flags & UNMAPPED_PAGEBLOCK_MASK) &&", "\tif (0 &&", "kunit"),
    ("nor one of an order without lists per CPU", "mm/unmapped-owner.c",
     "\t\tWRITE_ONCE(unmapped_alloc_used, true);\n", "\t\t;\n", "kunit"),
    ("no reclaim for more than what is needed", "mm/unmapped-refill.c",
     "gfp &= ~(__GFP_RECLAIM | __GFP_RETRY_MAYFAIL | __GFP_HIGH);", "", "kunit"),
    ("the rest of a block can be used", "mm/unmapped-zone.c",
     "\tuz->count.cached += (1UL << from) - (1UL << order);\n", "", "kunit"),
    ("what can't be unmapped is mapped as before", "mm/unmapped-direct-map.c",
     "if (err && unmapped_set_direct_map(page, 1U << order, true))", "if (0)", "kunit"),
    ("what can't be mapped is unmapped as before", "mm/unmapped-direct-map.c",
     "if (unmapped_set_direct_map(page, 1U << order, false))", "if (0)", "kunit"),
    ("a single page is cleared when it is freed", "mm/unmapped-alloc.c",
     "\tunmapped_clear_pages(&page, 1);\n", "", "kunit"),
    ("a large chunk is cleared when it is freed", "mm/unmapped-alloc.c",
     "\tunmapped_clear_chunk(page, order);\n\tset_page_private(page, UNMAPPED_ZEROED);\n", "\tset_page_private(page, UNMAPPED_ZEROED);\n", "kunit"),
    ("a batch of folios is cleared when it is freed", "mm/unmapped-alloc.c",
     "\tunmapped_clear_list(batch);\n", "", "kunit"),
    ("freeing without locks is put off", "mm/unmapped-alloc.c",
     "if (unlikely(nolock))\n\t\tdefer_put", "if (0)\n\t\tdefer_put", "kunit"),
    ("a poisoned page is not handed out", "mm/unmapped-zone.c",
     "\t\tif (PageHWPoison(page + i))\n\t\t\treturn true;\n", "\t\t;\n", "kunit"),
    ("free buddies merge", "mm/unmapped-zone.c",
     "if (!PageUnmappedFree(buddy) || chunk_order(buddy) != order)", "if (1)", "kunit"),
    ("fragments become a block", "mm/unmapped-zone.c",
     "if (order == PMD_ORDER && kind == UNMAPPED_FRAGMENT) {", "if (0) {", "kunit"),
    ("whole blocks are used last", "mm/unmapped-zone.c",
     "take_kind_locked(uz, UNMAPPED_BLOCK, order, 0, PMD_ORDER - 1);\n\tif (!page)\n\t\tpage = take_kind",
     "take_kind_locked(uz, UNMAPPED_BLOCK, order, 0, PMD_ORDER);\n\tif (!page)\n\t\tpage = take_kind", "kunit"),
    ("a dead CPU's list is emptied", "mm/unmapped-alloc.c",
     "\t\t\tunmapped_pcp_drain_cpu(&unmapped_node(nid)->zones[i],\n\t\t\t\t\t       cpu);\n", "\t\t\t;\n", "kunit"),
    ("the shrinker can have the CPUs' lists", "mm/unmapped-pcp.c",
     "\tfor_each_possible_cpu(cpu)\n\t\tunmapped_pcp_drain_cpu(uz, cpu);\n", "\tcpu = 0;\n", "kunit"),
    ("one refill for all who wait", "mm/unmapped-alloc.c",
     "\t*page = take_zonelist(r, gfp & __GFP_THISNODE);\n", "\t*page = NULL;\n", "kunit"),
    ("several blocks under one flush when demand is high", "mm/unmapped-demand.c",
     "\tWRITE_ONCE(node->batch, batch);\n", "\tWRITE_ONCE(node->batch, 1);\n", "kunit"),
    ("a demand of long ago is none", "mm/unmapped-demand.c",
     "\tif (!is_recent(node))\n\t\treturn 0;\n", "", "kunit"),
    ("a batch splits no large chunk for its last pages", "mm/unmapped-zone.c",
     "\t\t\tif (got >= DIV_ROUND_UP(nr, 2))\n\t\t\t\tbreak;\n", "", "kunit"),
    ("a refill in the background", "mm/unmapped-refill.c",
     "\tif (below_low_water(node))\n\t\tqueue_work", "\tif (0)\n\t\tqueue_work", "kunit"),
    ("idle blocks go back", "mm/unmapped-release.c",
     "return unmapped_release_zone(uz, nr_idle << PMD_ORDER, UNMAPPED_BLOCKS);", "return 0;", "kunit"),
    ("a block that was given back is not idle", "mm/unmapped-zone.c",
     "&uz->count.transit, *order);\n\t\t\tnote_left_locked(uz);\n", "&uz->count.transit, *order);\n", "kunit"),
    ("__GFP_THISNODE and zones are followed", "mm/unmapped-alloc.c",
     "return gfp_zone(gfp & ~(__GFP_HIGHMEM | __GFP_MOVABLE));", "return ZONE_NORMAL;", "kunit"),
    ("the other pages of a fragment's area are not the allocator's", "mm/unmapped-alloc.h",
     "return fragments && test_bit(pfn % UNMAPPED_BLOCK_PAGES, fragments->owned);", "return fragments;", "kunit"),
    ("nor when the fragment is gone", "mm/unmapped-owner.c",
     "\tbitmap_clear(fragments->owned, area_offset(page), 1U << order);\n", "", "kunit"),
    ("memory that is hot-added makes no page look like another's", "mm/unmapped-owner.c",
     "\tstruct page *end = page + (1UL << order);\n\n\tfor (; page < end; page += pageblock_nr_pages) {",
     "\tstruct page *end = page + (1UL << order);\n\n\tend = min(end, page + zone_end_pfn(page_zone(page)) - min(page_to_pfn(page), zone_end_pfn(page_zone(page))));\n\tfor (; page < end; page += pageblock_nr_pages) {", "kunit"),
    ("a block in transit is not broken", "mm/unmapped-zone.c",
     ("\treturn PageUnmappedFree(page) && chunk_order(page) < PMD_ORDER &&\n\t       break_locked(uz, page);",
      "\t\tif (PageUnmappedFree(page) && break_at(uz, page)) {"),
     ("\treturn break_locked(uz, page);", "\t\tif (break_at(uz, page)) {"), "kunit"),
    ("nor is one broken twice", "mm/unmapped-zone.c",
     "\tif (unmapped_kind(page) == UNMAPPED_FRAGMENT)\n\t\treturn true;\n", "", "kunit"),
    ("what has become a block again is on its list", "mm/unmapped-zone.c",
     "\tif (chunk_list(page) == UNMAPPED_BLOCK &&\n\t    unmapped_kind(page) == UNMAPPED_FRAGMENT)\n", "\tif (chunk_list(page) == UNMAPPED_BLOCK)\n", "kunit"),
    ("free pages of an isolated pageblock are not handed out", "mm/unmapped-zone.c",
     "\t\tif (!page || likely(!chunk_isolated(page, order)))\n", "\t\tif (1)\n", "kunit"),
    ("a page of one that is freed is not, either", "mm/unmapped-alloc.c",
     "\tif (unlikely(flags & UNMAPPED_PAGEBLOCK_ISOLATED) || unlikely(order) ||", "\tif (unlikely(order) ||", "kunit"),
    ("nor one whose free had begun before", "mm/unmapped-pcp.c",
     "\tif (unlikely(has_isolated_pageblocks(zone))) {", "\tif (0) {", "kunit"),
    ("once all of it is free, it goes back", "mm/unmapped-zone.c",
     "\t\tunmapped_isolated_wake(unmapped_node(page_to_nid(page)));\n", "\t\t;\n", "kunit"),
    ("alloc_contig_range() gets what is in the cache", "mm/page_alloc.c",
     "\tunmapped_alloc_release_range(start, end);\n", "", "kunit"),
    ("a lost page does not come back", "mm/unmapped-zone.c",
     "\t\tset_page_count(page, 2);\n", "", "kunit"),
    ("what comes from the cache can be made to fail", "mm/unmapped-alloc.c",
     "\treturn !should_fail_pages(gfp, order);\n", "\treturn true;\n", "kunit"),
    ("each allocation is traced", "mm/unmapped-alloc.c",
     "\ttrace_mm_page_alloc(page, order, gfp, MIGRATE_UNMOVABLE);\n", "", "kunit"),
    ("entries are large again after fragments", "mm/unmapped-release.c",
     "\t\tunmapped_direct_map_collapse(r.page, r.nr);\n", "", "kselftest"),
    ("but not so large that a part can't be unplugged", "arch/x86/mm/pat/set_memory.c",
     "\tif (!is_boot_memory(pmd_pfn(first), PTRS_PER_PMD * PTRS_PER_PTE))\n\t\treturn 0;\n", "", "unplug"),
    ("also for what reclaim gave back", "mm/unmapped-direct-map.c",
     "\tqueue_work(system_dfl_wq, &collapse_work);\n", "", "kunit"),
    ("reclaim does not wait for init_mm's mmap_lock", "mm/unmapped-direct-map.c",
     "if (!(current->flags & PF_MEMALLOC)) {", "if (1) {", "kunit"),
    ("no image with the rest of a block that lost a page", "mm/unmapped-image.c",
     "\t\twhile (unmapped_zone_break_block(&node->zones[i], 1))", "\t\twhile (0)", "kunit"),
    ("nor offline memory with it", "mm/unmapped-isolate.c",
     "\t\teach_pageblock(range, PB_unmapped_block, break_poisoned_block);\n", "", "kunit"),
    ("new memory in the place of a bad page is not ours", "mm/unmapped-isolate.c",
     "\t\teach_pageblock(range, PB_unmapped_fragment, unmapped_forget);\n", "", "kunit"),
    ("broken blocks, before somebody is killed", "mm/unmapped-release.c",
     "\t\t\tfreed += break_blocks(&uz[i], min, nr_pages - freed);\n", "\t\t\t;\n", "kselftest"),
    ("the emptiest block is broken first", "mm/unmapped-zone.c",
     "\tif (nr_free > best->nr_free)\n", "\tif (!best->nr_free)\n", "kunit"),
    ("even at the end of a long list", "mm/unmapped-zone.c", "if (best.nr_free < min ||", "if (best.nr_free < BREAK_AT_ONCE ||", "kunit"),
    ("reclaim for a zone does not empty a higher one", "mm/unmapped-release.c",
     "\tfor (i = highest; i >= 0 && freed < nr_pages; i--)", "\tfor (i = UNMAPPED_NR_ZONES - 1; i >= 0 && freed < nr_pages; i--)", "kunit"),
    ("kswapd breaks a block, and leaves what will be needed", "mm/unmapped-release.c",
     "unmapped_release_zone(uz, ULONG_MAX, UNMAPPED_FRAGMENTS)", "unmapped_release_zone(uz, ULONG_MAX, ANY_KIND)", "kunit"),
    ("a block is only broken for a good part of it", "mm/unmapped-release.c",
     "unsigned int min = max(UNMAPPED_BLOCK_PAGES >> (DEF_PRIORITY + 2 - priority),\n\t\t\t       1UL);",
     "unsigned int min = 1;", "kunit"),
    ("no split for those who don't want it", "mm/unmapped-release.c", "if (!split || !is_worth", "if (!is_worth", "kunit"),
    ("nor for a system that has a page cache", "mm/unmapped-release.c",
     "if (!split || !is_worth_splits(nid, priority))", "if (!split)", "kunit"),
    ("MemAvailable has the rest of blocks", "mm/unmapped-release.c",
     "nr += nr_releasable(uz) + nr_free_of(uz, UNMAPPED_BLOCK);", "nr += nr_releasable(uz);", "kunit"),
    ("nothing is taken that can't be spared", "mm/unmapped-refill.c",
     "while (order > best && !unmapped_refill_can_spare", "while (0 && !unmapped_refill_can_spare", "kunit"),
    ("chunks of other types are left to others", "mm/unmapped-refill.c",
     "largest_free_order(zone, min, false)", "largest_free_order(zone, min, true)", "kunit"),
    ("what was looked for in vain is not looked for each time", "mm/unmapped-refill.c",
     "if (all && search_is_deferred(uz))", "if (0)", "kunit"),
    ("but soon again", "mm/unmapped-refill.c",
     "if (!left || time_after(jiffies, READ_ONCE(uz->searched) + HZ))", "if (!left)", "kunit"),
    ("no batch below the high watermark", "mm/unmapped-refill.c",
     "if ((got || order < 0) && !can_spare_block(gfp, nid, nodemask))", "if (0)", "kunit"),
    ("kswapd is not woken for more than was requested", "mm/unmapped-refill.c",
     "gfp &= ~(__GFP_RECLAIM |", "gfp &= ~(__GFP_DIRECT_RECLAIM |", "kunit"),
    ("per-CPU lists are a small part of memory", "mm/unmapped-pcp.c",
     "clamp(share, 1UL, UNMAPPED_PCP_BATCH)", "UNMAPPED_PCP_BATCH", "kunit"),
    ("who uses a CPU's list is not idle", "mm/unmapped-release.c",
     ("bool used = unmapped_pcp_drain_unused(uz);", "\tif (!used)\n\t\treturn unmapped_release_zone"),
     ("bool used = false;", "\tif (!used)\n\t\tunmapped_pcp_drain(uz);\n\tif (!used)\n\t\treturn unmapped_release_zone"),
     "kunit"),
    ("idle memory that is needed again is kept for longer", "mm/unmapped-demand.c",
     "\t\tadapt_idle_period(node);\n", "\t\t;\n", "kunit"),
    ("only entries of the allocator's areas become large", "mm/unmapped-direct-map.c",
     "|| !zone_spans_pfn(page_zone(page), *pfn) ||\n\t\t    !get_pfnblock_bit(page, *pfn, PB_unmapped_collapse))", ")", "kunit"),
    ("the cache is empty in a hibernation image", "kernel/power/snapshot.c",
     ("secretmem_image_check() ?: unmapped_image_prepare();\n", "back. */\n\terror = unmapped_image_prepare();\n"),
     ("secretmem_image_check();\n", "back. */\n\terror = 0;\n"), "kselftest"),
    ("hibernation is refused before the system is disturbed", "kernel/power/hibernate.c",
     "\terror = secretmem_image_check() ?: unmapped_image_check();\n", "\terror = 0;\n", "hibernate"),
    ("so do pages in use without the allocator", "mm/secretmem.c",
     "\tlong nr_pages = atomic_long_read(&secretmem_nr_pages);\n", "\tlong nr_pages = 0;\n", "hibernate"),
    ("they are no reason to hide hibernation", "kernel/power/hibernate.c",
     "\t\t!cxl_mem_active();\n", "\t\t!secretmem_active() && !cxl_mem_active();\n", "hibernate"),
    ("a descriptor without pages does not prevent hibernation", "mm/secretmem.c",
     "\tinode->i_size = 0;\n", "\tinode->i_size = 0;\n\tatomic_long_inc(&secretmem_nr_pages);\n", "hibernate"),
    ("no secret is written to disk", "mm/unmapped-image.c",
     ("\tif (nr_denied > 0) {", "\treturn count.owned == atomic_long_read(&nr_allowed) &&\n\t       !unmapped_refill_running() && !image_lacks_page();",
      "\tif (unmapped_image_allowed(page))\n"),
     ("\tif (0) {", "\treturn true;", "\tif (1)\n"), "hibernate"),
    ("even if others were to allow it", "mm/unmapped-image.c",
     "\tif (unmapped_image_allowed(page))\n", "\tif (1)\n", "kunit"),
    ("what may be in an image is", "mm/unmapped-image.c", "\tif (unmapped_image_allowed(page))\n", "\tif (0)\n", "kunit hibernate"),
    ("a snapshot changes no entry for it", "kernel/power/snapshot.c",
     "\t} else if (unmapped_page(s_page)) {\n", "\t} else if (0) {\n", "hibernate"),
    ("pages in use prevent hibernation", "mm/unmapped-image.c", "\tif (nr_denied > 0) {", "\tif (0) {", "hibernate"),
    ("the image's creation is the last moment at which they do", "mm/unmapped-image.c",
     "\treturn count.owned == atomic_long_read(&nr_allowed) &&\n", "\treturn\n", "kunit"),
    ("pages of a refill do, too", "mm/unmapped-image.c",
     "!unmapped_refill_running() && !image_lacks_page()", "!image_lacks_page()", "kunit"),
    ("an absent alias is not split", "arch/x86/mm/pat/set_memory.c",
     "\treturn !(pte_val(alias) & _PAGE_PRESENT) &&\n", "\treturn 0 &&\n", "kunit"),
    ("nothing is flushed for it", "arch/x86/mm/pat/set_memory.c",
     "\t\tcpa->force_flush_all |= alias_cpa.force_flush_all;\n\t\tif (ret)\n", "\t\tcpa->force_flush_all = 1;\n\t\tif (ret)\n", "kunit"),
    ("all is flushed for an alias that is present", "arch/x86/mm/pat/set_memory.c",
     "\t\tcpa->force_flush_all = 1;\n", "", "kunit"),
    ("/proc/kcore shows unmapped pages where they are mapped", "mm/vmalloc.c",
     "else if (PageHighMem(page) || kernel_page_present(page))\n", "else if (1)\n", "kcore"),
    ("memory can go offline", "mm/unmapped-isolate.c",
     "\t\tunmapped_alloc_drain(nid);\n\t\teach_pageblock(range, PB_unmapped_block, break_poisoned_block);\n"
     "\t\tunmapped_alloc_drain(nid);\n", "", "numa"),
    ("cpusets are followed", "mm/unmapped-alloc.c",
     ("r.nodemask = &cpuset_current_mems_allowed;", "!cpuset_zone_allowed(zone, r->gfp | __GFP_HARDWALL)"),
     (";", "0"), "numa"),
    ("the task's memory policy is followed", "mm/unmapped-alloc.c",
     "if (likely(!current->mempolicy) || in_interrupt() ||\n\t    (gfp & __GFP_THISNODE))", "if (1)", "numa"),
    ("the VMA's memory policy is followed", "mm/unmapped-alloc.c",
     "\tif (unlikely(vma->vm_policy) ||", "\tif (0 &&", "numa"),
    ("a mapped page is nobody else's", "mm/unmapped-vmap.c", "\tget_page(page);\n", "", "kunit"),
    ("many mappings are removed with one flush", "mm/unmapped-vmap.c",
     "\tif (nr == UNMAPPED_VMAP_BATCH)\n\t\tpurge_maps(UNMAPPED_VMAP_BATCH);\n", "\tif (nr)\n\t\tpurge_maps(1);\n", "kunit"),
    ("nor does moving the clock flush more often", "mm/unmapped-vmap.c",
     "\tif (nr == UNMAPPED_VMAP_BATCH)\n\t\tpurge_maps(UNMAPPED_VMAP_BATCH);\n", "\tif (nr)\n\t\tpurge_maps(1);\n", "kvm"),
    ("a page gets its mapping back", "mm/unmapped-vmap.c",
     "\t\tif (dropped.pages[i] != page)\n\t\t\tcontinue;\n", "\t\tcontinue;\n", "kunit"),
    ("a mapping that was dropped does not stay", "mm/unmapped-vmap.c",
     "\t\tqueue_delayed_work(system_dfl_wq, &purge_work,\n\t\t\t\t   UNMAPPED_VMAP_DELAY);\n", "\t\t;\n", "kunit"),
    ("mappings end with nested virtualization", "arch/x86/kvm/svm/nested.c",
     "\n\tkvm_gmem_vcpu_drop_maps(&svm->vcpu);\n", "", "kvm"),
    ("only shared memory is written", "virt/kvm/guest_memfd.c",
     "\tif (kvm_gmem_is_private_mem(inode, index))\n\t\treturn -EINVAL;\n", "", "kvm"),
    ("what a file gives up is cleared, whoever has it still", "mm/unmapped-alloc.c",
     "if (folio_ref_count(folio) > folio_nr_pages(folio) + 1)", "if (0)", "kunit"),
    ("secretmem does that", "mm/secretmem.c", "\t\tunmapped_free_folio(folio);\n", "\t\t;\n", "remains"),
    ("GUP leaves memory without direct map alone", "mm/gup.c",
     "if (vma_has_no_direct_map(vma))", "if (0)", "kvm"),
    ("secrets are such memory, and madvise() answers as before", "mm/secretmem.c",
     "\tmapping_set_no_direct_map(inode->i_mapping);\n", "", "answers"),
    ("fast GUP does, too", "mm/gup.c",
     "if (check_direct_map && mapping_no_direct_map(mapping))", "if (0)", "kvm"),
    ("the page cache of such a file is not read", "lib/buildid.c",
     "if (mapping_no_direct_map(r->file->f_mapping)) {", "if (0) {", "kvm"),
    ("pages that could not be added to a file are freed", "virt/kvm/guest_memfd.c",
     "\t\trelease_pages(pages + i + 1, nr - i - 1);\n", "\t\t;\n", "kvm"),
    ("a page that could not be added is, too", "virt/kvm/guest_memfd.c",
     "\tif (err)\n\t\tfolio_put(folio);\n\treturn err;\n", "\treturn err;\n", "kvm"),
    ("a hole invalidates KVM's own mappings", "virt/kvm/guest_memfd.c",
     "\tkvm_gmem_invalidate_pfncaches(f, start, end);\n\n", "", "kvm"),
    ("a mapping does not outlive its slot", "virt/kvm/pfncache.c",
     "if (gpc->uhva != old_uhva || old_vmapped ||\n", "if (gpc->uhva != old_uhva ||\n", "kvm"),
    ("kvm-clock finds memory without direct map", "virt/kvm/pfncache.c",
     "const bool vmapped = kvm_memslot_no_direct_map(gpc->memslot);", "const bool vmapped = false;", "guest"),
    ("a buffer that is ordinary memory is cleared", "kernel/dma/direct.c",
     "\t\tclear_highpage(page + i);\n", "\t\t;\n", "kunit"),
    ("a device's buffers are where it can access them", "kernel/dma/direct.c",
     "\tif (phys_limit < DMA_BIT_MASK(32))\n\t\treturn NULL;\n", "", "kunit"),
    ("no memory is reclaimed for a hint", "kernel/dma/unmapped.c",
     "unmapped_pages_alloc_spare(gfp, order, dev_to_node(dev))", "unmapped_pages_alloc_node(gfp, order, dev_to_node(dev))", "kunit"),
    ("what is required is refused if it can't be", "kernel/dma/unmapped.c",
     "\treturn !is_required(attrs);\n", "\treturn true;\n", "kunit"),
    ("what is required to be unmapped is in no image", "kernel/dma/unmapped.c",
     "\tif (!is_required(attrs))\n\t\tunmapped_image_allow(page, order);\n", "\tunmapped_image_allow(page, order);\n", "kunit"),
    ("a reference keeps all of a buffer", "kernel/dma/unmapped.c",
     "unmapped_gfp(gfp, attrs) | __GFP_COMP;", "unmapped_gfp(gfp, attrs);", "kunit"),
    ("a mapping of a buffer holds references", "kernel/dma/direct.c",
     "if (pfn_valid(pfn) && unmapped_page(pfn_to_page(pfn)))", "if (0)", "dma"),
    ("fast GUP refuses large buffers", "mm/gup.c",
     "\tif (!reject_file_backed && !check_direct_map)\n", "\tif (!reject_file_backed && folio_test_large(folio))\n", "dma"),
    ("and large folios of files", "mm/gup.c",
     "\tif (!reject_file_backed && !check_direct_map)\n",
     "\tif (!reject_file_backed && folio_test_large(folio) && READ_ONCE(folio->mapping))\n", "kselftest"),
    ("a secret has large folios only where it is asked for", "mm/secretmem.c",
     "\treturn (vma->vm_flags & VM_HUGEPAGE) && unmapped_alloc_available() &&\n", "\treturn unmapped_alloc_available() &&\n", "kselftest"),
    ("none is beyond the end of the file", "mm/secretmem.c",
     "index + HPAGE_PMD_NR <= DIV_ROUND_UP(i_size_read(inode),\n\t\t\t\t\t\t    PAGE_SIZE);", "inode;", "kselftest"),
    ("all of a large folio is counted", "mm/secretmem.c",
     "\tthis_cpu_add(nr_resident, HPAGE_PMD_NR);\n", "\tthis_cpu_inc(nr_resident);\n", "kselftest"),
    ("and is charged to RLIMIT_MEMLOCK", "mm/secretmem.c",
     "\tif (!__secretmem_account_pages(state->user, HPAGE_PMD_NR))\n\t\tgoto fallback;\n", "", "kselftest"),
    ("a poisoned page is not mapped with its folio", "mm/memory.c",
     "PTRS_PER_PTE ||\n\t\t\t    folio_test_has_hwpoisoned(folio))) {", "PTRS_PER_PTE)) {", "kselftest"),
    ("KVM does not map buffers", "virt/kvm/pfncache.c",
     "\t\tif (!is_error_noslot_pfn(pfn) && unmapped_pfn(pfn)) {\n", "\t\tif (0) {\n", "dma"),
    ("GUP refuses buffers", "kernel/dma/unmapped.c", "VM_IO | VM_MIXEDMAP", "VM_MIXEDMAP", "dma"),
    ("buffers are not copied on write", "kernel/dma/unmapped.c",
     "\tif (vma_is_cow_mapping(vma))\n\t\treturn -EINVAL;\n", "", "dma"),
    ("an IOMMU's buffers are unmapped", "drivers/iommu/dma-iommu.c",
     "\tif (attrs & DMA_ATTR_NO_KERNEL_MAPPING) {\n\t\tpages =", "\tif (0) {\n\t\tpages =", "dma"),
    ("bounce buffers are copied", "kernel/dma/swiotlb.c",
     "} else if (unmapped_alloc_available()) {", "} else if (0) {", "dma"),
    ("the CPU does not read a scatterlist of such pages", "lib/scatterlist.c",
     "if (unlikely(unmapped_page(miter->page))) {", "if (0) {", "dma"),
    ("__GFP_ACCOUNT is charged", "mm/unmapped-alloc.c",
     "if (unlikely(gfp & __GFP_ACCOUNT) &&", "if (0 &&", "torture"),
    ("text splits nothing where the direct map is split already", "mm/execmem-unmapped.c",
     "\tif (got < nr && unmapped_refill_split(TEXT_GFP, nr - got))\n\t\tgot += get_cached(b->pages + got, nr - got);\n",
     "", "kunit"),
    ("only there", "mm/unmapped-split.c",
     "\t\tif (page && is_split(page))\n", "\t\tif (page)\n", "kunit"),
    ("no image lacks a page that belongs there", "mm/unmapped-image.c",
     "\t\tif (PageHWPoison(page) && unmapped_page(page) &&", "\t\tif (0 && unmapped_page(page) &&", "kunit"),
    ("programs of BPF share blocks with modules", "kernel/bpf/core.c",
     "#define BPF_PROG_PACK_SIZE_ROX SZ_64K", "#define BPF_PROG_PACK_SIZE_ROX SZ_2M", "text"),
    ("a free page is charged to the cache", "mm/unmapped-alloc.c",
     "\tunmapped_tag_free(page, order);\n}", "}", "tags"),
    ("a page in use is charged to its consumer", "mm/unmapped-alloc.c",
     "\tunmapped_tag_used(page, order);\n", "", "tags"),
    ("each page of a free chunk is charged", "mm/unmapped-tag.c",
     "\tfor (i = 1; i < 1UL << order; i++)\n\t\tif (pgalloc_tag_move(page + i, 1, tag, 1))\n\t\t\tnr--;\n", "\t(void)i;\n", "tags"),
    ("a reference of its own is not charged twice", "mm/unmapped-tag.c",
     "\t\tif (pgalloc_tag_move(page + i, 1, tag, 1))\n\t\t\tnr--;\n", "\t\tpgalloc_tag_move(page + i, 1, tag, 1);\n", "tags"),
    ("a chunk in use has one reference", "mm/unmapped-tag.c",
     "\tfor (i = 1; i < 1UL << order; i++)\n\t\tpgalloc_tag_move(page + i, 1, NULL, 0);\n", "\t(void)i;\n", "tags"),
    ("nothing is charged for what was given back while profiling was off", "mm/unmapped-tag.c",
     "\telse if (!mem_alloc_profiling_permanently_disabled())\n", "\telse if (0)\n", "tags"),
    ("text in use is not shown as free", "mm/unmapped-show.c",
     "\treturn page_ref_count(compound_head(page)) ||\n\t       unmapped_image_allowed(page);\n",
     "\treturn page_ref_count(compound_head(page));\n", "kunit"),
    ("a lost page is not charged", "mm/unmapped-zone.c",
     "\t\tunmapped_tag_lose(page, 0);\n", "", "tags"),
    ("nor is a lost block", "mm/unmapped-release.c",
     "\t\tunmapped_tag_lose(page, *order);\n", "", "tags"),
    ("a page without a tag is not uncharged", "mm/alloc_tag.c",
     "\tbool charged = ref->ct && !is_codetag_empty(ref);\n\n", "\tbool charged = true;\n\n\tif (!ref->ct && tag)\n\t\tref->ct = &tag->ct;\n", "tags"),
    ("what is given back is uncharged", "mm/unmapped-tag.c",
     "\t\tcharge_chunk(page, order, unmapped_cache());\n", "\t\t;\n", "tags"),
    ("the node's counter has all of the memory", "mm/unmapped-zone.c",
     "\tmod_node_page_state(NODE_DATA(uz->nid), NR_NO_DIRECT_MAP, nr_pages);\n", "", "kunit"),
    ("blocks that heal are counted", "mm/unmapped-zone.c",
     "\t\tcount_vm_event(UNMAPPED_HEAL);\n", "", "kunit"),
    ("secret memory is counted", "mm/secretmem.c",
     "\t\tthis_cpu_inc(nr_resident);\n", "", "kselftest"),
    ("free pages are told from used ones", "fs/proc/page.c",
     "\tif (unmapped_page_used(page))\n", "\tif (0)\n", "kselftest"),
    ("what was reported is not zero any more", "mm/unmapped-zone.c",
     "put_free_locked(uz, page, order, reported ? UNMAPPED_REPORTED : 0);",
     "put_free_locked(uz, page, order, UNMAPPED_ZEROED);", "kunit reported"),
    ("nothing is reported twice", "mm/unmapped-zone.c",
     "put_free_locked(uz, page, order, reported ? UNMAPPED_REPORTED : 0);",
     "put_free_locked(uz, page, order, 0);", "kunit"),
    ("what was not reported is reported again", "mm/unmapped-zone.c",
     "put_free_locked(uz, page, order, reported ? UNMAPPED_REPORTED : 0);",
     "put_free_locked(uz, page, order, UNMAPPED_REPORTED);", "kunit"),
    ("the rest of a chunk that was reported is, too", "mm/unmapped-zone.c",
     "\t\tsplit_chunk_locked(uz, page, o, order, kind, state);\n",
     "\t\tsplit_chunk_locked(uz, page, o, order, kind, state & UNMAPPED_ZEROED);\n", "kunit"),
    ("the host hears of small chunks", "mm/unmapped-report.c",
     "unsigned int min = quiet ? 0 : min_t(", "unsigned int min = min_t(", "kunit"),
    ("but not while memory is being allocated", "mm/unmapped-report.c",
     "unsigned int min = quiet ? 0 : min_t(", "unsigned int min = 1 ? 0 : min_t(", "kunit"),
    ("a part of the cache is left to callers that can't wait", "mm/unmapped-report.c",
     "} while (offset && nr < max);", "} while (offset);", "kunit"),
    ("who empties the cache waits for a report", "mm/unmapped-report.c",
     "\twait_event(node->report_wait, !READ_ONCE(node->reporting));\n", "", "kunit"),
    ("and no other begins", "mm/unmapped-report.c",
     "\tif (node->nr_report_pauses)\n\t\treturn false;\n", "", "kunit"),
    ("reclaim waits for a report before a process is killed", "mm/unmapped-release.c",
     "\tfreed += release_reported(nid, highest, nr_pages - min(nr_pages, freed),\n\t\t\t\t  priority);\n", "", "kunit"),
    ("no device gets pages that it might access", "mm/unmapped-report.c",
     "!prdev->no_access ||", "0 ||", "kunit"),
    ("isolated memory is not reported", "mm/unmapped-zone.c",
     "\t\tif (!(page_private(page) & UNMAPPED_REPORTED) &&\n\t\t    !chunk_isolated(page, order))\n",
     "\t\tif (!(page_private(page) & UNMAPPED_REPORTED))\n", "kunit"),
    ("a poisoned page is not reported", "mm/unmapped-zone.c",
     "\t\t\tif (likely(!chunk_poisoned(page, o)))\n", "\t\t\tif (1)\n", "kunit"),
    ("a block that gets whole is reported", "mm/unmapped-zone.c",
     "\t\tunmapped_report_notify(unmapped_node(uz->nid));\n", "\t\t;\n", "kunit"),
    ("so is what is smaller, a moment later", "mm/unmapped-report.c",
     "\t\t\tunmapped_report_notify(node);\n", "\t\t\t;\n", "kunit"),
    ("reporting knows the cache", "mm/page_reporting.c",
     "\tif (!err && unmapped_alloc_report(prdev, sgl) > 0)\n", "\tif (0)\n", "kunit"),
    ("what is free in partly used blocks is the host's", "drivers/virtio/virtio_balloon.c",
     "virtio_has_dma_quirk(vdev) &&", "0 &&", "reported"),
]


def builds():
    return all(command(TOP / "workbench/bin" / step, "plain")[0] for step in ("kernel", "image"))


def fails(groups):
    """Run the groups; returns what failed, or nothing."""
    failed, suite = [], test.Suite("plain")
    for group in groups.split():
        try:
            failed += [name for name, verdict, _ in test.GROUPS[group](suite) if verdict == test.FAILED]
        except vm.VMError as error:
            failed.append(f"{group}: {str(error).splitlines()[0]}")
        if failed:
            break
    return failed


def edits(old, new):
    """Pairs of what is there and what is to stand there."""
    return list(zip(old, new)) if isinstance(old, tuple) else [(old, new)]


def stale():
    """What can't be taken out any more, because the code has changed: a line each."""
    return [f"{name}: {file} has {count} times {before.strip()!r}"
            for name, file, old, new, _ in MUTATIONS for before, _ in edits(old, new)
            if (count := (LINUX / file).read_text().count(before)) != 1]


def mutate(name, file, old, new, groups):
    """Returns True if a test noticed."""
    path = LINUX / file
    text = mutated = path.read_text()
    for before, after in edits(old, new):
        mutated = mutated.replace(before, after)
    start = time.monotonic()
    path.write_text(mutated)
    try:
        if not builds():
            print(f"stale   {name}: does not build, see build/log/kernel-plain.log", flush=True)
            return False
        failed = fails(groups)
    finally:
        path.write_text(text)
    verdict = f"{len(failed)} failed, {failed[0]}" if failed else f"nobody of {groups} noticed"
    print(f"{'caught' if failed else 'MISSED':8}{name}: {verdict} ({time.monotonic() - start:.0f} s)", flush=True)
    return bool(failed)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="only the promises with one of these words")
    wanted = parser.parse_args().words
    chosen = [m for m in MUTATIONS if not wanted or any(word in m[0] for word in wanted)]
    if not chosen:
        sys.exit("mutate: error: no promise has these words; there are:\n" + "\n".join(m[0] for m in MUTATIONS))
    if git_linux("status", "--porcelain"):
        sys.exit("mutate: error: build/linux has edits that are not committed")
    if old := stale():
        sys.exit("mutate: error: the code has changed, mend MUTATIONS first:\n" + "\n".join(old))
    print(f"{len(chosen)} mutations, about a minute each", flush=True)
    caught = sum(mutate(*mutation) for mutation in chosen)
    print(f"{caught} caught, {len(chosen) - caught} not")
    subprocess.run([TOP / "workbench/bin/kernel", "plain"], check=False)
    sys.exit(caught != len(chosen))


if __name__ == "__main__":
    main()
