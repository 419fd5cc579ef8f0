package live

import (
	"bufio"
	"io"
	"os"

	"container.example/workshop/workshop/record"
)

// linesAround is how many lines of the source are shown above and below the one of a call.
const linesAround = 3

// maxSource is how much of a file is read.
const maxSource = 1 << 20

// around returns the lines of the source around a place; nothing if the file is not there.
func around(place *record.Place) map[int]string {
	if place == nil {
		return nil
	}
	info, err := os.Stat(place.File)
	if err != nil || !info.Mode().IsRegular() { // a device or a fifo might never end
		return nil
	}
	f, err := os.Open(place.File)
	if err != nil {
		return nil
	}
	defer f.Close()
	lines := map[int]string{}
	scanner := bufio.NewScanner(io.LimitReader(f, maxSource))
	for number := 1; scanner.Scan() && number <= place.Line+linesAround; number++ {
		if number >= place.Line-linesAround {
			lines[number] = scanner.Text()
		}
	}
	return lines
}
