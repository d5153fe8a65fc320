/* SPDX-License-Identifier: MIT */
#ifndef X86_ACPI_GLUE_H
#define X86_ACPI_GLUE_H

#include <hal/acpi.h>

/* What the tables said; whole, if empty, when there are none. [I] after x86_acpi_init(). */
extern struct acpi_info x86_acpi;

#endif
