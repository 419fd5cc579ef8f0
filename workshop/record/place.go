//go:build linux

package record

import (
	"cmp"
	"debug/dwarf"
	"debug/elf"
	"errors"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"container.example/workshop/internal/ptrace"
)

// places finds the lines of source that make calls.
type places struct {
	// programs are those that were executed. The first may still be read.
	programs map[fileID]func() *program
	// current are the programs of processes, by how many programs the process executed before.
	current map[[2]int]*loaded
}

// loaded is a program in the memory of a process.
type loaded struct {
	*program
	bias       uint64 // what is added to the addresses in the file
	start, end uint64 // of its instructions in memory
}

// knownPlace is what is known of an address.
type knownPlace struct {
	place   *Place
	isProbe bool // the library of the language makes a call there for itself
}

func newPlaces() places {
	return places{programs: map[fileID]func() *program{}, current: map[[2]int]*loaded{}}
}

// find is the place of the call that a thread is about to make, or nil if it is not known. isProbe
// tells that the library of the language makes the call for itself.
func (p *places) find(th *thread, info *ptrace.SyscallInfo) (best *Place, isProbe bool) {
	l := p.load(th.process)
	if l == nil {
		return nil, false
	}
	for pc := range l.returns(th.tid, info) {
		known := l.at(th.tid, pc)
		switch place := known.place; {
		case known.isProbe:
			return nil, true
		case place == nil:
		case place.Line > 0 && place.File != "":
			return place, false
		case best == nil:
			best = place
		}
	}
	return best, false
}

// at is what is known of an address.
func (l *loaded) at(tid int, pc uint64) knownPlace {
	k, ok := l.known[pc-l.bias]
	if !ok {
		k = unlessFault(func() knownPlace {
			return knownPlace{
				place:   l.place(tid, pc),
				isProbe: l.golang != nil && l.golang.functionName(pc-l.bias) == goProbe,
			}
		})
		l.known[pc-l.bias] = k
	}
	return k
}

// goProbe is the function of Go that starts a child to see whether the kernel knows descriptors of
// processes. The child ends at once.
const goProbe = "os.checkPidfd"

// load finds the program of a process.
func (p *places) load(process *process) *loaded {
	key := [2]int{process.pid, process.program}
	if l, ok := p.current[key]; ok {
		return l
	}
	exe := "/proc/" + strconv.Itoa(process.pid) + "/exe"
	file, err := identify(exe)
	if err != nil {
		return nil
	}
	read, ok := p.programs[file]
	if !ok {
		read = sync.OnceValue(func() *program { return readProgram(exe) })
		p.programs[file] = read
	}
	var l *loaded
	if known := read(); known != nil {
		l = known.locate(process.pid)
	}
	p.current[key] = l
	return l
}

// inherit gives a child the program of its parent, which is at the same addresses (fork(2)).
func (p *places) inherit(parent, child *process) {
	if l, ok := p.current[[2]int{parent.pid, parent.program}]; ok {
		p.current[[2]int{child.pid, child.program}] = l
	}
}

// forget forgets the programs of a process that has ended. Another one may get its number.
func (p *places) forget(pid int) {
	maps.DeleteFunc(p.current, func(key [2]int, _ *loaded) bool { return key[0] == pid })
}

// readAhead reads the program of the command beside the command, which need not wait for it then.
func (p *places) readAhead(path string) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO would wait
	if err != nil {
		return
	}
	// It is the file that is read, whatever the path leads to later.
	self := "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
	read := sync.OnceValue(func() *program {
		defer f.Close()
		return readProgram(self)
	})
	if file, err := identify(self); err == nil {
		p.programs[file] = read
	}
	go read()
}

// fileID tells a file from all others, and from what it was before it was written again.
type fileID struct {
	device, inode uint64
	written       unix.Timespec
}

func identify(path string) (fileID, error) {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	return fileID{device: st.Dev, inode: st.Ino, written: st.Mtim}, err
}

// program is what is known of an executable file.
type program struct {
	first  uint64     // the address of its first segment
	golang *goProgram // nil if it is of another language
	lines  *dwarfLines
	// functions are those of the symbol table, in the order of their addresses.
	functions []elf.Symbol
	// known are the places that were found, by address: most stacks begin and end alike.
	known map[uint64]knownPlace
	stack []byte // room for a part of one
}

// readProgram reads the tables of a file. A program without any is nil, and so is a file that
// becomes shorter meanwhile: see mapSection.
func readProgram(file string) *program {
	f, err := elf.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	return unlessFault(func() *program { return readTables(file, f) })
}

// unlessFault returns what read does, or nothing if it reads memory that is no longer there.
func unlessFault[T any](read func() T) T {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch problem := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }: // the address of a fault
		default:
			panic(problem)
		}
	}()
	return read()
}

func readTables(file string, f *elf.File) *program {
	p := &program{known: map[uint64]knownPlace{}}
	for _, segment := range f.Progs {
		if segment.Type == elf.PT_LOAD {
			p.first = segment.Vaddr - segment.Off
			break
		}
	}
	var err error
	if p.golang, err = readGoProgram(file, f); err == nil {
		return p
	}
	p.golang = nil
	p.lines = readLines(f)
	symbols, _ := f.Symbols() // none: it is stripped
	for _, s := range symbols {
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC && s.Value != 0 {
			p.functions = append(p.functions, s)
		}
	}
	slices.SortFunc(p.functions, func(a, b elf.Symbol) int {
		switch {
		case a.Value < b.Value:
			return -1
		case a.Value > b.Value:
			return 1
		}
		return 0
	})
	if p.lines == nil && len(p.functions) == 0 {
		return nil
	}
	return p
}

// locate finds where a process has the program in memory.
func (p *program) locate(pid int) *loaded {
	dir := "/proc/" + strconv.Itoa(pid)
	exe := readLink(dir + "/exe")
	text, err := readFile(dir + "/maps")
	if err != nil {
		return nil
	}
	l := &loaded{program: p}
	for line := range strings.Lines(string(text)) {
		if !strings.HasSuffix(line, " "+exe+"\n") {
			continue
		}
		// START-END rwxp OFFSET MAJOR:MINOR INODE NAME
		fields := strings.Fields(line)
		from, to, _ := strings.Cut(fields[0], "-")
		start, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		offset, err3 := strconv.ParseUint(fields[2], 16, 64)
		if errors.Join(err1, err2, err3) != nil {
			continue
		}
		if l.end == 0 && l.bias == 0 {
			l.bias = start - offset - p.first
		}
		if strings.Contains(fields[1], "x") {
			if l.start == 0 {
				l.start = start
			}
			l.end = end
		}
	}
	if l.end == 0 {
		return nil
	}
	return l
}

// returns are the addresses to which the functions on the stack of a thread return, from the
// innermost on, and before them the one of the call itself.
func (l *loaded) returns(tid int, info *ptrace.SyscallInfo) func(func(uint64) bool) {
	return func(yield func(uint64) bool) {
		stack := l.readStack(tid, info.SP)
		frame, back := frameOf(stack)
		for _, pc := range []uint64{info.IP, back} {
			if l.holds(pc) && !yield(pc-1) {
				return
			}
		}
		if l.golang != nil {
			if !l.isOfGo(info.IP) { // C makes it, which may keep no frame pointers
				below := unlessFault(func() uint64 { return l.frameBelowC(stack) })
				frame = cmp.Or(below, frame)
			}
			l.frames(stack, frame, yield)
			return
		}
		// The libraries of other languages have no frame pointers. What looks like an address of
		// the program, behind an instruction that calls, is one.
		callee, others := info.IP, []uint64(nil)
		for at := 0; at+8 <= len(stack.top); at += 8 {
			pc := stack.top.u64(at)
			switch {
			case !l.holds(pc) || !followsCall(tid, pc):
			case l.callsElsewhere(tid, pc, callee):
				others = append(others, pc)
			case !yield(pc - 1):
				return
			default:
				callee = pc - 1
			}
		}
		for _, pc := range others {
			if !yield(pc - 1) {
				return
			}
		}
	}
}

// stack is that of a thread.
type stack struct {
	tid   int
	start uint64
	top   structure // what was read of it in one go
}

func (l *loaded) readStack(tid int, start uint64) *stack {
	const most = 8192
	if l.stack == nil {
		l.stack = make([]byte, most)
	}
	n := ptrace.ReadInto(l.stack, tid, start)
	return &stack{tid: tid, start: start, top: l.stack[:n]}
}

// word is what the thread has at an address, on its stack or elsewhere.
func (s *stack) word(address uint64) uint64 {
	if at := address - s.start; at < uint64(len(s.top)) && uint64(len(s.top))-at >= 8 {
		return s.top.u64(int(at))
	}
	return ptrace.ReadWord(s.tid, address)
}

// callsElsewhere tells whether the call before an address is one of another function than that of
// an instruction. Then a call that has returned may have left the address on the stack.
func (l *loaded) callsElsewhere(tid int, pc, callee uint64) bool {
	target := callTarget(tid, pc)
	if target == 0 || !l.holds(callee) {
		return false // it is not known
	}
	running := l.function(callee - l.bias)
	return running != "" && l.function(target-l.bias) != running
}

// frames follows the frame pointers, which all functions of Go keep.
func (l *loaded) frames(stack *stack, frame uint64, yield func(uint64) bool) {
	const most = 64
	for range most {
		next, pc := stack.word(frame), stack.word(frame+8)
		if pc == 0 || l.holds(pc) && !yield(pc-1) || next <= frame {
			return
		}
		frame = next
	}
}

// holds tells whether an address is one of the program's instructions.
func (l *loaded) holds(pc uint64) bool { return l.start < pc && pc <= l.end }

// isOfGo tells whether an address is one of the instructions that Go has compiled. A program that
// is linked statically has those of C as well.
func (l *loaded) isOfGo(pc uint64) bool {
	return l.holds(pc) && unlessFault(func() bool {
		return l.golang.functionName(pc-1-l.bias) != ""
	})
}

// place is the place of an address, or nil if that is not in the program's own source.
func (l *loaded) place(tid int, pc uint64) *Place {
	pc -= l.bias
	if l.golang != nil {
		return l.golang.place(tid, pc, l.bias)
	}
	if l.lines != nil {
		place := l.lines.find(pc)
		if place == nil {
			place = l.lines.findCaller(pc)
		}
		if place != nil {
			place.Function = plainName(l.function(pc))
			return place
		}
	}
	if name := l.function(pc); name != "" && !strings.HasPrefix(name, "_") {
		return &Place{Function: name}
	}
	return nil
}

func (p *program) function(pc uint64) string {
	i, found := slices.BinarySearchFunc(p.functions, pc, func(s elf.Symbol, pc uint64) int {
		switch {
		case s.Value < pc:
			return -1
		case s.Value > pc:
			return 1
		}
		return 0
	})
	if !found {
		i--
	}
	if i < 0 || pc >= p.functions[i].Value+max(p.functions[i].Size, 1) {
		return ""
	}
	return p.functions[i].Name
}

// plainName is the name of a function of Rust or C++ as its source has it: the parts of the name,
// each after its length, and in Rust a number of the compiler.
func plainName(symbol string) string {
	rest, ok := strings.CutPrefix(symbol, "_ZN")
	var parts []string
	for ok && !strings.HasPrefix(rest, "E") {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		size, err := strconv.Atoi(rest[:digits])
		if err != nil || size > len(rest)-digits {
			return symbol
		}
		parts, rest = append(parts, rest[digits:digits+size]), rest[digits+size:]
	}
	const numberSize = 17 // an h and 16 digits
	if last := len(parts) - 1; last > 0 && len(parts[last]) == numberSize && parts[last][0] == 'h' {
		parts = parts[:last]
	}
	if len(parts) == 0 {
		return symbol
	}
	for i, part := range parts {
		if strings.HasPrefix(part, "_$") {
			part = part[1:]
		}
		parts[i] = rustSigns.Replace(part)
	}
	return strings.Join(parts, "::")
}

// rustSigns are how a symbol of Rust has what no name of C may have.
var rustSigns = strings.NewReplacer(
	"$u7b$", "{", "$u7d$", "}", "$u5b$", "[", "$u5d$", "]", "$u20$", " ", "$u27$", "'",
	"$u2b$", "+", "$u3b$", ";", "$LT$", "<", "$GT$", ">", "$LP$", "(", "$RP$", ")",
	"$RF$", "&", "$BP$", "*", "$SP$", "@", "$C$", ",", "..", "::",
)

// dwarfLines are the lines of a program with debug information (dwarfstd.org, section 6.2).
type dwarfLines struct {
	data    *dwarf.Data
	entries []dwarfLine // in the order of addresses
}

type dwarfLine struct {
	address uint64
	file    string
	line    int
	end     bool // no code from here on
}

func readLines(f *elf.File) *dwarfLines {
	data, err := f.DWARF()
	if err != nil {
		return nil
	}
	l := &dwarfLines{data: data}
	for units := data.Reader(); ; units.SkipChildren() {
		unit, err := units.Next()
		if err != nil || unit == nil {
			break
		}
		lines, err := data.LineReader(unit)
		if err != nil || lines == nil {
			continue
		}
		var entry dwarf.LineEntry
		for lines.Next(&entry) == nil {
			name := ""
			if entry.File != nil {
				name = entry.File.Name
			}
			l.entries = append(l.entries, dwarfLine{
				address: entry.Address,
				file:    name,
				line:    entry.Line,
				end:     entry.EndSequence,
			})
		}
	}
	if len(l.entries) == 0 {
		return nil
	}
	slices.SortStableFunc(l.entries, func(a, b dwarfLine) int {
		switch {
		case a.address < b.address:
			return -1
		case a.address > b.address:
			return 1
		case a.end && !b.end: // one sequence ends where another begins
			return -1
		}
		return 0
	})
	return l
}

// find is the line of an address, if it is in the program's own source.
func (l *dwarfLines) find(pc uint64) *Place {
	i, found := slices.BinarySearchFunc(l.entries, pc, func(e dwarfLine, pc uint64) int {
		switch {
		case e.address < pc:
			return -1
		case e.address > pc:
			return 1
		}
		return 0
	})
	if !found {
		i--
	}
	if i < 0 || l.entries[i].end || l.entries[i].line == 0 {
		return nil
	}
	file := l.entries[i].file
	if isOfLibrary(file) {
		return nil
	}
	return &Place{File: file, Line: l.entries[i].line}
}

// isOfLibrary tells whether a file of source is not the program's own.
func isOfLibrary(file string) bool {
	for _, inside := range []string{"/rustc/", "/.cargo/registry/", "/build/"} {
		if strings.Contains(file, inside) {
			return true
		}
	}
	return strings.HasPrefix(file, "/usr/")
}

// findCaller is the line that calls a function of a library which is inlined at an address, if that
// line is in the program's own source (section 3.3.8.2 of dwarfstd.org's DWARF 5).
func (l *dwarfLines) findCaller(pc uint64) (place *Place) {
	entries := l.data.Reader()
	unit, err := entries.SeekPC(pc)
	if err != nil {
		return nil
	}
	lines, err := l.data.LineReader(unit)
	if err != nil || lines == nil {
		return nil
	}
	files := lines.Files()
	for {
		e, err := entries.Next()
		if err != nil || e == nil || e.Tag == dwarf.TagCompileUnit {
			return place
		}
		switch e.Tag {
		case 0, dwarf.TagNamespace, dwarf.TagLexDwarfBlock: // a block may have no addresses
			continue
		case dwarf.TagSubprogram, dwarf.TagInlinedSubroutine:
			if l.holds(e, pc) {
				if p := callOf(e, files); p != nil {
					place = p // the innermost one comes last
				}
				continue
			}
		}
		entries.SkipChildren()
	}
}

// holds tells whether an address is one of a function.
func (l *dwarfLines) holds(function *dwarf.Entry, pc uint64) bool {
	ranges, err := l.data.Ranges(function)
	return err == nil && slices.ContainsFunc(ranges, func(r [2]uint64) bool {
		return r[0] <= pc && pc < r[1]
	})
}

// callOf is the line that calls a function that is inlined, if it is in the program's own source.
func callOf(inlined *dwarf.Entry, files []*dwarf.LineFile) *Place {
	file, ok := inlined.Val(dwarf.AttrCallFile).(int64)
	line, hasLine := inlined.Val(dwarf.AttrCallLine).(int64)
	if !ok || !hasLine || file < 0 || file >= int64(len(files)) || files[file] == nil ||
		isOfLibrary(files[file].Name) {
		return nil
	}
	return &Place{File: files[file].Name, Line: int(line)}
}

// source reads the lines round each place, where the file is here.
func (p *places) source(steps []Step) map[string]map[int]string {
	const around = 4
	const mostSize = 4 << 20
	all := map[string]map[int]string{}
	files := map[string][]string{}
	for _, step := range steps {
		if step.Place == nil || step.Place.Line == 0 {
			continue
		}
		file := step.Place.File
		lines, known := files[file]
		if !known {
			st, err := os.Stat(file)
			if err == nil && st.Mode().IsRegular() && st.Size() < mostSize {
				text, _ := os.ReadFile(file) // an error: the place has no source
				lines = strings.Split(string(text), "\n")
			}
			files[file] = lines
		}
		for n := step.Place.Line - around; n <= step.Place.Line+around; n++ {
			if n < 1 || n > len(lines) {
				continue
			}
			if all[file] == nil {
				all[file] = map[int]string{}
			}
			all[file][n] = lines[n-1]
		}
	}
	return all
}
