// Package ptrace has the requests of ptrace(2) that golang.org/x/sys/unix lacks, and reads and
// writes the memory of a thread that is followed.
package ptrace
