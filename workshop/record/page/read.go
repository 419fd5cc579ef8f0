package page

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"container.example/workshop/workshop/record"
)

// What stands round the recording in a page, as page.html has it, and between the parts of a long
// one.
const (
	dataBegins  = `<script type="application/json" id="data" data-kind="recording">`
	dataEnds    = `</script>`
	dataGoesOn  = dataEnds + "\n" + `<script type="application/json">`
	longestPart = 256 << 10
)

// maxSize is the size of a file that is read. A recording of 5,000 steps has some megabytes.
const maxSize = 512 << 20

// ReadFile reads a recording from a file: JSON, or a page that Write wrote.
func ReadFile(name string) (*record.Recording, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxSize {
		return nil, fmt.Errorf("%s: larger than %d MiB", name, maxSize>>20)
	}
	r, err := Read(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

// Read reads a recording: JSON, or a page that Write wrote.
func Read(data []byte) (*record.Recording, error) {
	data = bytes.TrimSpace(data)
	if bytes.HasPrefix(data, []byte("<")) {
		_, after, found := bytes.Cut(data, []byte(dataBegins))
		after = bytes.ReplaceAll(after, []byte(dataGoesOn), nil)
		inside, _, closed := bytes.Cut(after, []byte(dataEnds))
		if !found || !closed {
			return nil, errors.New("not a recording: this page has none in it")
		}
		data = inside
	}
	return record.Read(bytes.NewReader(data))
}
