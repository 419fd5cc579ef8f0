//go:build linux

// Command bench measures what a container costs: the time from start to end of one that does nothing, side by
// side with other runtimes in one run, the memory of the runtime while its container sleeps, and many at once.
// Ratios are what counts; the numbers of another machine, or of another hour, are others.
//
//	sudo env PATH=$PATH go run ./bench [-n ROUNDS] [-many 1,10,50,200] [-v1]
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// contestant is one way to run a command in the rootfs. In its arguments CMD is replaced by the command, and
// ID by a name that no other container has.
type contestant struct {
	name string
	args []string
	file string // open as its descriptor 3, if there is one
	dir  string // working directory: runc and crun want config.json there, a file for each command
}

var (
	rounds = flag.Int("n", 100, "rounds of all contestants in turn")
	many   = flag.String("many", "1,10,50,200", "how many containers at once")
	onlyV1 = flag.Bool("v1", false, "of both versions of cgroups show them only the first: crun refuses both at once")
)

func main() {
	flag.Parse()
	if os.Getenv("BENCH_DIR") == "" {
		os.Exit(inNamespaces())
	}
	dir := os.Getenv("BENCH_DIR")
	contestants, err := prepare(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	// The first container on the bridge makes it and the last one removes it. This one is there all the time.
	// It ends with its input, and so with this program, however that ends.
	bridged := contestants[len(contestants)-1].command("cat")
	input, err := bridged.StdinPipe()
	if err == nil && bridged.Start() == nil {
		defer func() { _ = input.Close(); _ = bridged.Wait() }()
	}
	printTimes(contestants)
	printMemory(contestants)
	printMany(contestants)
}

// inNamespaces starts this program again in mount and network namespaces of its own: the bridge is not to be
// seen on the machine.
func inNamespaces() int {
	dir, err := os.MkdirTemp("", "container-bench-")
	if err == nil {
		err = os.Chmod(dir, 0o755) // for root of a user namespace
	}
	if err == nil {
		defer os.RemoveAll(dir)
		cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		cmd.Env = append(os.Environ(), "BENCH_DIR="+dir)
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET}
		err = cmd.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err, "(it takes root)")
		return 1
	}
	return 0
}

// command is the contestant's, for a command in the container.
func (c contestant) command(command ...string) *exec.Cmd {
	var args []string
	for _, arg := range c.args {
		switch arg {
		case "CMD":
			args = append(args, command...)
		case "ID":
			args = append(args, fmt.Sprint("bench-", os.Getpid(), "-", nextID()))
		default:
			args = append(args, arg)
		}
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = filepath.Join(c.dir, command[0])
	if c.dir == "" {
		cmd.Dir = os.Getenv("BENCH_DIR")
	}
	if f, err := os.Open(c.file); err == nil {
		cmd.ExtraFiles = []*os.File{f}
	}
	return cmd
}

var (
	idLock sync.Mutex
	lastID int
)

func nextID() int {
	idLock.Lock()
	defer idLock.Unlock()
	lastID++
	return lastID
}

// printTimes runs all contestants in turn, so that what slows the machine down slows all of them.
func printTimes(contestants []contestant) {
	times := make([][]time.Duration, len(contestants))
	for range *rounds {
		for i, c := range contestants {
			time.Sleep(5 * time.Millisecond) // what the one before left to the kernel is not on this one's bill
			start := time.Now()
			if err := c.command("true").Run(); err != nil {
				fmt.Fprintf(os.Stderr, "bench: %s: %v\n", c.name, err)
				os.Exit(1)
			}
			times[i] = append(times[i], time.Since(start))
		}
	}
	medians := map[string]time.Duration{}
	for i, c := range contestants {
		slices.Sort(times[i])
		medians[c.name] = times[i][len(times[i])/2]
	}
	fmt.Printf("one container, from start to end, median of %d rounds on %d processors:\n\n", *rounds, runtime.NumCPU())
	fmt.Printf("| | ms | of bubblewrap | of crun | of runc |\n| --- | ---: | ---: | ---: | ---: |\n")
	for _, c := range contestants {
		fmt.Printf("| %s | %.2f |", c.name, float64(medians[c.name].Microseconds())/1000)
		for _, rival := range []string{"bubblewrap", "crun", "runc"} {
			fmt.Printf(" %s |", ratio(medians[c.name], medians[rival]))
		}
		fmt.Println()
	}
}

func ratio(a, b time.Duration) string {
	if b == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", float64(a)/float64(b))
}

// printMemory prints what the processes of the runtime have resident while the container sleeps.
func printMemory(contestants []contestant) {
	fmt.Printf("\nmemory of the runtime while its container sleeps:\n\n| | resident kB | proportional kB |\n| --- | ---: | ---: |\n")
	for _, c := range contestants {
		cmd := c.command("sleep", "1")
		if err := cmd.Start(); err != nil {
			continue
		}
		time.Sleep(500 * time.Millisecond)
		fmt.Printf("| %s | %d | %d |\n", c.name, rollup(cmd.Process.Pid, "Rss:"), rollup(cmd.Process.Pid, "Pss:"))
		_ = cmd.Wait()
	}
}

// rollup is a sum of /proc/PID/smaps_rollup, in kB, of a process.
func rollup(pid int, field string) (sum int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == field {
			n, _ := strconv.Atoi(fields[1])
			sum += n
		}
	}
	return sum
}

// printMany starts many at once and prints the time for each.
func printMany(contestants []contestant) {
	numbers := strings.Split(*many, ",")
	fmt.Printf("\nmany at once, ms for each:\n\n| | %s |\n| --- |%s\n", strings.Join(numbers, " | "), strings.Repeat(" ---: |", len(numbers)))
	for _, c := range contestants {
		fmt.Printf("| %s |", c.name)
		for _, number := range numbers {
			n, err := strconv.Atoi(number)
			if err != nil || n < 1 {
				continue
			}
			failed := 0
			start := time.Now()
			var group sync.WaitGroup
			var lock sync.Mutex
			for range n {
				group.Go(func() {
					if c.command("true").Run() != nil {
						lock.Lock()
						failed++
						lock.Unlock()
					}
				})
			}
			group.Wait()
			fmt.Printf(" %.2f", float64(time.Since(start).Microseconds())/1000/float64(n))
			if failed > 0 {
				fmt.Printf(" (%d failed)", failed)
			}
			fmt.Print(" |")
		}
		fmt.Println()
	}
}
