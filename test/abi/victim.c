/* victim.c - what mutant.c mutates: a small program that says so and ends. */
#include "tap.h"

static char zeroed[20000];
static char data[5000] = "data";

int main(void)
{
	zeroed[19999] = data[0];
	ok(zeroed[0] == 0, "the victim runs");
	return tap_done();
}
