// Package inject runs a program in which one system call fails, or which is killed before one. The
// program is as it is, and notices nothing: the call is changed from outside, by ptrace(2).
package inject
