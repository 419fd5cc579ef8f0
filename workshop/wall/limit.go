package wall

import (
	"net/netip"
	"sync"
	"time"
)

// rate is how much is let through: a number at once, and so many each second.
type rate struct {
	burst  float64
	second float64
}

var (
	// perRow is for a participant: a heartbeat, and a line at each save.
	perRow = rate{burst: 20, second: 2}
	// perAddress is for all from one address that the wall does not know: people who join or open
	// the page, and all that is refused. Behind one address there may be a whole room.
	perAddress = rate{burst: 300, second: 20}
)

// A bucket is what is left of a rate.
type bucket struct {
	rate
	left float64
	last time.Time
}

func newBucket(r rate, now time.Time) bucket { return bucket{r, r.burst, now} }

// take takes one out of the bucket, if there is one.
func (b *bucket) take(now time.Time) bool {
	b.left = min(b.burst, b.left+now.Sub(b.last).Seconds()*b.second)
	b.last = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// mostAddresses is how many addresses have a bucket of their own.
const mostAddresses = 4096

// addresses has a bucket for each address from which something came lately.
type addresses struct {
	mu      sync.Mutex
	buckets map[netip.Prefix]*bucket
	others  bucket // when there are too many
	swept   time.Time
}

func newAddresses(now time.Time) *addresses {
	return &addresses{buckets: map[netip.Prefix]*bucket{}, others: newBucket(perAddress, now)}
}

// take takes one out of the bucket of an address.
func (a *addresses) take(from netip.Prefix, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.buckets[from]
	if b == nil {
		if len(a.buckets) >= mostAddresses && now.Sub(a.swept) >= time.Second {
			a.forget(now)
			a.swept = now
		}
		if len(a.buckets) >= mostAddresses {
			return a.others.take(now)
		}
		fresh := newBucket(perAddress, now)
		b = &fresh
		a.buckets[from] = b
	}
	return b.take(now)
}

// forget drops the buckets that are full again: a new one is the same.
func (a *addresses) forget(now time.Time) {
	for from, b := range a.buckets {
		if b.left+now.Sub(b.last).Seconds()*b.second >= b.burst {
			delete(a.buckets, from)
		}
	}
}

// network is what counts as one address: with IPv6 a machine has many in its network.
func network(remote string) netip.Prefix {
	port, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	addr := port.Addr().Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	prefix, _ := addr.Prefix(bits) // the number of bits is right
	return prefix
}
