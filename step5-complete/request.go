//go:build linux

package main

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// request is a message to the kernel (netlink(7)): a header of 16 bytes, a body of fixed size, and attributes,
// whose values may be attributes again.
type request []byte

func newRequest(kind, flags uint16, body []byte) request {
	r := make(request, 16, 512)
	binary.NativeEndian.PutUint16(r[4:], kind)
	binary.NativeEndian.PutUint16(r[6:], unix.NLM_F_REQUEST|flags)
	return append(r, body...)
}

// add adds an attribute; its value is padded to four bytes.
func (r request) add(kind uint16, value []byte) request {
	r = binary.NativeEndian.AppendUint16(r, uint16(4+len(value)))
	r = binary.NativeEndian.AppendUint16(r, kind)
	r = append(r, value...)
	return append(r, make([]byte, -len(value)&3)...)
}

func (r request) addText(kind uint16, text string) request {
	return r.add(kind, append([]byte(text), 0))
}

func (r request) addNumber(kind uint16, number uint32) request {
	return r.add(kind, binary.NativeEndian.AppendUint32(nil, number))
}

// attribute finds the value of an attribute in the body of a message; the attributes begin at offset.
func attribute(body []byte, offset int, kind uint16) []byte {
	for offset+4 <= len(body) {
		length := int(binary.NativeEndian.Uint16(body[offset:]))
		if length < 4 || offset+length > len(body) {
			break
		}
		if binary.NativeEndian.Uint16(body[offset+2:]) == kind {
			return body[offset+4 : offset+length]
		}
		offset += (length + 3) &^ 3
	}
	return nil
}
