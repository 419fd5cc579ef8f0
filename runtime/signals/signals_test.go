//go:build linux

package signals

import (
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// inProcess runs a test in a process of its own: Catch is for good.
func inProcess(t *testing.T, test func()) {
	t.Helper()
	if os.Getenv("TEST_SIGNALS") == t.Name() {
		test()
		return
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "TEST_SIGNALS="+t.Name())
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, string(said))
}

func TestCatch(t *testing.T) {
	inProcess(t, func() {
		c, err := Catch()
		require.NoError(t, err)
		_, ok := c.Next()
		require.False(t, ok)
		sent := []unix.Signal{
			unix.SIGUSR1, unix.SIGTTIN, unix.SIGSEGV, unix.SIGBUS, unix.SIGABRT, unix.SIGTERM, 64,
		}
		for _, s := range sent {
			require.NoError(t, unix.Kill(unix.Getpid(), s))
			require.Equal(t, Signal{s, false}, c.Await())
		}
		// A timer of the kernel's is nobody's signal.
		_, err = unix.Setitimer(unix.ItimerReal,
			unix.Itimerval{Value: unix.Timeval{Usec: 1000}})
		require.NoError(t, err)
		require.Equal(t, Signal{unix.SIGALRM, true}, c.Await())
		// How long this process works does not concern the command (RLIMIT_CPU of getrlimit(2)).
		const kernel = 0x80 // SI_KERNEL
		info := [infoSize / 4]int32{int32(unix.SIGXCPU), 0, kernel}
		runtime.LockOSThread() // only to itself a thread may say that the kernel sent it
		_, _, errno := unix.RawSyscall6(unix.SYS_RT_TGSIGQUEUEINFO, uintptr(unix.Getpid()),
			uintptr(unix.Gettid()), uintptr(unix.SIGXCPU), uintptr(unsafe.Pointer(&info)), 0, 0)
		require.Zero(t, errno)
		require.NoError(t, unix.Kill(unix.Getpid(), 64))
		require.Equal(t, Signal{64, false}, c.Await())
	})
}

// What asks for the end is found among the others, and all are there afterwards, in their order.
func TestInterrupted(t *testing.T) {
	inProcess(t, func() {
		c, err := Catch()
		require.NoError(t, err)
		require.NoError(t, unix.Kill(unix.Getpid(), unix.SIGUSR1))
		require.Equal(t, unix.SIGUSR1, c.Await().Signal)
		require.NoError(t, unix.Kill(unix.Getpid(), unix.SIGUSR2))
		for len(c.waiting) == 0 { // another thread may have got it
			require.NoError(t, c.Interrupted())
		}
		require.NoError(t, unix.Kill(unix.Getpid(), unix.SIGINT))
		for err == nil {
			err = c.Interrupted()
		}
		require.Equal(t, Interrupt{unix.SIGINT}, err)
		require.EqualError(t, err, "interrupted by SIGINT")
		require.Equal(t, unix.SIGUSR2, c.Await().Signal)
		require.Equal(t, unix.SIGINT, c.Await().Signal)
	})
}

// A fault of this program is one for Go: it can be recovered from, and what the kernel says is not
// taken for a signal of somebody.
func TestFaultOfThisProgram(t *testing.T) {
	inProcess(t, func() {
		c, err := Catch()
		require.NoError(t, err)
		debug.SetPanicOnFault(true)
		require.Panics(t, func() {
			var nowhere *int
			*nowhere = 1
		})
		_, ok := c.Next()
		require.False(t, ok)
	})
}

// What the caller ignores is known, and stays so if it is about job control, or HUP.
func TestIgnored(t *testing.T) {
	inProcess(t, func() {
		all := []unix.Signal{
			unix.SIGHUP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGCONT,
		}
		for _, s := range all {
			_, err := change(s, &sigaction{handler: sigIgn})
			require.NoError(t, err)
		}
		c, err := Catch()
		require.NoError(t, err)
		require.Subset(t, c.Ignored, all)
		for _, s := range all {
			require.NoError(t, unix.Kill(unix.Getpid(), s))
		}
		require.Equal(t, unix.SIGCONT, c.Await().Signal)
	})
}

// HasStopped waits for nothing, and takes nothing from whoever waits for the command.
func TestHasStopped(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	require.NoError(t, cmd.Start())
	c := To(cmd.Process.Pid)
	require.False(t, c.HasStopped())
	var status unix.WaitStatus
	wait := func(options int) {
		pid, err := unix.Wait4(cmd.Process.Pid, &status, options, nil)
		require.NoError(t, err)
		require.Equal(t, cmd.Process.Pid, pid)
	}
	require.NoError(t, unix.Kill(cmd.Process.Pid, unix.SIGSTOP))
	for !c.HasStopped() {
	}
	require.True(t, c.HasStopped(), "as often as it is asked")
	wait(unix.WUNTRACED)
	require.True(t, status.Stopped())
	require.NoError(t, unix.Kill(cmd.Process.Pid, unix.SIGCONT))
	require.False(t, c.HasStopped())
	require.NoError(t, cmd.Process.Kill())
	for !c.HasStopped() {
	}
	wait(0)
	require.Equal(t, unix.SIGKILL, status.Signal())
	require.True(t, c.HasStopped(), "there is no such process")
}

// A process stops, goes on, and then knows nothing of the signals to stop that came before.
func TestStopBy(t *testing.T) {
	if os.Getenv("TEST_SIGNALS") == t.Name() {
		c, err := Catch()
		require.NoError(t, err)
		require.NoError(t, unix.Kill(unix.Getpid(), unix.SIGTTIN))
		require.NoError(t, unix.Kill(unix.Getpid(), unix.SIGUSR1))
		for len(c.waiting) < 2 {
			_ = c.Interrupted()
		}
		c.StopBy(unix.SIGTSTP)
		s, ok := c.Next()
		require.True(t, ok)
		require.Equal(t, unix.SIGUSR1, s.Signal)
		_, ok = c.Next()
		require.False(t, ok)
		require.True(t, Handles(unix.Getpid(), unix.SIGTSTP), "again")
		require.True(t, Handles(unix.Getpid(), unix.SIGCONT), "again")
		return
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestStopBy$")
	cmd.Env = append(os.Environ(), "TEST_SIGNALS="+t.Name())
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true} // a job: this process is its shell
	require.NoError(t, cmd.Start())
	var status unix.WaitStatus
	_, err := unix.Wait4(cmd.Process.Pid, &status, unix.WUNTRACED, nil)
	require.NoError(t, err)
	require.True(t, status.Stopped(), "%v", status)
	require.Equal(t, unix.SIGTSTP, status.StopSignal())
	time.Sleep(time.Millisecond)
	require.NoError(t, unix.Kill(cmd.Process.Pid, unix.SIGCONT))
	require.NoError(t, cmd.Wait())
}

func TestStatus(t *testing.T) {
	c := To(1)
	require.Equal(t, 137, c.Status(137))
	c.instead.Store(int32(unix.SIGHUP))
	require.Equal(t, 129, c.Status(137), "it got KILL in place of HUP")
	require.Equal(t, 3, c.Status(3))
}
