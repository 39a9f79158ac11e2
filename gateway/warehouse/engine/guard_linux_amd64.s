#include "textflag.h"

// GUARD makes a C function that is a system call of up to three arguments and the same
// as libc's function for its caller, except where the disk failed: then the process
// ends. The call is made by itself first, since its result is wanted before libc makes
// errno of it; on any other error libc makes it again, in full.
//
// It is C's ABI on entry: arguments in DI, SI and DX; SYSCALL takes CX and R11, which
// are the callee's. Nothing of Go's is used, for it is C's threads that come here.
#define GUARD(name, number, libc) \
TEXT name<>(SB), NOSPLIT|NOFRAME, $0-0; \
	MOVL $number, AX; \
	SYSCALL; \
	CMPQ AX, $-4095; \
	JCC  failed; \
	RET; \
failed: \
	CMPL DI, $2; \
	JLE  again; \
	CMPQ AX, $-5; \
	JEQ  end; \
	CMPQ AX, $-27; \
	JEQ  end; \
	CMPQ AX, $-28; \
	JEQ  end; \
	CMPQ AX, $-30; \
	JEQ  end; \
	CMPQ AX, $-122; \
	JEQ  end; \
again: \
	MOVQ libc(SB), AX; \
	JMP  AX; \
end: \
	MOVL $4, DI; \
	MOVL $231, AX; \
	SYSCALL; \
	INT  $3

// EIO, EFBIG, ENOSPC, EROFS and EDQUOT are the errors; exitDisk is 4 and exit_group 231.
GUARD(guardedWrite, 1, ·libcWrite)
GUARD(guardedFsync, 74, ·libcFsync)
GUARD(guardedFdatasync, 75, ·libcFdatasync)

DATA ·guardedWriteAddr(SB)/8, $guardedWrite<>(SB)
GLOBL ·guardedWriteAddr(SB), RODATA, $8
DATA ·guardedFsyncAddr(SB)/8, $guardedFsync<>(SB)
GLOBL ·guardedFsyncAddr(SB), RODATA, $8
DATA ·guardedFdatasyncAddr(SB)/8, $guardedFdatasync<>(SB)
GLOBL ·guardedFdatasyncAddr(SB), RODATA, $8
