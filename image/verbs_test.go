//go:build linux

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sys/unix"

	"container.example/workshop/image/layer"
	"container.example/workshop/image/store"
	"container.example/workshop/internal/harness"
)

// The verbs of the scripts, which are programs beside image.

func exitIf(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// packLayers makes an image of layers: pack NAME LAYER... makes an OCI layout in NAME.oci. Each
// LAYER is an archive, if it is called .tar, or a file with a line for each entry, in that order:
//
//	dir NAME | file NAME DATA | fifo NAME
//	symlink NAME TARGET | hardlink NAME TARGET
//	char NAME MAJOR MINOR | block NAME MAJOR MINOR
//	global NAME (a remark about all that follows) | unknown NAME (of a kind that does not exist)
//
// and behind that mode=0755, owner=1:2, xattr=NAME=VALUE, size=BYTES (of a file of zeros), or
// noise=BYTES (of one that does not become smaller). A name in quotation marks is one of Go.
func packLayers() {
	exitIf(func() error {
		dir := os.Args[1] + ".oci"
		l := layoutWriter{dir: dir}
		if err := os.MkdirAll(filepath.Join(dir, "blobs/sha256"), 0o755); err != nil {
			return err
		}
		for _, file := range os.Args[2:] {
			var archive bytes.Buffer
			if err := readLayer(&archive, file); err != nil {
				return err
			}
			l.layer(archive.Bytes(), !strings.HasSuffix(file, ".plain"))
		}
		return l.finish()
	}())
}

// layoutWriter writes an OCI layout of one image.
type layoutWriter struct {
	dir    string
	layers []v1.Descriptor
	ids    []v1.Hash
	err    error
	// compressor is used for one layer after the other: making one takes longer than most layers.
	compressor *gzip.Writer
}

func (l *layoutWriter) blob(data []byte, kind types.MediaType) v1.Descriptor {
	hex := fmt.Sprintf("%x", sha256.Sum256(data))
	err := os.WriteFile(filepath.Join(l.dir, "blobs/sha256", hex), data, 0o644)
	l.err = errors.Join(l.err, err)
	return v1.Descriptor{
		MediaType: kind,
		Size:      int64(len(data)),
		Digest:    v1.Hash{Algorithm: "sha256", Hex: hex},
	}
}

func (l *layoutWriter) layer(archive []byte, compress bool) {
	diffID, _, err := v1.SHA256(bytes.NewReader(archive))
	l.err = errors.Join(l.err, err)
	l.ids = append(l.ids, diffID)
	if !compress {
		l.layers = append(l.layers, l.blob(archive, types.OCIUncompressedLayer))
		return
	}
	var packed bytes.Buffer
	if l.compressor == nil {
		l.compressor = gzip.NewWriter(nil)
	}
	l.compressor.Reset(&packed)
	_, err = l.compressor.Write(archive)
	l.err = errors.Join(l.err, err, l.compressor.Close())
	l.layers = append(l.layers, l.blob(packed.Bytes(), types.OCILayer))
}

func (l *layoutWriter) finish() error {
	config := v1.ConfigFile{OS: "linux", Architecture: defaultPlatform().Architecture}
	config.RootFS.Type = "layers"
	config.RootFS.DiffIDs = l.ids
	manifest := v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		Config:        l.blob(marshal(config), types.OCIConfigJSON),
		Layers:        l.layers,
	}
	d := l.blob(marshal(manifest), types.OCIManifestSchema1)
	name := strings.TrimSuffix(filepath.Base(l.dir), ".oci") + ":latest"
	d.Annotations = map[string]string{store.RefName: name}
	index := v1.IndexManifest{
		SchemaVersion: 2,
		MediaType:     types.OCIImageIndex,
		Manifests:     []v1.Descriptor{d},
	}
	return errors.Join(l.err,
		os.WriteFile(filepath.Join(l.dir, "index.json"), marshal(index), 0o644),
		os.WriteFile(filepath.Join(l.dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`),
			0o644))
}

func marshal(v any) []byte {
	text, err := json.Marshal(v)
	exitIf(err)
	return text
}

// readLayer reads an archive, or makes one.
func readLayer(to io.Writer, file string) error {
	if !strings.HasSuffix(file, ".tar") {
		return writeLayer(to, file)
	}
	archive, err := os.Open(file)
	if err != nil {
		return err
	}
	defer archive.Close()
	plain, err := layer.Decompress(archive)
	if err != nil {
		return err
	}
	defer plain.Close()
	_, err = io.Copy(to, plain)
	return err
}

func writeLayer(to io.Writer, file string) error {
	w := tar.NewWriter(to)
	err := lines(file, func(line string) error {
		h, data, err := entryOf(harness.Words(line, nil))
		if err == nil {
			err = w.WriteHeader(h)
		}
		if err == nil {
			_, err = io.Copy(w, data)
		}
		return err
	})
	return errors.Join(err, w.Close())
}

var kinds = map[string]byte{
	"dir":      tar.TypeDir,
	"file":     tar.TypeReg,
	"fifo":     tar.TypeFifo,
	"symlink":  tar.TypeSymlink,
	"hardlink": tar.TypeLink,
	"char":     tar.TypeChar,
	"block":    tar.TypeBlock,
	"global":   tar.TypeXGlobalHeader,
	"unknown":  'Z',
}

// entryOf makes an entry of an archive of a line.
func entryOf(words []string) (h *tar.Header, data io.Reader, err error) {
	h = &tar.Header{
		Typeflag:   kinds[words[0]],
		Name:       unquoted(words[1]),
		Mode:       0o644,
		ModTime:    time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC),
		Format:     tar.FormatPAX,
		PAXRecords: map[string]string{},
	}
	words = words[2:]
	data = strings.NewReader("")
	next := func() string {
		if len(words) == 0 {
			return ""
		}
		word := words[0]
		words = words[1:]
		return word
	}
	switch h.Typeflag {
	case tar.TypeDir:
		h.Mode = 0o755
	case tar.TypeReg:
		if len(words) > 0 && !strings.Contains(words[0], "=") {
			text := unquoted(next()) + "\n"
			h.Size = int64(len(text))
			data = strings.NewReader(text)
		}
	case tar.TypeSymlink, tar.TypeLink:
		h.Linkname = unquoted(next())
	case tar.TypeChar, tar.TypeBlock:
		h.Devmajor, _ = strconv.ParseInt(next(), 10, 64)
		h.Devminor, _ = strconv.ParseInt(next(), 10, 64)
	case tar.TypeXGlobalHeader:
		h = &tar.Header{
			Typeflag:   tar.TypeXGlobalHeader,
			Name:       h.Name,
			PAXRecords: map[string]string{"comment": "a remark"},
			Format:     tar.FormatPAX,
		}
	case 'Z':
		h.Format = tar.FormatGNU
		h.PAXRecords = nil
	case tar.TypeFifo:
	default:
		return nil, nil, errors.New("unknown kind")
	}
	for _, option := range words {
		key, value, _ := strings.Cut(option, "=")
		switch key {
		case "mode":
			h.Mode, err = strconv.ParseInt(value, 8, 64)
		case "owner":
			_, err = fmt.Sscanf(value, "%d:%d", &h.Uid, &h.Gid)
		case "xattr":
			attribute, value, _ := strings.Cut(value, "=")
			h.PAXRecords["SCHILY.xattr."+attribute] = value
		case "size":
			h.Size, err = strconv.ParseInt(value, 10, 64)
			data = io.LimitReader(zeros{}, h.Size)
		case "noise":
			h.Size, err = strconv.ParseInt(value, 10, 64)
			data = io.LimitReader(rand.NewChaCha8([32]byte{1}), h.Size)
		default:
			err = errors.New("unknown option")
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", option, err)
		}
	}
	return h, data, nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func unquoted(word string) string {
	if text, err := strconv.Unquote(word); err == nil {
		return text
	}
	return word
}

// makeFile is makefile FILE LAYER: an archive in a file.
func makeFile() {
	file, err := os.Create(os.Args[1])
	exitIf(err)
	exitIf(writeLayer(file, os.Args[2]))
}

// printTree is tree NAME: it mounts an image as the runtime does, and prints what the kernel shows.
func printTree() {
	withMount(os.Args[1], "", func(image *store.Image, merged string) {
		// The attributes of the root are those of the upper layer, and so of the one below it.
		exitIf(printFile(image.Layers[len(image.Layers)-1], "."))
		exitIf(printFiles(merged))
	})
}

// printDirectory is files DIR: it prints what tree prints, of a directory.
func printDirectory() {
	exitIf(printFile(os.Args[1], "."))
	exitIf(printFiles(os.Args[1]))
}

func printFiles(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil || relative == "." {
			return err
		}
		return printFile(dir, relative)
	})
}

// change is change NAME KEEP SCRIPT: it changes an image with a shell, and keeps the changes as the
// runtime does.
func change() {
	withMount(os.Args[1], os.Args[2], func(image *store.Image, merged string) {
		cmd := exec.Command("sh", "-ec", os.Args[3])
		cmd.Dir = merged
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		exitIf(cmd.Run())
		exitIf(os.WriteFile(filepath.Join(os.Args[2], store.KeptFrom),
			[]byte(image.Manifest+"\n"), 0o644))
	})
}

// withMount mounts an image with an upper layer in a directory, or one that is thrown away.
func withMount(name, keep string, do func(image *store.Image, merged string)) {
	if status, done := inUserNamespace(); done {
		os.Exit(status)
	}
	runtime.LockOSThread() // unshare(2) is about one thread
	unix.Umask(0)
	image, err := store.Open(name)
	exitIf(err)
	defer image.Close()
	exitIf(unix.Unshare(unix.CLONE_NEWNS))
	dir, err := os.MkdirTemp(".", "tree-*")
	exitIf(err)
	merged := filepath.Join(dir, "merged")
	exitIf(os.Mkdir(merged, 0o755))
	if keep == "" {
		keep = filepath.Join(dir, "keep")
	}
	for _, name := range []string{"upper", "work"} {
		exitIf(os.MkdirAll(filepath.Join(keep, name), 0o755))
	}
	lower := slices.Clone(image.Layers)
	slices.Reverse(lower)
	options := fmt.Sprintf("upperdir=%[1]s/upper,workdir=%[1]s/work,lowerdir=%s", keep,
		strings.Join(lower, ":"))
	if len(os.Args) == 3 && os.Args[2] == "userxattr" || !isRootOfHost() {
		options += ",userxattr"
	}
	if err := unix.Mount("overlay", merged, "overlay", 0, options); err != nil {
		exitIf(fmt.Errorf("mount overlay %s: %w", options, err))
	}
	do(image, merged)
	exitIf(unix.Unmount(merged, unix.MNT_DETACH))
	exitIf(os.RemoveAll(dir))
}

// engine is engine COMMAND [ARG...]: it runs podman, or a command that does. The storage is in the
// script's directory, and so is all else that an engine writes to, whatever its settings say.
func engine() {
	runtime.LockOSThread() // unshare(2) is about one thread
	exitIf(unix.Unshare(unix.CLONE_NEWNS))
	dir, err := filepath.Abs("engine")
	exitIf(err)
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"run", "dev/shm", "var/tmp", "var/lib"} {
		if strings.HasPrefix(dir, "/"+name+"/") {
			exitIf(fmt.Errorf("an engine writes to /%s, and %s is there (set TMPDIR)", name, dir))
		}
		exitIf(os.MkdirAll(in(name), 0o755))
		exitIf(unix.Mount(in(name), "/"+name, "", unix.MS_BIND, ""))
	}
	exitIf(os.MkdirAll(in("home/.config/containers"), 0o755))
	for name, text := range map[string]string{
		"policy.json":     `{"default":[{"type":"insecureAcceptAnything"}]}`,
		"registries.conf": "unqualified-search-registries = []\n",
		"storage.conf": fmt.Sprintf("[storage]\ndriver = \"overlay\"\ngraphroot = %q\n"+
			"runroot = %q\n", in("storage"), in("run/storage")),
		"containers.conf": fmt.Sprintf("[network]\nnetwork_config_dir = %q\n[engine]\n"+
			"cgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\ntmp_dir = %q\n",
			in("networks"), in("run/libpod")),
	} {
		exitIf(os.WriteFile(in("home/.config/containers/"+name), []byte(text), 0o644))
	}
	for name, value := range map[string]string{
		"HOME":                    in("home"),
		"TMPDIR":                  in("var/tmp"),
		"CONTAINERS_STORAGE_CONF": in("home/.config/containers/storage.conf"),
		"CONTAINERS_CONF":         in("home/.config/containers/containers.conf"),
	} {
		exitIf(os.Setenv(name, value))
	}
	program, err := exec.LookPath(os.Args[1])
	exitIf(err)
	exitIf(unix.Exec(program, os.Args[1:], os.Environ()))
}

func isRootOfHost() bool {
	ids, _ := os.ReadFile("/proc/self/uid_map")
	return slices.Equal(strings.Fields(string(ids)), []string{"0", "0", "4294967295"})
}

// printFile prints a line about a file: mode, owner, name, and what is in it.
func printFile(root, name string) error {
	path := filepath.Join(root, name)
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	stat := info.Sys().(*syscall.Stat_t)
	line := fmt.Sprintf("%s %d:%d %s", info.Mode(), stat.Uid, stat.Gid, printable(name))
	switch mode := info.Mode(); {
	case mode.IsRegular():
		line += contents(path, info.Size())
		if stat.Nlink > 1 {
			line += fmt.Sprintf(" links=%d", stat.Nlink)
		}
		if stat.Blocks*512 < info.Size()/2 {
			line += " sparse"
		}
	case mode&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		if err != nil {
			return err
		}
		line += " -> " + target
	case mode&fs.ModeDevice != 0:
		line += fmt.Sprintf(" %d/%d", unix.Major(stat.Rdev), unix.Minor(stat.Rdev))
	}
	if os.Getenv("TIMES") != "" && name != "." {
		line += " " + info.ModTime().UTC().Format(time.RFC3339Nano)
	}
	list := make([]byte, 4096)
	n, _ := unix.Llistxattr(path, list)
	attributes := strings.FieldsFunc(string(list[:max(n, 0)]), func(r rune) bool { return r == 0 })
	slices.Sort(attributes)
	for _, attribute := range attributes {
		if strings.HasPrefix(attribute, "security.selinux") {
			continue
		}
		if strings.Contains(attribute, ".overlay.") {
			continue // the merged tree of root shows those of the other kind of mount
		}
		value := make([]byte, 256)
		n, err := unix.Lgetxattr(path, attribute, value)
		if err != nil {
			return err
		}
		line += fmt.Sprintf(" %s=%s", attribute, value[:n])
	}
	fmt.Println(line)
	return nil
}

func contents(path string, size int64) string {
	text, err := os.ReadFile(path)
	if size > 100 || err != nil {
		return fmt.Sprintf(" %d bytes", size)
	}
	return " " + strings.TrimSuffix(string(text), "\n")
}
