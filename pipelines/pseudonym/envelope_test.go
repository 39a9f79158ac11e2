package pseudonym

import (
	"bytes"
	"crypto/rand"
	"testing"
	"testing/iotest"
)

// What is sealed opens under the same keyring, purpose and subject, and under no other;
// no bit of it can be flipped.
func TestEnvelope(t *testing.T) {
	k, err := Ephemeral(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := Ephemeral(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	content, about := []byte("a receipt with its salt"), []byte("b1")
	e := k.Envelope(rand.Reader, "receipts")
	sealed, err := e.Seal(content, about)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, content[:8]) {
		t.Error("the content can be read")
	}
	if again, err := e.Seal(content, about); err != nil || bytes.Equal(again, sealed) {
		t.Errorf("two seals are the same: %v", err)
	}
	// A keyring opened again is the same one.
	if got, err := k.Envelope(rand.Reader, "receipts").Open(sealed, about); err != nil || !bytes.Equal(got, content) {
		t.Errorf("got %q, %v", got, err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"another keyring": func() ([]byte, error) { return other.Envelope(rand.Reader, "receipts").Open(sealed, about) },
		"another purpose": func() ([]byte, error) { return k.Envelope(rand.Reader, "others").Open(sealed, about) },
		"another batch":   func() ([]byte, error) { return e.Open(sealed, []byte("b2")) },
		"nothing":         func() ([]byte, error) { return e.Open(nil, about) },
	} {
		if _, err := open(); err == nil {
			t.Errorf("%s opens it", name)
		}
	}
	for i := range sealed {
		sealed[i] ^= 1 << (i % 8)
		if _, err := e.Open(sealed, about); err == nil {
			t.Errorf("byte %d may be flipped", i)
		}
		sealed[i] ^= 1 << (i % 8)
	}
	if _, err := k.Envelope(iotest.ErrReader(iotest.ErrTimeout), "receipts").Seal(content, about); err == nil {
		t.Error("a seal without randomness")
	}
}
