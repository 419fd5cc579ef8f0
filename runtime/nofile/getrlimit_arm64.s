#include "textflag.h"

// func getrlimit(l *Limit) int
TEXT ·getrlimit(SB), NOSPLIT, $0-16
	MOVD $0, R0           // this process
	MOVD $7, R1           // RLIMIT_NOFILE
	MOVD $0, R2           // is not changed
	MOVD l+0(FP), R3
	MOVD $261, R8         // SYS_PRLIMIT64
	SVC
	MOVD R0, ret+8(FP)
	RET
