#include "textflag.h"

// func clone3(args *cloneArgs, size uintptr, list *shared, run uintptr) int
TEXT ·clone3(SB), NOSPLIT, $0-40
	MOVD args+0(FP), R0
	MOVD size+8(FP), R1
	MOVD list+16(FP), R19 // the kernel keeps these registers
	MOVD run+24(FP), R20
	MOVD $435, R8         // SYS_CLONE3
	SVC
	CBZ  R0, child
	MOVD R0, ret+32(FP)
	RET

child:
	// On a stack of its own now: no frame of the parent is there to return to. The argument is in
	// R0, with room for it on the stack.
	SUB  $32, RSP
	MOVD R19, R0
	CALL (R20)
	BRK

// func load(word *uint32) uint32
TEXT ·load(SB), NOSPLIT, $0-12
	MOVD  word+0(FP), R0
	LDARW (R0), R0
	MOVW  R0, ret+8(FP)
	RET

// func store(word *uint32, value uint32)
TEXT ·store(SB), NOSPLIT, $0-12
	MOVD  word+0(FP), R0
	MOVW  value+8(FP), R1
	STLRW R1, (R0)
	RET
