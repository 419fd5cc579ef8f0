//go:build linux

package layout

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// AddManifest makes the manifest of an image from its config and its layers.
func (s *Store) AddManifest(config v1.Descriptor, layers []v1.Descriptor) (v1.Descriptor, error) {
	return s.addManifest(v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		Config:        config,
		Layers:        layers,
	})
}

func (s *Store) addManifest(manifest v1.Manifest) (v1.Descriptor, error) {
	text, err := json.Marshal(manifest)
	if err != nil {
		return v1.Descriptor{}, err
	}
	d, err := s.AddBytes(text)
	d.MediaType = manifest.MediaType
	return d, err
}

// Choose returns the image for a platform from an index. One that is alone is taken for whatever
// platform it is.
func Choose(manifests []v1.Descriptor, platform v1.Platform) (v1.Descriptor, error) {
	// Docker adds records of how an image was made, for a platform that is unknown.
	candidates := slices.DeleteFunc(slices.Clone(manifests), func(d v1.Descriptor) bool {
		return d.Platform != nil && d.Platform.OS == "unknown"
	})
	if len(candidates) == 1 && candidates[0].Platform == nil {
		return candidates[0], nil
	}
	var others []string
	for _, exact := range []bool{true, false} {
		for _, d := range candidates {
			p := d.Platform
			if p == nil {
				continue
			}
			same := p.OS == platform.OS && p.Architecture == platform.Architecture
			if same && (!exact || p.Variant == platform.Variant) {
				return d, nil
			}
			if exact {
				others = append(others, p.String())
			}
		}
	}
	if len(others) == 0 {
		return v1.Descriptor{}, errors.New("no image in the index")
	}
	return v1.Descriptor{}, fmt.Errorf("not for %s (only for %s: -platform chooses)",
		platform, strings.Join(others, ", "))
}
