/* fault.h - what a Mac would have done at a fault. */
#ifndef INTERLOCK_APPLE_FAULT_H
#define INTERLOCK_APPLE_FAULT_H

#include <signal.h>
#include <stdint.h>

#include "contract.h"

enum il_access { IL_ACCESS_READ, IL_ACCESS_WRITE, IL_ACCESS_EXECUTE };

/* ---- One file for each architecture ---------------------------------------------------------------------------------------- */
enum il_access il_fault_access(const siginfo_t *info, const void *context);
uintptr_t il_fault_stack_pointer(const void *context);

/* The kernel's handler of SIGSEGV and SIGBUS. */
void il_on_fault(int number, siginfo_t *info, void *context);

/* A signal that a rule raises without a fault of the processor: a function that this version of macOS lacks is NULL. */
void il_raise(int number, enum il_rule_id rule);

#endif
