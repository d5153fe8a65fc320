/*
 * vdsoglibc.c - vdso.c, built with glibc, which looks for the vDSO's symbols in a way of its own.
 */
#include "vdso.c"
