/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM unmapped_alloc

#if !defined(_TRACE_UNMAPPED_ALLOC_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_UNMAPPED_ALLOC_H

#include <linux/mm.h>
#include <linux/tracepoint.h>
#include <linux/types.h>
#include <trace/events/mmflags.h>

/* Pages are handed out. */
TRACE_EVENT(unmapped_alloc,

	TP_PROTO(struct page *page, unsigned int order, gfp_t gfp_flags),

	TP_ARGS(page, order, gfp_flags),

	TP_STRUCT__entry(
		__field(unsigned long, pfn)
		__field(int, nid)
		__field(unsigned int, order)
		__field(unsigned long, gfp_flags)
	),

	TP_fast_assign(
		__entry->pfn = page_to_pfn(page);
		__entry->nid = page_to_nid(page);
		__entry->order = order;
		__entry->gfp_flags = (__force unsigned long)gfp_flags;
	),

	TP_printk("pfn=0x%lx nid=%d order=%u gfp_flags=%s",
		__entry->pfn, __entry->nid, __entry->order,
		show_gfp_flags(__entry->gfp_flags))
);

DECLARE_EVENT_CLASS(unmapped_chunk,

	TP_PROTO(struct page *page, unsigned int order),

	TP_ARGS(page, order),

	TP_STRUCT__entry(
		__field(unsigned long, pfn)
		__field(int, nid)
		__field(unsigned int, order)
	),

	TP_fast_assign(
		__entry->pfn = page_to_pfn(page);
		__entry->nid = page_to_nid(page);
		__entry->order = order;
	),

	TP_printk("pfn=0x%lx nid=%d order=%u",
		__entry->pfn, __entry->nid, __entry->order)
);

/* Pages come back from a consumer. */
DEFINE_EVENT(unmapped_chunk, unmapped_free,
	TP_PROTO(struct page *page, unsigned int order),
	TP_ARGS(page, order)
);

/* A block or fragment is taken from the page allocator, ... */
DEFINE_EVENT(unmapped_chunk, unmapped_refill,
	TP_PROTO(struct page *page, unsigned int order),
	TP_ARGS(page, order)
);

/* ... and given back to it. */
DEFINE_EVENT(unmapped_chunk, unmapped_release,
	TP_PROTO(struct page *page, unsigned int order),
	TP_ARGS(page, order)
);

/* A block becomes fragments, so that its free part can be released, ... */
DEFINE_EVENT(unmapped_chunk, unmapped_break,
	TP_PROTO(struct page *page, unsigned int order),
	TP_ARGS(page, order)
);

/* ... and is a block again, because all of its fragments are free. */
DEFINE_EVENT(unmapped_chunk, unmapped_heal,
	TP_PROTO(struct page *page, unsigned int order),
	TP_ARGS(page, order)
);

/* The hypervisor was told that a free chunk is free. */
DEFINE_EVENT(unmapped_chunk, unmapped_report,
	TP_PROTO(struct page *page, unsigned int order),
	TP_ARGS(page, order)
);

#endif /* _TRACE_UNMAPPED_ALLOC_H */

/* This part must be outside protection */
#include <trace/define_trace.h>
