// SPDX-License-Identifier: GPL-2.0-only
/*
 * unmapped-info: who holds memory that is absent from the kernel's direct map,
 * how much of it is free, and what state the direct map is in.
 *
 * Reads /proc/meminfo and /proc/vmstat; and, if they are there and may be read,
 * /sys/kernel/debug/unmapped_alloc for the consumers, and /proc/allocinfo for
 * the call sites. See Documentation/admin-guide/mm/unmapped_alloc.rst.
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEMINFO		"/proc/meminfo"
#define VMSTAT		"/proc/vmstat"
#define ALLOCINFO	"/proc/allocinfo"
#define DEBUGFS		"/sys/kernel/debug/unmapped_alloc"
#define DMA_DEBUGFS	"/sys/kernel/debug/dma_unmapped"

#define MAX_ITEMS	64
#define MAX_NAME	128

/* A name and its value, and a second one for call sites. */
struct item {
	char name[MAX_NAME];
	long long value;
	long long calls;
};

/* What a group of items is called, in text and in JSON, and its unit. */
struct group {
	const char *title;
	const char *key;
	const char *unit;
	int nr;
	struct item item[MAX_ITEMS];
};

enum { MEMORY, DIRECT_MAP, CONSUMERS, SITES, EVENTS, NR_GROUPS };

static struct group groups[NR_GROUPS] = {
	[MEMORY]	= { "Memory", "memory", "kB", 0, {} },
	[DIRECT_MAP]	= { "Direct map", "direct_map", "", 0, {} },
	[CONSUMERS]	= { "In use, by consumer", "consumers", "kB", 0, {} },
	[SITES]		= { "Charged in allocinfo, by call site", "call_sites",
			    "bytes", 0, {} },
	[EVENTS]	= { "Events since boot", "events", "", 0, {} },
};

static struct item *add(int group, const char *name, long long value)
{
	struct group *g = &groups[group];
	struct item *item;

	if (g->nr == MAX_ITEMS)
		return NULL;
	item = &g->item[g->nr++];
	snprintf(item->name, sizeof(item->name), "%s", name);
	item->value = value;
	item->calls = -1;
	return item;
}

static bool starts_with(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

/* Call @line for each line of a file. Returns false if it can't be read. */
static bool each_line(const char *file, void (*line)(char *text))
{
	FILE *f = fopen(file, "r");
	char *text = NULL;
	size_t size = 0;

	if (!f)
		return false;
	while (getline(&text, &size, f) > 0)
		line(text);
	free(text);
	fclose(f);
	return true;
}

static void meminfo_line(char *text)
{
	char name[MAX_NAME];
	long long value;

	if (sscanf(text, "%127[^:]: %lld", name, &value) != 2)
		return;
	if (starts_with(name, "NoDirectMap") || !strcmp(name, "SecretMem") ||
	    !strcmp(name, "MemAvailable"))
		add(MEMORY, name, value);
	else if (starts_with(name, "DirectMap"))
		add(DIRECT_MAP, name, value);
}

static void vmstat_line(char *text)
{
	char name[MAX_NAME];
	long long value;

	if (sscanf(text, "%127s %lld", name, &value) != 2)
		return;
	if (starts_with(name, "direct_map_"))
		add(DIRECT_MAP, name, value);
	else if (starts_with(name, "unmapped_"))
		add(EVENTS, name, value);
}

/* The section of the debugfs file that lists consumers, a line each, in pages. */
static void debugfs_line(char *text)
{
	static bool in_section;
	char name[MAX_NAME];
	long long pages;

	if (starts_with(text, "Block order:"))
		in_section = false;
	if (starts_with(text, "Pages in use by consumer"))
		in_section = true;
	else if (text[0] == '\n')
		in_section = false;
	else if (in_section && sscanf(text, "%127s %lld", name, &pages) == 2)
		add(CONSUMERS, name, pages * (sysconf(_SC_PAGESIZE) / 1024));
}

/* Buffers that could not be had, or not without the direct map. */
static void dma_line(char *text)
{
	char name[MAX_NAME - sizeof("dma_")], full[MAX_NAME];
	long long value;

	if (sscanf(text, "%100s %lld", name, &value) != 2 ||
	    !strcmp(name, "pages"))
		return;
	snprintf(full, sizeof(full), "dma_%s", name);
	add(EVENTS, full, value);
}

/*
 * allocinfo does not say which pages are unmapped: show the call sites in files
 * of the allocator and of its users.
 */
static bool is_user(const char *site)
{
	static const char * const files[] = {
		"mm/unmapped-tag.c:", "mm/secretmem.c:",
		"virt/kvm/guest_memfd.c:", "mm/execmem-unmapped.c:",
		"kernel/dma/unmapped.c:", NULL
	};
	int i;

	for (i = 0; files[i]; i++)
		if (strstr(site, files[i]))
			return true;
	return false;
}

static void allocinfo_line(char *text)
{
	long long bytes, calls;
	struct item *item;
	int at;

	if (sscanf(text, "%lld %lld %n", &bytes, &calls, &at) != 2)
		return;
	text[at + strcspn(text + at, "\n")] = 0;
	while (at < (int)strlen(text) && text[strlen(text) - 1] == ' ')
		text[strlen(text) - 1] = 0;
	if (!bytes || !is_user(text + at))
		return;
	item = add(SITES, text + at, bytes);
	if (item)
		item->calls = calls;
}

/* Returns what is wrong, NULL if nothing is. */
static const char *collect(void)
{
	int i;

	for (i = 0; i < NR_GROUPS; i++)
		groups[i].nr = 0;
	if (!each_line(MEMINFO, meminfo_line) || !each_line(VMSTAT, vmstat_line))
		return strerror(errno);
	for (i = 0; i < groups[MEMORY].nr; i++)
		if (starts_with(groups[MEMORY].item[i].name, "NoDirectMap"))
			break;
	if (i == groups[MEMORY].nr)
		return "the kernel has no unmapped page allocator";
	/* Only root may read these, and the kernel may be without. */
	each_line(DEBUGFS, debugfs_line);
	each_line(DMA_DEBUGFS, dma_line);
	each_line(ALLOCINFO, allocinfo_line);
	return NULL;
}

static void print_text(void)
{
	int i, j;

	for (i = 0; i < NR_GROUPS; i++) {
		const struct group *g = &groups[i];

		if (!g->nr)
			continue;
		printf("%s%s\n", i ? "\n" : "", g->title);
		for (j = 0; j < g->nr; j++) {
			const struct item *item = &g->item[j];
			const char *unit = g->unit;

			if (starts_with(item->name, "DirectMap"))
				unit = "kB";
			printf("  %12lld %-5s %s", item->value, unit, item->name);
			if (item->calls >= 0)
				printf(" (%lld calls)", item->calls);
			putchar('\n');
		}
	}
}

static void print_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('"');
}

static void print_json_item(const struct item *item)
{
	if (item->calls < 0) {
		print_string(item->name);
		printf(": %lld", item->value);
		return;
	}
	/* A line of a source file may have several call sites. */
	printf("{\"site\": ");
	print_string(item->name);
	printf(", \"bytes\": %lld, \"calls\": %lld}", item->value, item->calls);
}

/*
 * An object for each group, and an array for the call sites; sizes are in the
 * unit that the kernel uses.
 */
static void print_json(void)
{
	int i, j;

	putchar('{');
	for (i = 0; i < NR_GROUPS; i++) {
		const struct group *g = &groups[i];

		printf("%s\"%s\": %c", i ? ", " : "", g->key,
		       i == SITES ? '[' : '{');
		for (j = 0; j < g->nr; j++) {
			printf("%s", j ? ", " : "");
			print_json_item(&g->item[j]);
		}
		putchar(i == SITES ? ']' : '}');
	}
	puts("}");
}

static void usage(FILE *out)
{
	fputs("unmapped-info [options]\n"
	      "  Shows memory that is absent from the kernel's direct map.\n"
	      "            -j|--json             as JSON, an object in one line\n"
	      "            -w|--watch [SECONDS]  again and again; default 1 second\n"
	      "            -h|--help             show this text\n"
	      "Sizes are in kB, those of call sites in bytes. Consumers and call\n"
	      "sites are shown to root only; the former need debugfs, the latter\n"
	      "memory allocation profiling.\n", out);
}

/* Returns the seconds, 0 if it is no number of them. */
static unsigned int seconds(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	return *end || value > 86400 ? 0 : value;
}

/* What the command line asks for. */
static bool json;
static unsigned int interval;	/* 0: once */

static void set_interval(const char *text)
{
	interval = text ? seconds(text) : 1;
	if (interval)
		return;
	fprintf(stderr, "unmapped-info: not a number of seconds: %s\n", text);
	exit(1);
}

static void parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "watch", optional_argument, NULL, 'w' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int c;

	while ((c = getopt_long(argc, argv, "jw::h", options, NULL)) != -1) {
		switch (c) {
		case 'j':
			json = true;
			break;
		case 'w':
			/* The number may be the next word. */
			if (!optarg && optind < argc && argv[optind][0] != '-')
				optarg = argv[optind++];
			set_interval(optarg);
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(1);
		}
	}
	if (optind < argc) {
		usage(stderr);
		exit(1);
	}
}

/* Returns false if the output can't be written. */
static bool show(void)
{
	const bool terminal = isatty(STDOUT_FILENO);

	if (json) {
		print_json();
	} else {
		/* Clear the screen. */
		if (interval && terminal)
			printf("\033[H\033[J");
		print_text();
		if (interval && !terminal)
			putchar('\n');
	}
	return !fflush(stdout) && !ferror(stdout);
}

int main(int argc, char **argv)
{
	const char *error;

	parse_options(argc, argv);
	do {
		error = collect();
		if (error) {
			fprintf(stderr, "unmapped-info: %s\n", error);
			return 1;
		}
		if (!show()) {
			perror("unmapped-info");
			return 1;
		}
		sleep(interval);
	} while (interval);
	return 0;
}
