//go:build linux && floor

// See list.go.
package plan

import (
	"bufio"
	"fmt"
	"io"
	"unsafe"
)

// PrintC prints the list as C, for floor.c: the calls, each with its line of `container plan`, and
// the memory that they use. Addresses in it are expressions, which the linker turns into numbers.
func (p *Plan) PrintC(w io.Writer) error {
	const start = unsafe.Sizeof(shared{})
	memory := p.mapping[start : len(p.mapping)-len(p.room)]
	words := unsafe.Slice((*uintptr)(unsafe.Pointer(&memory[0])), len(memory)/8)

	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "#define REFUSED %d\n", ErrCheck)
	fmt.Fprintf(out, "static struct call calls[%d];\n", p.n)
	fmt.Fprintf(out, "static uint64_t memory[%d];\n", len(words))
	fmt.Fprintf(out, "static struct call calls[] = {\n")
	for i := range p.n {
		c := &p.calls[i]
		fmt.Fprintf(out, "{.number = %d, .args = {", c.number)
		for k, arg := range c.args {
			if c.later>>k&1 == 1 {
				fmt.Fprintf(out, "%d, ", arg)
			} else {
				fmt.Fprintf(out, "%s, ", p.inC(arg))
			}
		}
		check := p.inC(uintptr(unsafe.Pointer(c.check)))
		fmt.Fprintf(out, "}, .check = (struct check *)%s, .allowed = {%d, %d, %d}, ",
			check, c.allowed[0], c.allowed[1], c.allowed[2])
		fmt.Fprintf(out, ".skip = %d, .later = %d}, // %s\n", c.skip, c.later, p.Line(i))
	}
	fmt.Fprintf(out, "};\nstatic uint64_t memory[] = {\n")
	for _, word := range words {
		fmt.Fprintf(out, "%s,\n", p.inC(word))
	}
	fmt.Fprintf(out, "};\n")
	return out.Flush()
}

// inC returns a word in C: an address in the list is one in floor.c.
func (p *Plan) inC(word uintptr) string {
	const start = unsafe.Sizeof(shared{})
	base := uintptr(unsafe.Pointer(p.shared))
	calls := uintptr(unsafe.Pointer(&p.calls[0]))
	switch offset := word - calls; {
	case word < base || word >= base+uintptr(len(p.mapping)):
		return fmt.Sprintf("%#x", word)
	case word >= base+start:
		return fmt.Sprintf("(uint64_t)((char *)memory + %d)", word-base-start)
	case offset%unsafe.Sizeof(call{}) == unsafe.Offsetof(call{}.result):
		return fmt.Sprintf("(uint64_t)&calls[%d].result", offset/unsafe.Sizeof(call{}))
	}
	panic(fmt.Sprintf("address %#x in the list", word))
}
