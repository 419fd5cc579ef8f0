//go:build linux

package registry

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// reached is a connection that answers each request with itself.
type reached struct{ error }

func (r reached) RoundTrip(*http.Request) (*http.Response, error) { return nil, r }

// TestGuarded lets plain HTTP go to this machine only, and elsewhere if it was asked for: a server
// may lead to another one. A registry elsewhere may not lead to this machine at all.
func TestGuarded(t *testing.T) {
	inner := reached{errors.New("reached")}
	for url, where := range map[string]struct{ isHere, isSafe bool }{
		"http://localhost:5000/":   {isHere: true, isSafe: true},
		"http://a.localhost/":      {isHere: true, isSafe: true},
		"http://127.1.2.3:5000/":   {isHere: true, isSafe: true},
		"http://[::1]:5000/":       {isHere: true, isSafe: true},
		"http://0.0.0.0:5000/":     {isHere: true, isSafe: true},
		"https://127.0.0.1/":       {isHere: true, isSafe: true},
		"https://host.example/":    {isSafe: true},
		"http://host.example/":     {},
		"http://10.0.0.1:5000/":    {},
		"http://localhost.example": {},
		"http://127.0.0.1.example": {},
		"http://registry.local/":   {},
	} {
		request, err := http.NewRequest(http.MethodGet, url, nil)
		require.NoError(t, err)
		for _, isHere := range []bool{true, false} {
			mayGo := isHere || !where.isHere
			_, err = (&guarded{inner: inner, isHere: isHere}).RoundTrip(request)
			assert.Equal(t, where.isSafe && mayGo, errors.Is(err, inner), "%s: %v", url, err)
			_, err = (&guarded{inner: inner, isHere: isHere, plainHTTP: true}).RoundTrip(request)
			assert.Equal(t, mayGo, errors.Is(err, inner), "%s with -plain-http: %v", url, err)
		}
	}
}

// TestElsewhere does not go where a registry elsewhere has no business: to this machine.
func TestElsewhere(t *testing.T) {
	repository, err := name.NewRepository("host.example/x")
	require.NoError(t, err)
	part, err := os.Create(filepath.Join(t.TempDir(), "part"))
	require.NoError(t, err)
	defer part.Close()
	r := &remoteRepository{Repository: repository}
	for _, host := range []string{"localhost:5000", "127.0.0.1", "[::1]:80"} {
		err := r.fetchElsewhere(t.Context(), "https://"+host+"/blob", v1.Descriptor{}, part)
		require.ErrorContains(t, err, "https://"+host+": the registry leads to this machine")
	}
}
