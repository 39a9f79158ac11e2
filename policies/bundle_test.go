package policies_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"os/exec"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/policies"
)

// An entry is one of a bundle of a test's own.
type entry struct {
	name string
	text string
	kind byte
	link string
}

func bundled(tb testing.TB, entries ...entry) []byte {
	tb.Helper()
	var out bytes.Buffer
	packed := gzip.NewWriter(&out)
	archive := tar.NewWriter(packed)
	for _, e := range entries {
		h := &tar.Header{Typeflag: e.kind, Name: e.name, Linkname: e.link, Mode: 0o644, Size: int64(len(e.text))}
		if e.kind == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := archive.WriteHeader(h); err != nil {
			tb.Fatal(err)
		}
		if _, err := archive.Write([]byte(e.text)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := errors.Join(archive.Close(), packed.Close()); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// entries are the shipped policies.
func entries(t *testing.T) []entry {
	t.Helper()
	var all []entry
	for name, file := range shipped(t, nil) {
		all = append(all, entry{name: name, text: string(file.Data)})
	}
	return all
}

// A bundle is the same set, and the same bytes each time.
func TestBundleRoundTrip(t *testing.T) {
	set, err := policies.Embedded(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := set.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	again, err := policies.CompileBundle(t.Context(), bytes.NewReader(bundle))
	if err != nil {
		t.Fatal(err)
	}
	second, err := again.Bundle()
	if err != nil || !bytes.Equal(second, bundle) || again.Revision() != set.Revision() {
		t.Errorf("revision %s, then %s; %v", set.Revision(), again.Revision(), err)
	}
	// As tar makes it of a folder, with what lies beside.
	all := append(entries(t), entry{name: "./", kind: tar.TypeDir}, entry{name: "./rows/", kind: tar.TypeDir}, entry{name: "./README.md", text: "x"})
	third, err := policies.CompileBundle(t.Context(), bytes.NewReader(bundled(t, all...)))
	if err != nil || third.Revision() != set.Revision() {
		t.Errorf("as made by tar: %v", err)
	}
}

// The revision is what coreutils say of the files (trust.md 4.3).
func TestRevisionBySha256sum(t *testing.T) {
	set, err := policies.Embedded(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const script = `find access contract ingest release rows data.json -type f | LC_ALL=C sort | xargs sha256sum | sha256sum`
	out, err := exec.CommandContext(t.Context(), "sh", "-c", script).Output()
	if err != nil {
		t.Skipf("there is no sha256sum here: %v", err)
	}
	if got, _, _ := strings.Cut(string(out), " "); got != string(set.Revision()) {
		t.Errorf("sha256sum says %s, the set %s", got, set.Revision())
	}
}

// trust.md 6.4, B80.
func TestBundleRefused(t *testing.T) {
	good := entries(t)
	whole := bundled(t, good...)
	bomb := entry{name: "data.json", text: strings.Repeat(" ", 64<<20)}
	for name, bundle := range map[string][]byte{
		"nothing":              nil,
		"not packed":           []byte("data.json"),
		"cut":                  whole[:len(whole)/2],
		"something after it":   append(bytes.Clone(whole), 'x'),
		"two of them":          append(bytes.Clone(whole), whole...),
		"a path that leads up": bundled(t, append(good, entry{name: "../rows/x.rego", text: "package rows.x"})...),
		"a path from the root": bundled(t, append(good, entry{name: "/rows/x.rego", text: "package rows.x"})...),
		"a path through both":  bundled(t, append(good, entry{name: "rows/../../x.rego", text: "package rows.x"})...),
		"a path of Windows":    bundled(t, append(good, entry{name: `rows\x.rego`, text: "package rows.x"})...),
		"a symbolic link":      bundled(t, append(good, entry{name: "rows/x.rego", kind: tar.TypeSymlink, link: "/etc/passwd"})...),
		"a hard link":          bundled(t, append(good, entry{name: "rows/x.rego", kind: tar.TypeLink, link: "data.json"})...),
		"a device":             bundled(t, append(good, entry{name: "rows/x.rego", kind: tar.TypeChar})...),
		"a link as a folder":   bundled(t, append([]entry{{name: "rows", kind: tar.TypeSymlink, link: "/etc"}}, good...)...),
		"a file twice":         bundled(t, append(good, good[0])...),
		"another folder":       bundled(t, append(good, entry{name: "secret/x.rego", text: "package secret.x"})...),
		"another file":         bundled(t, append(good, entry{name: "rows/x.sh", text: "x"})...),
		"a file too large":     bundled(t, append(good, bomb)...),
		"many files beside":    bundled(t, append(good, entry{name: "x.md", text: strings.Repeat("x", 9<<20)})...),
		"no data":              bundled(t, entry{name: "rows/x.rego", text: "package rows.x"}),
	} {
		if _, err := policies.CompileBundle(t.Context(), bytes.NewReader(bundle)); !errors.Is(err, gateway.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A gigabyte of data.json is 1 MB on the way. It is refused before it is unpacked.
func TestBundleBomb(t *testing.T) {
	var out bytes.Buffer
	packed := gzip.NewWriter(&out)
	archive := tar.NewWriter(packed)
	if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "data.json", Mode: 0o644, Size: 1 << 30}); err != nil {
		t.Fatal(err)
	}
	chunk := bytes.Repeat([]byte(" "), 1<<20)
	for range 16 { // the rest of the gigabyte is announced only
		if _, err := archive.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
	reader := &counted{r: bytes.NewReader(out.Bytes())}
	if _, err := policies.CompileBundle(t.Context(), reader); !errors.Is(err, gateway.Invalid) || !strings.Contains(err.Error(), "at most 262144 bytes") {
		t.Errorf("a gigabyte: %v", err)
	}
	if reader.n > 64<<10 {
		t.Errorf("%d packed bytes were read before it was refused", reader.n)
	}
}

type counted struct {
	r *bytes.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// FuzzCompileBundle: what is taken packs to a bundle of the same revision, and none of
// its names leads out of it (trust.md 6.3, Z7).
func FuzzCompileBundle(f *testing.F) {
	f.Add(bundled(f, entry{name: "data.json", text: "{}"}))
	f.Add(bundled(f, entry{name: "data.json", text: `{"a":1}`}, entry{name: "rows/x.rego", text: "package rows.x\n\nrefuse contains \"X\" if input.record.a\n"}))
	f.Add(bundled(f, entry{name: "./data.json", text: "{}"}, entry{name: "../x.rego", text: "package x"}))
	f.Fuzz(func(t *testing.T, bundle []byte) {
		// Most of what a fuzzer makes fails its checksum: what it makes is packed, too.
		var out bytes.Buffer
		packed := gzip.NewWriter(&out)
		_, _ = packed.Write(bundle)
		_ = packed.Close()
		for _, candidate := range [][]byte{bundle, out.Bytes()} {
			set, err := policies.CompileBundle(t.Context(), bytes.NewReader(candidate))
			if err != nil {
				continue
			}
			for _, file := range set.Files() {
				if !fs.ValidPath(file.Name) || strings.HasPrefix(file.Name, "..") {
					t.Fatalf("a name leads out: %q", file.Name)
				}
			}
			again, err := set.Bundle()
			if err != nil {
				t.Fatal(err)
			}
			second, err := policies.CompileBundle(t.Context(), bytes.NewReader(again))
			if err != nil || second.Revision() != set.Revision() {
				t.Fatalf("another set after packing: %v", err)
			}
		}
	})
}
