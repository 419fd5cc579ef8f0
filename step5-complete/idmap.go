//go:build linux

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// idMap says which ids of the host are those of the user namespace, in the form of /proc/PID/uid_map
// (user_namespaces(7)).
type idMap []syscall.SysProcIDMap

// The ids that root takes for a container when nobody gave it any in subuid(5): 65536 from here on.
const defaultIDs, idCount = 100000, 65536

// idMaps are those of the container. Root in it is nobody on the host if the caller is root, or has been given
// ids in subuid(5) and subgid(5); or else root in it is the caller, and there are no other ids.
var idMaps = sync.OnceValues(func() (uids, gids idMap) {
	return newIDMap(os.Geteuid(), "/etc/subuid"), newIDMap(os.Getegid(), "/etc/subgid")
})

func newIDMap(id int, file string) idMap {
	start, count := subordinates(file)
	if os.Geteuid() == 0 && count == 0 {
		start, count = defaultIDs, idCount
	}
	own := syscall.SysProcIDMap{ContainerID: 0, HostID: id, Size: 1}
	if count == 0 || !hasID("/proc/self/uid_map", start+count-1) { // not all are there in a user namespace
		return idMap{own}
	}
	if os.Geteuid() == 0 {
		return idMap{{ContainerID: 0, HostID: start, Size: count}}
	}
	if _, err := exec.LookPath("newuidmap"); err != nil { // only that may give an ordinary user more
		return idMap{own}
	}
	return idMap{own, {ContainerID: 1, HostID: start, Size: count}}
}

// cloneUserNamespace makes the caller root of the user namespace that the child is born into.
func cloneUserNamespace(attr *syscall.SysProcAttr) {
	uids, gids := idMaps()
	if uids.helped() || gids.helped() { // later, by mapIDs; so that root is not yet root when it executes the child
		for capability := range uintptr(unix.CAP_LAST_CAP + 1) {
			attr.AmbientCaps = append(attr.AmbientCaps, capability)
		}
		return
	}
	trace("uid_map %s, gid_map %s", uids, gids)
	attr.UidMappings, attr.GidMappings = uids, gids
	if uids[0].Size > 1 { // with one group alone setgroups(2) is forbidden, to keep groups that take rights away
		attr.GidMappingsEnableSetgroups, attr.Credential = true, &syscall.Credential{}
	}
}

// mapIDs has newuidmap(1) write the maps that the kernel does not take from an ordinary user.
func mapIDs(pid int) error {
	uids, gids := idMaps()
	if !has(unix.CLONE_NEWUSER) || !uids.helped() && !gids.helped() {
		return nil
	}
	for _, m := range []struct {
		program string
		ids     idMap
	}{{"newuidmap", uids}, {"newgidmap", gids}} {
		args := append([]string{strconv.Itoa(pid)}, strings.Fields(m.ids.String())...)
		trace("%s %s", m.program, strings.Join(args, " "))
		if out, err := exec.Command(m.program, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s %s: %s", m.program, m.ids, cmp.Or(string(bytes.TrimSpace(out)), err.Error()))
		}
	}
	return nil
}

// onHost is what an id of the container is on the host. One that it does not have becomes nobody's.
func (ids idMap) onHost(id uint32) int {
	if int(id) >= ids[0].Size {
		id = 65534
	}
	return ids[0].HostID + int(id)
}

// helped tells whether the map takes the help of newuidmap(1).
func (ids idMap) helped() bool { return len(ids) > 1 }

func (ids idMap) String() string {
	var text []string
	for _, r := range ids {
		text = append(text, fmt.Sprintf("%d %d %d", r.ContainerID, r.HostID, r.Size))
	}
	return strings.Join(text, " ")
}

// rootOnHost returns the ids on the host of root in the container.
func rootOnHost() (uid, gid int) {
	if !has(unix.CLONE_NEWUSER) {
		return os.Geteuid(), os.Getegid()
	}
	uids, gids := idMaps()
	return uids[0].HostID, gids[0].HostID
}

// hasRange tells whether root is to be somebody else on the host: then the child is not at home there.
func hasRange() bool {
	uids, _ := idMaps()
	return uids[0].Size > 1
}
