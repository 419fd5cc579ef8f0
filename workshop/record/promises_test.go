package record

import (
	"testing"

	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/harness"
)

// TestPromisesExist requires of each promise that a script of the workshop keeps it.
func TestPromisesExist(t *testing.T) {
	const root = "../.."
	known := map[string]bool{}
	steps, err := harness.Steps(root)
	require.NoError(t, err)
	for _, step := range append(steps, harness.Runtime) {
		scripts, err := harness.Scripts(root, step)
		require.NoError(t, err)
		for _, s := range scripts {
			known[s.Name] = true
		}
	}
	require.NotEmpty(t, known)
	for _, p := range namespacePromises {
		for _, name := range p.names {
			require.True(t, known[name], "%s of namespace %s: no such promise", name, p.kind)
		}
	}
	for _, p := range keyPromises {
		for _, name := range p.names {
			require.True(t, known[name], "%s of %q: no such promise", name, p.key)
		}
	}
}

func TestPromisesOf(t *testing.T) {
	require.Equal(t, []string{"hostname-in", "hostname-out", "cgroup-namespace"},
		promisesOf("unshare uts cgroup"))
	require.Contains(t, promisesOf("mount bind /"), "root-is-rootfs")
	require.NotContains(t, promisesOf("mount bind /etc/hosts"), "root-is-rootfs")
	require.Contains(t, promisesOf("prctl PR_CAPBSET_DROP SYS_TIME"), "escape-clock")
	require.Empty(t, promisesOf("execve sh"))
}

// TestAlignKeys requires the same keys of a program that mounts before pivot_root(2), by paths of
// the host, and of one that mounts after.
func TestAlignKeys(t *testing.T) {
	steps := []Step{
		{Key: "mount bind /srv/rootfs"},
		{Key: "mount proc /srv/rootfs/proc"},
		{Key: "mount proc /srv/rootfs2/proc"},
		{Key: "pivot_root"},
		{Key: "mount proc /srv/rootfs/proc"},
	}
	alignKeys(steps, []newRoot{{path: "/srv/rootfs", step: 3}})
	var keys []string
	for _, s := range steps {
		keys = append(keys, s.Key)
	}
	require.Equal(t, []string{
		"mount bind /",
		"mount proc /proc",
		"mount proc /srv/rootfs2/proc",
		"pivot_root",
		"mount proc /srv/rootfs/proc",
	}, keys)
	require.Contains(t, steps[0].Promises, "root-is-rootfs")
}

func TestKeyPath(t *testing.T) {
	for path, want := range map[string]string{
		"/proc/4711/uid_map": "/proc/*/uid_map",
		"/sys/fs/cgroup/memory/container-XQQ5J7QZ5T3ZQ7B3A3DUWKDHN5": "/sys/fs/cgroup/memory/*",
		"/dev/pts/0":  "/dev/pts/*",
		"/srv/rootfs": "/srv/rootfs",
		"/":           "/",
	} {
		require.Equal(t, want, keyPath(path))
	}
}
