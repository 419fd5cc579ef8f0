//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/rogpeppe/go-internal/testscript"

	registryserver "github.com/google/go-containerregistry/pkg/registry"
)

// A faultyRegistry is a registry on loopback that does what a script wants it to do wrong.
type faultyRegistry struct {
	inner http.Handler

	mutex  sync.Mutex
	kind   string // the fault, or ""
	number int    // what the fault needs to know
	served []string
	stop   chan struct{} // ends requests that hang

	scheme string // basic or bearer, for a registry that asks who it is
	tokens int    // that were given
	ended  int    // of these
}

// The only one that may use a registry that asks.
const knownUser, knownPassword, token = "me", "secret", "a-token"

// allows tells whether a request is by somebody who may make it, and answers it otherwise.
func (r *faultyRegistry) allows(w http.ResponseWriter, request *http.Request) bool {
	user, password, _ := request.BasicAuth()
	isKnown := user == knownUser && password == knownPassword
	switch r.scheme {
	case "":
		return true
	case "basic":
		if isKnown {
			return true
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="here"`)
	case "bearer":
		if request.URL.Path == "/token" && isKnown {
			fmt.Fprintf(w, `{"access_token":%q}`, r.newToken())
			return false
		}
		if r.isToken(strings.TrimPrefix(request.Header.Get("Authorization"), "Bearer ")) {
			return true
		}
		w.Header().Set("WWW-Authenticate",
			fmt.Sprintf(`Bearer realm="http://%s/token",service="here"`, request.Host))
	}
	http.Error(w, "who are you?", http.StatusUnauthorized)
	return false
}

func (r *faultyRegistry) newToken() string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.tokens++
	return fmt.Sprint(token, r.tokens)
}

// isToken tells whether a token is good. The fault expire ends all of them, after so many requests.
func (r *faultyRegistry) isToken(text string) bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.kind == "expire" {
		if r.number--; r.number < 0 {
			r.kind, r.ended = "", r.tokens
		}
	}
	number, err := strconv.Atoi(strings.TrimPrefix(text, token))
	return err == nil && number > r.ended && number <= r.tokens
}

type registryKey struct{}

// registryVerbs are the verbs of the scripts that are about registries. They run in the process of
// the tests, where the registry is.
var registryVerbs = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	// registry [basic|bearer] starts one, whose address is then $REGISTRY.
	"registry": func(ts *testscript.TestScript, _ bool, args []string) {
		r := &faultyRegistry{
			inner: quietRegistry(),
			stop:  make(chan struct{}),
		}
		if len(args) > 0 {
			r.scheme = args[0]
		}
		server := httptest.NewServer(r)
		ts.Defer(func() { close(r.stop); server.CloseClientConnections(); server.Close() })
		ts.Setenv("REGISTRY", strings.TrimPrefix(server.URL, "http://"))
		*ts.Value(registryKey{}).(**faultyRegistry) = r
	},
	// publish LAYOUT... NAME pushes an image, or an index of several.
	"publish": func(ts *testscript.TestScript, _ bool, args []string) {
		reference, err := name.ParseReference(args[len(args)-1])
		ts.Check(err)
		images := args[:len(args)-1]
		if len(images) == 1 {
			auth := &authn.Basic{Username: knownUser, Password: knownPassword}
			ts.Check(remote.Write(reference, imageOf(ts, images[0]), remote.WithAuth(auth)))
			return
		}
		index := mutate.IndexMediaType(emptyIndex(ts, images[0]), types.OCIImageIndex)
		for i, platform := range images {
			p, err := v1.ParsePlatform([]string{"linux/amd64", "linux/arm64/v8"}[i])
			ts.Check(err)
			index = mutate.AppendManifests(index, mutate.IndexAddendum{
				Add:        imageOf(ts, platform),
				Descriptor: v1.Descriptor{Platform: p},
			})
		}
		ts.Check(remote.WriteIndex(reference, index))
	},
	// fault KIND [NUMBER] makes it do something wrong from now on; fault alone makes it work.
	"fault": func(ts *testscript.TestScript, _ bool, args []string) {
		r := *ts.Value(registryKey{}).(**faultyRegistry)
		r.mutex.Lock()
		defer r.mutex.Unlock()
		r.kind, r.number = "", 0
		if len(args) > 0 {
			r.kind = args[0]
		}
		if len(args) > 1 {
			var err error
			r.number, err = strconv.Atoi(args[1])
			ts.Check(err)
		}
	},
	// address PIPE makes $REGISTRY the address that a registry of ours writes to a pipe.
	"address": func(ts *testscript.TestScript, _ bool, args []string) {
		pipe, err := os.Open(ts.MkAbs(args[0])) // when there is somebody who writes
		ts.Check(err)
		defer pipe.Close()
		line, err := bufio.NewReader(pipe).ReadString('\n')
		ts.Check(err)
		ts.Setenv("REGISTRY", strings.TrimSpace(line))
	},
	// served prints which blobs were asked for since the last time.
	"served": func(ts *testscript.TestScript, _ bool, _ []string) {
		r := *ts.Value(registryKey{}).(**faultyRegistry)
		r.mutex.Lock()
		defer r.mutex.Unlock()
		slices.Sort(r.served)
		fmt.Fprintf(ts.Stdout(), "%s", strings.Join(r.served, ""))
		r.served = nil
	},
}

func quietRegistry() http.Handler {
	return registryserver.New(registryserver.Logger(log.New(io.Discard, "", 0)))
}

func imageOf(ts *testscript.TestScript, dir string) v1.Image {
	image, err := firstImage(ts.MkAbs(dir))
	ts.Check(err)
	return image
}

// firstImage is the image in a layout.
func firstImage(dir string) (v1.Image, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	return index.Image(manifest.Manifests[0].Digest)
}

// emptyIndex is an index without images.
func emptyIndex(ts *testscript.TestScript, dir string) v1.ImageIndex {
	index, err := layout.ImageIndexFromPath(ts.MkAbs(dir))
	ts.Check(err)
	return mutate.RemoveManifests(index, func(v1.Descriptor) bool { return true })
}

// ServeHTTP implements http.Handler.
func (r *faultyRegistry) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if digest, ok := strings.CutPrefix(request.URL.Path, elsewhere); ok {
		r.serveElsewhere(w, request, digest)
		return
	}
	if !r.allows(w, request) {
		return
	}
	isBlob := strings.Contains(request.URL.Path, "/blobs/sha256:") &&
		request.Method == http.MethodGet
	r.mutex.Lock()
	kind, number := r.kind, r.number
	if isBlob {
		line := "blob"
		if from := request.Header.Get("Range"); from != "" {
			line += " " + from
		}
		r.served = append(r.served, line+"\n")
	}
	if kind == "status" && number > 0 { // for some requests
		r.number -= 1000
	}
	r.mutex.Unlock()
	switch {
	case kind == "status" && number > 1000:
		w.Header().Set("Retry-After", "0")
		http.Error(w, "fault", number%1000)
	case kind == "manifest" && strings.Contains(request.URL.Path, "/manifests/"):
		r.changed(w, request, func(text []byte) []byte {
			return []byte(strings.Replace(string(text), `"size":`, `"size":1`, 2))
		})
	case kind == "foreign" && strings.Contains(request.URL.Path, "/manifests/"):
		r.changed(w, request, func(text []byte) []byte { return foreign(text, request.Host) })
	case kind == "hang" && strings.Contains(request.URL.Path, "/manifests/"):
		w.Header().Set("Content-Length", "1000")
		w.Write([]byte("{"))
		w.(http.Flusher).Flush()
		select {
		case <-request.Context().Done():
		case <-r.stop:
		}
	case kind == "digest" && strings.Contains(request.URL.Path, "/manifests/"):
		w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))
		r.changed(w, request, func(text []byte) []byte { return text })
	case isBlob && kind != "":
		r.serveBlob(w, request, kind, number)
	default:
		r.inner.ServeHTTP(w, request)
	}
}

// changed serves what change makes of the right answer.
func (r *faultyRegistry) changed(
	w http.ResponseWriter, request *http.Request, change func([]byte) []byte,
) {
	answer := httptest.NewRecorder()
	r.inner.ServeHTTP(answer, request)
	text := change(answer.Body.Bytes())
	w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(answer.Code)
	if request.Method != http.MethodHead {
		w.Write(text)
	}
}

// elsewhere is where blobs are that are not in a repository. Whoever says there who he is, tells it
// to strangers.
const elsewhere = "/elsewhere/"

func (r *faultyRegistry) serveElsewhere(
	w http.ResponseWriter, request *http.Request, digest string,
) {
	if request.Header.Get("Authorization") != "" {
		http.Error(w, "this is not for me", http.StatusTeapot)
		return
	}
	request.URL.Path = "/v2/x/blobs/" + digest
	r.inner.ServeHTTP(w, request)
}

// foreign makes the layers of a manifest such that are elsewhere.
func foreign(text []byte, host string) []byte {
	var manifest v1.Manifest
	exitIf(json.Unmarshal(text, &manifest))
	for i := range manifest.Layers {
		l := &manifest.Layers[i]
		l.URLs = []string{
			"http://" + host + elsewhere + "nothing",
			"http://" + host + elsewhere + l.Digest.String(),
		}
	}
	return marshal(manifest)
}

// serveBlob serves a blob with a fault.
func (r *faultyRegistry) serveBlob(
	w http.ResponseWriter, request *http.Request, kind string, number int,
) {
	switch kind {
	case "missing":
		http.NotFound(w, request)
	case "foreign": // it has only the config, which is no archive
		answer := httptest.NewRecorder()
		r.inner.ServeHTTP(answer, request)
		if answer.Body.Bytes()[0] != '{' {
			http.NotFound(w, request)
			return
		}
		w.Write(answer.Body.Bytes())
	case "redirect": // to another host, as far as names go
		digest := request.URL.Path[strings.LastIndex(request.URL.Path, "/")+1:]
		_, port, _ := net.SplitHostPort(request.Host)
		http.Redirect(w, request, "http://localhost:"+port+elsewhere+digest,
			http.StatusTemporaryRedirect)
	case "changed": // in one bit
		r.changed(w, request, func(data []byte) []byte {
			data[len(data)/2] ^= 1
			return data
		})
	case "double":
		r.changed(w, request, func(data []byte) []byte { return append(data, data...) })
	case "cut", "silent": // after so many bytes
		answer := httptest.NewRecorder()
		r.inner.ServeHTTP(answer, request)
		for key, values := range answer.Header() {
			w.Header()[key] = values
		}
		w.WriteHeader(answer.Code)
		data := answer.Body.Bytes()
		w.Write(data[:min(number, len(data))])
		w.(http.Flusher).Flush()
		if number >= len(data) {
			return
		}
		if kind == "silent" {
			select {
			case <-request.Context().Done():
			case <-r.stop:
			}
		}
		panic(http.ErrAbortHandler)
	default:
		r.inner.ServeHTTP(w, request)
	}
}
