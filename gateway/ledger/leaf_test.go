package ledger

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/gowebpki/jcs"
	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

func example(seq uint64) Leaf {
	return Leaf{
		Seq: seq, Time: time.Date(2026, 7, 1, 9, 30, 0, 123e6, time.UTC), Event: BatchCommit, Actor: "kqzj4", Object: "b2x7a",
		Policy: gateway.Revision(strings.Repeat("ab", 32)), Snapshot: 17, Outcome: Done, Commit: strings.Repeat("0f", 32),
	}
}

func TestLeafForm(t *testing.T) {
	got, err := example(42).Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"actor":"kqzj4","commit":"` + strings.Repeat("0f", 32) + `","event":"batch.commit","object":"b2x7a","outcome":"done",` +
		`"policy":"` + strings.Repeat("ab", 32) + `","seq":42,"snapshot":17,"time":"2026-07-01T09:30:00.123Z","v":1}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func leaves() *rapid.Generator[Leaf] {
	id := rapid.StringMatching(`[a-zA-Z][a-zA-Z0-9._:/-]{0,60}`)
	digest := rapid.Custom(func(t *rapid.T) string {
		if rapid.Bool().Draw(t, "none") {
			return ""
		}
		return hex.EncodeToString(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "sum"))
	})
	return rapid.Custom(func(t *rapid.T) Leaf {
		return Leaf{
			Seq:      rapid.Uint64Range(0, maxInteger).Draw(t, "seq"),
			Time:     time.UnixMilli(rapid.Int64Range(0, 253402300799999).Draw(t, "ms")).UTC(),
			Event:    rapid.SampledFrom(events).Draw(t, "event"),
			Actor:    id.Draw(t, "actor"),
			Object:   rapid.OneOf(rapid.Just(""), id).Draw(t, "object"),
			Policy:   gateway.Revision(digest.Draw(t, "policy")),
			Snapshot: rapid.Uint64Range(0, maxInteger).Draw(t, "snapshot"),
			Outcome:  rapid.SampledFrom(outcomes).Draw(t, "outcome"),
			Commit:   digest.Draw(t, "commit"),
		}
	})
}

// Decoding undoes encoding, and the encoding is what RFC 8785 makes of it.
func TestLeafRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leaf := leaves().Draw(t, "leaf")
		data, err := leaf.Encode()
		if err != nil {
			t.Fatal(err)
		}
		canonical, err := jcs.Transform(data)
		if err != nil || !bytes.Equal(canonical, data) {
			t.Fatalf("RFC 8785 has %s, %v\nfor %s", canonical, err, data)
		}
		back, err := DecodeLeaf(data)
		if err != nil || back != leaf {
			t.Fatalf("got %+v, %v\nfor %+v", back, err, leaf)
		}
	})
}

func TestLeafRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*Leaf){
		"an event of its own":        func(l *Leaf) { l.Event = "batch.lost" },
		"an outcome of its own":      func(l *Leaf) { l.Outcome = "good" },
		"no actor":                   func(l *Leaf) { l.Actor = "" },
		"an identification number":   func(l *Leaf) { l.Actor = "100203512345" },
		"an identifier as an object": func(l *Leaf) { l.Object = "100203512345" },
		"a name":                     func(l *Leaf) { l.Object = "Әлия" },
		"a sentence":                 func(l *Leaf) { l.Object = "the child said" },
		"a quote":                    func(l *Leaf) { l.Object = `a"b` },
		"an address":                 func(l *Leaf) { l.Actor = "a@example.org" },
		"a long object":              func(l *Leaf) { l.Object = strings.Repeat("a", maxID+1) },
		"a short policy":             func(l *Leaf) { l.Policy = "ab" },
		"an upper-case commitment":   func(l *Leaf) { l.Commit = strings.Repeat("AB", 32) },
		"a number beyond doubles":    func(l *Leaf) { l.Seq = maxInteger + 1 },
		"a time before computers":    func(l *Leaf) { l.Time = time.Time{} },
	} {
		leaf := example(1)
		spoil(&leaf)
		if data, err := leaf.Encode(); err == nil {
			t.Errorf("%s: logged as %s", name, data)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	good, err := example(42).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"unknown field":  {`"v":1`, `"user_agent":"curl","v":1`},
		"missing field":  {`"snapshot":17,`, ``},
		"doubled field":  {`"seq":42`, `"seq":41,"seq":42`},
		"other case":     {`"seq"`, `"Seq"`},
		"space":          {`"seq":42`, `"seq": 42`},
		"exponent":       {`"seq":42`, `"seq":4.2e1`},
		"leading zero":   {`"seq":42`, `"seq":042`},
		"other version":  {`"v":1`, `"v":2`},
		"escape":         {`"b2x7a"`, `"b2x7\u0061"`},
		"other time":     {`.123Z`, `.12Z`},
		"null":           {`"b2x7a"`, `null`},
		"trailing bytes": {`"v":1}`, `"v":1} `},
	} {
		bad := strings.Replace(string(good), change[0], change[1], 1)
		if bad == string(good) {
			t.Fatalf("%s: nothing changed", name)
		}
		if leaf, err := DecodeLeaf([]byte(bad)); err == nil {
			t.Errorf("%s: read as %+v", name, leaf)
		}
	}
}

func FuzzDecodeLeaf(f *testing.F) {
	good, err := example(42).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{}`))
	f.Add(bytes.Replace(good, []byte("done"), []byte("dOne"), 1))
	f.Add(bytes.Repeat([]byte(`[`), 10000))
	f.Fuzz(func(t *testing.T, data []byte) {
		leaf, err := DecodeLeaf(data)
		if err != nil {
			return
		}
		again, err := leaf.Encode()
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%q was read, but is written %q, %v", data, again, err)
		}
	})
}
