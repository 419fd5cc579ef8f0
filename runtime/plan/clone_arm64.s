#include "textflag.h"

// func clone3(args *cloneArgs, size uintptr, list *shared) int
TEXT ·clone3(SB), NOSPLIT, $0-32
	MOVD args+0(FP), R0
	MOVD size+8(FP), R1
	MOVD list+16(FP), R19 // the kernel keeps this register
	MOVD $435, R8         // SYS_CLONE3
	SVC
	CBZ  R0, child
	MOVD R0, ret+24(FP)
	RET

child:
	// On a stack of its own now: no frame of the parent is there to return to.
	SUB  $32, RSP
	MOVD R19, 8(RSP)
	CALL ·run(SB)
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
