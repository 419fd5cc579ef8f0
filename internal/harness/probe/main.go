//go:build linux

// Command probe tries from inside a container what a shell cannot. It is linked statically and lies
// at /bin/probe in the root file systems that the scripts make.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("usage: probe true | wait | breakout FILE | hog MIB | spin SECONDS | " +
			"burn MILLISECONDS | leave | signals | segfault | isolation | ATTEMPT [ARG...]"))
	}
	arg := func() string {
		if len(os.Args) < 3 {
			fail(fmt.Errorf("%s: no argument", os.Args[1]))
		}
		return os.Args[2]
	}
	number := func() int {
		n, err := strconv.Atoi(arg())
		fail(err)
		return n
	}
	switch os.Args[1] {
	case "true":
	case "wait":
		time.Sleep(time.Hour)
	case "breakout":
		breakout(arg())
	case "hog":
		hog(number())
	case "spin":
		spin(number())
	case "burn":
		burn(number())
	case "leave":
		leave()
	case "signals":
		signals()
	case "segfault":
		segfault()
	case "isolation":
		isolation()
	default:
		try := attempts[os.Args[1]]
		if try == nil {
			fail(fmt.Errorf("%s: unknown", os.Args[1]))
		}
		if err := try(os.Args[2:]); err != nil {
			fail(fmt.Errorf("%s: %w", os.Args[1], err))
		}
		fmt.Println("done")
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

// breakout leaves a chroot(2) in the classic way, then looks for a file of the host: chroot leaves
// the working directory alone, so a second chroot to a directory below puts it above the root, from
// where .. goes on up.
func breakout(file string) {
	fail(os.Chdir("/"))
	fail(unix.Chroot("/bin"))
	for range 64 {
		fail(unix.Chdir(".."))
	}
	fail(unix.Chroot("."))
	if _, err := os.Stat(file); err == nil {
		fmt.Println("broke out:", file)
	} else {
		fmt.Println("still inside")
	}
}

// hog uses n MiB of memory and says so.
func hog(n int) {
	var hoard [][]byte
	for range n {
		block := make([]byte, 1<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1 // a page that was never written to takes no memory
		}
		hoard = append(hoard, block)
	}
	fmt.Printf("used %d MiB\n", len(hoard))
}

// spin keeps one thread busy for a number of seconds and prints the percentage of them that it got.
func spin(seconds int) {
	start := time.Now()
	for time.Since(start) < time.Duration(seconds)*time.Second {
		for range 100_000 {
		}
	}
	var usage unix.Rusage
	fail(unix.Getrusage(unix.RUSAGE_SELF, &usage))
	used := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	fmt.Println(int(100 * used / time.Since(start)))
}

// burn uses so many milliseconds of processor time, however long that takes, and says so.
func burn(milliseconds int) {
	for {
		for range 100_000 {
		}
		var usage unix.Rusage
		fail(unix.Getrusage(unix.RUSAGE_SELF, &usage))
		used := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
		if used >= time.Duration(milliseconds)*time.Millisecond {
			fmt.Printf("burnt %d ms\n", milliseconds)
			return
		}
	}
}

// leave leaves a process behind.
func leave() {
	cmd := exec.Command("/bin/sleep", "6100")
	// not /dev/null, which not every step has
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	fail(cmd.Start())
}

// segfault writes where no memory is, after putting aside the handler that the Go runtime has for
// that (rt_sigaction(2); a struct of zeros stands for SIG_DFL).
func segfault() {
	_, _, errno := unix.Syscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGSEGV),
		uintptr(unsafe.Pointer(&[32]byte{})), 0, 8, 0, 0)
	if errno != 0 {
		fail(errno)
	}
	var nowhere *int
	*nowhere = 1
}

// signals prints each signal that it gets, until TERM.
func signals() {
	c := make(chan os.Signal, 8)
	signal.Notify(c, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2,
		unix.SIGTERM, unix.SIGCONT, unix.SIGWINCH)
	fmt.Println("ready")
	for s := range c {
		fmt.Println(unix.SignalName(s.(unix.Signal)))
		if s == unix.SIGTERM {
			return
		}
	}
}
