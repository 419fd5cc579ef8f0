#include "textflag.h"

// func clone3(args *cloneArgs, size uintptr, list *shared, run uintptr) int
TEXT ·clone3(SB), NOSPLIT, $0-40
	MOVQ args+0(FP), DI
	MOVQ size+8(FP), SI
	MOVQ list+16(FP), R12 // the kernel keeps these registers
	MOVQ run+24(FP), R13
	MOVL $435, AX         // SYS_CLONE3
	SYSCALL
	TESTQ AX, AX
	JEQ  child
	MOVQ AX, ret+32(FP)
	RET

child:
	// On a stack of its own now: no frame of the parent is there to return to. The argument is in
	// AX, with room for it on the stack, and X15 is zero.
	SUBQ  $16, SP
	MOVQ  R12, AX
	XORPS X15, X15
	CALL  R13
	INT   $3

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
