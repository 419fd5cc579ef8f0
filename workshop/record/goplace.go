//go:build linux

package record

import (
	"bytes"
	"cmp"
	"debug/buildinfo"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"container.example/workshop/internal/ptrace"
)

// goProgram is what an executable file of Go says of its own source: each has the tables that it
// prints stack traces with (runtime/symtab.go and internal/abi in Go's source). The package
// debug/gosym reads them as well, but all of them at once, and without what is inlined.
type goProgram struct {
	tables structure // of the section .gopclntab
	text   uint64    // the address of the first function
	data   uint64    // the address of struct moduledata, 0 if it is not known
	module string    // the path of the module of the program, "" if it is not known
	root   string    // where its files were when it was built
}

var errNotGo = errors.New("not a program of Go 1.18 or later")

func readGoProgram(file string, f *elf.File) (*goProgram, error) {
	section, text := f.Section(".gopclntab"), f.Section(".text")
	if section == nil || text == nil {
		return nil, errNotGo
	}
	raw, err := mapSection(file, section)
	if err != nil {
		return nil, err
	}
	p := &goProgram{tables: raw, text: text.Addr}
	if start := p.tables.u64(textAt); start != 0 { // until Go 1.25
		p.text = start
	}
	switch p.tables.u32(0) {
	case since120:
		p.findData(file, f)
	case since118: // its tables of what is inlined are others
	default:
		return nil, errNotGo
	}
	info, _ := buildinfo.ReadFile(file) // an error: no module is known
	p.readRoot(info)
	return p, nil
}

// The first four bytes of the tables.
const (
	since118 = 0xfffffff0
	since120 = 0xfffffff1
)

// findData finds struct moduledata.
func (p *goProgram) findData(file string, f *elf.File) {
	const start = 176                                       // of the first function, in that struct
	if section := f.Section(".go.module"); section != nil { // since Go 1.26
		p.data = section.Addr
		if module, err := mapSection(file, section); err == nil {
			p.text = cmp.Or(structure(module).u64(start), p.text)
		}
	}
	if p.data == 0 || f.Section(".interp") != nil {
		p.readSymbols(file, f)
	}
}

// mapSection maps a section of a file: only what is looked at is read. The file may become shorter
// later, and then there is a fault where it ended. Most kernels let nobody write to a file that a
// process executes (ETXTBSY of open(2)); but Linux 6.11 does, and so may a shared folder.
func mapSection(file string, section *elf.Section) ([]byte, error) {
	fd, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if size := uint64(st.Size); section.Offset > size || section.FileSize > size-section.Offset {
		return nil, io.ErrUnexpectedEOF
	}
	before := section.Offset % uint64(os.Getpagesize())
	raw, err := unix.Mmap(fd, int64(section.Offset-before), int(section.FileSize+before),
		unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil, err
	}
	return raw[before:], nil
}

// readSymbols finds what is elsewhere with cgo, and where older programs have their tables. Package
// debug/elf would make a list of all symbols, which takes as long as all else that is read here.
func (p *goProgram) readSymbols(file string, f *elf.File) {
	const size, valueAt = 24, 8 // of Elf64_Sym (elf(5))
	symbols, texts := f.Section(".symtab"), f.Section(".strtab")
	if symbols == nil || texts == nil || f.Class != elf.ELFCLASS64 {
		return // it is stripped
	}
	raw, err := mapSection(file, symbols)
	names, notNames := mapSection(file, texts)
	if err != nil || notNames != nil {
		return
	}
	for table := structure(raw); len(table) >= size; table = table[size:] {
		name := names[min(uint64(table.u32(0)), uint64(len(names))):]
		switch {
		case bytes.HasPrefix(name, []byte("runtime.text\x00")):
			p.text = table.u64(valueAt)
		case bytes.HasPrefix(name, []byte("runtime.firstmoduledata\x00")):
			p.data = table.u64(valueAt)
		}
	}
}

// The places of numbers in struct pcHeader.
const (
	quantumAt   = 6
	countAt     = 8
	textAt      = 24
	nameTableAt = 32
	unitTableAt = 40
	fileTableAt = 48
	valuesAt    = 56
	functionsAt = 64
)

// from is what a table holds from an offset on. at is where the header says where the table is.
func (p *goProgram) from(at int, offset uint64) structure {
	start := p.tables.u64(at) + offset
	return p.tables[min(start, uint64(len(p.tables))):]
}

// goFunction is struct _func, with the address at which the function begins.
type goFunction struct {
	structure
	entry uint64
}

// The places of numbers in struct _func. The offsets of tables follow it.
const (
	nameAt      = 4
	fileAt      = 20
	lineAt      = 24
	valueCount  = 28
	unitAt      = 32
	dataCount   = 43
	valueTables = 44
)

// function finds the function that an instruction is in.
func (p *goProgram) function(pc uint64) (f goFunction, ok bool) {
	count := p.count()
	list := p.from(functionsAt, 0)
	low, high := 0, count // the first function that begins after pc
	for low < high {
		middle := (low + high) / 2
		if uint64(list.u32(8*middle)) <= pc-p.text {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if pc < p.text || low == 0 || low == count { // the last one is only an end
		return f, false
	}
	return p.functionAt(low - 1), true
}

// count is how many functions there are: no more than the tables have room for.
func (p *goProgram) count() int {
	const entrySize = 8
	return int(min(p.tables.u64(countAt), uint64(len(p.tables)/entrySize)))
}

func (p *goProgram) functionAt(i int) goFunction {
	list := p.from(functionsAt, 0)
	return goFunction{
		structure: p.from(functionsAt, uint64(list.u32(8*i+4))),
		entry:     p.text + uint64(list.u32(8*i)),
	}
}

func (p *goProgram) name(f goFunction) string {
	return p.from(nameTableAt, uint64(f.u32(nameAt))).text()
}

// line is the place of an instruction of a function in the source.
func (p *goProgram) line(f goFunction, pc uint64) (file string, line int) {
	const none = ^uint32(0)
	n := p.value(f.u32(fileAt), pc-f.entry)
	if n < 0 {
		return "", 0
	}
	offset := p.from(unitTableAt, 4*uint64(f.u32(unitAt))).u32(4 * n)
	if offset == none {
		return "", 0
	}
	return p.from(fileTableAt, uint64(offset)).text(), p.value(f.u32(lineAt), pc-f.entry)
}

// value reads a table of values by instruction: pairs of a difference of the value, which is signed
// in its lowest bit, and of the address.
func (p *goProgram) value(table uint32, offset uint64) int {
	if table == 0 {
		return -1
	}
	data := p.from(valuesAt, uint64(table))
	value, at := -1, uint64(0)
	for first := true; ; first = false {
		difference, n := binary.Uvarint(data)
		if n <= 0 || difference == 0 && !first {
			return -1
		}
		step, m := binary.Uvarint(data[n:])
		if m <= 0 {
			return -1
		}
		data = data[n+m:]
		if difference&1 != 0 {
			value += int(^(difference >> 1))
		} else {
			value += int(difference >> 1)
		}
		at += step * uint64(p.tables[quantumAt])
		if offset < at {
			return value
		}
	}
}

// functionName is the name of the function that an instruction is in.
func (p *goProgram) functionName(pc uint64) string {
	f, ok := p.function(pc)
	if !ok {
		return ""
	}
	return p.name(f)
}

// place is the place of an instruction in the module of the program, or nil. bias is what the
// addresses in memory are higher.
func (p *goProgram) place(tid int, pc, bias uint64) *Place {
	f, ok := p.function(pc)
	if !ok {
		return nil
	}
	// A function that is inlined into another one is no frame of the stack. A tree says which
	// instructions are of which one.
	const mostDepth = 32
	for range mostDepth {
		name, caller, inlined := p.inlined(tid, f, pc-f.entry, bias)
		if !inlined {
			name = p.name(f)
		}
		if file, line := p.line(f, pc); p.owns(file) {
			if own, _ := p.line(f, f.entry); p.data == 0 && own != file {
				name = "" // another function is inlined here, and its name is not known
			}
			return &Place{File: p.sourceFile(file), Line: line, Function: name}
		}
		if !inlined {
			return nil
		}
		pc = f.entry + caller
	}
	return nil
}

// inlined is the function that is inlined at an instruction of another one, and the instruction
// that says where that one calls it.
func (p *goProgram) inlined(
	tid int, f goFunction, offset, bias uint64,
) (name string, caller uint64, ok bool) {
	const (
		indexTable, treeTable = 2, 3 // PCDATA_InlTreeIndex, FUNCDATA_InlTree
		dataAt                = 320  // gofunc in struct moduledata
	)
	count := int(f.u32(valueCount))
	if p.data == 0 || len(f.structure) < valueTables || count <= indexTable ||
		int(f.structure[dataCount]) <= treeTable {
		return "", 0, false
	}
	index := p.value(f.u32(valueTables+4*indexTable), offset)
	tree := f.u32(valueTables + 4*count + 4*treeTable)
	base := ptrace.ReadWord(tid, p.data+bias+dataAt)
	if index < 0 || tree == ^uint32(0) || base == 0 {
		return "", 0, false
	}
	const size, callerAt = 16, 8 // of struct inlinedCall
	call := structure(ptrace.ReadMemory(tid, base+uint64(tree)+size*uint64(index), size))
	if len(call) < size {
		return "", 0, false
	}
	return p.from(nameTableAt, uint64(call.u32(nameAt))).text(), uint64(call.u32(callerAt)), true
}

// readRoot finds the directory of the module, by that of the function main.
func (p *goProgram) readRoot(info *buildinfo.BuildInfo) {
	for i := p.count() - 1; i >= 0; i-- { // package main comes last
		f := p.functionAt(i)
		if p.name(f) == "main.main" {
			file, _ := p.line(f, f.entry)
			p.root = filepath.Dir(file)
			break
		}
	}
	if info == nil {
		return
	}
	p.module = cmp.Or(info.Main.Path, repository(info.Path))
	if inside, ok := strings.CutPrefix(info.Path, p.module); ok && p.module != "" {
		p.root = strings.TrimSuffix(p.root, inside)
	}
}

// repository is what stands for the module of a program that was built without modules, as
// distributions do: github.com/OWNER/NAME of the path of its package.
func repository(path string) string {
	const parts = 3
	names := strings.SplitN(path, "/", parts+1)
	if len(names) < parts || !strings.Contains(names[0], ".") {
		return ""
	}
	return strings.Join(names[:parts], "/")
}

// owns tells whether a file is of the module of the program and not of a library.
func (p *goProgram) owns(file string) bool {
	inside, ok := strings.CutPrefix(file, p.root+"/")
	return ok && p.root != "" && !strings.HasPrefix(inside, "vendor/")
}

// sourceFile is where a file of source is. A program that was built with -trimpath names it by its
// module, which is looked for at the working directory and above.
func (p *goProgram) sourceFile(file string) string {
	inside, ok := strings.CutPrefix(file, p.module+"/")
	dir, err := os.Getwd()
	if filepath.IsAbs(file) || p.module == "" || !ok || err != nil {
		return file
	}
	for {
		text, _ := os.ReadFile(filepath.Join(dir, "go.mod"))
		if strings.Contains("\n"+string(text), "\nmodule "+p.module+"\n") {
			return filepath.Join(dir, inside)
		}
		if dir == "/" {
			return file
		}
		dir = filepath.Dir(dir)
	}
}
