/*
 * glibcpie.c - a static-PIE program of glibc: it relocates itself, asks for
 * ifuncs by CPUID, uses rseq, robust lists and set_tid_address at start, and
 * threads by clone3.
 */
#include "tap.h"

#include <elf.h>
#include <locale.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

static __thread int tls = 5;
static int data = 7;
static int *pointer = &data;

static void *body(void *arg)
{
	int old = tls;

	tls = (long)arg;
	usleep(1000);
	return (void *)(long)(old == 5 && tls == (long)arg);
}

int main(int argc, char **argv)
{
	pthread_t t[10];
	char buffer[5000], copy[5000];
	void *result;
	long i, good = 0;
	double d;
	FILE *f;

	ok((uintptr_t)main > 0x500000000000ul, "the image is placed high, as a PIE");
	is(*pointer, 7, "relative relocations are done");
	is(getauxval(AT_BASE), 0, "AT_BASE is 0: no interpreter");
	ok(getauxval(AT_ENTRY) > 0x500000000000ul, "AT_ENTRY is relocated");
	ok(getauxval(AT_PHDR) > 0x500000000000ul, "AT_PHDR is relocated");
	for (i = 0; i < 10; i++)
		pthread_create(&t[i], NULL, body, (void *)(i + 10));
	for (i = 0; i < 10; i++) {
		pthread_join(t[i], &result);
		good += (long)result;
	}
	is(good, 10, "ten threads with TLS");
	memset(buffer, 'x', sizeof(buffer));
	memcpy(copy, buffer, sizeof(buffer));
	ok(!memcmp(buffer, copy, sizeof(buffer)), "ifunc'ed string functions");
	f = fopen("file", "w+");
	fprintf(f, "%d %.3f %s\n", 42, 2.5, "text");
	rewind(f);
	is(fscanf(f, "%ld %lf %99s", &i, &d, buffer), 3, "stdio");
	ok(i == 42 && d == 2.5 && !strcmp(buffer, "text"), "reads back what it wrote");
	fclose(f);
	char *big = malloc(10 << 20);

	memset(big, 1, 10 << 20);
	big = realloc(big, 20 << 20);
	ok(big && big[5 << 20] == 1, "malloc and realloc of megabytes");
	free(big);
	is(getrandom(buffer, 32, 0), 32, "getrandom");
	is(in_child(_exit(tls == 5 ? 8 : 9)), 8 << 8, "fork");
	is(system("exit 3") >> 8, 3, "system(3)");
	f = popen("echo piped", "r");
	ok(f && fgets(buffer, sizeof(buffer), f) && !strcmp(buffer, "piped\n"), "popen(3)");
	if (f)
		is(pclose(f), 0, "pclose(3)");
	return tap_done();
}
