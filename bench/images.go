//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Names of what gets images.
const (
	pull       = "image pull"
	pullSingle = "image pull, of an image with the same files in one layer"
	pullSecond = "image pull, of a second image that shares four of the five layers"
	skopeo     = "skopeo copy, umoci unpack"
	podman     = "podman pull"
)

// A puller gets an image from the registry and unpacks it, by one command or several.
type puller struct {
	name     string
	commands [][]string
	then     *puller // is measured in the same store
}

// cost is what pulling takes.
type cost struct {
	time, processor []time.Duration // from start to end, and of all processors
	resident        []int           // kB at most
	fetched         []int           // bytes
}

// pulls is the bench of images.
type pulls struct {
	*bench
	images
	pullers []*puller
	costs   map[string]*cost
}

// measureImages makes all measurements of images and prints them.
func measureImages(o options, dir string) error {
	p := &pulls{
		bench: &bench{options: o, dir: dir, median: map[string]time.Duration{}},
		costs: map[string]*cost{},
	}
	text, err := os.ReadFile(p.path("images.json"))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &p.images); err != nil {
		return err
	}
	if err := p.protect(); err != nil {
		return err
	}
	if p.null, err = os.OpenFile("/dev/null", os.O_RDWR, 0); err != nil {
		return err
	}
	for _, table := range []func() error{p.find, p.measure, p.starts} {
		if err := table(); err != nil {
			return err
		}
	}
	p.targets()
	return nil
}

// protect makes all of the machine read-only, in the mount namespace of this process: engines have
// more places to write to than their flags name. /proc is mounted again, for uid maps.
func (p *pulls) protect() error {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount private /: %w", err)
	}
	if err := os.Mkdir(p.store(), 0o755); err != nil {
		return err
	}
	readOnly := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE, readOnly); err != nil {
		return fmt.Errorf("mount_setattr read-only /: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount proc: %w", err)
	}
	return nil
}

// store is where all programs keep all that they write.
func (p *pulls) store() string { return p.path("store") }

// cold calls a function while the store, and what else engines write to, is an empty tmpfs.
func (p *pulls) cold(f func() error) (err error) {
	for _, dir := range []string{p.store(), "/run", "/dev/shm", "/var/tmp"} {
		if strings.HasPrefix(p.dir, dir+"/") {
			continue // the programs are there
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
			return fmt.Errorf("mount tmpfs %s: %w", dir, err)
		}
		defer func() { err = errors.Join(err, unix.Unmount(dir, unix.MNT_DETACH)) }()
	}
	config := filepath.Join(p.store(), "home/.config/containers")
	tmp := filepath.Join(p.store(), "tmp")
	if err := errors.Join(os.MkdirAll(config, 0o755), os.Mkdir(tmp, 0o700)); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"policy.json": `{"default":[{"type":"insecureAcceptAnything"}]}`,
		"registries.conf": fmt.Sprintf("[[registry]]\nlocation = %q\ninsecure = true\n",
			p.Address),
	} {
		if err := os.WriteFile(filepath.Join(config, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	p.env = []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + filepath.Join(p.store(), "home"),
		"TMPDIR=" + tmp,
		"CONTAINER_IMAGES=" + p.imageStore(),
	}
	return f()
}

func (p *pulls) imageStore() string { return filepath.Join(p.store(), "images") }

// find finds what the machine has, by pulling once with each.
func (p *pulls) find() error {
	in := func(name string) string { return filepath.Join(p.store(), name) }
	image := p.path("image")
	for _, q := range []*puller{
		{
			name:     pull,
			commands: [][]string{{image, "pull", p.name("first")}},
			then: &puller{
				name:     pullSecond,
				commands: [][]string{{image, "pull", p.name("second")}},
			},
		},
		{
			name:     pullSingle,
			commands: [][]string{{image, "pull", p.name("single")}},
		},
		{
			name: skopeo,
			commands: [][]string{
				{"skopeo", "copy", "docker://" + p.name("first"), "oci:" + in("layout") + ":first"},
				{"umoci", "unpack", "--image", in("layout") + ":first", in("bundle")},
			},
		},
		{
			name: podman,
			commands: [][]string{{
				"podman", "--root", in("storage"), "--runroot", in("run"), "--tmpdir", in("libpod"),
				"--storage-driver", "overlay", "--cgroup-manager", "cgroupfs",
				"--network-config-dir", in("networks"), "--events-backend", "none",
				"pull", p.name("first"),
			}},
		},
	} {
		err := p.cold(func() error { return p.pull(q, &cost{}) })
		switch {
		case err != nil && q.commands[0][0] == image:
			return err
		case err != nil:
			leftOut(q.name, err)
			continue
		}
		p.pullers = append(p.pullers, q)
		for ; q != nil; q = q.then {
			p.costs[q.name] = &cost{}
		}
	}
	return nil
}

// pull measures what a puller takes.
func (p *pulls) pull(q *puller, c *cost) error {
	before, err := p.sent()
	if err != nil {
		return err
	}
	var took, processor time.Duration
	resident := 0
	for _, command := range q.commands {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Env, cmd.Dir = p.env, p.store()
		var said strings.Builder
		cmd.Stderr = &said
		start := time.Now()
		err := cmd.Run()
		took += time.Since(start)
		if err != nil {
			return failure(filepath.Base(command[0]), err, said.String())
		}
		processor += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		resident = max(resident, int(usage.Maxrss))
	}
	after, err := p.sent()
	c.time = append(c.time, took)
	c.processor = append(c.processor, processor)
	c.resident = append(c.resident, resident)
	c.fetched = append(c.fetched, after-before)
	return err
}

// sent asks the registry how many bytes it has sent.
func (p *pulls) sent() (int, error) {
	answer, err := http.Get("http://" + p.Address + "/sent")
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(text))
}

// measure pulls with each, in each round in another order, and each time from nothing.
func (p *pulls) measure() error {
	for range p.rounds {
		for _, i := range rand.Perm(len(p.pullers)) {
			err := p.cold(func() error {
				for q := p.pullers[i]; q != nil; q = q.then {
					awaitCalm()
					if err := p.pull(q, p.costs[q.name]); err != nil {
						return fmt.Errorf("%s: %w", q.name, err)
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	fmt.Printf("%s, %.0f MB, in %d layers of %.1f MB together, from a registry on loopback to a "+
		"tmpfs, median of %d in random order:\n\n",
		p.Source, float64(p.Bytes)/1e6, pulledLayers, float64(p.Packed)/1e6, p.rounds)
	header("", "seconds", "of "+pull, "of processors", "MB resident", "bytes fetched")
	for _, name := range []string{pull, skopeo, podman, pullSingle, pullSecond} {
		c, ok := p.costs[name]
		if !ok {
			continue
		}
		p.median[name] = middle(c.time)
		row(name, seconds(p.median[name]), ratio(p.median[name], p.median[pull]),
			seconds(middle(c.processor)), fmt.Sprintf("%.0f", megabytes(c.resident)),
			strconv.Itoa(middle(c.fetched)))
	}
	return nil
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) }

func megabytes(kB []int) float64 { return float64(middle(kB)) * 1024 / 1e6 }

// Names of the two ways to start a container.
const (
	fromRootfs = "container -rootfs, with the lowest layer"
	fromImage  = "container -image, of all layers"
)

// starts measures the start of a container of an image with many layers, beside one whose rootfs is
// the directory of the lowest of them.
func (p *pulls) starts() error {
	rounds := 20 * p.rounds
	program := p.path("container")
	ways := []contestant{
		{
			name: fromRootfs,
			args: []string{
				program, "run", "-rootfs", filepath.Join(p.imageStore(), p.Lowest), "CMD",
			},
		},
		{name: fromImage, args: []string{program, "run", "-image", p.name("many"), "CMD"}},
	}
	times := make([][]time.Duration, len(ways))
	err := p.cold(func() error {
		many := &puller{commands: [][]string{{p.path("image"), "pull", p.name("many")}}}
		if err := p.pull(many, &cost{}); err != nil {
			return err
		}
		for range rounds {
			for _, i := range rand.Perm(len(ways)) {
				awaitCalm()
				took, err := p.time(ways[i])
				if err != nil {
					return err
				}
				times[i] = append(times[i], took)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Printf("\none container of %d layers, from start to end, %d rounds in random order:\n\n",
		startedLayers, rounds)
	header("", "median ms", "half of them", "of the first")
	for i, c := range ways {
		slices.Sort(times[i])
		p.median[c.name] = middle(times[i])
		row(c.name, milliseconds(p.median[c.name]),
			milliseconds(quantile(times[i], 1))+" to "+milliseconds(quantile(times[i], 3)),
			ratio(p.median[c.name], p.median[fromRootfs]))
	}
	return nil
}

// targets prints what images are to reach, and what they did.
func (p *pulls) targets() {
	fmt.Print("\ntargets:\n\n")
	header("", "at most", "here", "")
	for _, t := range []struct {
		rival string
		most  float64
	}{
		{podman, 0.5},
		{skopeo, 1},
	} {
		if p.median[t.rival] != 0 {
			here := float64(p.median[pull]) / float64(p.median[t.rival])
			target(pull+": of "+t.rival, t.most, here, "")
		}
	}
	for _, name := range []string{pull, pullSingle} {
		target(name+": resident", 64, megabytes(p.costs[name].resident), " MB")
	}
	target("second image: of the bytes of its last layer, config and manifest", 1,
		float64(slices.Max(p.costs[pullSecond].fetched))/float64(p.Second), "")
	more := p.median[fromImage] - p.median[fromRootfs]
	target(fmt.Sprintf("container of %d layers: more than with -rootfs", startedLayers), 1,
		float64(more)/float64(time.Millisecond), " ms")
}
