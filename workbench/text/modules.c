// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loads and unloads generated modules, text_000 and so on, whose files have a
 * size in the place of the number.
 *
 *	modules churn COUNT ROUNDS SEED		in random order; at the end, all are gone
 *	modules load COUNT			and keep them
 *	modules unload COUNT
 *	modules time KIB COUNT			one at a time, and no other work
 *	modules nth KIB				each allocation fails in turn
 *
 * A call that fails is an error, unless allocations are made to fail (user.h): then
 * it is counted. Churn prints "loads N" and "failures N"; time prints ns for
 * each load and unload, without those that nobody ran in.
 */
#define _GNU_SOURCE
#include <sys/stat.h>
#include <sys/syscall.h>

#include "user.h"

#define SIZES		16
#define KIB_STEP	4
#define MAX_COUNT	1000
#define NAME		"text_000"

static struct {
	char *image;
	size_t size;
	char name[sizeof(NAME)];	/* that the image has at the moment */
} files[SIZES];

static bool loaded[MAX_COUNT];

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void read_file(int nr)
{
	char path[64];
	struct stat st;
	int fd;

	snprintf(files[nr].name, sizeof(NAME), "text_s%02d", (nr + 1) * KIB_STEP);
	snprintf(path, sizeof(path), "/lib/modules/%s.ko", files[nr].name);
	fd = open(path, O_RDONLY);
	if (fd < 0 || fstat(fd, &st))
		fail(path);
	files[nr].size = st.st_size;
	files[nr].image = malloc(st.st_size);
	if (!files[nr].image || read(fd, files[nr].image, st.st_size) != st.st_size)
		fail(path);
	close(fd);
}

/* All names of a module are equally long, so this is all it takes. */
static void rename_image(int nr, const char *name)
{
	char *at = files[nr].image, *end = at + files[nr].size;

	while ((at = memmem(at, end - at, files[nr].name, strlen(NAME)))) {
		memcpy(at, name, strlen(NAME));
		at += strlen(NAME);
	}
	strcpy(files[nr].name, name);
}

static void name_of(int number, char *name)
{
	snprintf(name, sizeof(NAME), "text_%03u", (unsigned int)number % MAX_COUNT);
}

static void load(int number)
{
	int nr = number % SIZES;
	char name[sizeof(NAME)];

	name_of(number, name);
	rename_image(nr, name);
	loads++;
	arm(true);
	loaded[number] = !syscall(SYS_init_module, files[nr].image, files[nr].size, "");
	arm(false);
	if (!loaded[number])
		failed("load", name);
}

static void unload(int number)
{
	char name[sizeof(NAME)];

	name_of(number, name);
	arm(true);
	loaded[number] = syscall(SYS_delete_module, name, 0);
	arm(false);
	if (loaded[number])
		failed("unload", name);
}

static void shuffle(int *order, int count)
{
	int i, other, was;

	for (i = count - 1; i > 0; i--) {
		other = random_below(i + 1);
		was = order[i];
		order[i] = order[other];
		order[other] = was;
	}
}

/* Between rounds, a quarter of them stays. */
static void churn(int count, int rounds)
{
	int order[MAX_COUNT], i;

	for (i = 0; i < count; i++)
		order[i] = i;
	while (rounds--) {
		shuffle(order, count);
		for (i = 0; i < count; i++)
			if (!loaded[order[i]])
				load(order[i]);
		shuffle(order, count);
		for (i = 0; i < count; i++)
			if (loaded[order[i]] && (!rounds || random_below(4)))
				unload(order[i]);
	}
	for (i = 0; i < count; i++)
		while (loaded[i])
			unload(i);
	print_loads();
}

/* The module whose loading and unloading is made to fail. */
static int failing;

static bool load_failing(unsigned int nth)
{
	bool works;

	fail_nth = nth;
	load(failing);
	fail_nth = 0;
	works = loaded[failing];
	if (works)
		unload(failing);
	return works;
}

static bool unload_failing(unsigned int nth)
{
	bool works;

	load(failing);
	fail_nth = nth;
	unload(failing);
	fail_nth = 0;
	works = !loaded[failing];
	if (!works)
		unload(failing);
	return works;
}

/* All that was done by the end, by whomever, is the pair. */
static void measure(int kib, int count)
{
	double start, at_load = 0, at_unload = 0, others;
	int number = kib / KIB_STEP - 1, i;

	settle();
	others = others_time();
	for (i = 0; i < count; i++) {
		start = own_time();
		load(number);
		at_load += own_time() - start;
		start = own_time();
		unload(number);
		at_unload += own_time() - start;
	}
	settle();
	others = others_time() - others;
	printf("load %.2f\nunload %.2f\npair %.2f\n", at_load / count, at_unload / count,
	       (at_load + at_unload + others) / count);
}

int main(int argc, char **argv)
{
	int count = argc > 2 ? atoi(argv[2]) : 0, i;

	if (count < 1 || count > MAX_COUNT) {
		fprintf(stderr, "usage: modules churn|load|unload|time|nth ...\n");
		return 2;
	}
	for (i = 0; i < SIZES; i++)
		read_file(i);
	if (!strcmp(argv[1], "churn") && argc == 5) {
		random_state = strtoull(argv[4], NULL, 10);
		churn(count, atoi(argv[3]));
	} else if (!strcmp(argv[1], "load")) {
		for (i = 0; i < count; i++)
			load(i);
	} else if (!strcmp(argv[1], "unload")) {
		for (i = count - 1; i >= 0; i--)
			unload(i);
	} else if (!strcmp(argv[1], "time") && argc == 4) {
		measure(count, atoi(argv[3]));
	} else if (!strcmp(argv[1], "nth")) {
		failing = count / KIB_STEP - 1;
		/* What is allocated once and for all must not be counted. */
		load(failing);
		unload(failing);
		fail_each("load", load_failing);
		fail_each("unload", unload_failing);
	} else {
		return 2;
	}
	return 0;
}
