#include "textflag.h"

// A handler of a signal gets its number in DI and the address of the siginfo_t in SI. It runs in the
// middle of anything: it calls nothing of Go and has no stack of Go.

// func handle()
TEXT ·handle(SB), NOSPLIT|NOFRAME, $0
	MOVQ ·handled+0(SB), DI // the pipe
	MOVL $128, DX
	MOVL $1, AX             // SYS_WRITE
	SYSCALL
	RET

// func handleFault()
TEXT ·handleFault(SB), NOSPLIT|NOFRAME, $0
	CMPL 8(SI), $0          // si_code is above 0 if the kernel made the signal
	JGT  fault
	JMP  ·handle(SB)

fault:
	MOVQ ·handled+8(SB), AX
	JMP  AX

// func restore()
TEXT ·restore(SB), NOSPLIT|NOFRAME, $0
	MOVL $15, AX            // SYS_RT_SIGRETURN
	SYSCALL
	INT  $3

// func addresses() (handler, faultHandler, restorer uintptr)
TEXT ·addresses(SB), NOSPLIT, $0-24
	LEAQ ·handle(SB), AX
	MOVQ AX, handler+0(FP)
	LEAQ ·handleFault(SB), AX
	MOVQ AX, faultHandler+8(FP)
	LEAQ ·restore(SB), AX
	MOVQ AX, restorer+16(FP)
	RET
