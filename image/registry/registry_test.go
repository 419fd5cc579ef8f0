//go:build linux

package registry

import (
	"errors"
	"net/http"
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
// may lead to another one.
func TestGuarded(t *testing.T) {
	inner := reached{errors.New("reached")}
	for url, goes := range map[string]bool{
		"http://localhost:5000/":   true,
		"http://a.localhost/":      true,
		"http://127.1.2.3:5000/":   true,
		"http://[::1]:5000/":       true,
		"https://host.example/":    true,
		"http://host.example/":     false,
		"http://10.0.0.1:5000/":    false,
		"http://localhost.example": false,
		"http://127.0.0.1.example": false,
		"http://registry.local/":   false,
	} {
		request, err := http.NewRequest(http.MethodGet, url, nil)
		require.NoError(t, err)
		_, err = (&guarded{inner: inner}).RoundTrip(request)
		assert.Equal(t, goes, errors.Is(err, inner), "%s: %v", url, err)
		_, err = (&guarded{inner: inner, plainHTTP: true}).RoundTrip(request)
		assert.ErrorIs(t, err, inner, "%s with -plain-http", url)
	}
}

// TestElsewhere does not go where a registry elsewhere has no business: to this machine.
func TestElsewhere(t *testing.T) {
	repository, err := name.NewRepository("host.example/x")
	require.NoError(t, err)
	r := &remoteRepository{Repository: repository}
	for _, host := range []string{"localhost:5000", "127.0.0.1", "[::1]:80"} {
		address := "https://" + host + "/blob"
		err := r.fetchElsewhere(t.Context(), address, v1.Descriptor{}, nil)
		require.EqualError(t, err, address+": the registry leads to this machine")
	}
}
