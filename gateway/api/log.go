package api

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/pana-exchange/pana/gateway"
)

// The log as C2SP tlog-tiles: checkpoint and hashes for anybody, leaves for officers.

// logCheckpoint is mutable; the rest never changes.
func (s *server) logCheckpoint(r *http.Request) (answer, error) {
	note, err := s.Exchange.LogCheckpoint(r.Context())
	if err != nil {
		return answer{}, err
	}
	a := text(note)
	a.header = map[string]string{"Cache-Control": "no-cache"}
	return a, nil
}

func (s *server) logTile(r *http.Request) (answer, error) {
	data, err := s.Exchange.LogTile(r.Context(), "tile/"+chi.URLParam(r, "*"))
	if err != nil {
		return answer{}, err
	}
	return tileAnswer(data, "public"), nil
}

func (s *server) logEntries(r *http.Request, caller gateway.Caller) (answer, error) {
	data, err := s.Exchange.LogEntries(r.Context(), caller, "tile/entries/"+chi.URLParam(r, "*"))
	if err != nil {
		return answer{}, err
	}
	return tileAnswer(data, "private"), nil
}

func tileAnswer(data []byte, who string) answer {
	return answer{
		media: "application/octet-stream", body: data,
		header: map[string]string{"Cache-Control": who + ", max-age=31536000, immutable"},
	}
}

// leafProof returns a leaf and its C2SP tlog-proof.
func (s *server) leafProof(r *http.Request, caller gateway.Caller) (answer, error) {
	index, err := strconv.ParseUint(chi.URLParam(r, "leaf"), 10, 53)
	if err != nil {
		return answer{}, gateway.Errorf(gateway.Invalid, "a leaf is named by its index")
	}
	proof, err := s.Exchange.ProveLeaf(r.Context(), caller, index)
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusOK, proof)
}

// paced slows down who asks too often without a good key.
func (s *server) paced(h func(r *http.Request) (answer, error)) func(r *http.Request) (answer, error) {
	return func(r *http.Request) (answer, error) {
		if r.Header.Get("Authorization") != "" {
			_, err := s.authenticate(r)
			if err != nil {
				return answer{}, err
			}
			return h(r)
		}
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			host = r.RemoteAddr
		}
		if !s.limiter.admit(strings.ToLower(host)) {
			return answer{}, errRate
		}
		return h(r)
	}
}

// burst is how many seconds' worth of requests may come at once: who copies the
// log asks for many tiles in a row.
const burst = 10

// limitedAddresses bounds the memory of a limiter; beyond it all share one bucket.
const limitedAddresses = 10_000

// A limiter admits so many requests a second of each address: a token bucket.
type limiter struct {
	rate    float64
	now     func() time.Time
	mu      *sync.Mutex // guards buckets
	buckets map[string]*bucket
}

type bucket struct {
	tokens float64
	at     time.Time
}

func newLimiter(rate int, now func() time.Time) limiter {
	return limiter{rate: float64(rate), now: now, mu: &sync.Mutex{}, buckets: map[string]*bucket{}}
}

func (l *limiter) admit(address string) bool {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buckets[address] == nil && len(l.buckets) >= limitedAddresses {
		l.forget(now)
		if len(l.buckets) >= limitedAddresses {
			address = ""
		}
	}
	b := l.buckets[address]
	if b == nil {
		b = &bucket{l.rate * burst, now}
		l.buckets[address] = b
	}
	b.tokens = min(l.rate*burst, b.tokens+max(0, now.Sub(b.at).Seconds())*l.rate)
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// forget drops who has not asked for so long that the bucket is full again.
func (l *limiter) forget(now time.Time) {
	for address, b := range l.buckets {
		if now.Sub(b.at) > burst*time.Second {
			delete(l.buckets, address)
		}
	}
}
