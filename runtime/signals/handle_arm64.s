#include "textflag.h"

// A handler of a signal gets its number in R0 and the address of the siginfo_t in R1. It runs in the
// middle of anything: it calls nothing of Go and has no stack of Go.

// func handle()
TEXT ·handle(SB), NOSPLIT|NOFRAME, $0
	MOVD ·handled+0(SB), R0 // the pipe
	MOVD $128, R2
	MOVD $64, R8            // SYS_WRITE
	SVC
	RET

// func handleFault()
TEXT ·handleFault(SB), NOSPLIT|NOFRAME, $0
	MOVW 8(R1), R3          // si_code is above 0 if the kernel made the signal
	CMPW $0, R3
	BGT  fault
	B    ·handle(SB)

fault:
	MOVD ·handled+8(SB), R3
	B    (R3)

// func restore()
TEXT ·restore(SB), NOSPLIT|NOFRAME, $0
	MOVD $139, R8           // SYS_RT_SIGRETURN
	SVC
	BRK

// func addresses() (handler, faultHandler, restorer uintptr)
TEXT ·addresses(SB), NOSPLIT, $0-24
	MOVD $·handle(SB), R0
	MOVD R0, handler+0(FP)
	MOVD $·handleFault(SB), R0
	MOVD R0, faultHandler+8(FP)
	MOVD $·restore(SB), R0
	MOVD R0, restorer+16(FP)
	RET
