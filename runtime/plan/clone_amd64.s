#include "textflag.h"

// func clone3(args *cloneArgs, size uintptr, list *shared) int
TEXT ·clone3(SB), NOSPLIT, $0-32
	MOVQ args+0(FP), DI
	MOVQ size+8(FP), SI
	MOVQ list+16(FP), R12 // the kernel keeps this register
	MOVL $435, AX         // SYS_CLONE3
	SYSCALL
	TESTQ AX, AX
	JEQ  child
	MOVQ AX, ret+24(FP)
	RET

child:
	// On a stack of its own now: no frame of the parent is there to return to.
	SUBQ $16, SP
	MOVQ R12, 0(SP)
	CALL ·run(SB)
	INT  $3

// func load(word *uint32) uint32
TEXT ·load(SB), NOSPLIT, $0-12
	MOVQ word+0(FP), AX
	MOVL (AX), AX // amd64 keeps the order of reads
	MOVL AX, ret+8(FP)
	RET

// func store(word *uint32, value uint32)
TEXT ·store(SB), NOSPLIT, $0-12
	MOVQ  word+0(FP), AX
	MOVL  value+8(FP), BX
	XCHGL BX, (AX)
	RET
