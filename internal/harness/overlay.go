package harness

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Overlay writes a file for the flag -overlay of the go command: it sees these texts at these
// paths, and nothing where the text is nil. Nothing is written at the paths, and they are the same
// each time: the go command does not compile again what it has in its cache. The caller removes the
// directory of the file. After an error there is none.
func Overlay(texts map[string][]byte) (file string, err error) {
	dir, err := os.MkdirTemp("", "container-overlay-")
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for path, text := range texts {
		if replace[path] = ""; text != nil {
			replace[path] = filepath.Join(dir, fmt.Sprint(len(replace), filepath.Ext(path)))
			err = errors.Join(err, os.WriteFile(replace[path], text, 0o644))
		}
	}
	list, jsonErr := json.Marshal(map[string]any{"Replace": replace})
	file = filepath.Join(dir, "overlay.json")
	err = errors.Join(err, jsonErr, os.WriteFile(file, list, 0o644))
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return file, nil
}

// OverlayPackage is an Overlay in which the package in dir has these Go files, by name, and no
// others.
func OverlayPackage(dir string, files map[string][]byte) (overlay string, err error) {
	own, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return "", err
	}
	texts := map[string][]byte{}
	for _, path := range own {
		texts[path] = nil
	}
	for name, text := range files {
		texts[filepath.Join(dir, name)] = text
	}
	return Overlay(texts)
}
