//go:build linux

package record

import (
	"debug/buildinfo"
	"debug/elf"
	"debug/gosym"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// goProgram is what an executable file of Go says of its own source: each has the table of lines
// that it prints stack traces with (runtime/symtab.go in Go's source).
type goProgram struct {
	table  *gosym.Table
	raw    structure
	text   uint64
	data   uint64 // the address of struct moduledata, 0 if it is not known
	module string // the path of the module of the program, "" if it is not known
	root   string // where its files were when it was built
}

var errNotGo = errors.New("not a program of Go")

func readGoProgram(file string, f *elf.File) (*goProgram, error) {
	section, text := f.Section(".gopclntab"), f.Section(".text")
	if section == nil || text == nil {
		return nil, errNotGo
	}
	raw, err := section.Data()
	if err != nil {
		return nil, err
	}
	p := &goProgram{raw: raw, text: text.Addr}
	if section := f.Section(".go.module"); section != nil {
		p.data = section.Addr
	}
	symbols, _ := f.Symbols() // none: it is stripped
	for _, s := range symbols {
		switch s.Name {
		case "runtime.text": // with cgo other code comes before it
			p.text = s.Value
		case "runtime.firstmoduledata":
			p.data = s.Value
		}
	}
	p.table, err = gosym.NewTable(nil, gosym.NewLineTable(raw, p.text))
	if err != nil {
		return nil, err
	}
	info, _ := buildinfo.ReadFile(file) // an error: no module is known
	p.readRoot(info)
	return p, nil
}

// place is the place of an instruction in the module of the program, or nil. bias is what the
// addresses in memory are higher.
func (p *goProgram) place(tid int, pc, bias uint64) *Place {
	function := p.table.PCToFunc(pc)
	if function == nil {
		return nil
	}
	entry := function.Entry
	record := p.record(entry)
	// A function that is inlined into another one is no frame of the stack. The tree says which
	// instructions are of which one.
	const mostDepth = 32
	for range mostDepth {
		name, parent, inlined := p.inlined(tid, record, pc-entry, bias)
		if !inlined {
			name = function.Name
		}
		if file, line, _ := p.table.PCToLine(pc); p.owns(file) {
			return &Place{File: p.sourceFile(file), Line: line, Function: name}
		}
		if !inlined {
			return nil
		}
		pc = entry + parent
	}
	return nil
}

// functionName is the name of the function that an instruction is in.
func (p *goProgram) functionName(pc uint64) string {
	if function := p.table.PCToFunc(pc); function != nil {
		return function.Name
	}
	return ""
}

// The places of offsets in struct pcHeader.
const (
	quantumAt   = 6
	countAt     = 8
	nameTableAt = 32
	valuesAt    = 56
	functionsAt = 64
)

// record is struct _func of the function that begins at an address, or nil.
func (p *goProgram) record(entry uint64) structure {
	functions := p.from(p.raw.u64(functionsAt))
	low, high := 0, int(p.raw.u64(countAt))
	for low < high {
		middle := (low + high) / 2
		switch offset := uint64(functions.u32(8 * middle)); {
		case offset == entry-p.text:
			return p.from(p.raw.u64(functionsAt) + uint64(functions.u32(8*middle+4)))
		case offset < entry-p.text:
			low = middle + 1
		default:
			high = middle
		}
	}
	return nil
}

func (p *goProgram) from(offset uint64) structure {
	return p.raw[min(offset, uint64(len(p.raw))):]
}

// inlined is the function that is inlined at an instruction of another one, and the instruction
// where that one calls it.
func (p *goProgram) inlined(
	tid int, record structure, offset, bias uint64,
) (name string, parent uint64, ok bool) {
	const (
		countPCData, countFuncData, tables = 28, 43, 44
		inlineIndex, inlineTree            = 2, 3 // PCDATA_InlTreeIndex, FUNCDATA_InlTree
		funcAt                             = 320  // in struct moduledata: gofunc
	)
	count := int(record.u32(countPCData))
	if p.data == 0 || len(record) < tables || count <= inlineIndex ||
		int(record[countFuncData]) <= inlineTree {
		return "", 0, false
	}
	index := p.value(record.u32(tables+4*inlineIndex), offset)
	tree := record.u32(tables + 4*count + 4*inlineTree)
	base := readWord(tid, p.data+bias+funcAt)
	if index < 0 || tree == ^uint32(0) || base == 0 {
		return "", 0, false
	}
	const size, nameAt, parentAt = 16, 4, 8 // of struct inlinedCall
	call := structure(readMemory(tid, base+uint64(tree)+size*uint64(index), size))
	if len(call) < size {
		return "", 0, false
	}
	names := p.from(p.raw.u64(nameTableAt))
	return names[min(int(call.u32(nameAt)), len(names)):].text(), uint64(call.u32(parentAt)), true
}

// value reads a table of values by instruction: pairs of a difference of the value, which is signed
// in its lowest bit, and of the address.
func (p *goProgram) value(table uint32, offset uint64) int {
	if table == 0 {
		return -1
	}
	data := p.from(p.raw.u64(valuesAt) + uint64(table))
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
		at += step * uint64(p.raw[quantumAt])
		if offset < at {
			return value
		}
	}
}

// readRoot finds the directory of the module, by that of the function main.
func (p *goProgram) readRoot(info *buildinfo.BuildInfo) {
	start := p.table.LookupFunc("main.main")
	if start == nil {
		return
	}
	file, _, _ := p.table.PCToLine(start.Entry)
	p.root = filepath.Dir(file)
	if info == nil || info.Main.Path == "" {
		return
	}
	p.module = info.Main.Path
	if inside, ok := strings.CutPrefix(info.Path, p.module); ok {
		p.root = strings.TrimSuffix(p.root, inside)
	}
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
