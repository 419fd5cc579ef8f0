//go:build linux

package record

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func TestPrepareHeap(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage"); err != nil {
		t.Skip("asks for a kernel that has huge pages:", err)
	}
	PrepareHeap()
	require.Contains(t, flagsOfMemory(t, uintptr(unsafe.Pointer(ofHeap))), "hg")
}

// flagsOfMemory are the VmFlags of the mapping that has the address (proc_pid_smaps(5)).
func flagsOfMemory(t *testing.T, address uintptr) []string {
	t.Helper()
	smaps, err := os.Open("/proc/self/smaps")
	require.NoError(t, err)
	defer smaps.Close()
	isIn := false
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		var begin, end uintptr
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x ", &begin, &end); n == 2 {
			isIn = begin <= address && address < end
		}
		if flags, found := strings.CutPrefix(lines.Text(), "VmFlags:"); found && isIn {
			return strings.Fields(flags)
		}
	}
	return nil
}
