package recordtest

import "container.example/workshop/workshop/record"

// The processes and namespaces of Container.
const (
	Child  = 42
	newMnt = "4026532291"
	newUTS = "4026532292"
	newPID = "4026532294"
	newNet = "4026532296"
	newUsr = "4026532290"
)

// Container is a run as those of step 5 are: it has something of everything that is seen. Without
// a host name it is as a participant has it who forgot sethostname(2) and may not mount /proc.
func Container(hostname bool) *record.Recording {
	b := New("./container", "run", "-memory", "64M", "-net", "bridge", "sh")
	b.clone()
	b.limits()
	b.Step(record.Step{
		Call: "write", Key: "write uid_map", Man: "user_namespaces(7)", Result: "15",
		Words:    "root in the container is user 100000 on the host",
		Args:     []record.Arg{{Name: "file", Value: "/proc/42/uid_map"}},
		Promises: []string{"step5-complete/f-root-is-nobody"},
	}).Process(Child, func(p *record.Process) {
		p.UIDMap, p.UIDs = "0 100000 65536", "100000 100000 100000 100000"
	})
	b.Step(record.Step{
		Call: "sendto", Key: "netlink veth", Man: "veth(4)", Result: "100",
		Words: "a pair of interfaces: eth0 in the container, veth42 on the bridge",
		Args:  []record.Arg{{Name: "request", Value: "RTM_NEWLINK veth veth42, peer eth0"}},
	}).interfaces()
	if hostname {
		b.Step(record.Step{
			PID: Child, Call: "sethostname", Words: "the host name in the container is container",
			Args:     []record.Arg{{Name: "name", Value: "container"}},
			Promises: []string{"step2-namespaces/hostname-in", "step2-namespaces/hostname-flag"},
		}).Place("main.go", 61, "child",
			"\tif c.hostname != \"\" {",
			"\t\tmust(unix.Sethostname([]byte(c.hostname)), \"sethostname\")",
			"\t}")
		b.changes().Hostnames = map[string]string{newUTS: "container"}
	}
	b.root(!hostname)
	b.rights()
	return b.Recording
}

func (b *Builder) clone() {
	b.Step(record.Step{
		Call: "clone", Result: "pid 42",
		Words: "a child process begins in new namespaces: user, uts, pid, mnt, net",
		Args: []record.Arg{{
			Name:  "flags",
			Value: "CLONE_NEWUSER|CLONE_NEWUTS|CLONE_NEWPID|CLONE_NEWNS|CLONE_NEWNET|SIGCHLD",
		}},
		Promises: []string{"step2-namespaces/pid-one", "step2-namespaces/hostname-in"},
	}).Process(Child, func(p *record.Process) {
		p.PIDs = []int{Child, 1}
		p.Command = []string{"/proc/self/exe", "child", "sh"}
		p.Session = 0
		p.UIDMap, p.GIDMap = "", ""
		p.UIDs, p.GIDs = "65534 65534 65534 65534", "65534 65534 65534 65534"
		p.Namespaces["user"], p.Namespaces["uts"], p.Namespaces["pid"] = newUsr, newUTS, newPID
		p.Namespaces["mnt"], p.Namespaces["net"] = newMnt, newNet
	}).Mounts(newMnt, func([]record.Mount) []record.Mount {
		mounts := b.MountsOf("4026531836")
		for i := range mounts {
			mounts[i].ID += 400
			mounts[i].Parent += 400
			mounts[i].Propagation = "slave"
		}
		return mounts
	})
	b.Place("run.go", 23, "run",
		"\tcmd.SysProcAttr = attributes",
		"\tif err := cmd.Start(); err != nil {",
		"\t\treturn err")
	b.changes().Hostnames = map[string]string{newUTS: "laptop"}
	b.changes().Interfaces = map[string][]record.Interface{newNet: {{Name: "lo"}}}
}

func (b *Builder) limits() {
	const key = ":/container-42"
	b.Step(record.Step{
		Call: "mkdir", Key: "mkdir cgroup", Words: "a control group of its own",
		Args: []record.Arg{{Name: "path", Value: "/sys/fs/cgroup/container-42"}},
	}).Cgroup(key, nil, map[string]string{
		"memory.max": "max", "memory.current": "0", "pids.max": "max", "pids.current": "0",
	})
	b.Step(record.Step{
		Call: "write", Key: "write cgroup memory.max", Man: "cgroups(7)", Result: "8",
		Words:    "at most 64 MiB of memory",
		Args:     []record.Arg{{Name: "text", Value: "67108864"}},
		Promises: []string{"step4-cgroups/memory"},
	}).Cgroup(key, nil, map[string]string{"memory.max": "67108864"})
	b.Step(record.Step{
		Call: "write", Key: "write cgroup cgroup.procs", Man: "cgroups(7)", Result: "2",
		Words: "process 42 moves into the group",
		Args:  []record.Arg{{Name: "file", Value: "cgroup.procs"}, {Name: "text", Value: "42"}},
	}).Process(Child, func(p *record.Process) { p.Cgroups = []string{key} }).
		Cgroup(key, []int{Child}, map[string]string{
			"pids.current": "1", "memory.current": "1445888",
		})
}

func (b *Builder) interfaces() {
	b.changes().Interfaces = map[string][]record.Interface{
		newNet: {
			{Name: "lo", Addresses: []string{"127.0.0.1/8"}, Up: true},
			{
				Name: "eth0", Addresses: []string{"10.201.0.2/16"}, Up: true,
				Routes: []string{"default via 10.201.0.1"},
			},
		},
		"4026531837": append(b.state.Interfaces["4026531837"],
			record.Interface{Name: "veth42", Up: true}),
	}
}

func (b *Builder) root(refused bool) {
	b.Step(record.Step{
		PID: Child, Call: "mount", Key: "mount rootfs rootfs",
		Words: "the directory rootfs becomes a mount of its own",
		Args: []record.Arg{
			{Name: "source", Value: "rootfs"},
			{Name: "target", Value: "rootfs"},
			{Name: "flags", Value: "MS_BIND|MS_REC"},
		},
	}).Mounts(newMnt, func(mounts []record.Mount) []record.Mount {
		return append(mounts, record.Mount{
			ID: 460, Parent: 420, Root: "/workshop/rootfs", Point: "/workshop/rootfs",
			Type: "ext4", Source: "/dev/sda1", Options: "rw,relatime", Propagation: "private",
			Super: "rw",
		})
	})
	b.Step(record.Step{
		PID: Child, Call: "pivot_root", Words: "the directory rootfs becomes the root",
		Args: []record.Arg{
			{Name: "new", Value: "."}, {Name: "old", Value: "."},
		},
		Promises: []string{"step3-rootfs/own-root"},
	}).Process(Child, func(p *record.Process) { p.Root, p.Dir = "/", "/" }).
		Mounts(newMnt, func(mounts []record.Mount) []record.Mount {
			mounts[len(mounts)-1].Point = "/"
			return mounts
		})
	b.Step(record.Step{
		PID: Child, Call: "umount2", Words: "the files of the host are out of reach",
		Args: []record.Arg{
			{Name: "target", Value: "."}, {Name: "flags", Value: "MNT_DETACH"},
		},
		Promises: []string{"step3-rootfs/no-way-up"},
	}).Mounts(newMnt, func(mounts []record.Mount) []record.Mount {
		return mounts[len(mounts)-1:]
	})
	proc := record.Step{
		PID: Child, Call: "mount", Key: "mount proc /proc",
		Words: "/proc shows the processes of the container",
		Args: []record.Arg{
			{Name: "source", Value: "proc"},
			{Name: "target", Value: "/proc"},
			{Name: "type", Value: "proc"},
		},
		Promises: []string{"step3-rootfs/ps-alone"},
	}
	if refused {
		proc.Errno = "EPERM"
		b.Step(proc)
		return
	}
	b.Step(proc).Mounts(newMnt, func(mounts []record.Mount) []record.Mount {
		return append(mounts, record.Mount{
			ID: 461, Parent: 460, Root: "/", Point: "/proc", Type: "proc", Source: "proc",
			Options: "rw,nosuid,nodev,noexec,relatime", Propagation: "private", Super: "rw",
		})
	})
}

func (b *Builder) rights() {
	few := []string{"CHOWN", "KILL", "SETGID", "SETUID"}
	b.Step(record.Step{
		PID: Child, Call: "capset", Words: "of 41 capabilities 4 are left",
		Args: []record.Arg{{Name: "effective", Value: "CHOWN KILL SETGID SETUID"}},
	}).Process(Child, func(p *record.Process) {
		p.Capabilities["effective"], p.Capabilities["permitted"] = few, few
		p.Capabilities["bounding"] = few
	})
	b.Step(record.Step{
		PID: Child, Call: "prctl", Key: "prctl PR_SET_NO_NEW_PRIVS",
		Words: "no program that it executes gains rights",
		Args:  []record.Arg{{Name: "option", Value: "PR_SET_NO_NEW_PRIVS"}},
	}).Process(Child, func(p *record.Process) { p.NoNewPrivs = true })
	b.Step(record.Step{
		PID: Child, Call: "seccomp", Words: "a filter decides about each system call",
		Args: []record.Arg{{Name: "operation", Value: "SECCOMP_SET_MODE_FILTER"}},
	}).Process(Child, func(p *record.Process) { p.Filters = 1 })
	b.Step(record.Step{
		PID: Child, Call: "execve", Key: "execve sh", Words: "the process becomes /bin/sh",
		Args: []record.Arg{{Name: "path", Value: "/bin/sh"}},
	}).Process(Child, func(p *record.Process) { p.Command = []string{"sh"} }).
		Cgroup(":/container-42", []int{Child}, map[string]string{"memory.current": "2490368"})
	b.Step(record.Step{
		PID: Child, Kind: "exit", Call: "exit", Words: "sh ended with status 0", Result: "status 0",
	}).Gone(Child).Cgroup(":/container-42", nil, map[string]string{
		"pids.current": "0", "memory.current": "913408",
	})
}
