#include "textflag.h"

// func getrlimit(l *Limit) int
TEXT ·getrlimit(SB), NOSPLIT, $0-16
	MOVL $0, DI           // this process
	MOVL $7, SI           // RLIMIT_NOFILE
	MOVL $0, DX           // is not changed
	MOVQ l+0(FP), R10
	MOVL $302, AX         // SYS_PRLIMIT64
	SYSCALL
	MOVQ AX, ret+8(FP)
	RET
