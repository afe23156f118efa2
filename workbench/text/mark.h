/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the text of the generated modules is made of: units of 512 bytes, each of
 * which begins with a mark. The mark is code,
 *
 *	movabs $(start + MARK_1), %rax		48 b8 and 8 bytes
 *	movabs $(start + MARK_2), %rax
 *	movabs $(start + MARK_3), %rax
 *
 * so it is made when the module is relocated: neither the module's file nor a
 * copy of that has one. Where start is in memory differs, the differences of the
 * three numbers do not.
 */
#ifndef TEXT_MARK_H
#define TEXT_MARK_H

#define MARK_UNIT	512
#define MARK_SIZE	30
#define MARK_OPCODE	0xb848
#define MARK_1		0x1d0f2b4
#define MARK_2		0x6c5a3978
#define MARK_3		0x3b92e6d1
#define MARK_NOP	0x90

/* Units in a module of so many KiB: the rest of it is what modules have anyway. */
#define MARK_UNITS(kib)	(2 * (kib) - 2)

struct text_mark {
	unsigned short opcode_1;
	unsigned long long number_1;
	unsigned short opcode_2;
	unsigned long long number_2;
	unsigned short opcode_3;
	unsigned long long number_3;
} __attribute__((packed));

static inline int is_text_mark(const struct text_mark *mark)
{
	return mark->opcode_1 == MARK_OPCODE && mark->opcode_2 == MARK_OPCODE &&
	       mark->opcode_3 == MARK_OPCODE &&
	       mark->number_2 - mark->number_1 == MARK_2 - MARK_1 &&
	       mark->number_3 - mark->number_1 == MARK_3 - MARK_1;
}

#endif /* TEXT_MARK_H */
